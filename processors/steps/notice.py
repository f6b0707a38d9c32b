"""Find what the records say of themselves: losses, denials nobody read, clocks that cannot be right."""

from collections.abc import Sequence

from controlzero.records import Decision
from processors import findings
from processors.flow import LossRow, OutcomeRow, Row
from warehouse.kinds import Finding

AHEAD_US_MAX = 5 * 60 * 1_000_000  # a record made later than it was received, by more than clocks usually differ
BEFORE_ANY_AGENT = 1_577_836_800_000_000  # 2020-01-01: a clock that was never set


def notice(rows: Sequence[Row], outcomes: Sequence[OutcomeRow], losses: Sequence[LossRow]) -> list[Finding]:
    """Return the findings; of skewed clocks one for each agent and message, with how many decisions it is about."""
    found = [_loss(row) for row in losses]
    found += [_unread(row) for row in outcomes if row.outcome.denial_unread]
    return found + _skewed_clocks(rows)


def _loss(row: LossRow) -> Finding:
    loss = row.loss
    return findings.of_range(
        row.place,
        type="loss",
        detail=loss.reason,
        severity="critical",
        message=f"{loss.count:,} records could not be kept by the agent's process ({loss.reason.replace('_', ' ')})",
        first_seq=row.seq,
        last_seq=row.seq,
        occurred_at=loss.occurred_at,
        since_at=loss.since_at,
        count=loss.count,
    )


def _unread(row: OutcomeRow) -> Finding:
    place, outcome = row.place, row.outcome
    return Finding(
        finding_id=findings.stable_id(place, row.seq, "denial_unread"),
        project_id=place.project_id,
        received_at=place.received_at,
        occurred_at=outcome.occurred_at,
        type="denial_unread",
        detail="denial_unread",
        severity="warning",
        decision_id=outcome.decision_id,
        producer_id=place.producer_id,
        message="the action was denied, and the code that asked never looked at the answer",
        backfill=place.backfill,
        log_partition=place.log_partition,
        log_offset=place.log_offset,
    )


def _skewed_clocks(rows: Sequence[Row]) -> list[Finding]:
    worst: dict[tuple[int, int, str | None], tuple[Row, int]] = {}
    for row in rows:
        place = row.place
        if not place.backfill and _is_skewed(row.decision, place.received_at):
            about = (place.log_partition, place.log_offset, row.decision.agent_id)
            first, count = worst.get(about, (row, 0))
            worst[about] = (first, count + 1)
    return [_skew(row, count) for row, count in worst.values()]


def _is_skewed(decision: Decision, received_at: int) -> bool:
    return decision.occurred_at > received_at + AHEAD_US_MAX or decision.occurred_at < BEFORE_ANY_AGENT


def _skew(row: Row, count: int) -> Finding:
    ahead_s = (row.decision.occurred_at - row.place.received_at) // 1_000_000
    said = f"{ahead_s:,} s ahead of ours" if ahead_s > 0 else "before 2020"
    return findings.of_decision(
        row,
        type="clock_skew",
        detail="ahead" if ahead_s > 0 else "never_set",
        severity="warning",
        message=f"the agent's clock is {said}: charts show its decisions where it says they were",
        count=count,
    )
