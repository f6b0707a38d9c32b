"""`wrap_litellm`: LiteLLM's functions, or a router's, with each call that runs a model judged before it leaves.

LiteLLM swallows what its callbacks raise, so a callback cannot deny. What stands here in its place lets through what it
governs and what runs nothing; any other function is refused, as it might run a model unseen.
"""

import inspect
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from controlzero.errors import Rejected
from controlzero.integrations.bodies import arguments, conversation
from controlzero.integrations.governor import Asked, AsyncGoverned, Governor, SyncGoverned, Underway, asked_by, edge, library
from controlzero.integrations.prices import Spent
from controlzero.integrations.streams import Streaming
from controlzero.integrations.usage import NOTHING_SAID, spent_of
from controlzero.integrations.views import Wrapping, unwrap, view, wrapping_of

# What runs a model, by the name of the function; the same with an `a` before it is asyncio's.
ACTIONS = {
    "completion": "llm.generate",
    "text_completion": "llm.generate",
    "batch_completion": "llm.generate",
    "responses": "llm.generate",
    "compact_responses": "llm.generate",
    "decisions": "llm.generate",
    "embedding": "embedding.generate",
    "image_generation": "image.generate",
    "image_edit": "image.generate",
    "image_variation": "image.generate",
    "video_generation": "video.generate",
    "speech": "audio.generate",
    "transcription": "audio.transcribe",
}
# The parameters a policy sees. The others may be secrets: keys, headers, credentials of a cloud.
PARAMETERS = frozenset(
    [
        "api_base",
        "custom_llm_provider",
        "dimensions",
        "max_completion_tokens",
        "max_tokens",
        "n",
        "parallel_tool_calls",
        "quality",
        "reasoning_effort",
        "seed",
        "size",
        "stream",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
        "user",
        "voice",
    ]
)
PRICED_AS_THEIR_MODELS = ("", "openai", "anthropic")  # providers; at others a model of the same name costs something else

Library = TypeVar("Library")

__all__ = ["ACTIONS", "unwrap", "wrap_litellm"]


def wrap_litellm(litellm: Library, cz: SyncGoverned | AsyncGoverned, *, agent_id: str | None = None) -> Library:
    """Return what stands in place of the module `litellm`, or of a `litellm.Router`, whose calls are judged.

    `completion` and its kin are `llm:generate` on `model/<model>`, plain, streamed or asyncio's. A denial raises
    `PolicyDeniedError` before the call; `unwrap` gives back what was given. Functions that are not governed raise `Rejected`, as does
    another object, and where litellm is not installed.
    """
    module = library("litellm", extra="litellm", wrapper="wrap_litellm")
    given: Any = unwrap(litellm)  # wrapped twice is wrapped once, by the later word
    wrapping = Wrapping(given, Governor(cz, agent_id, wrapper="wrap_litellm"))
    if given is module:
        return _Module(wrapping)  # type: ignore[return-value]  # a module with the same names
    if isinstance(given, module.Router):
        return view(given, {"__getattribute__": _of_router}, wrapping)  # type: ignore[no-any-return]  # of the class of what was given
    raise Rejected(f"wrap_litellm: {type(litellm).__name__} is neither the module litellm nor a Router of it")


class _Module(types.ModuleType):
    def __init__(self, wrapping: Wrapping) -> None:
        super().__init__("litellm")
        self.controlzero = wrapping

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.controlzero.given, name)
        return _governed(self.controlzero, name, found, is_refused=inspect.isfunction(found))


def _of_router(router: Any, name: str) -> Any:
    if name.startswith("_") or name == "controlzero":
        return object.__getattribute__(router, name)
    wrapping = wrapping_of(router)
    found = getattr(wrapping.given, name)
    runs_a_model = callable(found) and (name in vars(wrapping.given) or "model" in _parameters(found))
    return _governed(wrapping, name, found, is_refused=runs_a_model and not name.startswith(("get_", "async_get_")))


def _governed(wrapping: Wrapping, name: str, found: Any, *, is_refused: bool) -> Any:
    plain = name if name in ACTIONS else name[1:] if name.startswith("a") else ""
    if plain in ACTIONS and callable(found):
        parameters = _parameters(getattr(wrapping.given, plain, found))
        return (_asking_async if inspect.iscoroutinefunction(found) or plain != name else _asking)(wrapping, plain, found, parameters)
    if is_refused:
        raise Rejected(f"wrap_litellm: `{name}` is not governed; call it on `unwrap(…)` where it may go unjudged")
    return found


def _asking(wrapping: Wrapping, name: str, function: Callable[..., Any], parameters: list[str]) -> Callable[..., Any]:
    def asking(*args: Any, **how: Any) -> Any:
        call = {**dict(zip(parameters, args, strict=False)), **how}
        with wrapping.governor.begin(asked_by(lambda: _asked(wrapping.given, name, call), ACTIONS[name])) as underway:
            answer = function(*args, **how)
        return _watched(answer, underway, edge(_provider, call, ""))

    return asking


def _asking_async(wrapping: Wrapping, name: str, function: Callable[..., Any], parameters: list[str]) -> Callable[..., Any]:
    async def asking(*args: Any, **how: Any) -> Any:
        call = {**dict(zip(parameters, args, strict=False)), **how}
        with await wrapping.governor.begin_async(asked_by(lambda: _asked(wrapping.given, name, call), ACTIONS[name])) as underway:
            answer = await function(*args, **how)
        return _watched(answer, underway, edge(_provider, call, ""))

    return asking


def _parameters(function: Any) -> list[str]:
    return edge(lambda given: list(inspect.signature(given).parameters), function, [])


def _asked(given: Any, name: str, call: Mapping[str, Any]) -> Asked:
    """Return what a call asks for.

    Every name of the model counts for a denial: as given, without its provider, and those of a router's deployments. Where others
    may run in its place, all must be allowed.
    """
    model = None if call.get("model") is None else str.__str__(call["model"])
    names = list(dict.fromkeys(_names(given, model)))
    others = [found for fallback in _fallbacks(call) for found in _names(given, fallback)]
    args = arguments({key: value for key, value in call.items() if key in PARAMETERS})
    args["model"] = names[0] if len(names) == 1 and not others else [*names, *others]
    resource = None if model is None or others else f"model/{model}"
    said = call.get("messages", call.get("input", call.get("prompt")))
    return Asked(ACTIONS[name], resource, args, conversation(said), names[0] if names else None)


def _provider(call: Mapping[str, Any]) -> str:
    prefix, slash, _ = str(call.get("model")).partition("/")
    return str(call.get("custom_llm_provider") or (prefix if slash else ""))


def _names(given: Any, model: str | None) -> Iterator[str]:
    if model is None:
        return
    yield model.partition("/")[2] or model
    for deployment in getattr(given, "model_list", None) or ():
        if isinstance(deployment, Mapping) and deployment.get("model_name") == model:
            behind = str((deployment.get("litellm_params") or {}).get("model"))
            yield behind.partition("/")[2] or behind


def _fallbacks(call: Mapping[str, Any]) -> Iterator[str]:
    for fallback in call.get("fallbacks") or ():
        yield str(fallback.get("model") if isinstance(fallback, Mapping) else fallback)
    yield from map(str, (call.get("context_window_fallback_dict") or {}).values())


def _watched(answer: Any, underway: Underway, provider: str) -> Any:
    """Return the answer; a streamed one is watched, as an object of its own class."""
    if hasattr(answer, "__dict__") and (hasattr(answer, "__next__") or hasattr(answer, "__anext__")):
        return _stream(answer, Streaming(underway, lambda item: _spent(item, provider)))
    underway.end(None, edge(lambda whole: _spent(whole, provider), answer, NOTHING_SAID))
    return answer


def _spent(answer: Any, provider: str) -> Spent:
    spent = spent_of(answer)
    return spent if provider in PRICED_AS_THEIR_MODELS else Spent(None, spent.input_tokens, spent.output_tokens, has_extras=True)


def _stream(answer: Any, streaming: Streaming) -> Any:
    base = type(answer)

    def following(self: Any) -> Any:
        return wrapping_of(self).governor.next(lambda: base.__next__(self))

    async def following_async(self: Any) -> Any:
        return await wrapping_of(self).governor.next_async(lambda: base.__anext__(self))

    attributes = {"__next__": following, "__anext__": following_async}
    watched = view(answer, {name: way for name, way in attributes.items() if hasattr(base, name)}, Wrapping(answer, streaming))
    weakref.finalize(watched, streaming.leave).atexit = False
    return watched
