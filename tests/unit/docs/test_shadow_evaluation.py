"""docs/explanation/shadow-evaluation.md: what its table says of replays is so, and its findings are those of the code."""

import re
from pathlib import Path
from typing import get_args

import pytest

from controlzero import Client, policy
from controlzero.policy.facts import request_of
from controlzero.records import BundleState, Decision
from controlzero.testing import InMemoryGateway
from warehouse.kinds import FindingType

PAGE = (Path(__file__).parents[3] / "docs" / "explanation" / "shadow-evaluation.md").read_text(encoding="utf-8")
ACTIVE = {"name": "active", "rules": [
    {"effect": "allow", "action": "mail:send", "conditions": {"args.to": "*@example.org"}},
    {"effect": "deny", "action": "pay:card", "conditions": {"args.amount": {"gt": 500}}},
]}  # fmt: skip
OTHER = {"name": "other", "rules": [
    {"effect": "allow", "action": "mail:send", "conditions": {"args.to": "*@example.net"}},
    {"effect": "deny", "action": "pay:card", "conditions": {"args.amount": {"gt": 700}}},
    {"effect": "allow", "action": "store:write", "conditions": {"region": "eu-*"}},
]}  # fmt: skip


def decisions(spool: Path, *, reads: tuple[str, ...]) -> list[Decision]:
    gateway = InMemoryGateway()
    gateway.put_policy(ACTIVE, reads=reads)
    with Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=spool) as cz:
        cz.guard("mail", method="send", args={"to": "ada@example.org"})
        cz.guard("pay", method="card", args={"amount": 742.5})
        cz.guard("store", method="write", context={"region": "eu-west"})
    return gateway.decisions()


def replayed(decision: Decision, by: dict[str, object]) -> tuple[str, str | None]:
    said = policy.compile(by).judge(request_of(decision, recorded_under=policy.compile(ACTIVE)))
    return said.verdict, said.not_replayable_key


def test_the_policy_that_judged_a_decision_replays_it_exactly(tmp_path: Path) -> None:
    for decision in decisions(tmp_path, reads=()):
        assert replayed(decision, ACTIVE) == (decision.verdict, None)


@pytest.mark.parametrize(("reads", "stored"), [((), ("not_replayable", "region")), (("region",), ("allow", None))])
def test_another_policy_answers_where_what_it_reads_was_recorded(
    tmp_path: Path, reads: tuple[str, ...], stored: tuple[str, str | None]
) -> None:
    mailed, paid, written = decisions(tmp_path, reads=reads)
    assert replayed(mailed, OTHER) == ("not_replayable", "args.to")
    assert replayed(paid, OTHER) == ("deny", None)
    assert replayed(written, OTHER) == stored


def test_the_findings_it_names_are_types_or_details_of_findings() -> None:
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", PAGE.split("| what | finding |")[1].split("\n\n")[0]))
    assert named - set(get_args(FindingType)) == {"verdict_differs", "bundle_stale", "governance_off"} | {
        f"bundle_{state}" for state in get_args(BundleState)
    }
