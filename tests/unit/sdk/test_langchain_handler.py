"""langchain_handler in real chains, with a chat model that asks a local server over HTTP as a provider's package would."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import openai
import pytest
from langchain_core.language_models import BaseChatModel, FakeListLLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import ToolException, tool

from controlzero import AsyncClient, Client, PolicyDeniedError
from controlzero.integrations.langchain import langchain_handler
from controlzero.testing import InMemoryGateway
from tests.governed import recorded
from tests.openai_provider import ProviderServer, provider

__all__ = ["provider"]  # the fixture

POLICY = {
    "name": "chains",
    "rules": [
        {"effect": "allow", "action": "llm.generate", "resource": "model/gpt-4"},
        {"effect": "deny", "action": "tool.call", "resource": "tool/refund", "conditions": {"args.amount": {"gt": 100}}},
        {"effect": "allow", "action": "tool.call", "resource": "tool/*"},
    ],
}
RAN: list[object] = []


class Chat(BaseChatModel):
    """A chat model of OpenAI's, as its package makes one of it."""

    model: str
    url: str

    @property
    def _llm_type(self) -> str:
        return "stub"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "temperature": 0.5}

    def _client(self) -> openai.OpenAI:
        return openai.OpenAI(api_key="k", base_url=self.url, max_retries=0)

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **how: Any) -> ChatResult:
        with self._client() as client:
            answer = client.chat.completions.create(model=self.model, messages=[{"role": "user", "content": str(messages[-1].content)}])
        assert answer.usage
        message = AIMessage(
            answer.choices[0].message.content or "",
            usage_metadata=UsageMetadata(
                input_tokens=answer.usage.prompt_tokens, output_tokens=answer.usage.completion_tokens, total_tokens=10
            ),
            response_metadata={"model_name": answer.model},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **how: Any) -> Iterator[ChatGenerationChunk]:
        with self._client() as client, client.chat.completions.create(model=self.model, messages=[], stream=True) as chunks:
            for chunk in chunks:
                usage = chunk.usage and UsageMetadata(input_tokens=7, output_tokens=3, total_tokens=10)
                content = chunk.choices[0].delta.content if chunk.choices else ""
                yield ChatGenerationChunk(message=AIMessageChunk(content or "", usage_metadata=usage))


@tool
def refund(order: str, amount: int) -> str:
    """Refund an order."""
    RAN.append((order, amount))
    return "done"


@tool
def broken() -> str:
    """Fail."""
    raise ToolException("no")


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    RAN.clear()


@pytest.fixture
def url(provider: ProviderServer) -> str:
    return f"http://127.0.0.1:{provider.server_port}/v1"


def test_a_model_within_a_chain_is_judged_and_its_tokens_recorded(cz: Client, gateway: InMemoryGateway, url: str) -> None:
    chain = RunnableLambda(lambda text: f"say {text}") | Chat(model="gpt-4", url=url)
    chain.invoke("hi jane@example.com", config={"callbacks": [langchain_handler(cz, agent_id="bot")]})
    (decision,), (outcome,) = recorded(cz, gateway)
    assert (decision.action, decision.resource, decision.agent_id) == ("llm:generate", "model/gpt-4", "bot")
    assert decision.text is not None
    assert decision.text.startswith("say hi [email:")
    assert b'"temperature":0.5' in bytes(decision.args)
    assert (outcome.status, outcome.input_tokens, outcome.output_tokens, outcome.cost_usd) == ("ok", 7, 3, 0.00039)


@pytest.mark.parametrize("way", ["invoke", "stream", "batch"])
def test_a_denied_model_is_not_asked(way: str, cz: Client, gateway: InMemoryGateway, url: str, provider: ProviderServer) -> None:
    chat, config = Chat(model="gpt-5.4", url=url), {"callbacks": [langchain_handler(cz)]}
    with pytest.raises(PolicyDeniedError):
        list(getattr(chat, way)(["hi"] if way == "batch" else "hi", config=config))
    assert provider.bodies == []
    _, (outcome,) = recorded(cz, gateway)
    assert (outcome.status, outcome.carried_out) == ("denied", False)


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
def test_asyncio_code_is_denied_alike_and_by_an_open_async_client_too(way: str, gateway: InMemoryGateway, url: str, tmp_path: Path) -> None:
    async def act() -> None:
        async with AsyncClient(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path) as cz:
            config = {"callbacks": [langchain_handler(cz)]}
            for model in ("gpt-4", "gpt-5.4"):
                made = getattr(Chat(model=model, url=url), way)("hi", config=config)

                async def run(made: Any = made) -> None:
                    if isinstance(made, AsyncIterator):
                        assert [chunk async for chunk in made]
                    else:
                        await made

                if model == "gpt-4":
                    await run()
                else:
                    with pytest.raises(PolicyDeniedError):
                        await run()

    asyncio.run(act())
    assert [one.status for one in gateway.outcomes()] == ["ok", "denied"]


def test_a_stream_is_recorded_at_its_end_and_a_left_one_as_left(cz: Client, gateway: InMemoryGateway, url: str) -> None:
    config: Any = {"callbacks": [langchain_handler(cz)]}
    stream = Chat(model="gpt-4", url=url).stream("hi", config=config)
    next(stream)
    assert recorded(cz, gateway)[1] == []
    list(stream)
    left = Chat(model="gpt-4", url=url).stream("hi", config=config)
    next(left)
    left.close()  # type: ignore[attr-defined]  # a generator
    _, outcomes = recorded(cz, gateway)
    assert [(one.status, one.input_tokens) for one in outcomes] == [("ok", 7), ("cancelled", None)]


def test_a_tool_is_judged_by_its_arguments_and_a_denied_one_does_not_run(cz: Client, gateway: InMemoryGateway) -> None:
    config: Any = {"callbacks": [langchain_handler(cz)]}
    assert refund.invoke({"order": "o1", "amount": 5}, config=config) == "done"
    with pytest.raises(PolicyDeniedError):
        refund.invoke({"order": "o1", "amount": 500}, config=config)
    with pytest.raises(PolicyDeniedError):
        asyncio.run(refund.ainvoke({"order": "o1", "amount": 500}, config=config))
    with pytest.raises(ToolException):
        broken.invoke({}, config=config)
    assert RAN == [("o1", 5)]
    decisions, outcomes = recorded(cz, gateway)
    assert [(one.action, one.resource) for one in decisions] == [("tool:call", "tool/refund")] * 3 + [("tool:call", "tool/broken")]
    assert [(one.status, one.error_class) for one in outcomes] == [
        ("ok", None),
        ("denied", None),
        ("denied", None),
        ("error", "ToolException"),
    ]


def test_a_model_without_a_name_needs_a_rule_for_all(cz: Client, gateway: InMemoryGateway) -> None:
    with pytest.raises(PolicyDeniedError):
        FakeListLLM(responses=["x"]).invoke("hi", config={"callbacks": [langchain_handler(cz)]})


def test_log_only_goes_ahead(gateway: InMemoryGateway, url: str, tmp_path: Path) -> None:
    gateway.put_policy(POLICY, mode="log-only")
    with Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path) as cz:
        Chat(model="gpt-5.4", url=url).invoke("hi", config={"callbacks": [langchain_handler(cz)]})
    assert [(one.verdict, one.effect) for one in gateway.decisions()] == [("deny", "allow")]


def test_what_cannot_be_read_goes_ahead_under_log_only_and_not_under_enforce(gateway: InMemoryGateway, cz: Client, tmp_path: Path) -> None:
    handler: Any = langchain_handler(cz)
    odd: Any = [[object()]]
    with pytest.raises(PolicyDeniedError, match="could not be evaluated"):
        handler.on_chat_model_start({}, odd, run_id=uuid4())
    logging = InMemoryGateway(policy=POLICY, mode="log-only")
    with Client(api_key="cz_test_key", base_url="http://gateway", transport=logging, spool=tmp_path / "other") as other:
        run = uuid4()
        handler = langchain_handler(other)
        handler.on_chat_model_start({}, odd, run_id=run)
        handler.on_llm_end(object(), run_id=run)
    assert [one.reason_code for one in logging.decisions()] == ["evaluator_error"]
    assert [one.status for one in logging.outcomes()] == ["ok"]
