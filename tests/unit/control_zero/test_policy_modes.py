"""Where policies come from: the server, a signed file without one, and a file until the server answers."""

import asyncio
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from control_zero import (
    AsyncControlZeroClient,
    BundleTamperError,
    BundleVerificationError,
    ControlZeroClient,
    PolicyDeniedError,
    ToolNotFound,
)
from controlzero.errors import BundleRollbackError, Rejected, Unavailable
from controlzero.orders import Order
from controlzero.records import Decision
from controlzero.session import HttpTool
from controlzero.testing import STARTED_AT, InMemoryGateway, SettableClock

KEY = "cz_test_key"
DAY_S = 86_400


def policy(*allowed: str) -> Mapping[str, Any]:
    return {"name": "p", "rules": [{"effect": "allow", "action": action} for action in allowed] or [{"effect": "deny", "action": "*"}]}


def export(gateway: InMemoryGateway, path: Path) -> str:
    """Write the bundle in force to a file, and return the keys it is verified by."""
    with httpx.Client(transport=gateway, base_url="http://gateway") as http:
        answer = http.get("/v1/bundle")
    path.write_bytes(answer.content)
    return answer.headers["CZ-Signing-Key"]


def allows(client: ControlZeroClient, tool: str) -> bool:
    client.register_tool(tool, {"run": lambda: None})
    try:
        client.call_tool(tool, "run")
    except PolicyDeniedError:
        return False
    return True


def decisions_on_disk(spool: Path) -> list[Decision]:
    lines = b"".join(path.read_bytes() for path in sorted(spool.rglob("*.records"))).splitlines()
    found = [line.rpartition(b"\x1e")[0] or line for line in lines]
    return [msgspec.json.decode(line[line.index(b"{") : line.rindex(b"}") + 1], type=Decision) for line in found if b'"decision"' in line]


@pytest.fixture
def gateway() -> InMemoryGateway:
    return InMemoryGateway(policy=policy("database:run"), mode="enforce")


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONTROLZERO_SPOOL", str(tmp_path / "spool"))
    return tmp_path / "spool"


@pytest.fixture
def path(gateway: InMemoryGateway, spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the bundle in force, whose key the environment names."""
    found = tmp_path / "my-agent.czpolicy"
    monkeypatch.setenv("CONTROLZERO_SIGNING_KEY", export(gateway, found))
    gateway.requests.clear()
    return found


def local(path: Path, gateway: InMemoryGateway | None = None, **given: Any) -> ControlZeroClient:
    return ControlZeroClient(KEY, policy_mode="local", policy_path=path, transport=gateway, **given)


def hybrid(path: Path, gateway: InMemoryGateway, **given: Any) -> ControlZeroClient:
    return ControlZeroClient(KEY, policy_mode="hybrid", policy_path=str(path), transport=gateway, **given)


def test_local_mode_judges_by_the_file_and_contacts_nobody(path: Path, gateway: InMemoryGateway, spool: Path) -> None:
    with local(path, gateway, agent_name="finance-agent") as client:
        assert allows(client, "database")
        assert not allows(client, "shell")
        client.flush()
    assert gateway.requests == []
    decisions = decisions_on_disk(spool)
    assert [(decision.action, decision.verdict, decision.mode, decision.agent_id) for decision in decisions] == [
        ("database:run", "allow", "enforce", "finance-agent"),
        ("shell:run", "deny", "enforce", "finance-agent"),
    ]


def test_local_mode_is_in_the_mode_that_the_bundle_says(gateway: InMemoryGateway, path: Path) -> None:
    gateway.put_policy(policy(), mode="log-only")
    export(gateway, path)
    with local(path) as client:
        assert allows(client, "shell")


def test_a_tool_that_is_not_registered_is_not_asked_for_in_local_mode(path: Path, gateway: InMemoryGateway) -> None:
    with local(path, gateway) as client, pytest.raises(ToolNotFound):
        client.call_tool("database", "run")
    assert gateway.requests == []


def test_a_file_that_is_not_there_says_what_writes_one(spool: Path, tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"none.czpolicy`: there is none; expected a policy"):
        local(tmp_path / "none.czpolicy").initialize()


@pytest.mark.parametrize("mode", ["local", "hybrid"])
def test_a_changed_file_is_refused(path: Path, gateway: InMemoryGateway, mode: str) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    with pytest.raises(BundleTamperError):
        ControlZeroClient(KEY, policy_mode=mode, policy_path=path, transport=gateway).initialize()


@pytest.mark.parametrize("mode", ["local", "hybrid"])
def test_a_file_that_a_stranger_signed_is_refused(path: Path, gateway: InMemoryGateway, mode: str) -> None:
    export(InMemoryGateway(policy=policy("*")), path)
    with pytest.raises(BundleVerificationError):
        ControlZeroClient(KEY, policy_mode=mode, policy_path=path, transport=gateway).initialize()


def test_without_any_key_nothing_is_verified(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONTROLZERO_SIGNING_KEY")
    with pytest.raises(BundleVerificationError, match=r"no key to verify it with; put its `my-agent.pub` beside it, or set"):
        local(path).initialize()


def test_keys_beside_the_file_are_trusted_at_first_and_no_others_later(
    path: Path, gateway: InMemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = path.with_suffix(".pub")
    monkeypatch.delenv("CONTROLZERO_SIGNING_KEY")
    beside.write_text(export(gateway, path) + "\n")
    with local(path) as client:
        assert allows(client, "database")
    stranger = InMemoryGateway()
    for _ in range(3):
        stranger.put_policy(policy("*"))
    beside.write_text(export(stranger, path) + "\n")
    with pytest.raises(BundleVerificationError):
        local(path).initialize()


def test_an_older_file_is_refused_also_by_the_next_process(path: Path, gateway: InMemoryGateway, spool: Path) -> None:
    older = path.read_bytes()
    gateway.put_policy(policy("report:run"), mode="enforce")
    export(gateway, path)
    with local(path) as client:
        assert allows(client, "report")
        path.write_bytes(older)
        with pytest.raises(BundleRollbackError):
            client.sync_policies()
        assert allows(client, "report")
    with pytest.raises(BundleRollbackError):
        local(path).initialize()


def test_sync_reads_the_file_again_in_local_mode(path: Path, gateway: InMemoryGateway) -> None:
    with local(path) as client:
        assert not allows(client, "report")
        gateway.put_policy(policy("report:run"), mode="enforce")
        export(gateway, path)
        assert client.sync_policies() is True
        assert allows(client, "report")
        path.unlink()
        assert client.sync_policies() is False
        assert allows(client, "report")


def test_a_bundle_is_loaded_in_local_mode(path: Path, gateway: InMemoryGateway, tmp_path: Path) -> None:
    gateway.put_policy(policy("report:run"), mode="enforce")
    export(gateway, tmp_path / "next.czpolicy")
    with local(path) as client:
        assert client.load_policy_bundle(tmp_path / "next.czpolicy") is True
        assert allows(client, "report")
        with pytest.raises(BundleRollbackError):
            client.load_policy_bundle(str(path))
        with pytest.raises(Rejected, match="No such file"):
            client.load_policy_bundle(tmp_path / "none.czpolicy")


def test_a_loaded_bundle_holds_until_the_server_gives_another(gateway: InMemoryGateway, spool: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.czpolicy"
    with ControlZeroClient(KEY, transport=gateway) as client:
        export(gateway, path)
        assert client.load_policy_bundle(path) is True
        assert allows(client, "database")
        gateway.put_policy(policy("report:run"), mode="enforce")
        assert client.sync_policies() is True
        assert (allows(client, "report"), allows(client, "database")) == (True, False)
        with pytest.raises(BundleRollbackError):
            client.load_policy_bundle(path)
        assert allows(client, "report")


def test_a_loaded_bundle_lifts_no_order(gateway: InMemoryGateway, spool: Path, tmp_path: Path) -> None:
    gateway.put_orders(Order("o1", "stopped by ada"))
    with ControlZeroClient(KEY, transport=gateway) as client:
        export(gateway, tmp_path / "own.czpolicy")
        client.load_policy_bundle(tmp_path / "own.czpolicy")
        assert not allows(client, "database")


def test_sync_pulls_what_is_new_now(gateway: InMemoryGateway, spool: Path) -> None:
    with ControlZeroClient(KEY, transport=gateway) as client:
        assert not allows(client, "report")
        gateway.put_policy(policy("report:run"), mode="enforce")
        assert client.sync_policies() is True
        assert allows(client, "report")


def test_a_sync_that_the_server_does_not_answer_says_so_and_changes_nothing(gateway: InMemoryGateway, spool: Path) -> None:
    with ControlZeroClient(KEY, transport=gateway) as client:
        gateway.answers.extend([503] * 20)
        assert client.sync_policies() is False
        assert allows(client, "database")


def test_a_sync_refuses_what_a_stranger_signed(gateway: InMemoryGateway, spool: Path) -> None:
    with ControlZeroClient(KEY, transport=gateway) as client:
        gateway.rotate_signing_key(endorsed=False)
        gateway.put_policy(policy("report:run"), mode="enforce")
        with pytest.raises(BundleVerificationError):
            client.sync_policies()
        assert allows(client, "database")


def away(gateway: InMemoryGateway) -> None:
    gateway.answers.extend(httpx.ConnectError("away") for _ in range(10_000))


def test_hybrid_goes_on_with_the_file_where_the_server_is_away(
    path: Path, gateway: InMemoryGateway, caplog: pytest.LogCaptureFixture
) -> None:
    away(gateway)
    with caplog.at_level(logging.WARNING), hybrid(path, gateway) as client:
        with pytest.raises(ToolNotFound, match="it is not registered, and the session config is still to come: gateway"):
            client.call_tool("database", "run")
        assert allows(client, "database")
        assert not allows(client, "shell")
    assert "no session config, so only registered tools are there" in caplog.text


def test_without_governance_a_client_that_knows_its_project_starts_while_the_server_is_away(gateway: InMemoryGateway) -> None:
    with ControlZeroClient(KEY, transport=gateway):
        pass  # what it was told is on disk now
    away(gateway)
    with pytest.raises(Unavailable):
        ControlZeroClient(KEY, transport=gateway).initialize()
    with ControlZeroClient(KEY, enable_governance=False, transport=gateway) as client:
        assert allows(client, "shell")


def test_hybrid_takes_the_servers_bundle_once_it_answers(path: Path, gateway: InMemoryGateway) -> None:
    gateway.put_policy(policy("report:run"), mode="enforce")
    with hybrid(path, gateway) as client:
        assert client.sync_policies() is True
        assert (allows(client, "report"), allows(client, "database")) == (True, False)


def test_hybrid_says_of_a_decision_that_no_server_has_confirmed_the_bundle(path: Path, gateway: InMemoryGateway, spool: Path) -> None:
    away(gateway)
    with hybrid(path, gateway) as client:
        allows(client, "database")
    assert [decision.bundle_state for decision in decisions_on_disk(spool)] == ["unconfirmed"]


def test_hybrid_fetches_the_session_config_once_the_server_is_back(path: Path, gateway: InMemoryGateway) -> None:
    gateway.put_policy(policy("*"), mode="enforce")
    export(gateway, path)
    gateway.put_session(tools=[HttpTool(name="crm", url="http://127.0.0.1:9")], secrets={"A": "a secret"})
    away(gateway)
    with hybrid(path, gateway) as client:
        assert "crm" not in client.ready().remote.by_name
        gateway.answers.clear()
        with pytest.raises(Unavailable, match="was not reached"):
            client.call_tool("crm", "run")
        assert client.governance.secret("A") == "a secret"


def test_hybrid_does_without_a_file_that_is_not_there(gateway: InMemoryGateway, spool: Path, tmp_path: Path) -> None:
    with hybrid(tmp_path / "none.czpolicy", gateway) as client:
        assert allows(client, "database")


def test_hybrid_does_not_go_back_behind_what_the_server_gave(path: Path, gateway: InMemoryGateway) -> None:
    gateway.put_policy(policy("report:run"), mode="enforce")
    with hybrid(path, gateway) as client:
        client.sync_policies()
    away(gateway)
    with hybrid(path, gateway) as client:
        assert (allows(client, "report"), allows(client, "database")) == (True, False)


def stale(gateway: InMemoryGateway, age_s: int, on_stale: str) -> bool:
    """Whether a call is allowed `age_s` after the server last confirmed the bundle, whose age may be a day."""
    gateway.put_policy(policy("database:run"), mode="enforce", on_stale=on_stale)
    clock = SettableClock(STARTED_AT)
    with ControlZeroClient(KEY, transport=gateway, clock=clock, max_cache_age_seconds=DAY_S) as client:
        away(gateway)
        clock.advance(age_s)
        return allows(client, "database")


@pytest.mark.parametrize(
    ("age_s", "on_stale", "is_allowed"),
    [(DAY_S - 1, "deny", True), (DAY_S, "deny", False), (DAY_S, "keep", True)],
)
def test_a_bundle_that_nobody_confirmed_for_too_long_is_stale(
    gateway: InMemoryGateway, spool: Path, age_s: int, on_stale: str, is_allowed: bool
) -> None:
    assert stale(gateway, age_s, on_stale) is is_allowed


def test_the_server_is_asked_as_often_as_the_client_says(gateway: InMemoryGateway, spool: Path) -> None:
    waits: list[str] = []
    is_asked_again = threading.Event()

    class Asked(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/v1/bundle":
                waits.append(request.url.params.get("wait_s", ""))
                if len(waits) == 3:
                    is_asked_again.set()
            return gateway.handle_request(request)

    with ControlZeroClient(KEY, transport=Asked(), refresh_interval_seconds=1):
        assert is_asked_again.wait(30)
    assert waits[:3] == ["", "1", "1"]


def test_the_async_client_has_the_same_modes(path: Path, gateway: InMemoryGateway) -> None:
    async def main() -> list[bool]:
        async with AsyncControlZeroClient(KEY, policy_mode="local", policy_path=path) as client:
            client.register_tool("database", {"run": lambda: True})
            return [await client.call_tool("database", "run"), await client.sync_policies(), await client.load_policy_bundle(path)]

    assert asyncio.run(main()) == [True, True, True]
