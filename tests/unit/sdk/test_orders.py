"""Kill switches in the agent: they deny in every mode but off, reach a running agent, and stay while the gateway is away."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from controlzero import AsyncClient, Client, PolicyDeniedError
from controlzero.errors import Rejected, Unavailable
from controlzero.orders import Order, orders_text, parse_orders
from controlzero.recorder.link import BundleReply, HttpLink
from controlzero.records import Mode
from controlzero.settings import Settings
from controlzero.source import ServedSource, kept_of
from controlzero.testing import InMemoryGateway, SettableClock
from tests.unit.sdk.test_source import started, without_gateway
from tests.waiting import until

POLICY = {"name": "p", "rules": [{"id": "no-shell", "effect": "deny", "action": "shell:*"}, {"effect": "allow", "action": "*"}]}
BOT = Order("o1", "it deletes tables", "bot")
ALL = Order("o2", "the vendor was breached")


def a_gateway(mode: Mode, *orders: Order) -> InMemoryGateway:
    gateway = InMemoryGateway(policy=POLICY, mode=mode)
    gateway.put_orders(*orders)
    return gateway


def a_client(gateway: InMemoryGateway, spool: Path, **given: Any) -> Client:
    return Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=spool, **{"agent_id": "bot", **given})


@pytest.mark.parametrize("order", [BOT, ALL])
@pytest.mark.parametrize(("tool", "verdict"), [("llm", "allow"), ("shell", "deny")])
@pytest.mark.parametrize("mode", ["enforce", "log-only"])
def test_an_order_denies_with_its_reason_and_the_verdict_stays_the_policys(
    mode: Mode, tool: str, verdict: str, order: Order, tmp_path: Path
) -> None:
    gateway = a_gateway(mode, order)
    with a_client(gateway, tmp_path) as cz:
        decision = cz.guard(tool, "run")
        assert (decision.allowed, decision.effect, decision.reason_code, decision.reason) == (False, "deny", "order", order.reason)
        assert (decision.verdict, decision.mode) == (verdict, mode)
    (recorded,) = gateway.decisions()
    assert (recorded.verdict, recorded.effect, recorded.mode, recorded.reason_code) == (verdict, "deny", mode, "order")
    assert recorded.reason == order.reason


def test_with_governance_off_an_order_denies_nothing(tmp_path: Path) -> None:
    gateway = a_gateway("off", ALL)
    with a_client(gateway, tmp_path) as cz:
        decision = cz.guard("shell", "run")
        assert (decision.allowed, decision.effect, decision.verdict, decision.reason_code) == (True, "allow", None, "governance_off")


def test_an_order_for_one_agent_leaves_the_others_alone(tmp_path: Path) -> None:
    with a_client(a_gateway("log-only", BOT), tmp_path) as cz:
        assert not cz.guard("llm", "run").allowed
        assert cz.guard("llm", "run", agent_id="other").allowed
        assert cz.guard("llm", "run", context={"agent_name": "robot"}).allowed
        assert not cz.guard("llm", "run", agent_id="other", context={"agent_id": "bot"}).allowed


def test_what_asks_without_saying_who_it_is_is_stopped_by_an_order_for_all_alone(tmp_path: Path) -> None:
    gateway = a_gateway("log-only", BOT)
    with a_client(gateway, tmp_path, agent_id=None) as cz:
        assert cz.guard("llm", "run").allowed
        gateway.put_orders(BOT, ALL)
        until(lambda: not cz.guard("llm", "run").allowed)


def test_an_agent_is_stopped_by_its_own_name_and_by_the_masked_one_that_pages_show(tmp_path: Path) -> None:
    gateway = a_gateway("log-only")
    with a_client(gateway, tmp_path, agent_id="jane@example.com") as cz:
        assert cz.guard("llm", "run").allowed
        assert cz.flush()
        (shown,) = {one.agent_id for one in gateway.decisions()}
        assert shown != "jane@example.com"
        for name in (shown, "jane@example.com"):
            gateway.put_orders(Order("o3", "stop", name))
            until(lambda: not cz.guard("llm", "run").allowed)
            gateway.put_orders()
            until(lambda: cz.guard("llm", "run").allowed)


def test_a_number_is_a_name_too(tmp_path: Path) -> None:
    with a_client(a_gateway("log-only", Order("o4", "stop", "7")), tmp_path) as cz:
        assert not cz.guard("llm", "run", context={"agent_id": 7}).allowed


def test_a_call_that_could_not_be_judged_is_stopped_too(tmp_path: Path) -> None:
    deep: Any = []
    for _ in range(2_000):
        deep = [deep]
    with a_client(a_gateway("log-only", BOT), tmp_path) as cz:
        decision = cz.guard("llm", "run", args={"a": deep})
        assert (decision.allowed, decision.reason_code) == (False, "order")
        assert not cz.guard("llm", "run", context={"agent_id": deep}).allowed  # it may be the one that is stopped


def test_enforce_and_guarded_raise_under_log_only_too(tmp_path: Path) -> None:
    with a_client(a_gateway("log-only", BOT), tmp_path) as cz:
        with pytest.raises(PolicyDeniedError, match="it deletes tables"):
            cz.enforce("llm.generate")
        with pytest.raises(PolicyDeniedError, match="it deletes tables"), cz.guarded("llm", "generate"):
            pytest.fail("the action went ahead")
        with pytest.raises(PolicyDeniedError):
            cz.guard("llm", "generate", raise_on_deny=True)


def test_the_client_for_asyncio_is_stopped_alike(tmp_path: Path) -> None:
    async def ask() -> None:
        given: Any = {"api_key": "cz_test_key", "base_url": "http://gateway", "agent_id": "bot", "spool": tmp_path}
        async with AsyncClient(transport=a_gateway("log-only", BOT), **given) as cz:
            assert not (await cz.guard("llm", "run")).allowed
            with pytest.raises(PolicyDeniedError):
                await cz.enforce("llm.generate")

    asyncio.run(ask())


def test_an_order_reaches_a_running_agent_and_so_does_its_end(tmp_path: Path) -> None:
    gateway = a_gateway("log-only")
    with a_client(gateway, tmp_path) as cz:
        digest = cz.governance.source.governed.bundle_digest
        assert cz.guard("llm", "run").allowed
        gateway.put_orders(BOT)
        until(lambda: not cz.guard("llm", "run").allowed)
        gateway.put_orders()
        until(lambda: cz.guard("llm", "run").allowed)
        assert cz.governance.source.governed.bundle_digest == digest


def test_orders_stay_in_force_while_the_gateway_is_away_and_after_a_start_without_it(tmp_path: Path) -> None:
    gateway = a_gateway("log-only", BOT)
    source = started(gateway, tmp_path)
    gateway.answers.extend([503] * 1_000)
    source.stop()
    until(lambda: any((tmp_path / "bundles").iterdir()))
    again = started(without_gateway(), tmp_path)
    assert again.governed.orders == (BOT,)
    again.stop()


def test_a_bundle_kept_by_an_older_version_has_no_orders(tmp_path: Path) -> None:
    started(a_gateway("log-only"), tmp_path).stop()
    until(lambda: any((tmp_path / "bundles").iterdir()))
    (kept,) = (tmp_path / "bundles").iterdir()
    text = kept.read_text()
    assert ',"orders":[]' in text
    kept.write_text(text.replace(',"orders":[]', ""))
    again = started(without_gateway(), tmp_path)
    assert again.governed.orders == ()
    again.stop()


def test_orders_are_said_and_read_back() -> None:
    assert parse_orders(orders_text((BOT, ALL))) == (BOT, ALL)
    assert parse_orders(None) == ()


@pytest.mark.parametrize("header", ["", "not base64!", "bm90IGpzb24=", "e30=", "W3sicmVhc29uIjoieCJ9XQ=="])
def test_orders_that_cannot_be_read_are_no_reason_to_forget_those_known(header: str, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="CZ-Orders"):
        parse_orders(header)
    with pytest.raises(Unavailable, match="CZ-Orders"):
        kept_of(BundleReply(200, czpolicy=b"x", signing_key="k", orders=header), Settings(api_key="k"))


def test_a_source_without_a_server_has_no_orders(tmp_path: Path) -> None:
    settings = Settings(api_key="cz_test_key", base_url="http://gateway", spool=tmp_path)
    source = ServedSource(settings, HttpLink(settings.base_url, "cz_test_key", transport=a_gateway("enforce")), clock=SettableClock())
    source.start()
    assert source.governed.orders == ()
    source.stop()
