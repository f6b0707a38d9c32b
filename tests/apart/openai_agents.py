"""Checks of wrap_models and agents_hooks with the real library; test_apart.py runs them in an environment that has it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, ModelProvider, OpenAIChatCompletionsModel, OpenAIProvider, RunConfig, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI

from controlzero import AsyncClient, Client, PolicyDeniedError, Rejected
from controlzero.integrations.openai_agents import agents_hooks, unwrap, wrap_models
from controlzero.testing import InMemoryGateway
from tests.governed import recorded
from tests.openai_provider import CHAT, ProviderServer, provider

__all__ = ["provider"]  # the fixture

POLICY = {
    "name": "agents",
    "rules": [
        {"effect": "allow", "action": "llm.generate", "resource": "model/gpt-4"},
        {"effect": "deny", "action": "tool.call", "resource": "tool/refund", "conditions": {"args.amount": {"gt": 100}}},
        {"effect": "allow", "action": "tool.call", "resource": "tool/*"},
    ],
}
RAN: list[int] = []


@function_tool
def refund(amount: int) -> str:
    """Refund an order."""
    RAN.append(amount)
    return "done"


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    RAN.clear()
    set_tracing_disabled(disabled=True)


@pytest.fixture
def client(provider: ProviderServer) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="k", base_url=f"http://127.0.0.1:{provider.server_port}/v1", max_retries=0)


@pytest.fixture
def models(client: AsyncOpenAI) -> ModelProvider:
    return OpenAIProvider(openai_client=client, use_responses=False)


def run(agent: Agent[Any], cz: Any, models: Any, **how: Any) -> Any:
    config = RunConfig(model_provider=models)
    return asyncio.run(Runner.run(agent, "I am jane@example.com", run_config=config, **how))


def asks_for_a_tool(amount: int) -> dict[str, Any]:
    call = {"id": "c1", "type": "function", "function": {"name": "refund", "arguments": json.dumps({"amount": amount})}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {**CHAT, "choices": [{"index": 0, "finish_reason": "tool_calls", "message": message}]}


def test_a_run_asks_only_models_that_are_allowed(
    cz: Client, gateway: InMemoryGateway, models: ModelProvider, provider: ProviderServer
) -> None:
    governed = wrap_models(models, cz, agent_id="bot")
    assert isinstance(governed, OpenAIProvider)
    assert unwrap(wrap_models(governed, cz)) is models
    run(Agent(name="a", model="gpt-4", tools=[refund]), cz, governed)
    with pytest.raises(PolicyDeniedError):
        run(Agent(name="a", model="gpt-5.4"), cz, governed)
    assert len(provider.bodies) == 1
    decisions, outcomes = recorded(cz, gateway)
    assert [(one.resource, one.agent_id) for one in decisions] == [("model/gpt-4", "bot"), ("model/gpt-5.4", "bot")]
    assert b'"tools":["refund"]' in bytes(decisions[0].args)
    assert "jane@example.com" not in str(decisions[0].text)
    assert [(one.status, one.input_tokens, one.cost_usd) for one in outcomes] == [("ok", 7, 0.00039), ("denied", None, None)]


def test_a_stream_is_judged_and_recorded(cz: Client, gateway: InMemoryGateway, models: ModelProvider, provider: ProviderServer) -> None:
    governed = wrap_models(models, cz)

    async def streamed(model: str) -> None:
        result = Runner.run_streamed(Agent(name="a", model=model), "hi", run_config=RunConfig(model_provider=governed))
        assert [event async for event in result.stream_events()]

    asyncio.run(streamed("gpt-4"))
    with pytest.raises(PolicyDeniedError):
        asyncio.run(streamed("gpt-5.4"))
    assert len(provider.bodies) == 1
    _, outcomes = recorded(cz, gateway)
    assert [(one.status, one.input_tokens) for one in outcomes] == [("ok", 7), ("denied", None)]


@pytest.mark.parametrize("is_async", [False, True])
def test_tools_are_judged_by_their_arguments(
    is_async: bool, gateway: InMemoryGateway, models: ModelProvider, provider: ProviderServer, tmp_path: Path
) -> None:
    async def act() -> None:
        given = {"api_key": "cz_test_key", "base_url": "http://gateway", "transport": gateway, "spool": tmp_path}
        async with AsyncClient(**given) as cz:  # type: ignore[arg-type]  # its arguments
            governed = cz if is_async else Client(**given)  # type: ignore[arg-type]  # as above
            how: Any = {"hooks": agents_hooks(governed), "run_config": RunConfig(model_provider=wrap_models(models, governed))}
            provider.answers = [asks_for_a_tool(5), CHAT, asks_for_a_tool(500)]
            agent = Agent(name="a", model="gpt-4", tools=[refund])
            await Runner.run(agent, "hi", **how)
            with pytest.raises(PolicyDeniedError, match="tool:call is denied"):
                await Runner.run(agent, "hi", **how)
            if isinstance(governed, Client):
                governed.close()

    asyncio.run(act())
    assert RAN == [5]
    tools = [one for one in gateway.decisions() if one.action == "tool:call"]
    assert [(one.resource, one.effect) for one in tools] == [("tool/refund", "allow"), ("tool/refund", "deny")]
    outcomes = {one.decision_id: one.status for one in gateway.outcomes()}
    assert [outcomes[one.decision_id] for one in tools] == ["ok", "denied"]


def test_a_model_that_nobody_wrapped_is_judged_by_the_hooks(
    cz: Client, gateway: InMemoryGateway, client: AsyncOpenAI, provider: ProviderServer
) -> None:
    held = OpenAIChatCompletionsModel(model="gpt-5.4", openai_client=client)
    with pytest.raises(PolicyDeniedError):
        asyncio.run(Runner.run(Agent(name="a", model=held), "hi", hooks=agents_hooks(cz)))
    with pytest.raises(PolicyDeniedError):
        asyncio.run(Runner.run(Agent(name="a", model=wrap_models(held, cz)), "hi", hooks=agents_hooks(cz)))
    assert provider.bodies == []
    assert len(recorded(cz, gateway)[0]) == 2


def test_what_is_no_model_is_refused(cz: Client) -> None:
    with pytest.raises(Rejected, match="object is no model"):
        wrap_models(object(), cz)
