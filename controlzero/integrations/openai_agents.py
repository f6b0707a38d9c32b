"""The OpenAI Agents SDK: models are judged by a wrapped model provider, tools by hooks of a run."""

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from controlzero.errors import PolicyDeniedError, Rejected
from controlzero.integrations.bodies import arguments, conversation
from controlzero.integrations.governor import Asked, AsyncGoverned, Governor, SyncGoverned, Underway, asked_by, edge, library
from controlzero.integrations.runs import Runs
from controlzero.integrations.streams import Streaming
from controlzero.integrations.usage import NOTHING_SAID, spent_of
from controlzero.integrations.views import Wrapping, unwrap, view, wrapping_of

if TYPE_CHECKING:
    from agents import RunHooks

Models = TypeVar("Models")

__all__ = ["agents_hooks", "unwrap", "wrap_models"]


def wrap_models(models: Models, cz: SyncGoverned | AsyncGoverned, *, agent_id: str | None = None) -> Models:
    """Return a view of a model provider, or of one model, whose calls are judged as `llm:generate` on `model/<model>`.

    Give a provider to `RunConfig(model_provider=…)`, and wrap each model that an agent holds itself. A denial raises
    `PolicyDeniedError` before the request leaves, plain or streamed; `unwrap` gives the provider back. Raises `Rejected` for
    another object, and where openai-agents is not installed.
    """
    agents = library("agents", extra="openai-agents", wrapper="wrap_models")
    given: Any = unwrap(models)  # wrapped twice is wrapped once, by the later word
    wrapping = Wrapping(given, Governor(cz, agent_id, wrapper="wrap_models"))
    if isinstance(given, agents.ModelProvider):
        return _provider(given, wrapping)  # type: ignore[no-any-return]  # of the class of what was given
    if isinstance(given, agents.Model):
        return _model(given, wrapping)  # type: ignore[no-any-return]  # as above
    raise Rejected(f"wrap_models: {type(models).__name__} is no model of openai-agents; expected a ModelProvider or a Model")


def agents_hooks(cz: SyncGoverned | AsyncGoverned, *, agent_id: str | None = None) -> "RunHooks[Any]":
    """Return hooks for `Runner.run(hooks=…)` that judge each local tool as `tool:call` on `tool/<name>`, with its arguments.

    A denial raises `PolicyDeniedError` before the tool is invoked. An agent that holds a model nobody wrapped is judged here too, so
    that none is asked ungoverned. Hosted tools run at the provider: they are the `tools` of the model's call. Raises `Rejected`
    where openai-agents is not installed.
    """
    agents = library("agents", extra="openai-agents", wrapper="agents_hooks")
    governor, runs = Governor(cz, agent_id, wrapper="agents_hooks"), Runs()

    class DeniedError(PolicyDeniedError, agents.AgentsException):  # type: ignore[name-defined,misc]  # imported only now
        """A denial as the SDK lets it through: others it turns into an error of the tool's user."""

    async def begin(asked: Asked) -> Underway:
        try:
            return await governor.begin_async(asked)
        except PolicyDeniedError as denied:
            raise DeniedError(str(denied), decision=denied.decision) from None

    class ControlZeroHooks(agents.RunHooks):  # type: ignore[name-defined,misc]  # imported only now
        """Judges each start of a tool, records each end."""

        async def on_llm_start(self, context: Any, agent: Any, system_prompt: Any, input_items: Any) -> None:  # noqa: ARG002 - as the SDK calls it
            model = agent.model
            if isinstance(model, agents.Model) and unwrap(model) is model:
                runs.began(_run(context, agent), await begin(_asked(getattr(model, "model", None), system_prompt, {})))

        async def on_llm_end(self, context: Any, agent: Any, response: Any) -> None:
            runs.ended(_run(context, agent), None, edge(spent_of, response, NOTHING_SAID))

        async def on_tool_start(self, context: Any, agent: Any, tool: Any) -> None:
            args = edge(_tool_arguments, context, None)
            runs.began(_run(context, agent, tool), await begin(Asked("tool:call", f"tool/{tool.name}", args)))

        async def on_tool_end(self, context: Any, agent: Any, tool: Any, result: object) -> None:  # noqa: ARG002 - as the SDK calls it
            runs.ended(_run(context, agent, tool))

    return ControlZeroHooks()


def _provider(given: Any, wrapping: Wrapping) -> Any:
    base = type(given)

    def get_model(self: Any, model_name: str | None) -> Any:
        model = unwrap(base.get_model(self, model_name))
        return _model(model, Wrapping(model, wrapping_of(self).governor))

    return view(given, {"get_model": get_model}, wrapping)


def _model(given: Any, wrapping: Wrapping) -> Any:
    base = type(given)

    async def get_response(self: Any, *args: Any, **how: Any) -> Any:
        with await wrapping_of(self).governor.begin_async(asked_by(lambda: _asked_of(self, args, how), "llm.generate")) as underway:
            response = await base.get_response(self, *args, **how)
        underway.end(None, edge(spent_of, response, NOTHING_SAID))
        return response

    async def stream_response(self: Any, *args: Any, **how: Any) -> AsyncIterator[Any]:
        underway = await wrapping_of(self).governor.begin_async(asked_by(lambda: _asked_of(self, args, how), "llm.generate"))
        async for event in Streaming(underway).watch_async(aiter(base.stream_response(self, *args, **how))):
            yield event

    return view(given, {"get_response": get_response, "stream_response": stream_response}, wrapping)


def _asked_of(model: Any, args: tuple[Any, ...], how: Mapping[str, Any]) -> Asked:
    names = ("system_instructions", "input", "model_settings", "tools")
    said = {**dict(zip(names, args, strict=False)), **how}
    settings: dict[str, Any] = edge(_settings, said.get("model_settings"), {})
    tools = [{"name": getattr(tool, "name", None)} for tool in said.get("tools") or ()]
    return _asked(getattr(model, "model", None), said.get("input"), {**settings, "tools": tools})


def _settings(given: Any) -> dict[str, Any]:
    return {} if given is None else dict(given.to_json_dict())


def _asked(model: Any, said: Any, parameters: Mapping[str, Any]) -> Asked:
    name = None if model is None else str(model)
    args = arguments(parameters) | ({} if name is None else {"model": name})
    return Asked("llm.generate", None if name is None else f"model/{name}", args, conversation(said), name)


def _tool_arguments(context: Any) -> Any:
    text = getattr(context, "tool_arguments", None)
    return msgspec.json.decode(text) if text else None


def _run(context: Any, agent: Any, tool: Any = None) -> tuple[Any, ...]:
    """Return what tells one call of a run from another."""
    if tool is None:
        return (id(context), id(agent))
    return (getattr(context, "tool_call_id", None) or id(context), id(agent), id(tool))
