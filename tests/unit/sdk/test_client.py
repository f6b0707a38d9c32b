"""The client: what it judges, what it raises, what it records, and that recording never takes the host with it."""

import asyncio
import gc
import json
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

import controlzero
from controlzero import AsyncClient, Client, ControlZero, PolicyDecision, PolicyDeniedError, context, policy
from controlzero.policy.facts import request_of
from controlzero.records import Decision, Loss, Mode, Outcome
from controlzero.testing import STARTED_AT, InMemoryGateway, SettableClock

DAY_S = 86_400
POLICY = {
    "name": "p",
    "rules": [
        {"effect": "deny", "action": "shell:*", "reason": "no shells"},
        {"effect": "warn", "action": "report:*"},
        {"effect": "allow", "action": "database:query", "resource": "table/orders"},
        {"effect": "allow", "action": "mail:send", "conditions": {"user_group": "staff"}},
        {"effect": "allow", "action": "vectorstore:read", "resource": "vectorstore/research-*"},
    ],
}


class Broken(Mapping[str, Any]):
    """Facts that fail whoever reads them."""

    def __getitem__(self, key: str) -> Any:
        raise OSError("unreadable")

    def __iter__(self) -> Iterator[str]:
        raise OSError("unreadable")

    def __len__(self) -> int:
        return 1


def a_gateway(mode: Mode = "enforce", policy: object = POLICY, **settings: Any) -> InMemoryGateway:
    gateway = InMemoryGateway()
    gateway.put_policy(policy, mode=mode, **settings)
    return gateway


def a_client(gateway: InMemoryGateway, spool: Path, **given: Any) -> Client:
    return Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=spool, **given)


def the_decision(gateway: InMemoryGateway, cz: Client) -> Decision:
    assert cz.flush()
    (decision,) = gateway.decisions()
    return decision


@pytest.fixture
def gateway() -> InMemoryGateway:
    return a_gateway()


@pytest.fixture
def cz(gateway: InMemoryGateway, tmp_path: Path) -> Iterator[Client]:
    with a_client(gateway, tmp_path, agent_id="support-bot") as client:
        yield client


def test_a_decision_says_what_to_do_and_why(cz: Client) -> None:
    decision = cz.guard("database", method="query", args={"table": "orders"})
    assert isinstance(decision, PolicyDecision)
    assert (decision.effect, decision.allowed, decision.verdict, decision.mode) == ("allow", True, "allow", "enforce")
    assert (decision.policy_id, decision.rule_id, decision.evaluated_rules, decision.reason_code) == ("p", "p#3", 3, "matched_rule")
    assert decision.reason == "rule `p#3` of policy `p` says allow"
    assert decision.evaluation_time_ns > 0
    assert decision.is_recorded


def test_a_denial_is_false_where_it_is_tested_and_does_not_raise(cz: Client) -> None:
    decision = cz.guard("shell", "run")
    assert not decision
    assert (decision.effect, decision.allowed, decision.reason) == ("deny", False, "no shells")


def test_no_match_is_a_denial_with_a_code_of_its_own(cz: Client) -> None:
    decision = cz.guard("database", method="drop")
    assert (decision.effect, decision.policy_id, decision.reason_code) == ("deny", None, "default_deny")


def test_a_warning_goes_ahead_and_says_so(cz: Client) -> None:
    decision = cz.guard("report", "write")
    assert (decision.effect, decision.allowed) == ("warn", True)


def test_a_path_is_its_own_resource(cz: Client) -> None:
    decision = cz.guard("vectorstore/research-papers", method="read")
    assert (decision.action, decision.resource, decision.allowed) == ("vectorstore:read", "vectorstore/research-papers", True)


def test_enforce_raises_before_the_action_with_the_decision(cz: Client, gateway: InMemoryGateway) -> None:
    with pytest.raises(controlzero.PolicyViolationError) as raised:
        cz.enforce("shell.run", resource="host/a")
    denied: Any = raised.value.decision
    assert (denied.effect, denied.reason, denied.policy_id, denied.resource) == ("deny", "no shells", "p", "host/a")
    assert str(raised.value) == "shell:run is denied: no shells"
    cz.flush()
    assert [(outcome.status, outcome.carried_out, outcome.denial_unread) for outcome in gateway.outcomes()] == [("denied", False, False)]


def test_guard_raises_when_it_is_told_to(cz: Client) -> None:
    with pytest.raises(PolicyDeniedError):
        cz.guard("shell", "run", raise_on_deny=True)


def test_arguments_in_the_methods_place_are_an_error_and_no_decision(cz: Client, gateway: InMemoryGateway) -> None:
    with pytest.raises(TypeError, match="arguments go by name"):
        cz.guard("delete_file", {"path": "/tmp/foo"})  # type: ignore[arg-type]  # as another SDK has it
    cz.flush()
    assert gateway.decisions() == []


def test_what_has_to_be_text_and_is_none_is_an_error_and_no_decision(cz: Client, gateway: InMemoryGateway) -> None:
    for call, told in (
        (lambda: cz.guard(None, method="x"), "guard: the tool is NoneType, expected text"),  # type: ignore[arg-type]
        (lambda: cz.enforce(5), "enforce: the action is int, expected text"),  # type: ignore[arg-type]
        (lambda: cz.enforce("file.read", resource=Path("/data")), "enforce: the resource is PosixPath, expected text"),  # type: ignore[arg-type]
        (lambda: cz.guard("llm", "generate", text=[{"role": "user"}]), "guard: the text is list, expected text"),  # type: ignore[arg-type]
        (lambda: cz.enforce("llm.generate", text=5), "enforce: the text is int, expected text"),  # type: ignore[arg-type]
    ):
        with pytest.raises(TypeError, match=told):
            call()
    assert cz.flush()
    assert gateway.decisions() == []


def test_a_context_that_is_no_dict_is_an_error_and_no_decision(cz: Client, gateway: InMemoryGateway) -> None:
    for call in (cz.guard, cz.enforce):
        with pytest.raises(TypeError, match=r'expected a dict of facts such as \{"user_id": "ada"\}, got str'):
            call("llm:generate", context="ada")  # type: ignore[operator]
    cz.flush()
    assert gateway.decisions() == []


def test_enforce_gives_the_decision_of_what_is_allowed(cz: Client) -> None:
    assert cz.enforce("database.query", resource="table/orders").allowed


def test_the_record_holds_the_decision_and_who_asked(cz: Client, gateway: InMemoryGateway) -> None:
    given = cz.guard(
        "database",
        method="query",
        args={"table": "orders", "limit": 5},
        context={"user_id": "u1", "user_group": "staff", "session_id": "s1", "trace_id": "t1", "tags": {"tier": "gold"}},
    )
    decision = the_decision(gateway, cz)
    assert decision.decision_id == given.decision_id
    assert (decision.action, decision.tool, decision.method, decision.action_raw) == ("database:query", "database", "query", None)
    assert (decision.resource, decision.resource_claimed) == ("table/orders", False)
    assert (decision.agent_id, decision.user_id, decision.user_group, decision.session_id) == ("support-bot", "u1", "staff", "s1")
    assert (decision.trace_id, json.loads(bytes(decision.tags))) == ("t1", {"tier": "gold"})
    assert json.loads(bytes(decision.args)) == {"table": "orders", "limit": 5}
    assert (decision.verdict, decision.effect, decision.mode) == ("allow", "allow", "enforce")
    assert decision.sdk == f"controlzero-python/{controlzero.__version__}"
    assert decision.args_digest is not None


def test_the_same_arguments_have_one_digest_however_they_are_written(cz: Client, gateway: InMemoryGateway) -> None:
    for args in ({"a": 5000.0, "b": "ü"}, {"b": "ü", "a": 5000}, {"a": 5001, "b": "ü"}):
        cz.guard("database", "query", args=args)
    cz.flush()
    first, second, other = [decision.args_digest for decision in gateway.decisions()]
    assert first == second != other


@pytest.mark.parametrize("mode", ["log-only", "off"])
def test_nothing_but_enforce_stops_an_action(mode: Mode, tmp_path: Path) -> None:
    gateway = a_gateway(mode)
    with a_client(gateway, tmp_path) as cz:
        decision = cz.guard("shell", "run", raise_on_deny=True)
        cz.enforce("shell.run")
        assert (decision.effect, decision.allowed) == ("allow", True)
        assert decision.verdict == ("deny" if mode == "log-only" else None)
    recorded = gateway.decisions()[0]
    assert (recorded.mode, recorded.effect, recorded.verdict) == (mode, "allow", decision.verdict)
    assert recorded.reason_code == ("matched_rule" if mode == "log-only" else "governance_off")
    assert gateway.outcomes() == []


def test_a_rule_that_only_logs_stops_nothing_while_the_others_enforce(tmp_path: Path) -> None:
    rules = [{"id": "trial", "effect": "deny", "action": "mail:*", "mode": "log-only"}, {"effect": "deny", "action": "*"}]
    gateway = a_gateway(policy={"name": "p", "rules": rules})
    with a_client(gateway, tmp_path) as cz:
        trial, other = cz.enforce("mail.send"), cz.guard("shell", "run")
        assert (trial.mode, trial.verdict, trial.effect, trial.allowed, trial.rule_id) == ("log-only", "deny", "allow", True, "trial")
        assert (other.mode, other.effect, other.allowed) == ("enforce", "deny", False)
    assert [(one.mode, one.verdict, one.effect) for one in gateway.decisions()] == [
        ("log-only", "deny", "allow"),
        ("enforce", "deny", "deny"),
    ]


def test_a_denial_nobody_looked_at_is_noted(cz: Client, gateway: InMemoryGateway) -> None:
    ignored = cz.guard("shell", "run").decision_id
    gc.collect()
    assert cz.guard("shell", "run").allowed is False
    assert cz.guard("shell", "run").effect == "deny"
    cz.flush()
    assert [(outcome.decision_id, outcome.denial_unread) for outcome in gateway.outcomes()] == [(ignored, True)]


def test_a_denial_still_unread_at_the_end_is_noted(gateway: InMemoryGateway, tmp_path: Path) -> None:
    cz = a_client(gateway, tmp_path)
    kept = cz.guard("shell", "run")
    cz.close()
    assert [(outcome.decision_id, outcome.denial_unread) for outcome in gateway.outcomes()] == [(kept.decision_id, True)]


def test_a_guarded_block_leaves_its_outcome(cz: Client, gateway: InMemoryGateway) -> None:
    with cz.guarded("report", "write"):
        pass
    with cz.guarded("report", "write") as decision:
        decision.outcome("ok", input_tokens=5, cost_usd=0.25)
    with pytest.raises(ZeroDivisionError), cz.guarded("report", "write"):
        raise ZeroDivisionError("secret text")
    with pytest.raises(KeyboardInterrupt), cz.guarded("report", "write"):
        raise KeyboardInterrupt
    with pytest.raises(PolicyDeniedError), cz.guarded("shell", "run"):
        raise AssertionError("the block of a denied action runs")
    cz.flush()
    outcomes = gateway.outcomes()
    assert [(outcome.status, outcome.error_class, outcome.carried_out) for outcome in outcomes] == [
        ("ok", None, True),
        ("ok", None, True),
        ("error", "ZeroDivisionError", True),
        ("cancelled", "KeyboardInterrupt", True),
        ("denied", None, False),
    ]
    assert (outcomes[1].input_tokens, outcomes[1].cost_usd) == (5, 0.25)


def test_context_holds_for_a_block_nests_and_gives_way_to_the_call(cz: Client, gateway: InMemoryGateway) -> None:
    with context(user_id="outer", user_group="staff", tags={"a": 1, "b": 1}):
        assert cz.guard("mail", "send").allowed
        with context(user_id="inner", tags={"b": 2}):
            cz.guard("mail", "send")
        cz.guard("mail", "send", context={"user_id": "call"})
    assert not cz.guard("mail", "send").allowed
    cz.flush()
    assert [decision.user_id for decision in gateway.decisions()] == ["outer", "inner", "call", None]
    assert json.loads(bytes(gateway.decisions()[1].tags)) == {"a": 1, "b": 2}


def test_an_agent_named_in_the_call_beats_the_clients_and_the_calls_context_both(cz: Client, gateway: InMemoryGateway) -> None:
    cz.guard("report", "write", agent_id="other")
    cz.guard("report", "write", agent_id="other", context={"agent_id": "exact"})
    with context(agent_id="ambient"):
        cz.guard("report", "write", agent_id="other")
    cz.flush()
    assert [decision.agent_id for decision in gateway.decisions()] == ["other", "exact", "other"]


def test_who_asks_is_said_by_the_client_the_block_the_argument_and_the_context_in_this_order(
    gateway: InMemoryGateway, tmp_path: Path
) -> None:
    names = ("agent_id", "user_id", "user_group", "session_id")

    def said(by: str) -> dict[str, Any]:
        return {name: f"{name}-{by}" for name in names}

    with a_client(gateway, tmp_path, **said("client"), tags={"by": "client", "also": 1}) as cz:
        cz.guard("report", "write")
        with context(**said("block"), tags={"by": "block"}):
            cz.guard("report", "write")
            cz.enforce("report.write", **said("argument"), tags={"by": "argument"})
            with cz.guarded("report", "write", **said("argument")):
                pass
            cz.guard("report", "write", context=said("context"), **said("argument"))
            cz.guard("report", "write", user_id="another")
    found = [{name: getattr(decision, name) for name in names} for decision in gateway.decisions()]
    assert found == [*map(said, ("client", "block", "argument", "argument", "context")), {**said("block"), "user_id": "another"}]
    tags = [json.loads(bytes(decision.tags)) for decision in gateway.decisions()]
    assert tags[:3] == [{"by": "client", "also": 1}, {"by": "block", "also": 1}, {"by": "argument", "also": 1}]


def test_an_argument_cannot_claim_an_identity(cz: Client) -> None:
    assert not cz.guard("mail", "send", args={"user_group": "staff"}).allowed


@pytest.mark.parametrize(("mode", "allowed"), [("enforce", False), ("log-only", True)])
def test_an_evaluator_that_fails_denies_under_enforce_alone(mode: Mode, allowed: bool, tmp_path: Path) -> None:
    gateway = a_gateway(mode)
    with a_client(gateway, tmp_path) as cz:
        decision = cz.guard("database", "query", args=Broken(), context={"agent_id": "bot", "note": Broken()}, user_id="ada")
        assert (decision.allowed, decision.verdict, decision.reason_code) == (allowed, None, "evaluator_error")
    recorded = gateway.decisions()[0]
    assert (recorded.reason_code, recorded.verdict, recorded.tool) == ("evaluator_error", None, "database")
    assert (recorded.action, recorded.agent_id, recorded.user_id) == ("database:query", "bot", "ada"), "who asked for what is known"


def test_what_cannot_be_written_is_counted_and_the_host_goes_on(cz: Client, gateway: InMemoryGateway) -> None:
    decision = cz.guard("report", "write", tags=Broken())
    assert decision.allowed
    assert not decision.is_recorded
    cz.guard("report", "write")
    cz.flush()
    (loss,) = [record for record in gateway.records() if isinstance(record, Loss)]
    assert (loss.reason, loss.count) == ("unencodable", 1)


def fill(cz: Client) -> None:
    while cz.guard("report", "write", args={"fill": "x" * 10_000}).is_recorded:
        pass


@pytest.mark.parametrize(("mode", "allowed"), [("enforce", False), ("log-only", True)])
def test_no_record_no_action_where_the_project_says_so(mode: Mode, allowed: bool, tmp_path: Path) -> None:
    gateway = a_gateway(mode, on_unrecordable="deny")
    cz = a_client(gateway, tmp_path, spool_bytes_max=1024 * 1024)
    gateway.answers.extend([503] * 100)
    fill(cz)
    decision = cz.guard("report", "write")
    assert (decision.allowed, decision.is_recorded) == (allowed, False)
    assert decision.reason_code == ("matched_rule" if allowed else "unrecordable")
    gateway.answers.clear()
    cz.close()
    assert sum(record.count for record in gateway.records() if isinstance(record, Loss)) >= 2


def test_a_full_spool_stops_no_action_otherwise_and_says_what_it_lost(tmp_path: Path) -> None:
    gateway = a_gateway()
    cz = a_client(gateway, tmp_path, spool_bytes_max=1024 * 1024)
    gateway.answers.extend([503] * 100)
    fill(cz)
    assert cz.guard("report", "write").allowed
    gateway.answers.clear()
    assert cz.flush()
    assert cz.guard("report", "write").is_recorded
    producer = cz.producer_id
    assert cz.close()
    losses = [record for record in gateway.records() if isinstance(record, Loss)]
    assert [(loss.reason, loss.count) for loss in losses] == [("spool_full", 2)]
    assert gateway.closed == {producer: len(gateway.records())}


@pytest.mark.parametrize(("on_stale", "allowed"), [("keep", True), ("deny", False)])
def test_a_bundle_past_its_age_does_what_the_project_says(on_stale: str, allowed: bool, tmp_path: Path) -> None:
    clock = SettableClock()
    gateway = a_gateway(expires_at=STARTED_AT + DAY_S * 1_000_000, on_stale=on_stale)
    with a_client(gateway, tmp_path, clock=clock) as cz:
        assert cz.guard("report", "write").allowed
        clock.advance(DAY_S)
        decision = cz.guard("report", "write")
        assert (decision.allowed, decision.verdict) == (allowed, "warn")
        assert decision.reason_code == ("matched_rule" if allowed else "stale_bundle")


def test_no_word_of_the_caller_reaches_the_disk_unmasked(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text(json.dumps({"rules": [{"effect": "allow", "action": "*", "conditions": {"note": "*"}}]}))
    cz = Client(policy_file=tmp_path / "policy.json", spool=tmp_path / "spool", agent_id="zoe1@example.com", environment="prod")
    cz.guard(
        "zoe2@example.com",
        method="zoe3@example.com",
        args={"to": "zoe4@example.com", "zoe5@example.com": [{"deep": "zoe6@example.com"}]},
        context={
            "user_id": "zoe7@example.com",
            "user_group": "zoe8@example.com",
            "session_id": "zoe9@example.com",
            "resource": "inbox/zoe10@example.com",
            "note": "zoe11@example.com",
            "other": "zoe12@example.com",
            "trace_id": "zoe13@example.com",
            "span_id": "zoe14@example.com",
            "tags": {"owner": "zoe15@example.com"},
        },
        text="zoe16@example.com",
    )
    cz.enforce("mail.zoe17@example.com", resource="mcp://mail/zoe18@example.com", context={"note": "x"})
    cz.close()
    spooled = b"".join(path.read_bytes() for path in (tmp_path / "spool").rglob("*.records"))
    assert spooled.count(b"[email:") >= 18
    assert b"zoe" not in spooled


def test_a_masked_record_is_judged_again_to_the_same_end(tmp_path: Path) -> None:
    """The facts kept beside the masks carry what the rules read."""
    gateway = a_gateway(
        policy={
            "rules": [
                {"effect": "deny", "action": "mail:*", "conditions": {"args.to": "*@evil.example"}},
                {"effect": "allow", "action": "*"},
            ]
        }
    )
    with a_client(gateway, tmp_path) as cz:
        given = [cz.guard("mail", "send", args={"to": to}).verdict for to in ("a@evil.example", "b@good.example")]
        compiled = cz.governance.source.governed.compiled
    again = [compiled.judge(request_of(decision, recorded_under=compiled)).verdict for decision in gateway.decisions()]
    assert given == again == ["deny", "allow"]


def test_arguments_that_are_not_json_are_recorded_by_their_type(cz: Client, gateway: InMemoryGateway) -> None:
    cz.guard("report", "write", args={"a": ..., "b": {1, 2}, "c": b"x", 4: float("nan"), "e": [object()], "f": 2**80, "g": "\ud800"})
    args = json.loads(bytes(the_decision(gateway, cz).args))
    assert args == {"a": "ellipsis", "b": "set", "c": "bytes", "4": "float", "e": ["object"], "f": 2**80, "g": "?"}


def test_arguments_without_end_are_cut_and_the_record_says_so(cz: Client, gateway: InMemoryGateway) -> None:
    nested: dict[str, Any] = {}
    nested["self"] = nested
    cz.guard("report", "write", args={"long": "x" * 1_000_000})
    cz.guard("report", "write", args=nested)
    cz.guard("report" * 2_000, "write", tags={str(place): place for place in range(100)})
    cz.flush()
    long, endless, many = gateway.decisions()
    assert json.loads(bytes(long.args)) == {"cut": "1000011 bytes"}
    assert [(redaction.path, redaction.type) for redaction in long.redactions] == [("args", "unreadable")]
    assert long.args_digest is not None
    assert len(bytes(endless.args)) < 1_000
    assert len(many.action) == 4_096
    assert len(json.loads(bytes(many.tags))) == 64


def test_every_record_is_one_the_gateway_takes(cz: Client, gateway: InMemoryGateway) -> None:
    """Decoded and encoded again it is the same bytes, which is the gateway's fast way."""
    cz.guard("report", "write", args={"a": 1.5, "b": [None, True], "e": "jane@example.com"}, context={"resource": "x/y", "tags": {"t": 1}})
    cz.guard("shell", "run")
    cz.flush()
    decoder, encoder = msgspec.json.Decoder(Decision | Outcome | Loss), msgspec.json.Encoder()
    for line in gateway.lines(str(cz.producer_id)).values():
        assert encoder.encode(decoder.decode(line)) == line


def test_asyncio_guards_without_blocking_and_keeps_contexts_apart(gateway: InMemoryGateway, tmp_path: Path) -> None:
    async def act(cz: AsyncClient, name: str) -> None:
        with context(user_id=name):
            async with cz.guarded("report", "write", args={"who": name}):
                await asyncio.sleep(0)
            with pytest.raises(PolicyDeniedError):
                await cz.enforce("shell.run")

    async def main() -> None:
        cz = AsyncClient(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path)
        assert gateway.requests == [], "nothing is contacted before it opens"
        await asyncio.gather(*(act(cz, f"u{number}") for number in range(50)))
        assert (await cz.guard("shell", "run")).allowed is False
        assert await cz.flush()
        assert await cz.close()

    asyncio.run(main())
    reports = [decision for decision in gateway.decisions() if decision.tool == "report"]
    assert {(decision.user_id, json.loads(bytes(decision.args))["who"]) for decision in reports} == {(f"u{n}", f"u{n}") for n in range(50)}
    assert [outcome.status for outcome in gateway.outcomes()].count("ok") == 50
    assert len(gateway.closed) == 1


def test_clients_configured_alike_share_a_producer_and_the_last_one_ends_it(gateway: InMemoryGateway, tmp_path: Path) -> None:
    first, second = a_client(gateway, tmp_path, agent_id="a"), a_client(gateway, tmp_path, agent_id="b")
    first.guard("report", "write")
    second.guard("report", "write")
    assert first.producer_id == second.producer_id
    assert first.close()
    assert gateway.closed == {}
    second.guard("report", "write")
    assert second.close()
    assert list(gateway.closed.values()) == [3]
    assert [decision.agent_id for decision in gateway.decisions()] == ["a", "b", "b"]


def test_a_closed_client_still_records(gateway: InMemoryGateway, tmp_path: Path) -> None:
    cz = a_client(gateway, tmp_path)
    cz.close()
    assert cz.guard("report", "write").is_recorded


def test_a_closed_client_says_that_nobody_follows_the_server_for_it(gateway: InMemoryGateway, tmp_path: Path) -> None:
    cz = a_client(gateway, tmp_path)
    cz.guard("report", "write")
    cz.close()
    cz.guard("report", "write")
    assert cz.flush()
    assert [decision.bundle_state for decision in gateway.decisions()] == [None, "unconfirmed"]


def test_a_closed_client_can_be_opened_anew_and_follows_the_server_again(gateway: InMemoryGateway, tmp_path: Path) -> None:
    gateway.put_session(secrets={"openai": "sk-of-nobodys"})
    cz = a_client(gateway, tmp_path, secrets_enabled=True)
    cz.close()
    gateway.put_policy({"name": "p", "rules": [{"effect": "deny", "action": "*"}]}, mode="enforce")
    with cz:
        assert not cz.guard("report", "write").allowed
        assert cz.get_secret("openai") == "sk-of-nobodys"

    async def main() -> None:
        twin = controlzero.AsyncClient(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path)
        async with twin:
            assert not (await twin.guard("report", "write")).allowed
        gateway.put_policy({"name": "p", "rules": [{"effect": "allow", "action": "*"}]}, mode="enforce")
        async with twin:
            assert (await twin.guard("report", "write")).allowed

    asyncio.run(main())
    cz.flush()
    assert {decision.bundle_state for decision in gateway.decisions()} == {None}


def test_control_zero_opens_in_two_steps(gateway: InMemoryGateway, tmp_path: Path) -> None:
    cz = ControlZero(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path)
    with pytest.raises(RuntimeError, match="call initialize"):
        cz.guard("report", "write")
    assert gateway.requests == []
    with cz:
        assert cz.enforce("report.write").allowed
        with pytest.raises(controlzero.PolicyViolationError):
            cz.enforce("shell.run", resource="x", context={"agent_id": "a", "arguments": "{}"})


def test_a_client_initializes_once_and_again_does_nothing(gateway: InMemoryGateway, tmp_path: Path) -> None:
    with a_client(gateway, tmp_path) as cz:
        governance = cz.governance
        cz.initialize()
        assert cz.governance is governance


def test_init_makes_clients_of_both_kinds_and_control_zero_has_its_twin(gateway: InMemoryGateway, tmp_path: Path) -> None:
    given: dict[str, Any] = {"api_key": "cz_test_key", "base_url": "http://gateway", "transport": gateway, "spool": tmp_path}

    async def main() -> None:
        cz = await controlzero.async_init(**given)
        assert (cz.project_id, cz.mode) == ("default", "enforce")
        assert (await cz.guard("report", "write")).allowed
        assert await cz.close()
        twin = controlzero.AsyncControlZero(**given)
        with pytest.raises(RuntimeError, match="not open"):
            twin.mode  # noqa: B018
        await twin.initialize()
        assert (await twin.enforce("report.write")).allowed
        assert twin.producer_id is not None
        assert await twin.close()

    with controlzero.init(**given) as cz:
        assert cz.guard("report", "write").allowed
    asyncio.run(main())
    assert len(gateway.decisions()) == 3


def test_a_policys_problems_go_to_another_process_whole() -> None:
    with pytest.raises(controlzero.PolicyError) as raised:
        policy.parse({"rules": [{"effect": "alow", "action": "*"}, {"action": 5}]})
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), again.problems) == (str(raised.value), raised.value.problems)


def test_a_client_that_was_never_initialized_closes_and_flushes() -> None:
    cz = ControlZero(api_key="cz_test_key")
    assert cz.flush()
    assert cz.close()


def test_the_public_names_are_sorted_and_there() -> None:
    assert list(controlzero.__all__) == sorted(controlzero.__all__)
    assert all(hasattr(controlzero, name) for name in controlzero.__all__)
    with pytest.raises(AttributeError, match="it has AsyncClient"):
        controlzero.Cleint  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("named", ["action", "resource", "agent_id", "user_id", "session_id", "text"])
def test_half_a_surrogate_pair_keeps_no_call_out_of_the_record(cz: Client, gateway: InMemoryGateway, named: str) -> None:
    """Names of files that are no UTF-8 hold some, and who would rather not be recorded could send one."""
    said = {"action": "database:query", "resource": "r", "agent_id": "a", "user_id": "u", "session_id": "s", "text": "t"}
    sent = {**said, named: f"{said[named]}\ud800"}
    decision = cz.governance.enforce(
        sent["action"], sent["resource"], None, None, sent["agent_id"], None, sent["text"], sent["user_id"], None, sent["session_id"]
    )
    recorded = the_decision(gateway, cz)
    assert (recorded.decision_id, recorded.effect) == (decision.decision_id, decision.effect)
    assert getattr(recorded, named) == f"{said[named]}\N{REPLACEMENT CHARACTER}"
