from typing import Any

import pytest

from dashboards.completeness import state_of


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
    assert state_of(row).proof == proof


def test_a_producer_without_an_orderly_end_is_never_called_complete() -> None:
    assert state_of(sums(closed=False)).words == "open-ended, tail unproven"


def test_a_running_total_ahead_of_what_came_is_no_gap_while_the_producer_runs() -> None:
    assert state_of(sums(closed=False, total=50)).proof == "open"
