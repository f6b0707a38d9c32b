from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dashboards.completeness import SILENT_AFTER, speaker, state_of

NOW = datetime(2026, 11, 20, 14, 7, tzinfo=UTC)


def sums(**changes: Any) -> dict[str, Any]:
    return {
        "received": 10,
        "landed": 8,
        "duplicate": 1,
        "quarantined": 1,
        "missing": 0,
        "lost": 0,
        "total": 10,
        "last_seq": 10,
        "closed": True,
        "last_at": NOW - timedelta(hours=3),
        **changes,
    }


@pytest.mark.parametrize(
    ("row", "proof"),
    [
        (sums(), "complete"),
        (sums(closed=False), "open"),
        (sums(missing=2), "gap"),
        (sums(lost=1), "gap"),
        (sums(total=12), "gap"),  # it ended at 12, and 10 is the last that came
        (sums(landed=7), "unbalanced"),
    ],
)
def test_a_record_is_complete_only_where_nothing_speaks_against_it(row: dict[str, Any], proof: str) -> None:
    assert state_of(row, at=NOW).proof == proof


def test_a_producer_without_an_orderly_end_is_never_called_complete() -> None:
    assert state_of(sums(closed=False), at=NOW).words == "open-ended, tail unproven"


def test_a_producer_heard_of_a_moment_ago_is_still_running_and_says_when() -> None:
    state = state_of(sums(closed=False, last_at=NOW - timedelta(seconds=12)), at=NOW)
    assert (state.proof, state.words) == ("running", "still running, last seen 12 s ago")
    assert state_of(sums(closed=False, last_at=NOW - SILENT_AFTER - timedelta(seconds=1)), at=NOW).proof == "open"


def test_a_running_producer_with_a_gap_is_not_called_well() -> None:
    assert state_of(sums(closed=False, missing=1, last_at=NOW), at=NOW).proof == "gap"


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ({"agent_id": "support-bot", "agents": 1}, "support-bot"),
        ({"agent_id": "a", "agents": 3}, "a and 2 more"),
        ({"agent_id": None, "agents": 0}, "agent without a name"),
        (None, "agent without a name"),
    ],
)
def test_a_producer_is_named_by_its_agent(answer: dict[str, Any] | None, name: str) -> None:
    assert speaker(answer) == name


def test_a_running_total_ahead_of_what_came_is_no_gap_while_the_producer_runs() -> None:
    assert state_of(sums(closed=False, total=50), at=NOW).proof == "open"
