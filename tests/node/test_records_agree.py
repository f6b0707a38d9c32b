"""What Node records is judged again here as it was judged there, and is the record that Python would have written."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controlzero.guarding import Call, Governed, decision_line, rule_on
from controlzero.masking import Masking
from controlzero.policy import compile as compile_policies
from controlzero.policy import parse, request_for_enforce
from controlzero.policy.facts import request_of
from controlzero.records import AGENT_RECORDS
from tests import node_sdk
from tests.property import naive_policy as naive

KEY = b"a key for tests, never for data!"
POLICIES, CALLS_EACH = 150, 20
PERSONAL = ("ann@example.com", "write to bob@evil.test now", 4111111111111111, "10.1.2.3", "a", "x" * 1_100)
PATTERNS = ("*@evil.test", "ann*", "*now", "4111*", "10.*", "a", "*x", "x*")
KEYS = ("args.k", "args.o.k", "tier", "tags.env", "user_id", "t.u", "agent_id")
SAME = (
    "decision_id", "occurred_at", "action", "action_raw", "mode", "effect", "verdict", "reason", "reason_code", "policy_id", "rule_id",
    "resource", "resource_claimed", "agent_id", "user_id", "user_group", "session_id", "evaluated_rules", "bundle_digest", "args_digest",
)  # fmt: skip
_decode = msgspec.json.Decoder(AGENT_RECORDS).decode


def a_policy(rng: Any) -> list[dict[str, Any]]:
    """Return rules of which many read what will be masked."""
    rules = naive.a_policy(rng)
    for _ in range(3):
        rule: dict[str, Any] = {"effect": rng.choice(("deny", "allow")), "action": "*"}
        if rng.random() < 0.5:
            rule["conditions"] = {rng.choice(KEYS): rng.choice((rng.choice(PATTERNS), {"gt": 5}, {"exists": True}, {"not_in": ["a"]}))}
        else:
            rule["resource"] = f"{rng.choice('kpo')}/{rng.choice(PATTERNS)}"
        rules.insert(rng.randint(0, len(rules)), rule)
    return rules


def a_call(rng: Any) -> dict[str, Any]:
    """Return a call with personal data in places, as values and as keys."""
    call = naive.a_call(rng)
    for _ in range(rng.randint(0, 3)):
        where = rng.choice(("args", "context", "tags"))
        key = rng.choice(("k", "p", "o", "env", "tier", "t", "user_id", "agent_id", "eve@example.com"))
        value = rng.choice(PERSONAL)
        call[where][key] = rng.choice((value, [value, "a"], {"k": value}, [{"k": value}, {"eve@example.com": "a"}]))
    if rng.random() < 0.1:
        call["resource"] = f"model/{rng.choice(PERSONAL)}"
    return call


@pytest.mark.parametrize("part", range(2))
def test_a_record_of_node_is_judged_here_as_it_was_there(sdk: Path, part: int) -> None:
    rng = naive.seeded(f"records/{part}")
    questions = [{"policy": {"rules": a_policy(rng)}, "calls": [a_call(rng) for _ in range(CALLS_EACH)]} for _ in range(POLICIES)]
    answers = node_sdk.ask("record.js", questions)
    masked = noted = unknown = 0
    for question, lines in zip(questions, answers, strict=True):
        compiled = compile_policies(parse(question["policy"]))
        governed = Governed(compiled=compiled, masking=Masking(KEY), project_id="default", mode="enforce", bundle_digest="b")
        for call, line in zip(question["calls"], lines, strict=True):
            decision = _decode(line)
            again = compiled.judge(request_of(decision, recorded_under=compiled))
            is_unknown = again.verdict == "not_replayable" and "eve@example.com" in call["args"]  # what it offered is not noted
            assert is_unknown or (again.verdict, again.rule_id, again.reason_code) == (
                decision.verdict,
                decision.rule_id,
                decision.reason_code,
            ), (question, call)
            unknown += is_unknown
            ours = _decode(recorded_here(governed, call))
            assert {name: getattr(decision, name) for name in SAME} == {name: getattr(ours, name) for name in SAME}, call
            assert as_doubles(decision.facts) == as_doubles(ours.facts), (question["policy"], call)
            assert sorted(decision.redactions, key=repr) == sorted(ours.redactions, key=repr), call
            masked += bool(decision.redactions)
            noted += decision.facts != b"null"
    assert min(masked, noted) > POLICIES * CALLS_EACH // 10
    assert unknown < masked // 10


def as_doubles(encoded: bytes) -> Any:
    """Read JSON as another language does, which has one kind of number."""
    return json.loads(bytes(encoded), parse_int=float)


def recorded_here(governed: Governed, call: dict[str, Any]) -> bytes:
    request = request_for_enforce(**call)
    ruling = rule_on(governed, request, at=1_790_000_000_000_000)
    decision_id = "01990000-0000-7000-8000-000000000001"
    return decision_line(
        governed, Call(call["action"]), request, ruling, decision_id=decision_id, at=1_790_000_000_000_000, evaluation_time_ns=1
    )
