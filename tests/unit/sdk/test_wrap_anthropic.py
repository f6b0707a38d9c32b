"""wrap_anthropic against a real anthropic client and a local server that speaks like Anthropic: no route passes ungoverned."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
from pydantic import BaseModel

from controlzero import AsyncClient, Client, PolicyDeniedError, Rejected
from controlzero.integrations.anthropic import unwrap, wrap_anthropic
from controlzero.testing import InMemoryGateway
from tests.anthropic_provider import HAIKU, OPUS, ProviderServer, provider
from tests.governed import recorded

__all__ = ["provider"]  # the fixture

POLICY = {"name": "models", "rules": [{"effect": "allow", "action": "llm.generate", "resource": "model/claude-haiku-*"}]}
HELLO: Any = [
    {"role": "user", "content": "old"},
    {"role": "assistant", "content": "ok"},
    {"role": "user", "content": "I am jane@example.com"},
]
COST_USD = round((5 * 1 + 2 * 0.1 + 3 * 5) / 1e6, 9)  # of claude-haiku-4-5 in prices.toml


class Word(BaseModel):
    word: str


@pytest.fixture
def plain(provider: ProviderServer) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="k", base_url=f"http://127.0.0.1:{provider.server_port}", max_retries=0) as client:
        yield client


def said(model: str) -> dict[str, Any]:
    return {"model": model, "max_tokens": 9, "messages": HELLO}


def streamed(manager: Any) -> None:
    with manager as stream:
        stream.get_final_message()


def read_whole(asking: Any) -> None:
    with asking as answer:
        answer.parse()


ROUTES: dict[str, Callable[[Any, str], Any]] = {
    "create": lambda c, m: c.messages.create(**said(m)),
    "parse": lambda c, m: c.messages.parse(**said(m), output_format=Word),
    "raw": lambda c, m: c.messages.with_raw_response.create(**said(m)).parse(),
    "raw client": lambda c, m: c.with_raw_response.messages.create(**said(m)).parse(),
    "options": lambda c, m: c.with_options(timeout=9).messages.create(**said(m)),
    "copy of a copy": lambda c, m: c.copy().copy(max_retries=1).messages.create(**said(m)),
    "post": lambda c, m: c.post("/v1/messages", body=said(m), cast_to=object),
    "extra body": lambda c, m: c.messages.create(**said(HAIKU), extra_body={"model": m}),
    "beta": lambda c, m: c.beta.messages.create(**said(m)),
    "stream": lambda c, m: list(c.messages.create(**said(m), stream=True)),
    "stream manager": lambda c, m: streamed(c.messages.stream(**said(m))),
    "beta stream manager": lambda c, m: streamed(c.beta.messages.stream(**said(m))),
    "streamed raw": lambda c, m: read_whole(c.messages.with_streaming_response.create(**said(m))),
    "raw stream": lambda c, m: list(c.messages.with_raw_response.create(**said(m), stream=True).parse()),
}


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_is_one_decision_and_one_outcome(
    route: str, cz: Client, gateway: InMemoryGateway, plain: anthropic.Anthropic, provider: ProviderServer
) -> None:
    ROUTES[route](wrap_anthropic(plain, cz), HAIKU)
    assert len(provider.bodies) == 1
    (decision,), (outcome,) = recorded(cz, gateway)
    assert (decision.action, decision.resource, decision.text) == ("llm:generate", f"model/{HAIKU}", decision.text)
    assert "jane@example.com" not in str(decision.text)
    assert (outcome.status, outcome.input_tokens, outcome.output_tokens) == ("ok", 7, 3)
    assert outcome.cost_usd == COST_USD
    assert outcome.latency_ms is not None


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_reaches_a_model_that_is_denied(
    route: str, cz: Client, gateway: InMemoryGateway, plain: anthropic.Anthropic, provider: ProviderServer
) -> None:
    with pytest.raises(PolicyDeniedError):
        ROUTES[route](wrap_anthropic(plain, cz), OPUS)
    assert provider.bodies == []
    (decision,), (outcome,) = recorded(cz, gateway)
    assert (decision.resource, decision.effect, outcome.status, outcome.carried_out) == (f"model/{OPUS}", "deny", "denied", False)


async def all_of(stream: Any) -> None:
    assert [event async for event in await stream]


async def managed(manager: Any) -> None:
    async with manager as stream:
        await stream.get_final_message()


ASYNC_ROUTES: dict[str, Callable[[Any, str], Any]] = {
    "create": lambda c, m: c.messages.create(**said(m)),
    "beta": lambda c, m: c.beta.messages.create(**said(m)),
    "options": lambda c, m: c.with_options(timeout=9).messages.create(**said(m)),
    "stream": lambda c, m: all_of(c.messages.create(**said(m), stream=True)),
    "stream manager": lambda c, m: managed(c.messages.stream(**said(m))),
}


@pytest.mark.parametrize("route", ASYNC_ROUTES)
def test_asyncio_is_governed_alike(route: str, gateway: InMemoryGateway, provider: ProviderServer, tmp_path: Path) -> None:
    async def call() -> None:
        async with (
            AsyncClient(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path) as cz,
            anthropic.AsyncAnthropic(api_key="k", base_url=f"http://127.0.0.1:{provider.server_port}") as plain,
        ):
            client = wrap_anthropic(plain, cz)
            await ASYNC_ROUTES[route](client, HAIKU)
            with pytest.raises(PolicyDeniedError):
                await ASYNC_ROUTES[route](client, OPUS)

    asyncio.run(call())
    assert len(provider.bodies) == 1
    assert [(outcome.status, outcome.output_tokens) for outcome in gateway.outcomes()] == [("ok", 3), ("denied", None)]


def requests(*models: str) -> Any:
    return [{"custom_id": f"r{n}", "params": said(model)} for n, model in enumerate(models)]


@pytest.mark.parametrize("beta", [False, True])
def test_a_batch_runs_only_where_all_its_models_may(
    beta: bool, cz: Client, gateway: InMemoryGateway, plain: anthropic.Anthropic, provider: ProviderServer
) -> None:
    client = wrap_anthropic(plain, cz)
    batches = (client.beta if beta else client).messages.batches
    batches.create(requests=requests(HAIKU, "claude-haiku-5-5"))
    batches.create(requests=requests(HAIKU))
    with pytest.raises(PolicyDeniedError):
        batches.create(requests=requests(HAIKU, OPUS))
    with pytest.raises(PolicyDeniedError):
        batches.create(requests=[])
    assert len(provider.bodies) == 2


def test_counting_tokens_runs_no_model(cz: Client, gateway: InMemoryGateway, plain: anthropic.Anthropic) -> None:
    assert wrap_anthropic(plain, cz).messages.count_tokens(model=OPUS, messages=HELLO).input_tokens == 7
    assert recorded(cz, gateway) == ([], [])


def test_the_client_keeps_its_class_and_unwrap_gives_it_back(cz: Client, plain: anthropic.Anthropic) -> None:
    client = wrap_anthropic(plain, cz)
    assert type(client) is anthropic.Anthropic
    assert unwrap(client) is plain
    assert unwrap(wrap_anthropic(client, cz)) is plain
    assert unwrap(plain) is plain
    copied = unwrap(client.with_options(max_retries=7))
    assert copied.max_retries == 7
    assert "request" not in vars(copied)


def test_wrapping_twice_asks_once(cz: Client, gateway: InMemoryGateway, plain: anthropic.Anthropic) -> None:
    wrap_anthropic(wrap_anthropic(plain, cz, agent_id="one"), cz, agent_id="two").messages.create(**said(HAIKU))
    decisions, outcomes = recorded(cz, gateway)
    assert [decision.agent_id for decision in decisions] == ["two"]
    assert len(outcomes) == 1


def test_a_stream_nobody_reads_leaves_an_outcome(cz: Client, gateway: InMemoryGateway, plain: anthropic.Anthropic) -> None:
    client = wrap_anthropic(plain, cz)
    client.messages.create(**said(HAIKU), stream=True)
    gc.collect()
    next(iter(client.messages.create(**said(HAIKU), stream=True)))
    gc.collect()
    _, outcomes = recorded(cz, gateway)
    assert [outcome.status for outcome in outcomes] == ["cancelled", "cancelled"]
    assert [outcome.input_tokens for outcome in outcomes] == [None, 7]


def test_what_is_no_anthropic_client_is_refused(cz: Client) -> None:
    with pytest.raises(Rejected, match="object is no Anthropic client"):
        wrap_anthropic(object(), cz)
