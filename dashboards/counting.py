"""From counted rows to the figures of a page: folded by how decisions stand, laid out over time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from dashboards.window import Window, bucket_length, bucket_starts
from dashboards.words import WORDS, Standing, standing

Counted = Mapping[str, Any]
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Totals:
    """A period's decisions by how they stand, and how many of them something was found in."""

    by_standing: Mapping[Standing, int] = field(default_factory=dict)
    with_findings: int = 0

    @property
    def decisions(self) -> int:
        """All of them."""
        return sum(self.by_standing.values())

    @property
    def denied(self) -> int:
        """Those that were told not to go ahead."""
        return self.by_standing.get("deny", 0)

    @property
    def let_through(self) -> int:
        """Those the policy denies that went ahead all the same."""
        return self.by_standing.get("deny_logged", 0) + self.by_standing.get("deny_unenforced", 0)


def totals_of(rows: Iterable[Counted]) -> Totals:
    """Fold counted rows (`verdict`, `mode`, `effect`, `decisions`, `with_findings`) into a period's totals."""
    by_standing: dict[Standing, int] = {}
    with_findings = 0
    for row in rows:
        name = standing(verdict=row["verdict"], mode=row["mode"], effect=row["effect"])
        by_standing[name] = by_standing.get(name, 0) + row["decisions"]
        with_findings += row["with_findings"]
    return Totals(by_standing=by_standing, with_findings=with_findings)


def series_by_standing(rows: Iterable[Counted], *, buckets: int) -> dict[Standing, list[int]]:
    """Lay counted rows out over time, a list of counts for each standing that occurs, in the order of `WORDS`."""
    series: dict[Standing, list[int]] = {}
    for row in rows:
        if 0 <= row["bucket"] < buckets:
            name = standing(verdict=row["verdict"], mode=row["mode"], effect=row["effect"])
            series.setdefault(name, [0] * buckets)[row["bucket"]] += row["decisions"]
    return {name: series[name] for name in WORDS if name in series}


def series_of(rows: Iterable[Counted], *, name: str | None, value: str, buckets: int) -> dict[str, list[int]]:
    """Lay other counts out over time, by the column `name` (or under the value's own name)."""
    series: dict[str, list[int]] = {}
    for row in rows:
        if 0 <= row["bucket"] < buckets:
            series.setdefault(str(row[name]) if name else value, [0] * buckets)[row["bucket"]] += row[value]
    return series


def summed(series: Mapping[Any, Sequence[int]], *, names: Iterable[str] | None = None, buckets: int) -> list[int]:
    """Return the sum over some of the series, bucket by bucket."""
    chosen = [series[name] for name in (series if names is None else names) if name in series]
    return [sum(values) for values in zip(*chosen, strict=True)] if chosen else [0] * buckets


def bucket_parameters(window: Window) -> dict[str, object]:
    """Return the parameters of a question over time: whole buckets, so that the first bar is not a stump."""
    starts = bucket_starts(window)
    return {
        "from_at": starts[0],
        "until_at": window.until_at,
        "origin_us": (starts[0] - EPOCH) // timedelta(microseconds=1),
        "bucket_us": bucket_length(window) // timedelta(microseconds=1),
    }


def window_parameters(window: Window) -> dict[str, object]:
    """Return the parameters of a question about one window."""
    return {"from_at": window.from_at, "until_at": window.until_at}
