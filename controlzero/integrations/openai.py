"""`wrap_openai`: every call of an OpenAI client that runs a model is judged before it leaves, and its outcome recorded.

All routes go through the client's own `request` (create, parse, stream, raw responses, `client.post`, copies with other
options), where `wrapping` stands. WebSockets do not; the one thing they all ask the client for, `websocket_base_url`, is
where they are judged.
"""

import re
import sys
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from controlzero.errors import Rejected
from controlzero.integrations.bodies import arguments, body_of, conversation, model_name
from controlzero.integrations.governor import Asked, AsyncGoverned, Governor, SyncGoverned, library
from controlzero.integrations.wrapping import MARK, hook, route_pattern, unwrap

# What runs a model, by the end of its path. Everything else (models, files, assistants, moderations …) passes unchanged.
ACTIONS = {
    "llm.generate": (
        "/chat/completions",
        "/completions",
        "/responses",
        "/responses/compact",
        "/decisions",
        "/batches",
        "/evals/{}/runs",
        "/fine_tuning/alpha/graders/run",
        "/threads/runs",
        "/threads/{}/runs",
        "/threads/{}/runs/{}/submit_tool_outputs",
        "/chatkit/sessions",
        "/agents/sessions",
        "/agents/sessions/{}/events",
        "/agents/automations",
        "/agents/automations/{}",
        "/agents/automations/{}/invocations",
        "/agents/automations/{}/resume",
        "/realtime/sessions",
        "/realtime/client_secrets",
        "/realtime/calls",
        "/realtime/calls/{}/accept",
        "/live/sessions",
        "/live/sessions/{}/accept",
        "/live/sessions/{}/fork",
    ),
    "embedding.generate": ("/embeddings",),
    "image.generate": ("/images/generations", "/images/edits", "/images/variations"),
    "video.generate": ("/videos", "/videos/edits", "/videos/extensions", "/videos/{}/remix"),
    "audio.generate": ("/audio/speech",),
    "audio.transcribe": (
        "/audio/transcriptions",
        "/audio/translations",
        "/realtime/transcription_sessions",
        "/realtime/translations/client_secrets",
    ),
}
ROUTES = {action: route_pattern(*paths) for action, paths in ACTIONS.items()}
DEPLOYMENT = re.compile("/deployments/([^/]+)", re.IGNORECASE)
NESTED = ("session", "agent", "data_source")  # what may name the model, where the body itself does not

OpenAIClient = TypeVar("OpenAIClient")

__all__ = ["ACTIONS", "unwrap", "wrap_openai"]


def wrap_openai(client: OpenAIClient, cz: SyncGoverned | AsyncGoverned, *, agent_id: str | None = None) -> OpenAIClient:
    """Return a copy of an OpenAI client whose calls are governed; `isinstance` and every method stay as they were.

    Takes `OpenAI`, `AsyncOpenAI` and their Azure and Bedrock kin, and a `Client` or (for asyncio) an `AsyncClient`. Calls raise
    `PolicyDeniedError` before the request leaves where the policy in force denies; `unwrap` gives the client back. Raises
    `Rejected` for another client, and where openai is not installed.
    """
    openai = library("openai", extra="openai", wrapper="wrap_openai")
    if not isinstance(client, openai.OpenAI | openai.AsyncOpenAI):
        raise Rejected(f"wrap_openai: {type(client).__name__} is no OpenAI client; expected openai.OpenAI or openai.AsyncOpenAI")
    is_async = isinstance(client, openai.AsyncOpenAI)
    if not is_async and not hasattr(cz, "governance"):
        raise Rejected(
            f"wrap_openai: {type(cz).__name__} does not govern openai.OpenAI; expected a Client, or for asyncio an AsyncClient and openai.AsyncOpenAI"
        )
    given: Any = unwrap(client)  # wrapped twice is wrapped once, by the later word
    governor = Governor(cz, agent_id, wrapper="wrap_openai")
    return hook(given.copy(), governor, _asked, is_async=is_async, plain=lambda: given, dress=_dress)  # type: ignore[no-any-return]  # a copy of what was given


def _asked(client: Any, options: Any, path: str) -> Asked | None:
    """Return what a request asks for, None where it runs no model."""
    action = next((action for action, pattern in ROUTES.items() if pattern.search(path)), None)
    if action is None:
        return None
    body = body_of(options)
    model = _deployment(client, path) or model_name(body, NESTED)
    if model is not None:
        body = {**body, "model": model}  # an argument offers a resource too: it must not name another model than the one that runs
    said = body.get("messages", body.get("input", body.get("prompt")))
    return Asked(action, None if model is None else f"model/{model}", arguments(body), conversation(said), model)


def _deployment(client: Any, path: str) -> str | None:
    """Return the Azure deployment that a URL names: it runs, whatever the body says. `/responses` go by their body."""
    if "/responses" in path.lower():
        return None
    found = DEPLOYMENT.search(path) or DEPLOYMENT.search(unquote(urlsplit(str(client.base_url)).path))
    return found[1] if found else None


def _dress(client: Any) -> None:
    """Give a wrapped client a class that judges WebSockets; made once per class."""
    base = type(client)
    if base not in _DRESSED.values():
        attributes = {
            "websocket_base_url": property(_websocket_base_url, _set_websocket_base_url),
            "__module__": base.__module__,
            "__qualname__": base.__qualname__,
        }
        client.__class__ = _DRESSED.setdefault(base, type(base.__name__, (base,), attributes))


_DRESSED: dict[type, type] = {}


def _websocket_base_url(self: Any) -> Any:
    """Return the URL; where a connection asks for it, judge that first.

    A connection runs the model it names, or any model its messages name: then only a rule for every resource
    allows it.
    """
    asking = sys._getframe(1)  # noqa: SLF001 - only who asks tells a connection from a copy
    if MARK in vars(self) and str(asking.f_globals.get("__name__")).startswith("openai.resources."):
        attributes = getattr(asking.f_locals.get("self"), "__dict__", {})
        model = next((value for name, value in attributes.items() if name.endswith("__model") and isinstance(value, str)), None)
        args = {} if model is None else {"model": model}
        # What is said over it is not seen, nor whether it comes about: no outcome is recorded.
        vars(self)[MARK].governor.begin(Asked("llm.generate", model and f"model/{model}", args, None, model))
    return self.__dict__.get("websocket_base_url")


def _set_websocket_base_url(self: Any, url: Any) -> None:
    self.__dict__["websocket_base_url"] = url
