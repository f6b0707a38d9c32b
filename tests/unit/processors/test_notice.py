"""What records say of themselves."""

from msgspec.structs import replace

from controlzero.records import Decision, Loss, Outcome
from processors.flow import LossRow, OutcomeRow, Row
from processors.steps.notice import AHEAD_US_MAX, notice
from processors.testing import RECEIVED_AT, a_place

DECISION = Decision(
    decision_id="00000000-0000-7000-8000-000000000001", occurred_at=RECEIVED_AT, action="a", mode="log-only", effect="allow"
)


def test_a_loss_is_found_with_its_count_reason_and_time() -> None:
    loss = Loss(occurred_at=RECEIVED_AT, since_at=RECEIVED_AT - 5, count=12, reason="disk_full")
    (finding,) = notice([], [], [LossRow(loss, 4, a_place())])
    assert (finding.type, finding.detail, finding.count, finding.since_at) == ("loss", "disk_full", 12, RECEIVED_AT - 5)


def test_a_denial_nobody_read_is_found() -> None:
    outcome = Outcome(decision_id=DECISION.decision_id, occurred_at=RECEIVED_AT, carried_out=False, status="denied", denial_unread=True)
    findings = notice([], [OutcomeRow(outcome, 1, a_place()), OutcomeRow(replace(outcome, denial_unread=False), 2, a_place())], [])
    assert [(finding.type, finding.decision_id) for finding in findings] == [("denial_unread", DECISION.decision_id)]


def test_a_clock_ahead_of_ours_or_never_set_is_found_once_for_each_agent_and_message() -> None:
    ahead = replace(DECISION, occurred_at=RECEIVED_AT + AHEAD_US_MAX + 1)
    rows = [Row(ahead, 0, a_place()), Row(ahead, 1, a_place()), Row(replace(ahead, agent_id="b", occurred_at=7), 2, a_place())]
    assert [(finding.detail, finding.count) for finding in notice(rows, [], [])] == [("ahead", 2), ("never_set", 1)]


def test_a_late_record_is_no_skew_and_neither_is_backfill() -> None:
    late = replace(DECISION, occurred_at=RECEIVED_AT - 3 * 24 * 3_600_000_000)
    ahead = replace(DECISION, occurred_at=RECEIVED_AT + 2 * AHEAD_US_MAX)
    assert notice([Row(late, 0, a_place()), Row(ahead, 1, a_place(backfill=True))], [], []) == []
