"""Checks of wrap_litellm with the real library; test_apart.py runs them in an environment that has it."""

import asyncio
import gc
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlzero import AsyncClient, Client, PolicyDeniedError, Rejected
from controlzero.integrations.litellm import unwrap, wrap_litellm
from controlzero.testing import InMemoryGateway
from tests.governed import recorded
from tests.openai_provider import HELLO, ProviderServer, provider

__all__ = ["provider"]  # the fixture

library = importlib.import_module("litellm")
POLICY = {
    "name": "models",
    "rules": [
        {"effect": "deny", "action": "llm.generate", "resource": "model/gpt-5.4"},
        {"effect": "allow", "action": "llm.generate", "resource": ["model/gpt-4", "model/openai/gpt-4", "model/cheap", "model/gpt-4o"]},
        {"effect": "allow", "action": "embedding.generate", "resource": "model/text-embedding-3-small"},
    ],
}


@pytest.fixture
def how(provider: ProviderServer) -> dict[str, Any]:
    return {"api_base": f"http://127.0.0.1:{provider.server_port}/v1", "api_key": "sk-very-secret", "num_retries": 0}


ROUTES: dict[str, Callable[[Any, str, dict[str, Any]], Any]] = {
    "completion": lambda c, m, how: c.completion(m, HELLO, **how),
    "by keyword": lambda c, m, how: c.completion(model=m, messages=HELLO, temperature=0.5, **how),
    "text": lambda c, m, how: c.text_completion(model=m.replace("openai/", "text-completion-openai/"), prompt="x", **how),
    "stream": lambda c, m, how: list(c.completion(m, HELLO, stream=True, **how)),
    "asyncio": lambda c, m, how: asyncio.run(c.acompletion(m, HELLO, **how)),
    "asyncio stream": lambda c, m, how: asyncio.run(all_of(c.acompletion(m, HELLO, stream=True, **how))),
    "responses": lambda c, m, how: c.responses(input="x", model=m, **how),
}


async def all_of(stream: Any) -> list[Any]:
    return [chunk async for chunk in await stream]


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_is_judged_and_a_denied_model_is_not_asked(
    route: str, cz: Client, gateway: InMemoryGateway, how: dict[str, Any], provider: ProviderServer
) -> None:
    governed = wrap_litellm(library, cz, agent_id="bot")
    gateway.put_policy(
        {**POLICY, "rules": [*POLICY["rules"], {"effect": "allow", "action": "*", "resource": "model/text-*"}]}, mode="enforce"
    )
    with pytest.raises(PolicyDeniedError):
        ROUTES[route](governed, "openai/gpt-5.4", how)
    assert provider.bodies == []
    ROUTES[route](governed, "openai/gpt-4", how)
    assert len(provider.bodies) == 1
    decisions, outcomes = recorded(cz, gateway)
    assert [(one.action, one.effect, one.agent_id) for one in decisions] == [
        ("llm:generate", "deny", "bot"),
        ("llm:generate", "allow", "bot"),
    ]
    assert [one.status for one in outcomes] == ["denied", "ok"]
    if "stream" not in route:
        assert outcomes[1].input_tokens == 7
    assert not any(b"secret" in bytes(one.args) for one in decisions)


def test_cost_follows_the_table_for_the_models_own_provider(cz: Client, gateway: InMemoryGateway, how: dict[str, Any]) -> None:
    wrap_litellm(library, cz).completion("gpt-4", HELLO, **how)
    assert [one.cost_usd for one in recorded(cz, gateway)[1]] == [0.00039]


def test_what_may_run_in_its_place_must_be_allowed_too(cz: Client, how: dict[str, Any], provider: ProviderServer) -> None:
    governed = wrap_litellm(library, cz)
    for fallback in ("gpt-5.4", {"model": "openai/gpt-5.4"}):
        with pytest.raises(PolicyDeniedError):
            governed.completion("gpt-4", HELLO, fallbacks=[fallback], **how)
    with pytest.raises(PolicyDeniedError):
        governed.completion("gpt-4", HELLO, context_window_fallback_dict={"gpt-4": "gpt-4-turbo"}, **how)
    assert provider.bodies == []


def test_a_router_is_judged_by_its_names_and_by_what_is_behind_them(
    cz: Client, gateway: InMemoryGateway, how: dict[str, Any], provider: ProviderServer
) -> None:
    deployments = {"cheap": "openai/gpt-4", "hidden": "openai/gpt-5.4"}
    plain = library.Router([{"model_name": name, "litellm_params": {"model": model, **how}} for name, model in deployments.items()])
    router = wrap_litellm(plain, cz)
    assert isinstance(router, library.Router)
    router.completion("cheap", HELLO)
    asyncio.run(router.acompletion(model="cheap", messages=HELLO))
    with pytest.raises(PolicyDeniedError):
        router.completion("hidden", HELLO)
    with pytest.raises(Rejected, match="not governed"):
        router.agenerate_content  # noqa: B018 - asking for it is refused
    assert unwrap(router) is plain
    assert len(provider.bodies) == 2
    assert [one.resource for one in recorded(cz, gateway)[0]] == ["model/cheap", "model/cheap", "model/hidden"]


def test_a_function_that_nobody_governs_is_refused_and_the_rest_is_there(cz: Client) -> None:
    governed = wrap_litellm(wrap_litellm(library, cz), cz)
    assert governed.exceptions is library.exceptions
    assert governed.ModelResponse is library.ModelResponse
    with pytest.raises(Rejected, match="`run_thread` is not governed"):
        governed.run_thread  # noqa: B018 - as above
    assert unwrap(governed) is library
    with pytest.raises(Rejected, match="object is neither"):
        wrap_litellm(object(), cz)


def test_a_left_stream_leaves_an_outcome(cz: Client, gateway: InMemoryGateway, how: dict[str, Any]) -> None:
    stream = wrap_litellm(library, cz).completion("gpt-4", HELLO, stream=True, **how)
    assert isinstance(stream, library.CustomStreamWrapper)
    del stream  # unread: the library's own threads hold one that was begun
    gc.collect()
    assert [one.status for one in recorded(cz, gateway)[1]] == ["cancelled"]


def test_an_async_client_governs_asyncio(gateway: InMemoryGateway, how: dict[str, Any], tmp_path: Path) -> None:
    async def act() -> None:
        async with AsyncClient(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path) as cz:
            governed = wrap_litellm(library, cz)
            small = "text-embedding-3-small"
            await governed.aembedding(small, input=["x"], **how)
            with pytest.raises(PolicyDeniedError):
                await governed.aembedding(model="text-embedding-3-large", input=["x"], **how)

    asyncio.run(act())
    assert [(one.status, one.input_tokens) for one in gateway.outcomes()] == [("ok", 7), ("denied", None)]
