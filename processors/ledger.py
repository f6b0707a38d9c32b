"""What has landed, as the ledger itself answers: the edge behind `processors.landed.Landed`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from processors.landed import Coverage, Landed, Producer, Seen
from processors.ranges import Range, Ranges, union
from warehouse.snapshot import Session, Warehouse

OUTCOME = "outcome "  # before an outcome's id: see `steps.sequence.identity`


class LedgerLanded(Landed):
    """Asks the ledger in its newest version. The warehouse is opened at the first question: most ticks ask nothing."""

    def __init__(self, open_warehouse: Callable[[], Warehouse]) -> None:
        self._open = open_warehouse
        self._session: Session | None = None

    def coverage(self, producers: Sequence[Producer]) -> Mapping[Producer, Coverage]:
        """Return what is accounted for of each producer that has ever landed anything."""
        rows = self._ask("sequence_coverage", **_producers(producers))
        return {
            _producer(row): Coverage(
                ranges=tuple((first, after) for first, after in row["ranges"]), expected=row["expected"], last_at=row["last_at"]
            )
            for row in rows
        }

    def covered(self, asked: Sequence[tuple[Producer, Range]]) -> Mapping[Producer, Ranges]:
        """Return the numbers accounted for within each asked range."""
        parts: dict[Producer, list[Range]] = {}
        for row in self._ask("sequence_covered", **_ranges(asked)):
            parts.setdefault(_producer(row), []).append((row["first_seq"], row["next_seq"]))
        return {producer: union(ranges) for producer, ranges in parts.items()}

    def seen(self, asked: Sequence[tuple[Producer, Seen]]) -> frozenset[tuple[Producer, Seen]]:
        """Return those of the asked messages that have a tally."""
        rows = self._ask(
            "sequence_seen",
            **_producers([producer for producer, _ in asked]),
            firsts=[seen.first_seq for _, seen in asked],
            counts=[seen.lines for _, seen in asked],
            digests=[seen.ids_digest for _, seen in asked],
        )
        return frozenset((_producer(row), Seen(row["first_seq"], row["count"], row["ids_digest"])) for row in rows)

    def identities(self, asked: Sequence[tuple[Producer, Range]]) -> Mapping[Producer, Mapping[int, str]]:
        """Return what landed under each number of the asked ranges."""
        found: dict[Producer, dict[int, str]] = {}
        for row in self._ask("sequence_identities", **_ranges(asked)):
            name = row["decision_id"] if row["kind"] == "decision" else OUTCOME + row["decision_id"]
            found.setdefault(_producer(row), {})[row["seq"]] = name
        return found

    def _ask(self, question: str, **parameters: object) -> list[dict[str, Any]]:
        if self._session is None:
            self._session = self._open().session(None)
        self._session.refresh()
        rows: list[dict[str, Any]] = self._session.query(question, **parameters).to_pylist()
        return rows


def _producer(row: Mapping[str, Any]) -> Producer:
    return Producer(row["project_id"], row["producer_id"])


def _producers(producers: Sequence[Producer]) -> dict[str, list[str]]:
    return {"projects": [one.project_id for one in producers], "producers": [one.producer_id for one in producers]}


def _ranges(asked: Sequence[tuple[Producer, Range]]) -> dict[str, Any]:
    return {
        **_producers([producer for producer, _ in asked]),
        "firsts": [first for _, (first, _) in asked],
        "nexts": [after for _, (_, after) in asked],
    }
