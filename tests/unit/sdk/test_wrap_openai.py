"""wrap_openai against a real openai client and a local server that speaks like OpenAI: no route passes ungoverned."""

import asyncio
import enum
import gc
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from controlzero import AsyncClient, Client, ControlZero, PolicyDeniedError, Rejected
from controlzero.integrations.openai import unwrap, wrap_openai
from controlzero.orders import Order
from controlzero.testing import InMemoryGateway
from tests.governed import recorded
from tests.openai_provider import CHAT, HELLO, ProviderServer, provider

__all__ = ["provider"]  # the fixture

POLICY = {
    "name": "models",
    "rules": [
        {"effect": "allow", "action": "llm.generate", "resource": "model/gpt-5.4", "conditions": {"agent_id": "premium-*"}},
        {"effect": "allow", "action": "llm.generate", "resource": "model/gpt-4"},
        {"effect": "allow", "action": "embedding.generate", "resource": "model/text-embedding-3-small"},
    ],
}


@pytest.fixture
def plain(provider: ProviderServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key="sk-test", base_url=f"http://127.0.0.1:{provider.server_port}/v1", max_retries=2) as client:
        yield client


def entered(manager: Any) -> None:
    with manager as stream:
        assert list(stream)


ROUTES: dict[str, Callable[[Any, str], Any]] = {
    "create": lambda c, m: c.chat.completions.create(model=m, messages=HELLO),
    "parse": lambda c, m: c.chat.completions.parse(model=m, messages=HELLO),
    "beta parse": lambda c, m: c.beta.chat.completions.parse(model=m, messages=HELLO),
    "raw": lambda c, m: c.chat.completions.with_raw_response.create(model=m, messages=HELLO).parse(),
    "raw client": lambda c, m: c.with_raw_response.chat.completions.create(model=m, messages=HELLO).parse(),
    "options": lambda c, m: c.with_options(timeout=9).chat.completions.create(model=m, messages=HELLO),
    "copy of a copy": lambda c, m: c.copy().copy(max_retries=0).chat.completions.create(model=m, messages=HELLO),
    "post": lambda c, m: c.post("/chat/completions", body={"model": m, "messages": HELLO}, cast_to=object),
    "post elsewhere": lambda c, m: c.post(f"{c.base_url}chat/completions/?x=1", body={"model": m, "messages": HELLO}, cast_to=object),
    "extra body": lambda c, m: c.chat.completions.create(model="gpt-4", messages=HELLO, extra_body={"model": m}),
    "legacy completions": lambda c, m: c.completions.create(model=m, prompt="x"),
    "responses": lambda c, m: c.responses.create(model=m, input="x"),
    "responses parse": lambda c, m: c.responses.parse(model=m, input="x"),
    "responses raw": lambda c, m: c.responses.with_raw_response.create(model=m, input="x").parse(),
    "embeddings": lambda c, m: c.embeddings.create(model=m.replace("gpt-4", "text-embedding-3-small"), input="x"),
    "stream": lambda c, m: list(c.chat.completions.create(model=m, messages=HELLO, stream=True)),
    "responses stream": lambda c, m: list(c.responses.create(model=m, input="x", stream=True)),
    "stream helper": lambda c, m: entered(c.chat.completions.stream(model=m, messages=HELLO)),
    "raw stream": lambda c, m: list(c.chat.completions.with_raw_response.create(model=m, messages=HELLO, stream=True).parse()),
}


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_is_one_decision_and_one_outcome(
    route: str, cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI, provider: ProviderServer
) -> None:
    client = wrap_openai(plain, cz)
    ROUTES[route](client, "gpt-4")
    assert len(provider.bodies) == 1
    (decision,), (outcome,) = recorded(cz, gateway)
    expected = ("embedding:generate", "model/text-embedding-3-small") if route == "embeddings" else ("llm:generate", "model/gpt-4")
    assert (decision.action, decision.resource) == expected
    assert (outcome.decision_id, outcome.status, outcome.carried_out) == (decision.decision_id, "ok", True)
    assert outcome.input_tokens == 7
    assert outcome.cost_usd == (7 * 0.02 / 1e6 if route == "embeddings" else 0.00039)
    assert outcome.latency_ms is not None


@pytest.mark.parametrize("route", ROUTES)
def test_no_route_reaches_a_model_that_is_denied(
    route: str, cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI, provider: ProviderServer
) -> None:
    client = wrap_openai(plain, cz)
    with pytest.raises(PolicyDeniedError) as denied:
        ROUTES[route](client, "gpt-5.4")
    assert provider.bodies == []
    assert denied.value.decision.effect == "deny"
    (decision,), (outcome,) = recorded(cz, gateway)
    assert (decision.resource, decision.effect) == ("model/gpt-5.4", "deny")
    assert (outcome.status, outcome.carried_out, outcome.denial_unread) == ("denied", False, False)


ASYNC_ROUTES: dict[str, Callable[[Any, str], Any]] = {
    "create": lambda c, m: c.chat.completions.create(model=m, messages=HELLO),
    "parse": lambda c, m: c.chat.completions.parse(model=m, messages=HELLO),
    "raw": lambda c, m: c.chat.completions.with_raw_response.create(model=m, messages=HELLO),
    "options": lambda c, m: c.with_options(timeout=9).chat.completions.create(model=m, messages=HELLO),
    "post": lambda c, m: c.post("/chat/completions", body={"model": m, "messages": HELLO}, cast_to=object),
    "responses": lambda c, m: c.responses.create(model=m, input="x"),
    "embeddings": lambda c, m: c.embeddings.create(model=m.replace("gpt-4", "text-embedding-3-small"), input="x"),
    "stream": lambda c, m: everything_of(c.chat.completions.create(model=m, messages=HELLO, stream=True)),
    "responses stream": lambda c, m: everything_of(c.responses.create(model=m, input="x", stream=True)),
    "streamed raw": lambda c, m: parsed_of(c.chat.completions.with_streaming_response.create(model=m, messages=HELLO)),
}


async def parsed_of(asking: Any) -> Any:
    async with asking as answer:
        return await answer.parse()


async def everything_of(stream: Any) -> list[Any]:
    return [item async for item in await stream]


@pytest.mark.parametrize("route", ASYNC_ROUTES)
def test_asyncio_is_governed_alike(route: str, gateway: InMemoryGateway, provider: ProviderServer, tmp_path: Path) -> None:
    async def call() -> None:
        async with (
            AsyncClient(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path) as cz,
            openai.AsyncOpenAI(api_key="sk-test", base_url=f"http://127.0.0.1:{provider.server_port}/v1") as plain,
        ):
            client = wrap_openai(plain, cz)
            assert isinstance(client, openai.AsyncOpenAI)
            await ASYNC_ROUTES[route](client, "gpt-4")
            with pytest.raises(PolicyDeniedError):
                await ASYNC_ROUTES[route](client, "gpt-5.4")

    asyncio.run(call())
    assert len(provider.bodies) == 1
    assert [decision.effect for decision in gateway.decisions()] == ["allow", "deny"]
    assert [(outcome.status, outcome.input_tokens) for outcome in gateway.outcomes()] == [("ok", 7), ("denied", None)]


def test_agents_wrapped_apart_are_judged_apart(cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI) -> None:
    premium, basic = wrap_openai(plain, cz, agent_id="premium-support"), wrap_openai(plain, cz, agent_id="basic-support")
    assert premium.chat.completions.create(model="gpt-5.4", messages=HELLO).usage is not None
    for client in (basic, wrap_openai(premium, cz, agent_id="basic-support")):
        with pytest.raises(PolicyDeniedError):
            client.chat.completions.create(model="gpt-5.4", messages=HELLO)
    decisions, _ = recorded(cz, gateway)
    assert [decision.agent_id for decision in decisions] == ["premium-support", "basic-support", "basic-support"]


def test_the_client_stays_what_it_was_and_the_given_one_is_untouched(cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI) -> None:
    client = wrap_openai(plain, cz)
    assert isinstance(client, openai.OpenAI)
    assert isinstance(client.with_options(timeout=3), openai.OpenAI)
    assert (client.api_key, str(client.base_url), client.max_retries) == (plain.api_key, str(plain.base_url), plain.max_retries)
    plain.chat.completions.create(model="gpt-5.4", messages=HELLO)
    assert recorded(cz, gateway) == ([], [])


def test_what_runs_no_model_passes_unchanged(cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI) -> None:
    assert list(wrap_openai(plain, cz).models.list()) == []
    assert recorded(cz, gateway) == ([], [])


def test_retries_belong_to_one_decision(cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI, provider: ProviderServer) -> None:
    provider.failures = 1
    wrap_openai(plain, cz).chat.completions.create(model="gpt-4", messages=HELLO)
    assert len(provider.bodies) == 2
    decisions, outcomes = recorded(cz, gateway)
    assert (len(decisions), [outcome.status for outcome in outcomes]) == (1, ["ok"])


def test_a_failing_call_leaves_the_class_of_its_error(
    cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI, provider: ProviderServer
) -> None:
    provider.failures = 9
    with pytest.raises(openai.InternalServerError):
        wrap_openai(plain, cz).with_options(max_retries=0).chat.completions.create(model="gpt-4", messages=HELLO)
    _, (outcome,) = recorded(cz, gateway)
    assert (outcome.status, outcome.error_class, outcome.carried_out) == ("error", "InternalServerError", True)


def test_a_path_in_another_case_is_the_same_route(cz: Client, plain: openai.OpenAI, provider: ProviderServer) -> None:
    """Azure takes it in any."""
    client = wrap_openai(plain, cz)
    for path, said in (
        ("/Chat/Completions", "gpt-5.4"),
        ("/openai/Deployments/gpt-5.4/CHAT/completions", "gpt-4"),
        ("/RESPONSES", "gpt-5.4"),
    ):
        with pytest.raises(PolicyDeniedError):
            client.post(path, body={"model": said}, cast_to=object)
    assert provider.bodies == []


def test_a_stream_given_up_is_recorded_as_cancelled(cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI) -> None:
    with wrap_openai(plain, cz).chat.completions.create(model="gpt-4", messages=HELLO, stream=True) as stream:
        assert isinstance(stream, openai.Stream)
        assert next(stream).choices[0].delta.content == "a"
        assert recorded(cz, gateway)[1] == [], "its outcome is not known before it ends"
    _, (outcome,) = recorded(cz, gateway)
    assert outcome.status == "cancelled"


def test_a_streamed_raw_body_ends_with_its_block(cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI) -> None:
    client = wrap_openai(plain, cz)
    with client.chat.completions.with_streaming_response.create(model="gpt-4", messages=HELLO) as answer:
        assert json.loads(answer.read()) == CHAT
    _, (outcome,) = recorded(cz, gateway)
    assert (outcome.status, outcome.input_tokens, outcome.output_tokens) == ("ok", 7, 3)


@pytest.mark.parametrize("way", ["json", "text", "parse"])
def test_a_streamed_raw_answer_read_whole_tells_its_tokens(way: str, cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI) -> None:
    client = wrap_openai(plain, cz)
    with client.chat.completions.with_streaming_response.create(model="gpt-4", messages=HELLO) as answer:
        assert getattr(answer, way)()
    _, (outcome,) = recorded(cz, gateway)
    assert (outcome.status, outcome.input_tokens, outcome.output_tokens) == ("ok", 7, 3)


def test_the_conversation_is_recorded_masked_and_only_what_is_new_of_it(cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI) -> None:
    tools: Any = [{"type": "function", "function": {"name": "lookup_order", "parameters": {}}}]
    wrap_openai(plain, cz).chat.completions.create(model="gpt-4", messages=HELLO, temperature=0.5, tools=tools, user="bob@example.com")
    ((decision,), _) = recorded(cz, gateway)
    assert decision.text is not None
    assert decision.text.startswith("I am [email:")
    args = json.loads(bytes(decision.args))
    assert args.pop("user").startswith("[email:")
    assert args == {"model": "gpt-4", "temperature": 0.5, "tools": ["lookup_order"]}


@pytest.mark.parametrize("model", [None, "gpt-4", "gpt-5.4"])
def test_a_websocket_does_not_pass_ungoverned(model: str | None, cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI) -> None:
    client = wrap_openai(plain, cz)
    manager = client.responses.connect() if model is None else client.realtime.connect(model=model)
    refused: Any = OSError if model == "gpt-4" else PolicyDeniedError  # allowed, it finds that the stub speaks no WebSocket
    with pytest.raises((refused, Exception)) as raised:
        manager.enter()
    assert isinstance(raised.value, PolicyDeniedError) == (model != "gpt-4")
    ((decision,), outcomes) = recorded(cz, gateway)
    assert (decision.action, decision.resource, decision.effect) == (
        "llm:generate",
        model and f"model/{model}",
        "allow" if model == "gpt-4" else "deny",
    )
    assert [outcome.status for outcome in outcomes] == ([] if model == "gpt-4" else ["denied"])  # nobody saw whether it came about


def test_an_azure_deployment_is_the_model(cz: Client, gateway: InMemoryGateway, provider: ProviderServer) -> None:
    with (
        openai.AzureOpenAI(
            api_key="k", api_version="1", azure_endpoint=f"http://127.0.0.1:{provider.server_port}", azure_deployment="gpt-5.4"
        ) as azure,
        pytest.raises(PolicyDeniedError),
    ):
        wrap_openai(azure, cz).chat.completions.create(model="gpt-4", messages=HELLO)
    ((decision,), _) = recorded(cz, gateway)
    assert decision.resource == "model/gpt-5.4"


def test_log_only_lets_every_call_through(gateway: InMemoryGateway, plain: openai.OpenAI, tmp_path: Path) -> None:
    gateway.put_policy(POLICY, mode="log-only")
    cz = ControlZero(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path)
    cz.initialize()
    assert wrap_openai(plain, cz).chat.completions.create(model="gpt-5.4", messages=HELLO).id == "c1"
    cz.close()
    assert [(decision.verdict, decision.effect) for decision in gateway.decisions()] == [("deny", "allow")]


def test_under_log_only_an_order_keeps_every_call_from_the_model(
    gateway: InMemoryGateway, plain: openai.OpenAI, provider: ProviderServer, tmp_path: Path
) -> None:
    gateway.put_policy(POLICY, mode="log-only")
    gateway.put_orders(Order("o1", "it spends"))
    with Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path) as cz:
        with pytest.raises(PolicyDeniedError, match="it spends"):
            wrap_openai(plain, cz).chat.completions.create(model="gpt-5.4", messages=HELLO)
        with pytest.raises(PolicyDeniedError, match="it spends"):
            wrap_openai(plain, cz).responses.create(model="gpt-5.4", input="hello", stream=True)
    assert provider.bodies == []
    assert {(decision.effect, decision.reason_code, decision.mode) for decision in gateway.decisions()} == {("deny", "order", "log-only")}


def test_what_is_no_openai_client_is_refused_with_what_was_expected(cz: Client) -> None:
    with pytest.raises(Rejected, match="object is no OpenAI client"):
        wrap_openai(object(), cz)


def test_an_async_client_for_threads_is_refused(plain: openai.OpenAI, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="expected a Client"):
        wrap_openai(plain, AsyncClient(policy_file="x.json", spool=tmp_path))
    with pytest.raises(Rejected, match="NoneType does not govern"):
        wrap_openai(plain, None)  # type: ignore[arg-type]


def test_unwrap_gives_the_client_back_and_wrapping_twice_asks_once(cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI) -> None:
    client = wrap_openai(wrap_openai(plain, cz, agent_id="one"), cz, agent_id="two")
    client.chat.completions.create(model="gpt-4", messages=HELLO)
    decisions, outcomes = recorded(cz, gateway)
    assert [decision.agent_id for decision in decisions] == ["two"]
    assert len(outcomes) == 1
    assert unwrap(client) is plain
    assert unwrap(plain) is plain
    copied = unwrap(client.with_options(timeout=3))
    assert (type(copied), copied.timeout) == (openai.OpenAI, 3)
    copied.chat.completions.create(model="gpt-5.4", messages=HELLO)
    assert len(recorded(cz, gateway)[0]) == 1


def test_a_model_of_an_enumeration_is_judged_by_what_is_sent(cz: Client, plain: openai.OpenAI, provider: ProviderServer) -> None:
    class Model(enum.StrEnum):
        LARGE = "gpt-5.4"

    class Older(str, enum.Enum):  # noqa: UP042 - its text is not its value
        SMALL = "gpt-4"

    client = wrap_openai(plain, cz)
    with pytest.raises(PolicyDeniedError, match="no rule"):
        client.chat.completions.create(model=Model.LARGE, messages=HELLO)
    client.chat.completions.create(model=Older.SMALL, messages=HELLO)
    assert [body["model"] for _, body in provider.bodies] == ["gpt-4"]


@pytest.mark.parametrize("has_begun", [False, True])
def test_a_stream_nobody_reads_to_its_end_leaves_an_outcome(
    has_begun: bool, cz: Client, gateway: InMemoryGateway, plain: openai.OpenAI
) -> None:
    stream = wrap_openai(plain, cz).chat.completions.create(model="gpt-4", messages=HELLO, stream=True)
    if has_begun:
        next(stream)
    del stream
    gc.collect()
    _, (outcome,) = recorded(cz, gateway)
    assert (outcome.status, outcome.carried_out) == ("cancelled", True)


BROKEN = """
import resource, sys
import openai
from controlzero import Client
from controlzero.integrations.openai import wrap_openai

class Wild(float):
    def __gt__(self, other):
        raise RuntimeError("cannot be compared")

policy, spool, url = sys.argv[1:]
with Client(policy_file=policy, mode="log-only", spool=spool) as cz, openai.OpenAI(api_key="k", base_url=url) as plain:
    client = wrap_openai(plain, cz)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    for given in ({}, {"temperature": Wild(2)}, {"seed": 10**400}):
        answer = client.chat.completions.create(model="gpt-5.4", messages=[{"role": "user", "content": "x"}], extra_body=given)
        assert answer.id == "c1", answer
    assert len(list(client.chat.completions.create(model="gpt-5.4", messages=[], stream=True))) == 3
    decision = cz.guard("llm", method="generate")
    assert not decision.is_recorded, "the spool was to be broken"
    print("went ahead")
"""


def test_log_only_goes_ahead_where_neither_spool_nor_evaluator_works(provider: ProviderServer, tmp_path: Path) -> None:
    conditions = {"args.temperature": {"gt": 1}}
    policy = {"name": "p", "rules": [{"effect": "deny", "action": "llm.generate", "resource": "model/*", "conditions": conditions}]}
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    url = f"http://127.0.0.1:{provider.server_port}/v1"
    command = [sys.executable, "-c", BROKEN, str(tmp_path / "policy.json"), str(tmp_path / "spool"), url]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path.cwd(), timeout=60)
    assert (ended.stdout, ended.returncode) == ("went ahead\n", 0), ended.stderr
    assert "could not be evaluated" in ended.stderr
    assert len(provider.bodies) == 4


def test_without_its_library_the_wrapper_names_the_extra() -> None:
    code = "import sys; sys.modules['openai'] = None\nfrom controlzero.integrations.openai import wrap_openai\nwrap_openai(None, None)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'controlzero-audit[openai]'" in ended.stderr
