"""`wrap_openai`: every call of an OpenAI client that runs a model is judged before it leaves, and its outcome recorded.

The hook is the client's own `request`, through which all routes go (create, parse, stream, raw responses,
`client.post`, copies with other options): one decision per call, its retries included. WebSockets do not go
through it; the one thing they all ask the client for, `websocket_base_url`, is where they are judged.
"""

import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct

from controlzero.decisions import PolicyDecision, since_ms
from controlzero.errors import Rejected
from controlzero.governance import Governance
from controlzero.records import TEXT_CHARS_MAX

# What runs a model, by the end of its path. Everything else (models, files, assistants …) passes unchanged.
ACTIONS = {
    "/chat/completions": "llm.generate",
    "/completions": "llm.generate",
    "/responses": "llm.generate",
    "/responses/compact": "llm.generate",
    "/embeddings": "embedding.generate",
}
DEPLOYMENT = re.compile("/deployments/([^/]+)")
CONVERSATION = ("messages", "input", "prompt", "instructions")  # said beside the action: inspected, not judged
ARGUMENT_CHARS_MAX = 500  # of a text argument; the prompt travels as the decision's text
TOOLS_MAX = 128  # names of tools offered to the model

OpenAIClient = TypeVar("OpenAIClient")


class SyncGoverned(Protocol):
    """What a `Client` or a `ControlZero` offers to wrappers."""

    @property
    def governance(self) -> Governance:
        """The governance to judge and record by."""
        ...


class AsyncGoverned(Protocol):
    """What an `AsyncClient` offers to wrappers."""

    async def open(self) -> Governance:
        """Return the governance to judge and record by, once there is something to judge by."""
        ...


def wrap_openai(client: OpenAIClient, cz: SyncGoverned | AsyncGoverned, *, agent_id: str | None = None) -> OpenAIClient:
    """Return a copy of an OpenAI client whose calls are governed; `isinstance` and every method stay as they were.

    Takes `OpenAI`, `AsyncOpenAI` and their Azure kin, and a `Client` or (for asyncio) an `AsyncClient`. Calls raise
    `PolicyDeniedError` before the request leaves where the policy in force denies. Raises `Rejected` for another client.
    """
    import openai

    if not isinstance(client, openai.OpenAI | openai.AsyncOpenAI):
        raise Rejected(f"wrap_openai: {type(client).__name__} is no OpenAI client; expected openai.OpenAI or openai.AsyncOpenAI")
    if isinstance(client, openai.OpenAI) and not hasattr(cz, "governance"):
        raise Rejected("wrap_openai: an AsyncClient governs asyncio code; expected a Client for openai.OpenAI, or openai.AsyncOpenAI")
    governed: Any = client.copy()
    governed.__class__ = _governed_class(type(governed), is_async=isinstance(client, openai.AsyncOpenAI))
    governed.controlzero = _Governor(cz, agent_id)
    return governed  # type: ignore[no-any-return]  # a copy of what was given


class _Call(Struct, frozen=True):
    """A call that runs a model, as far as the policy and the record are concerned."""

    action: str
    model: str | None
    args: dict[str, Any]
    text: str | None


class _Governor:
    """Judges the calls of one wrapped client."""

    def __init__(self, cz: SyncGoverned | AsyncGoverned, agent_id: str | None) -> None:
        self._cz = cz
        self._agent_id = agent_id

    def judge(self, call: _Call) -> PolicyDecision:
        """Judge and record a call. Raises `PolicyDeniedError` for a denial under enforce or by an order."""
        governance = getattr(self._cz, "governance", None)
        if governance is None:
            raise Rejected("wrap_openai: the AsyncClient is not open yet; expected `async with` around it, or `await cz.open()` before")
        return self._judged(governance, call)

    async def judge_async(self, call: _Call) -> PolicyDecision:
        """As `judge`, opening the client where that has not happened."""
        if hasattr(self._cz, "open"):
            return self._judged(await self._cz.open(), call)
        return self.judge(call)

    def _judged(self, governance: Governance, call: _Call) -> PolicyDecision:
        resource = None if call.model is None else f"model/{call.model}"
        decision = governance.enforce(call.action, resource, None, call.args, self._agent_id, None, call.text)
        decision.raise_if_denied()
        return decision


def _governed_class(base: Any, *, is_async: bool) -> type:
    """Return the subclass of a client's class that asks before it requests; made once per class."""
    if base in _GOVERNED:
        return _GOVERNED[base]
    if base in _GOVERNED.values():
        return base  # type: ignore[no-any-return]  # a wrapped client wrapped again: the copy gets its own governor

    def copy(self: Any, **options: Any) -> Any:
        copied = base.copy(self, **options)
        copied.controlzero = self.controlzero
        return copied

    attributes = {
        "request": _async_request(base) if is_async else _sync_request(base),
        "copy": copy,
        "with_options": copy,
        "websocket_base_url": property(_websocket_base_url, _set_websocket_base_url),
        "controlzero": None,
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
    }
    _GOVERNED[base] = type(base.__name__, (base,), attributes)
    return _GOVERNED[base]


_GOVERNED: dict[type, type] = {}


def _sync_request(base: Any) -> Callable[..., Any]:
    def request(self: Any, cast_to: Any, options: Any, **how: Any) -> Any:
        call = _call_of(self, options)
        if call is None or self.controlzero is None:
            return base.request(self, cast_to, options, **how)
        decision = self.controlzero.judge(call)
        started = time.perf_counter()
        try:
            answer = base.request(self, cast_to, options, **how)
        except BaseException as error:
            decision.finish(error, latency_ms=since_ms(started))
            raise
        _finish_with(answer, decision, started)
        return answer

    return request


def _async_request(base: Any) -> Callable[..., Any]:
    async def request(self: Any, cast_to: Any, options: Any, **how: Any) -> Any:
        call = _call_of(self, options)
        if call is None or self.controlzero is None:
            return await base.request(self, cast_to, options, **how)
        decision = await self.controlzero.judge_async(call)
        started = time.perf_counter()
        try:
            answer = await base.request(self, cast_to, options, **how)
        except BaseException as error:
            decision.finish(error, latency_ms=since_ms(started))
            raise
        _finish_with(answer, decision, started)
        return answer

    return request


def _websocket_base_url(self: Any) -> Any:
    """Return the URL; where a connection asks for it, judge that first.

    A connection runs the model it names, or any model its messages name: then only a rule for every resource
    allows it.
    """
    asking = sys._getframe(1)  # noqa: SLF001 - only who asks tells a connection from a copy
    if self.controlzero is not None and str(asking.f_globals.get("__name__")).startswith("openai.resources."):
        attributes = getattr(asking.f_locals.get("self"), "__dict__", {})
        model = next((value for name, value in attributes.items() if name.endswith("__model") and isinstance(value, str)), None)
        self.controlzero.judge(_Call("llm.generate", model, {}, None))
    return self.__dict__.get("websocket_base_url")


def _set_websocket_base_url(self: Any, url: Any) -> None:
    self.__dict__["websocket_base_url"] = url


def _call_of(client: Any, options: Any) -> _Call | None:
    """Return what a request asks for, None where it runs no model."""
    if str(options.method).lower() != "post":
        return None
    path = unquote(urlsplit(str(options.url)).path).rstrip("/")
    action = next((action for end, action in ACTIONS.items() if path.endswith(end)), None)
    if action is None:
        return None
    body = {**_body(options), **(options.extra_json or {})}  # in this order: the client sends it so
    deployment = _deployment(client, path)
    if deployment is not None:
        body["model"] = deployment  # an argument offers a resource too: it must not name another model than the one that runs
    model = body.get("model")
    return _Call(action, None if model is None else str(model), _arguments(body), _conversation(body))


def _deployment(client: Any, path: str) -> str | None:
    """Return the Azure deployment that a URL names: it runs, whatever the body says. `/responses` go by their body."""
    if "/responses" in path:
        return None
    found = DEPLOYMENT.search(path) or DEPLOYMENT.search(unquote(client.base_url.path))
    return found[1] if found else None


def _body(options: Any) -> Mapping[str, Any]:
    body = options.json_data if options.json_data is not None else getattr(options, "content", None)
    if isinstance(body, bytes | bytearray | str):
        try:
            body = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}
    return body if isinstance(body, Mapping) else {}


def _arguments(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a call, without the conversation: scalars as they are, tools by name."""
    args: dict[str, Any] = {
        name: value
        for name, value in body.items()
        if isinstance(value, bool | int | float)
        or (isinstance(value, str) and len(value) <= ARGUMENT_CHARS_MAX and name not in CONVERSATION)
    }
    tools = body.get("tools")
    if isinstance(tools, list):
        args["tools"] = [name for tool in tools[:TOOLS_MAX] if (name := _tool_name(tool))]
    return args


def _tool_name(tool: Any) -> str | None:
    if not isinstance(tool, Mapping):
        return None
    function = tool.get("function")
    name = function.get("name") if isinstance(function, Mapping) else tool.get("name") or tool.get("type")
    return name if isinstance(name, str) else None


def _conversation(body: Mapping[str, Any]) -> str | None:
    """Return what is new in the conversation: the messages since the model last spoke, or the whole input."""
    said = body.get("messages", body.get("input", body.get("prompt")))
    if isinstance(said, list):
        speakers = [item.get("role") if isinstance(item, Mapping) else None for item in said]
        since = max((place + 1 for place, role in enumerate(speakers) if role == "assistant"), default=0)
        said = said[since:]
    pieces: list[str] = []
    room = TEXT_CHARS_MAX
    for piece in _texts(said):
        if room <= 0:
            break
        pieces.append(piece[:room])
        room -= len(piece) + 1
    return "\n".join(pieces) or None


def _texts(said: Any) -> Iterator[str]:
    if isinstance(said, str):
        yield said
    elif isinstance(said, Mapping):
        yield from _texts(said.get("content", said.get("text", said.get("output"))))
    elif isinstance(said, list | tuple):
        for item in said:
            yield from _texts(item)


def _finish_with(answer: Any, decision: PolicyDecision, started: float) -> None:
    """Record the outcome with the answer, or, where its body is still to come, when that ends."""
    response = getattr(answer, "http_response", None) or getattr(answer, "response", None)
    if getattr(response, "is_closed", True):
        input_tokens, output_tokens = _tokens(_usage(answer) or _raw_usage(response))
        decision.finish(None, latency_ms=since_ms(started), input_tokens=input_tokens, output_tokens=output_tokens)
        return
    stream = _Streaming(decision, started)
    iterator = getattr(answer, "_iterator", None)
    if isinstance(iterator, AsyncIterator):
        answer._iterator = stream.watch_async(iterator)  # noqa: SLF001 - the same object must be returned, and it iterates this
    elif isinstance(iterator, Iterator):
        answer._iterator = stream.watch(iterator)  # noqa: SLF001
    stream.end_with(response)


class _Streaming:
    """A streamed answer on its way: passes every item on and records the outcome when it ends, fails or is closed."""

    def __init__(self, decision: PolicyDecision, started: float) -> None:
        self._decision = decision
        self._started = started
        self._tokens: tuple[int | None, int | None] = (None, None)
        self._is_advancing = False  # then an end of the response is the stream's own, and its watcher tells which
        self._is_watched = False

    def watch(self, items: Iterator[Any]) -> Iterator[Any]:
        self._is_watched = True
        try:
            while True:
                self._is_advancing = True
                try:
                    item = next(items)
                except StopIteration:
                    break
                self._is_advancing = False
                self._look_at(item)
                yield item
        except BaseException as error:
            self._finish(error)
            raise
        self._finish(None)

    async def watch_async(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        self._is_watched = True
        try:
            while True:
                self._is_advancing = True
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    break
                self._is_advancing = False
                self._look_at(item)
                yield item
        except BaseException as error:
            self._finish(error)
            raise
        self._finish(None)

    def end_with(self, response: Any) -> None:
        """Take the end of the HTTP response for the end, where nobody iterates at that moment."""
        close, aclose = response.close, response.aclose

        def closed() -> Any:
            self._closed()
            return close()

        async def aclosed() -> Any:
            self._closed()
            return await aclose()

        response.close, response.aclose = closed, aclosed

    def _closed(self) -> None:
        if not self._is_advancing:
            self._finish(GeneratorExit() if self._is_watched else None)

    def _look_at(self, item: Any) -> None:
        usage = _usage(item) or _usage(_part(item, "response"))
        if usage is not None:
            self._tokens = _tokens(usage)

    def _finish(self, error: BaseException | None) -> None:
        input_tokens, output_tokens = self._tokens
        self._decision.finish(error, latency_ms=since_ms(self._started), input_tokens=input_tokens, output_tokens=output_tokens)


class _Usage(Struct, frozen=True):
    """Tokens as chat completions and embeddings name them, or as responses do."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


class _Answer(Struct, frozen=True):
    usage: _Usage | None = None


def _usage(answer: Any) -> Any:
    return _part(answer, "usage")


def _raw_usage(response: Any) -> _Usage | None:
    """Return the usage in a raw answer whose body is already read."""
    try:
        return msgspec.json.decode(response.content, type=_Answer).usage
    except (AttributeError, RuntimeError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _tokens(usage: Any) -> tuple[int | None, int | None]:
    counts = []
    for names in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")):
        found = [count for name in names if isinstance(count := _part(usage, name), int)]
        counts.append(found[0] if found else None)
    return counts[0], counts[1]


def _part(whole: Any, name: str) -> Any:
    """Return a part of an answer, be it a model or plain JSON."""
    return whole.get(name) if isinstance(whole, Mapping) else getattr(whole, name, None)
