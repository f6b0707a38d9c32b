"""`langchain_handler`: a callback handler that judges what chains and agents of LangChain do before they do it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from controlzero.integrations.bodies import arguments
from controlzero.integrations.governor import Asked, AsyncGoverned, Governor, SyncGoverned, ToolError, asked_by, edge, library
from controlzero.integrations.prices import Spent
from controlzero.integrations.runs import Runs
from controlzero.integrations.usage import NOTHING_SAID, part, spent_of
from controlzero.records import TEXT_CHARS_MAX

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler


def langchain_handler(cz: SyncGoverned | AsyncGoverned, *, agent_id: str | None = None) -> "BaseCallbackHandler":
    """Return a handler for `callbacks=[…]`: models are `llm:generate` on `model/<model>`, tools `tool:call` on `tool/<name>`.

    A denial raises `PolicyDeniedError` before the model or the tool starts, in sync and in asyncio code. Give it to the outermost
    call (`config={"callbacks": [handler]}`), from where it goes to all within. Raises `Rejected` where langchain-core is not installed.
    """
    library("langchain_core", extra="langchain", wrapper="langchain_handler")
    from langchain_core.callbacks import BaseCallbackHandler

    governor, runs = Governor(cz, agent_id, wrapper="langchain_handler"), Runs()

    class ControlZeroHandler(BaseCallbackHandler):
        """Judges each start, records each end. Its methods are plain functions: LangChain swallows what coroutines raise."""

        raise_error = True  # else a denial is a line in a log, and the call goes ahead
        run_inline = True  # else asyncio code would not wait for the answer

        def on_chat_model_start(self, serialized: dict[str, Any], messages: list[list[Any]], *, run_id: UUID, **how: Any) -> None:  # noqa: ARG002 - as LangChain calls it
            runs.began(run_id, governor.begin(asked_by(lambda: _model_asked(_last_said(messages), how), "llm.generate")))

        def on_llm_start(self, serialized: dict[str, Any], prompts: list[str], *, run_id: UUID, **how: Any) -> None:  # noqa: ARG002
            runs.began(run_id, governor.begin(asked_by(lambda: _model_asked("\n".join(prompts), how), "llm.generate")))

        def on_llm_end(self, response: Any, *, run_id: UUID, **_: Any) -> None:
            runs.ended(run_id, None, edge(_spent, response, NOTHING_SAID))

        def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
            runs.ended(run_id, error)

        def on_tool_start(
            self, serialized: dict[str, Any], input_str: str, *, run_id: UUID, inputs: dict[str, Any] | None = None, **how: Any
        ) -> None:
            name = str((serialized or {}).get("name") or how.get("name"))
            runs.began(run_id, governor.begin(Asked("tool:call", f"tool/{name}", inputs if inputs is not None else {"input": input_str})))

        def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
            runs.ended(run_id, ToolError() if part(output, "status") == "error" else None)

        def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
            runs.ended(run_id, error)

    return ControlZeroHandler()


def _last_said(messages: list[list[Any]]) -> str:
    return "\n".join(str(message.text) for each in messages for message in each[-1:])


def _model_asked(said: str, how: Mapping[str, Any]) -> Asked:
    parameters = how.get("invocation_params") or {}
    metadata = how.get("metadata") or {}
    names = (parameters.get("model"), parameters.get("model_name"), parameters.get("model_id"), metadata.get("ls_model_name"))
    model = next((name for name in names if isinstance(name, str)), None)
    args = arguments(parameters) | ({} if model is None else {"model": model})
    return Asked("llm.generate", None if model is None else f"model/{model}", args, said[-TEXT_CHARS_MAX:] or None, model)


def _spent(response: Any) -> Spent:
    """Return what all the answers of one call took."""
    message = next((part(each, "message") for answers in response.generations for each in answers), None)
    usage, told = part(message, "usage_metadata"), part(message, "response_metadata") or {}
    model = told.get("model_name") or told.get("model") or (response.llm_output or {}).get("model_name")
    if usage is None:
        return spent_of({"model": model, "usage": (response.llm_output or {}).get("token_usage")})
    details, out = usage.get("input_token_details") or {}, usage.get("output_token_details") or {}
    written = sum(count for name, count in details.items() if "cache_creation" in name or name.startswith("ephemeral_"))
    return Spent(
        model,
        usage["input_tokens"],
        usage["output_tokens"],
        details.get("cache_read") or 0,
        written,
        told.get("service_tier"),
        has_extras=bool(details.get("audio") or out.get("audio") or details.get("ephemeral_1h_input_tokens")),
    )
