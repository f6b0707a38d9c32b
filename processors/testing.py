"""Public doubles for the pipeline: messages as a gateway appends them, and a ledger that is a few lists."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from controlzero.batch import Batch, compress_lines, encode_batch
from controlzero.records import Record, encode_record
from processors.flow import Opened, Place, Sequenced, Unreadable
from processors.landed import Coverage, Producer, Seen
from processors.ranges import Range, Ranges, union, within
from processors.steps.sequence import identity
from topics.log import Message
from warehouse.kinds import Tally
from warehouse.lander import Landing

RECEIVED_AT = 1_764_500_000_000_000


def a_place(
    *,
    project_id: str = "shop",
    producer_id: str = "one",
    first_seq: int = 0,
    count: int = 0,
    total: int | None = None,
    offset: int = 0,
    received_at: int = RECEIVED_AT,
    closed: bool = False,
    backfill: bool = False,
) -> Place:
    """Return the place of a message; `total` is what the producer has so far unless given."""
    return Place(
        project_id=project_id,
        producer_id=producer_id,
        first_seq=first_seq,
        count=count,
        total=first_seq + count if total is None else total,
        received_at=received_at,
        log_id="log",
        log_partition=0,
        log_offset=offset,
        closed=closed,
        backfill=backfill,
    )


def an_opened(lines: Sequence[Record | Unreadable], place: Place) -> Opened:
    """Return a message decoded."""
    return Opened(place=place, lines=lines)


def a_message(records: Iterable[Record | bytes], place: Place) -> Message:
    """Return a message of the log holding records, or lines given as bytes."""
    lines = [line if isinstance(line, bytes) else encode_record(line) for line in records]
    batch = Batch(
        project_id=place.project_id,
        producer_id=place.producer_id,
        first_seq=place.first_seq,
        count=len(lines),
        total=max(place.total, place.first_seq + len(lines)),
        received_at=place.received_at,
        value=compress_lines(b"".join(line + b"\n" for line in lines)),
        closed=place.closed,
        backfill=place.backfill,
    )
    key, value, headers = encode_batch(batch)
    return Message(partition=place.log_partition, offset=place.log_offset, key=key, value=value, headers=headers)


class LandedInMemory:
    """A `processors.landed.Landed` over what has been `keep`t."""

    def __init__(self) -> None:
        self.tallies: list[Tally] = []
        self._identities: dict[Producer, dict[int, str]] = {}

    def keep(self, sequenced: Sequenced) -> None:
        """Land what a step returned."""
        self.tallies += sequenced.tallies
        for row in sequenced.rows:
            self._note(row.place, row.seq, row.decision)
        for outcome in sequenced.outcomes:
            self._note(outcome.place, outcome.seq, outcome.outcome)

    def keep_landing(self, landing: Landing) -> None:
        """Land what the pipeline returned."""
        for row in landing.tables["tally"].to_pylist() if "tally" in landing.tables else ():
            times = {
                name: None if row[name] is None else _micros(row[name]) for name in ("received_at", "occurred_min_at", "occurred_max_at")
            }
            self.tallies.append(Tally(**{**row, **times, "ids_digest": row["ids_digest"].hex()}))
        for kind, prefix in (("decision", ""), ("outcome", "outcome ")):
            for row in landing.tables[kind].to_pylist() if kind in landing.tables else ():  # type: ignore[index]
                name = prefix + str(UUID(bytes=row["decision_id"]))
                self._identities.setdefault(Producer(row["project_id"], row["producer_id"]), {})[row["seq"]] = name

    def _note(self, place: Place, seq: int, record: Record) -> None:
        name = identity(record)
        if name is not None:
            self._identities.setdefault(Producer(place.project_id, place.producer_id), {})[seq] = name

    def coverage(self, producers: Sequence[Producer]) -> Mapping[Producer, Coverage]:
        """Return what the tallies account for."""
        found = {}
        for producer in producers:
            if mine := self._of(producer):
                reached = max((tally.first_seq + tally.count for tally in mine if tally.count), default=0)
                newest = next((tally for tally in mine if tally.count and tally.first_seq + tally.count == reached), None)
                found[producer] = Coverage(
                    ranges=union((tally.first_seq, tally.first_seq + tally.count) for tally in mine),
                    expected=max(reached, *(tally.total for tally in mine if tally.closed), 0),
                    last_at=None if newest is None else newest.occurred_max_at or newest.received_at,
                )
        return found

    def covered(self, asked: Sequence[tuple[Producer, Range]]) -> Mapping[Producer, Ranges]:
        """Return the accounted parts of the ranges."""
        return {
            producer: within(union((tally.first_seq, tally.first_seq + tally.count) for tally in self._of(producer)), part)
            for producer, part in asked
        }

    def seen(self, asked: Sequence[tuple[Producer, Seen]]) -> frozenset[tuple[Producer, Seen]]:
        """Return the messages that have a tally."""
        tallied = {
            (Producer(tally.project_id, tally.producer_id), Seen(tally.first_seq, tally.count, tally.ids_digest)) for tally in self.tallies
        }
        return frozenset(asked) & tallied

    def identities(self, asked: Sequence[tuple[Producer, Range]]) -> Mapping[Producer, Mapping[int, str]]:
        """Return what landed under the numbers."""
        found: dict[Producer, dict[int, str]] = {}
        for producer, (first, following) in asked:
            landed = self._identities.get(producer, {})
            found.setdefault(producer, {}).update({seq: landed[seq] for seq in range(first, following) if seq in landed})
        return found

    def _of(self, producer: Producer) -> list[Tally]:
        return [tally for tally in self.tallies if (tally.project_id, tally.producer_id) == producer]


def _micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
