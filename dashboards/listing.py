"""A page of decisions, newest first: how far back to read is asked of the rollups, so that ten million are not sorted for forty."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from dashboards.answers import Answers, Row
from dashboards.urls import Filters
from dashboards.window import MINUTE, Window

WIDER: Final = 16  # where a filter no rollup knows leaves too few: how much further back to look at each turn
LISTS: Final = ("standing", "mode", "agent", "action", "resource", "rule", "finding")


def newest_decisions(
    answers: Answers,
    filters: Filters,
    window: Window,
    *,
    limit: int,
    bundles: Sequence[str] = (),
    older_than_at: datetime | None = None,
    older_than_id: bytes | None = None,
) -> list[Row]:
    """Return up to `limit` decisions of the window that match, older than the given place where one is given.

    `bundles` are those of the policy the filters name.
    """
    until_at = min(window.until_at, _after(older_than_at)) if older_than_at else window.until_at
    enough = limit + 1
    while True:
        since_at = _since(answers, filters, window.from_at, until_at, enough, bundles)
        if since_at is None:
            return []
        rows = answers.rows(
            "decisions_page",
            **decision_parameters(filters, bundles),
            from_at=max(since_at, window.from_at),
            until_at=until_at,
            older_than_at=older_than_at,
            older_than_id=older_than_id,
            limit=limit,
        )
        earlier = _since(answers, filters, window.from_at, until_at, enough * WIDER, bundles)
        if len(rows) >= limit or earlier == since_at or not (filters.beyond_rollup or older_than_at):
            return rows
        enough *= WIDER


def rollup_parameters(filters: Filters, bundles: Sequence[str]) -> dict[str, object]:
    """Return the parameters of a question the rollups can answer; `bundles` are those of the policy the filters name."""
    lists: dict[str, object] = {name: list(getattr(filters, name)) for name in LISTS}
    return lists | {"bundles": list(bundles), "candidate": filters.candidate, "change": filters.change}


def decision_parameters(filters: Filters, bundles: Sequence[str]) -> dict[str, object]:
    """Return the parameters of a question that reads decisions."""
    return rollup_parameters(filters, bundles) | {"session": list(filters.session), "q": filters.q}


def _since(
    answers: Answers, filters: Filters, from_at: datetime, until_at: datetime, enough: int, bundles: Sequence[str]
) -> datetime | None:
    since_at: datetime | None = answers.row(
        "newest_since", **rollup_parameters(filters, bundles), from_at=from_at, until_at=until_at, enough=enough
    )["since_at"]
    return since_at


def _after(at: datetime) -> datetime:
    """Return the end of the minute a time is in: rollups know no less."""
    return at.replace(second=0, microsecond=0) + MINUTE
