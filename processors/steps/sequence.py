"""Count what came: duplicates, conflicts and gaps by producer and number, and one tally for each message.

A producer numbers its records 0, 1, 2 …; what a message adds to the numbers accounted for lands, the rest is a
duplicate (the same record again), or a conflict (another record under a number already used).
"""

import hashlib
from bisect import bisect_right, insort_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from controlzero.records import Decision, Loss, Outcome, Record, Rejected, encode_record
from processors import findings
from processors.flow import LossRow, Opened, OutcomeRow, Place, Row, Sequenced, Unreadable
from processors.landed import Coverage, Landed, Producer, Seen
from processors.ranges import Range, add, missing, union, within
from processors.steps.quarantine import quarantined
from warehouse.kinds import Tally

Line = Record | Unreadable


class Memory(Struct, frozen=True, kw_only=True):
    """How much is kept in memory; what is not is asked of the ledger when it is needed again."""

    producers_max: int = 20_000  # some 300 bytes each, 8 KB at worst
    ranges_max: int = 64  # of one producer: more than one means gaps, and numbers below the newest ranges are asked for
    recent_max: int = 8  # messages of one producer: one is in flight, so what is sent twice is the last or the one before it


MEMORY = Memory()


class SequenceState(Struct, frozen=True):
    """The producers in memory, the longest unused first. It holds nothing that the ledger's tallies do not say."""

    producers: Mapping[Producer, Coverage] = {}


def sequence(opened: Sequence[Opened], state: SequenceState, landed: Landed, *, memory: Memory = MEMORY) -> tuple[Sequenced, SequenceState]:
    """Return what lands of the messages, what is kept back, and one tally for each message.

    `landed` answers for what is not in `state`; it is asked at most four questions, each for all messages at once.
    """
    known = _recalled(opened, state, landed)
    earlier = _Earlier(opened, known, landed)
    sequenced = Sequenced(rows=[], outcomes=[], losses=[], quarantined=[], findings=[], tallies=[])
    for message in opened:
        if not message.place.producer_id:  # nobody's: it has no numbers
            _hold_back(message, sequenced)
            continue
        producer = producer_of(message.place)
        known[producer] = _account(message, known[producer], earlier, sequenced)
    return sequenced, _remembered(state, known, memory)


def producer_of(place: Place) -> Producer:
    """Return whose message it is."""
    return Producer(place.project_id, place.producer_id)


def identity(line: Line) -> str | None:
    """Return what makes a record the same when it comes again; None for one that has no id of its own."""
    if isinstance(line, Decision):
        return line.decision_id
    return f"outcome {line.decision_id}" if isinstance(line, Outcome) else None


def ids_digest(identities: Iterable[str | None]) -> str:
    """Return the digest a tally keeps of the ids of a message's lines, in order: SHA-256, cut to 128 bits, as hex."""
    return hashlib.sha256("\n".join(name or "" for name in identities).encode()).hexdigest()[:32]


def _recalled(opened: Sequence[Opened], state: SequenceState, landed: Landed) -> dict[Producer, Coverage]:
    """Return the coverage of every producer of the messages, down to the lowest number they need."""
    lowest: dict[Producer, int] = {}
    for message in opened:
        if message.place.producer_id:
            producer = producer_of(message.place)
            lowest[producer] = min(message.place.first_seq, lowest.get(producer, message.place.first_seq))
    unknown = [producer for producer in lowest if producer not in state.producers]
    loaded = landed.coverage(unknown) if unknown else {}
    known = {producer: state.producers.get(producer) or loaded.get(producer) or Coverage() for producer in lowest}
    deep = [(producer, (low, known[producer].floor)) for producer, low in lowest.items() if low < known[producer].floor]
    if deep:
        below = landed.covered(deep)
        for producer, (low, _) in deep:
            ranges = union((*below.get(producer, ()), *known[producer].ranges))
            known[producer] = replace(known[producer], ranges=ranges, floor=low)
    return known


def _remembered(state: SequenceState, known: Mapping[Producer, Coverage], memory: Memory) -> SequenceState:
    """Return the state with the producers just seen as its newest, within its limits."""
    kept = dict(state.producers)
    for producer, coverage in known.items():
        kept.pop(producer, None)
        kept[producer] = _trimmed(coverage, memory)
    for oldest in list(islice(kept, max(0, len(kept) - memory.producers_max))):
        del kept[oldest]
    return SequenceState(producers=kept)


def _trimmed(coverage: Coverage, memory: Memory) -> Coverage:
    recent = coverage.recent[-memory.recent_max :]
    if len(coverage.ranges) <= memory.ranges_max:
        return replace(coverage, recent=recent) if len(recent) < len(coverage.recent) else coverage
    ranges = coverage.ranges[-memory.ranges_max :]
    return replace(coverage, ranges=ranges, floor=ranges[0][0], recent=recent)


class _Earlier:
    """What landed before these messages under numbers they use again, and what they have landed themselves so far."""

    def __init__(self, opened: Sequence[Opened], known: Mapping[Producer, Coverage], landed: Landed) -> None:
        again: list[tuple[Producer, Seen, tuple[Range, ...]]] = []
        for message in opened:
            place = message.place
            if not (place.count and place.producer_id):
                continue
            producer = producer_of(place)
            overlaps = within(known[producer].ranges, range_of(place))
            if overlaps:
                seen = Seen(place.first_seq, place.count, ids_digest(map(identity, message.lines)))
                if seen not in known[producer].recent:
                    again.append((producer, seen, overlaps))
        self._seen = landed.seen([(producer, seen) for producer, seen, _ in again]) if again else frozenset()
        unknown = [(producer, part) for producer, seen, parts in again if (producer, seen) not in self._seen for part in parts]
        self._identities = landed.identities(unknown) if unknown else {}
        self._now: dict[Producer, list[tuple[int, Sequence[str | None]]]] = {}  # disjoint, ascending

    def has(self, producer: Producer, seen: Seen) -> bool:
        return (producer, seen) in self._seen

    def identity_of(self, producer: Producer, seq: int) -> str | None:
        parts = self._now.get(producer, [])
        place = bisect_right(parts, seq, key=_number) - 1
        if place >= 0:
            first, identities = parts[place]
            if seq < first + len(identities):
                return identities[seq - first]
        return self._identities.get(producer, {}).get(seq)

    def note(self, producer: Producer, first: int, identities: Sequence[str | None]) -> None:
        insort_right(self._now.setdefault(producer, []), (first, identities), key=_number)


def _number(part: tuple[int, Sequence[str | None]]) -> int:
    return part[0]


def range_of(place: Place) -> Range:
    """Return the numbers a message uses."""
    return place.first_seq, place.first_seq + place.count


def _account(message: Opened, coverage: Coverage, earlier: _Earlier, into: Sequenced) -> Coverage:
    """Put a message's lines where they belong, write its tally, and return what its producer has accounted for now."""
    place, producer = message.place, producer_of(message.place)
    identities = list(map(identity, message.lines))
    seen = Seen(place.first_seq, place.count, ids_digest(identities))
    overlaps = within(coverage.ranges, range_of(place))
    counts = _Counts(len(into.rows), len(into.outcomes), len(into.losses))
    if overlaps and (seen in coverage.recent or earlier.has(producer, seen)):
        duplicate = place.count
    elif message.unreadable is not None:
        duplicate = sum(following - first for first, following in overlaps)
        if duplicate < place.count:
            into.quarantined.append(quarantined(message.unreadable, place, seq=None, stage="decode"))
    else:
        duplicate = _sort(message, identities, overlaps, earlier, into)
    tally = _tally(message, counts, into, duplicate=duplicate, digest=seen.ids_digest)
    into.tallies.append(tally)
    return _advanced(coverage, message, seen, tally, into)


def _sort(message: Opened, identities: Sequence[str | None], overlaps: tuple[Range, ...], earlier: _Earlier, into: Sequenced) -> int:
    """Put each line where it belongs; return how many were duplicates."""
    place, producer, start = message.place, producer_of(message.place), message.place.first_seq
    duplicate, conflicts = 0, []
    for first, following in missing(overlaps, range_of(place)):
        for seq in range(first, following):
            _let_through(message.lines[seq - start], seq, place, into)
        earlier.note(producer, first, identities[first - start : following - start])
    for first, following in overlaps:
        for seq in range(first, following):
            before = earlier.identity_of(producer, seq)
            if before is None or before == identities[seq - start]:
                duplicate += 1
            else:
                conflicts.append(seq)
    if conflicts:
        _refuse(conflicts, message, into)
    return duplicate


def _let_through(line: Line, seq: int, place: Place, into: Sequenced) -> None:
    kind = type(line)
    if kind is Decision:
        into.rows.append(Row(line, seq, place))  # type: ignore[arg-type]
    elif kind is Outcome:
        into.outcomes.append(OutcomeRow(line, seq, place))  # type: ignore[arg-type]
    elif kind is Loss:
        into.losses.append(LossRow(line, seq, place))  # type: ignore[arg-type]
    else:
        into.quarantined.append(quarantined(line, place, seq=seq, stage="ingest" if kind is Rejected else "decode"))  # type: ignore[arg-type]


def _refuse(conflicts: Sequence[int], message: Opened, into: Sequenced) -> None:
    """Keep back records whose number another record has, and say so once for the message."""
    place = message.place
    reason = f"number used before by another record of producer {place.producer_id}; the first one landed"
    for seq in conflicts:
        line = message.lines[seq - place.first_seq]
        if not isinstance(line, Rejected | Unreadable):
            line = Unreadable(code="sequence_conflict", path="", reason=reason, bytes=encode_record(line))
        into.quarantined.append(quarantined(line, place, seq=seq, stage="sequence"))
    into.findings.append(
        findings.of_range(
            place,
            type="sequence_conflict",
            detail="another_id",
            severity="critical",
            message=f"{len(conflicts):,} records came under numbers that other records of the same producer have; they are in quarantine",
            first_seq=conflicts[0],
            last_seq=conflicts[-1],
            occurred_at=_occurred(message)[0] or place.received_at,
            count=len(conflicts),
        )
    )


def _hold_back(message: Opened, into: Sequenced) -> None:
    """Quarantine a message that is nobody's."""
    assert message.unreadable is not None  # noqa: S101 - a message with lines has a producer
    into.quarantined.append(quarantined(message.unreadable, message.place, seq=None, stage="decode"))
    counts = _Counts(len(into.rows), len(into.outcomes), len(into.losses))
    into.tallies.append(_tally(message, counts, into, duplicate=0, digest=ids_digest(())))


def _advanced(coverage: Coverage, message: Opened, seen: Seen, tally: Tally, into: Sequenced) -> Coverage:
    """Return the coverage with a message in it; a number passed over is a gap, found once."""
    place = message.place
    first, following = range_of(place)
    expected = coverage.expected
    if place.count and first > expected:
        _found_gap((expected, first), place, into, since_at=coverage.last_at, until_at=_occurred(message)[0], detail="passed_over")
    expected = max(expected, following if place.count else 0)
    is_newest = place.count > 0 and following > (coverage.ranges[-1][1] if coverage.ranges else 0)
    last_at = (tally.occurred_max_at or place.received_at) if is_newest else coverage.last_at
    if place.closed and place.total > expected:
        _found_gap((expected, place.total), place, into, since_at=last_at, until_at=None, detail="tail")
        expected = place.total
    return Coverage(
        ranges=add(coverage.ranges, (first, following)),
        floor=coverage.floor,
        expected=expected,
        last_at=last_at,
        recent=(*coverage.recent, seen) if place.count and seen not in coverage.recent else coverage.recent,
    )


def _found_gap(gap: Range, place: Place, into: Sequenced, *, since_at: int | None, until_at: int | None, detail: str) -> None:
    if place.backfill:
        return
    first, following = gap
    into.findings.append(
        findings.of_range(
            place,
            type="sequence_gap",
            detail=detail,
            severity="critical",
            message=f"records {first:,} to {following - 1:,} of producer {place.producer_id} have not come",
            first_seq=first,
            last_seq=following - 1,
            occurred_at=until_at or place.received_at,
            since_at=since_at,
            count=following - first,
        )
    )


def _occurred(message: Opened) -> tuple[int | None, int | None]:
    """Return when the message's earliest and latest records were made, as they claim."""
    times = [line.occurred_at for line in message.lines if not isinstance(line, Rejected | Unreadable)]
    return (min(times), max(times)) if times else (None, None)


class _Counts(Struct, frozen=True):
    """How much had been let through before a message."""

    rows: int
    outcomes: int
    losses: int


def _tally(message: Opened, before: _Counts, into: Sequenced, *, duplicate: int, digest: str) -> Tally:
    place = message.place
    rows, outcomes, losses = into.rows[before.rows :], into.outcomes[before.outcomes :], into.losses[before.losses :]
    landed = len(rows) + len(outcomes) + len(losses)
    times = [row.decision.occurred_at for row in rows]
    times += [row.outcome.occurred_at for row in outcomes] + [row.loss.occurred_at for row in losses]
    return Tally(
        project_id=place.project_id,
        producer_id=place.producer_id,
        received_at=place.received_at,
        log_id=place.log_id,
        log_partition=place.log_partition,
        log_offset=place.log_offset,
        first_seq=place.first_seq,
        count=place.count,
        received=place.count,
        landed=landed,
        duplicate=duplicate,
        quarantined=place.count - landed - duplicate,
        decisions=len(rows),
        outcomes=len(outcomes),
        losses=len(losses),
        lost=sum(row.loss.count for row in losses),
        total=place.total,
        closed=place.closed,
        backfill=place.backfill,
        ids_digest=digest,
        occurred_min_at=min(times, default=None),
        occurred_max_at=max(times, default=None),
    )
