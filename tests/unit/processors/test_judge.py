"""The workers' word, and where it and the SDK's cannot both be right."""

from typing import get_args

import msgspec
import pytest
from msgspec.structs import replace

from controlzero.policy import CompiledPolicy, parse
from controlzero.records import BundleState, Decision, Mode
from processors.flow import Row
from processors.governance import Governance, Governed, InForce
from processors.steps.judge import ORDER_GRACE_US, STALE_US_MIN, Judgements, judge
from processors.testing import RECEIVED_AT, a_place
from topics.control import OrderRecord
from warehouse.columns import columns_of

DENY_SHELL = CompiledPolicy([parse({"name": "p", "rules": [{"effect": "deny", "action": "shell:*"}, {"effect": "allow", "action": "*"}]})])
ALLOW_ALL = CompiledPolicy([parse({"name": "q", "rules": [{"effect": "allow", "action": "*"}]})])
ISSUED_AT = RECEIVED_AT - 10 * STALE_US_MIN
ACTIVE = InForce("a" * 64, ISSUED_AT, DENY_SHELL)
CANDIDATE = InForce("c" * 64, ISSUED_AT, ALLOW_ALL)
SHELL = Decision(
    decision_id="00000000-0000-7000-8000-000000000001", occurred_at=RECEIVED_AT, action="shell:run", mode="log-only", effect="allow",
    verdict="deny", reason_code="matched_rule", bundle_digest=ACTIVE.digest,
)  # fmt: skip
ASK = replace(SHELL, action="llm:generate", verdict="allow")


def judged(
    *decisions: Decision,
    mode: Mode = "log-only",
    active: InForce | None = ACTIVE,
    backfill: bool = False,
    orders: tuple[OrderRecord, ...] = (),
) -> Judgements:
    place = a_place(count=len(decisions), backfill=backfill)
    governed = Governed(mode=mode, active=active, candidates=(CANDIDATE,), orders=orders)
    rows = [Row(decision, seq, place) for seq, decision in enumerate(decisions)]
    return judge(rows, columns_of(Decision, decisions), Governance(projects={"shop": governed}))


def found(judgements: Judgements) -> list[tuple[str, str, int]]:
    return [(finding.type, finding.detail, finding.count) for finding in judgements.findings]


def test_the_active_bundle_and_its_candidates_judge_each_decision() -> None:
    shell, ask = judged(SHELL, ASK).judged
    assert (shell.judged_verdict, shell.judged_rule, shell.judged_rule_id, shell.judged_mode) == ("deny", 1, "p#1", "log-only")
    assert (ask.judged_verdict, ask.judged_rule, ask.judged_bundle_digest) == ("allow", 2, ACTIVE.digest)
    assert msgspec.json.decode(shell.candidates) == {CANDIDATE.digest: {"verdict": "allow", "rule_id": "q#1", "rule": 1}}


def test_without_a_policy_the_workers_say_nothing() -> None:
    (word,) = judged(SHELL, active=None).judged
    assert (word.judged_verdict, word.judged_mode) == (None, "log-only")
    (ungoverned,) = judge([Row(SHELL, 0, a_place(project_id="unknown"))], columns_of(Decision, [SHELL]), Governance()).judged
    assert (ungoverned.judged_verdict, ungoverned.judged_mode) == (None, None)


def test_what_log_only_lets_through_is_no_gap() -> None:
    assert found(judged(SHELL)) == []


def test_what_a_rule_that_only_logs_let_through_is_no_gap_while_the_project_enforces() -> None:
    rules = [{"effect": "deny", "action": "shell:*", "mode": "log-only"}, {"effect": "deny", "action": "*"}]
    active = InForce(ACTIVE.digest, ISSUED_AT, CompiledPolicy([parse({"name": "p", "rules": rules})]))
    judgements = judged(SHELL, replace(ASK, verdict="deny"), mode="enforce", active=active)
    assert found(judgements) == [("enforcement_gap", "log-only", 1)]  # the second one's rule has no mode of its own
    assert [(word.judged_verdict, word.judged_mode) for word in judgements.judged] == [("deny", "log-only"), ("deny", "enforce")]


def test_what_enforce_let_through_is_a_gap() -> None:
    judgements = judged(SHELL, ASK, mode="enforce")
    assert found(judgements) == [("enforcement_gap", "log-only", 1)]
    assert [word.drift_kinds for word in judgements.judged] == [("enforcement_gap",), ()]


def test_what_was_denied_under_enforce_is_no_gap() -> None:
    assert found(judged(replace(SHELL, effect="deny", mode="enforce"), mode="enforce")) == []


STOPPED = OrderRecord(order_id="o1", reason="it spends", issued_at=RECEIVED_AT - ORDER_GRACE_US - 1, issued_by="ada", agent_id="bot")
OF_BOT = replace(ASK, agent_id="bot")


@pytest.mark.parametrize("active", [ACTIVE, None])
def test_what_went_ahead_despite_an_order_for_its_agent_is_a_gap_in_log_only_too(active: InForce | None) -> None:
    judgements = judged(OF_BOT, replace(OF_BOT, agent_id="other"), active=active, orders=(STOPPED,))
    assert found(judgements) == [("enforcement_gap", "order", 1)]
    assert [word.drift_kinds for word in judgements.judged] == [("enforcement_gap",), ()]
    assert "o1 denies it (it spends)" in judgements.findings[0].message
    assert found(judged(ASK, OF_BOT, active=active, orders=(replace(STOPPED, agent_id=None),))) == [("enforcement_gap", "order", 1)] * 2


def test_an_order_on_its_way_makes_no_gap_yet_and_neither_does_one_that_was_obeyed() -> None:
    assert found(judged(replace(OF_BOT, occurred_at=RECEIVED_AT - 1), orders=(STOPPED,))) == []
    assert found(judged(replace(OF_BOT, effect="deny", reason_code="order"), orders=(STOPPED,))) == []


def test_where_governance_is_off_an_order_is_not_to_be_obeyed() -> None:
    assert found(judged(OF_BOT, mode="off", orders=(STOPPED,))) == []


def test_what_policy_and_order_deny_is_one_gap_and_the_order_is_named() -> None:
    both = judged(replace(SHELL, agent_id="bot"), mode="enforce", orders=(STOPPED,))
    assert found(both) == [("enforcement_gap", "order", 1)]


def test_orders_change_no_verdict_and_no_candidates_word() -> None:
    assert judged(OF_BOT, orders=(STOPPED,)).judged == [replace(judged(OF_BOT).judged[0], drift_kinds=("enforcement_gap",))]


def test_what_happened_before_the_bundle_was_issued_was_not_under_it() -> None:
    assert found(judged(replace(SHELL, occurred_at=ISSUED_AT - 1), mode="enforce")) == []


def test_another_verdict_under_the_same_bundle_is_drift() -> None:
    assert found(judged(replace(SHELL, verdict="allow"))) == [("drift", "verdict_differs", 1)]


@pytest.mark.parametrize("reason_code", ["order", "stale_bundle", "evaluator_error", "unrecordable"])
def test_a_denial_that_no_rule_made_does_not_differ(reason_code: str) -> None:
    assert found(judged(replace(ASK, verdict="deny", effect="deny", reason_code=reason_code))) == []


def test_a_stale_bundle_is_found_once_for_an_agent_and_message_and_only_after_a_grace() -> None:
    stale = replace(ASK, bundle_digest="0" * 64)
    assert found(judged(stale, stale, replace(stale, agent_id="other"))) == [("drift", "bundle_stale", 2), ("drift", "bundle_stale", 1)]
    assert found(judged(replace(stale, occurred_at=ISSUED_AT + STALE_US_MIN))) == []


@pytest.mark.parametrize("state", get_args(BundleState))
def test_how_things_stand_with_the_agents_bundle_is_found_once_for_an_agent_and_message(state: BundleState) -> None:
    marked = replace(ASK, bundle_state=state)
    judgements = judged(marked, marked, ASK)
    assert found(judgements) == [("drift", f"bundle_{state}", 2)]
    assert judgements.findings[0].severity == {"unconfirmed": "info", "expired": "warning"}.get(state, "critical")


def test_governance_off_is_found_and_judged_all_the_same() -> None:
    off = replace(SHELL, mode="off", verdict=None, reason_code="governance_off", bundle_digest=None)
    judgements = judged(off)
    assert found(judgements) == [("drift", "governance_off", 1)]
    assert judgements.judged[0].judged_verdict == "deny"


def test_backfill_is_judged_and_never_drifts() -> None:
    judgements = judged(replace(SHELL, verdict="allow", mode="off"), mode="enforce", backfill=True)
    assert (found(judgements), judgements.judged[0].drift_kinds) == ([], ())
    assert judgements.judged[0].judged_verdict == "deny"


def test_the_same_decision_judged_again_makes_the_same_findings() -> None:
    gap = replace(SHELL, verdict="allow")
    assert judged(gap, mode="enforce").findings == judged(gap, mode="enforce").findings
    assert len({finding.finding_id for finding in judged(gap, gap, mode="enforce").findings}) == 4
