"""`wrap_anthropic`: every call of an Anthropic client that runs a model is judged before it leaves, and its outcome recorded.

All routes go through the client's own `request` (create, parse, stream, batches, beta, raw responses, `client.post`, copies
with other options), where `wrapping` stands.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from controlzero.errors import Rejected
from controlzero.integrations.bodies import arguments, body_of, conversation, model_name
from controlzero.integrations.governor import Asked, AsyncGoverned, Governor, SyncGoverned, library
from controlzero.integrations.wrapping import hook, route_pattern, unwrap

# What runs a model, by the end of its path. Everything else (models, files, counting tokens …) passes unchanged.
ROUTES = (
    "/v1/messages",
    "/v1/messages/batches",
    "/v1/complete",
    "/v1/sessions",
    "/v1/sessions/{}/events",
    "/v1/deployments",
    "/v1/deployments/{}/run",
    "/v1/deployments/{}/unpause",
    "/v1/dreams",
)
GOVERNED = route_pattern(*ROUTES)
IN_THE_PATH = re.compile(
    r"/model/([^/]+)/(?:invoke|converse)|/models/([^/:]+):(?:raw|streamRaw)Predict"
)  # Bedrock and Vertex, asked by hand
NESTED = ("agent", "session", "params")  # what may name the model, where the body itself does not

AnthropicClient = TypeVar("AnthropicClient")

__all__ = ["ROUTES", "unwrap", "wrap_anthropic"]


def wrap_anthropic(client: AnthropicClient, cz: SyncGoverned | AsyncGoverned, *, agent_id: str | None = None) -> AnthropicClient:
    """Return a copy of an Anthropic client whose calls are governed; its class and every method stay as they were.

    Takes `Anthropic`, `AsyncAnthropic` and their kin for Bedrock, Vertex and other clouds, and a `Client` or (for asyncio) an
    `AsyncClient`. Calls raise `PolicyDeniedError` before the request leaves where the policy in force denies; `unwrap` gives the
    client back. Raises `Rejected` for another client, and where anthropic is not installed.
    """
    library("anthropic", extra="anthropic", wrapper="wrap_anthropic")
    from anthropic._base_client import AsyncAPIClient, SyncAPIClient  # what the clients of every cloud have in common

    if not isinstance(client, SyncAPIClient | AsyncAPIClient):
        raise Rejected(f"wrap_anthropic: {type(client).__name__} is no Anthropic client; expected anthropic.Anthropic or AsyncAnthropic")
    is_async = isinstance(client, AsyncAPIClient)
    if not is_async and not hasattr(cz, "governance"):
        raise Rejected(
            f"wrap_anthropic: {type(cz).__name__} does not govern this client; expected a Client, or for asyncio an AsyncClient and AsyncAnthropic"
        )
    given: Any = unwrap(client)  # wrapped twice is wrapped once, by the later word
    governor = Governor(cz, agent_id, wrapper="wrap_anthropic")
    return hook(given.copy(), governor, _asked, is_async=is_async, plain=lambda: given)  # type: ignore[no-any-return]  # a copy of what was given


def _asked(_client: Any, options: Any, path: str) -> Asked | None:
    """Return what a request asks for, None where it runs no model."""
    in_the_path = IN_THE_PATH.search(path)
    if in_the_path is None and GOVERNED.search(path) is None:
        return None
    body = body_of(options)
    if in_the_path is not None:
        body = {**body, "model": in_the_path[1] or in_the_path[2]}
    if path.endswith("/batches"):
        return _batch(body)
    model = model_name(body, NESTED)
    if model is not None:
        body = {**body, "model": model}
    said = body.get("messages", body.get("prompt", body.get("events")))
    return Asked("llm.generate", None if model is None else f"model/{model}", arguments(body), conversation(said), model)


def _batch(body: Mapping[str, Any]) -> Asked:
    """Return what a batch asks for: each of its models, all of which must be allowed."""
    calls = list(_calls(body))
    models = list(dict.fromkeys(model for call in calls if (model := model_name(call, ())) is not None))
    said = [message for call in calls for message in call.get("messages") or ()]
    args = {"model": models, "requests": len(calls)}
    if len(models) == 1:
        return Asked("llm.generate", f"model/{models[0]}", {"model": models[0], "requests": len(calls)}, conversation(said))
    return Asked("llm.generate", None, args, conversation(said))


def _calls(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    requests = body.get("requests")
    for request in requests if isinstance(requests, list | tuple) else ():
        call = request.get("params") if isinstance(request, Mapping) else None
        if isinstance(call, Mapping):
            yield call
