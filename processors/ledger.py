"""What has landed, as the ledger itself answers: the edge behind `processors.landed.Landed`."""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from processors.landed import Coverage, Landed, Producer, Seen
from processors.ranges import Range, Ranges, union
from warehouse.snapshot import Session, Warehouse

ASKED_MAX = 500_000  # hashes held as objects, some 60 MB, until the ledger is read again
OUTCOME = "outcome "  # before an outcome's id: see `steps.sequence.identity`


class LedgerLanded(Landed):
    """Asks the ledger in its newest version. The warehouse is opened at the first question: most ticks ask nothing.

    Looking a producer up reads all tallies. Most that are not in memory are new (each plain POST is a producer), so those
    that have ever landed are known by hash, and what is certainly new is not looked up.
    """

    def __init__(self, open_warehouse: Callable[[], Warehouse]) -> None:
        self._open = open_warehouse
        self._session: Session | None = None
        self._known: array[int] | None = None  # hashes of all producers in the ledger when it was last read, ascending
        self._asked: set[int] = set()  # of those asked for since: they may have landed

    def forget(self) -> None:
        """Forget who is known: another process may have landed what this one has not read."""
        self._known = None

    def coverage(self, producers: Sequence[Producer]) -> Mapping[Producer, Coverage]:
        """Return what is accounted for of each producer that has ever landed anything."""
        known = self._perhaps_known(producers)
        rows = self._ask("sequence_coverage", **_producers(known)) if known else []
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

    def _perhaps_known(self, producers: Sequence[Producer]) -> list[Producer]:
        if self._known is None or len(self._asked) > ASKED_MAX:
            hashes = self._table("sequence_producers")["hash"].combine_chunks()
            self._known, self._asked = array("Q"), set()
            values = hashes.buffers()[1]
            if values is not None:  # none of no rows
                self._known.frombytes(memoryview(values).cast("B")[hashes.offset * 8 : (hashes.offset + len(hashes)) * 8])
        found = []
        for row in self._ask("sequence_hashes", **_producers(producers)):
            if row["hash"] in self._asked or _holds(self._known, row["hash"]):
                found.append(_producer(row))
            self._asked.add(row["hash"])
        return found

    def _ask(self, question: str, **parameters: object) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._table(question, **parameters).to_pylist()
        return rows

    def _table(self, question: str, **parameters: object) -> pa.Table:
        if self._session is None:
            self._session = self._open().session(None)
        self._session.refresh()
        return self._session.query(question, **parameters)


def _holds(ascending: "array[int]", value: int) -> bool:
    place = bisect_left(ascending, value)
    return place < len(ascending) and ascending[place] == value


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
