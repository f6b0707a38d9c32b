"""What lands, against a count that remembers everything; in any cut into ticks, with any loss of memory between them."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from controlzero.records import Decision, Loss, Outcome, Record, Rejected
from processors.flow import Opened, Sequenced
from processors.steps import sequence as step
from processors.steps.sequence import MEMORY, Memory, SequenceState, ids_digest, sequence
from processors.testing import RECEIVED_AT, LandedInMemory, a_place, an_opened


def a_record(producer: str, seq: int, version: int) -> Record:
    """The record a producer has under a number: always the same, unless another version of it is made up."""
    digits = f"{seq:012d}"
    decision_id = f"00000000-0000-7000-8{version:03d}-{digits}"
    occurred_at = RECEIVED_AT + seq
    match seq % 7:
        case 3:
            return Outcome(decision_id=decision_id, occurred_at=occurred_at, carried_out=True, status="ok")
        case 5 if version == 0:
            return Loss(occurred_at=occurred_at, since_at=occurred_at, count=2, reason="torn")
        case 6:
            return Rejected(code="bad", path="$", reason=producer, length=3, sha256="0" * 64, bytes=b"bad")
    return Decision(decision_id=decision_id, occurred_at=occurred_at, action="a", mode="log-only", effect="allow")


def is_landable(record: Record) -> bool:
    return not isinstance(record, Rejected)


class Sent(Struct, frozen=True):
    producer: str
    first: int
    count: int
    version: int
    closed: bool


sent = st.builds(
    Sent,
    producer=st.sampled_from(["one", "two"]),
    first=st.integers(0, 24),
    count=st.integers(0, 9),
    version=st.sampled_from([0, 0, 0, 1]),
    closed=st.sampled_from([False, False, False, True]),
)


def opened(sent: Sent, offset: int) -> Opened:
    lines = [a_record(sent.producer, seq, sent.version) for seq in range(sent.first, sent.first + sent.count)]
    total = sent.first + sent.count + (3 if sent.closed else 0)
    place = a_place(
        producer_id=sent.producer, first_seq=sent.first, count=sent.count, total=total, offset=offset, closed=sent.closed,
        received_at=RECEIVED_AT + 1_000 + offset,
    )  # fmt: skip
    return an_opened(lines, place)


def run(
    messages: Sequence[Opened], cuts: Sequence[int], forgets: Sequence[bool], memory: Memory = MEMORY
) -> tuple[Sequenced, LandedInMemory]:
    """Drive the step over the messages, cut into ticks; forget the state before some of them."""
    landed, state = LandedInMemory(), SequenceState()
    everything = Sequenced(rows=[], outcomes=[], losses=[], quarantined=[], findings=[], tallies=[])
    edges = sorted({0, len(messages), *(cut % (len(messages) + 1) for cut in cuts)})
    for number, (begin, end) in enumerate(pairwise(edges)):
        if forgets and forgets[number % len(forgets)]:
            state = SequenceState()
        sequenced, state = sequence(messages[begin:end], state, landed, memory=memory)
        landed.keep(sequenced)
        for name in Sequenced.__struct_fields__:
            getattr(everything, name).extend(getattr(sequenced, name))
    return everything, landed


@settings(max_examples=300, deadline=None)
@given(st.lists(sent, max_size=14), st.lists(st.integers(0, 14), max_size=6), st.lists(st.booleans(), max_size=5))
def test_any_cut_into_ticks_and_any_forgetting_gives_the_same(many: list[Sent], cuts: list[int], forgets: list[bool]) -> None:
    messages = [opened(one, offset) for offset, one in enumerate(many)]
    at_once, _ = run(messages, [], [])
    in_pieces, _ = run(messages, cuts, forgets)
    assert in_pieces == at_once
    barely, _ = run(messages, cuts, forgets, Memory(producers_max=1, ranges_max=1, recent_max=1))
    assert barely == at_once


@settings(max_examples=300, deadline=None)
@given(st.lists(sent, max_size=14), st.lists(st.integers(0, 14), max_size=4))
def test_what_lands_is_what_a_count_that_remembers_everything_lands(many: list[Sent], cuts: list[int]) -> None:
    everything, _ = run([opened(one, offset) for offset, one in enumerate(many)], cuts, [])
    first: dict[tuple[str, int], str | None] = {}
    digests: set[tuple[str, int, int, str]] = set()
    for one, tally in zip(many, everything.tallies, strict=True):
        records = [(seq, a_record(one.producer, seq, one.version)) for seq in range(one.first, one.first + one.count)]
        digest = (one.producer, one.first, one.count, ids_digest(step.identity(record) for _, record in records))
        counts = {"landed": 0, "duplicate": 0, "quarantined": 0}
        for seq, record in records:
            name = step.identity(record)
            if (one.producer, seq) not in first:
                first[one.producer, seq] = name if is_landable(record) else None
                counts["landed" if is_landable(record) else "quarantined"] += 1
            elif digest in digests or first[one.producer, seq] in (None, name):
                counts["duplicate"] += 1
            else:
                counts["quarantined"] += 1
        digests.add(digest)
        assert (tally.landed, tally.duplicate, tally.quarantined) == tuple(counts.values())
        assert tally.received == one.count


@settings(max_examples=200, deadline=None)
@given(st.lists(sent, max_size=14))
def test_every_number_passed_over_is_in_one_gap_finding(many: list[Sent]) -> None:
    everything, _ = run([opened(one, offset) for offset, one in enumerate(many)], [], [])
    for producer in ("one", "two"):
        expected, arrived, passed_over = 0, set[int](), set[int]()
        for one in (one for one in many if one.producer == producer):
            total = one.first + one.count + 3
            reached = max(one.first + one.count if one.count else 0, total if one.closed else 0)
            arrived |= set(range(one.first, one.first + one.count))
            passed_over |= set(range(expected, reached)) - set(range(one.first, one.first + one.count))
            expected = max(expected, reached)
        gaps = [finding for finding in everything.findings if finding.type == "sequence_gap" and finding.producer_id == producer]
        found = [seq for gap in gaps for seq in range(gap.first_seq or 0, (gap.last_seq or 0) + 1)]
        assert sorted(found) == sorted(passed_over)


@settings(max_examples=100, deadline=None)
@given(st.lists(sent, max_size=10))
def test_a_replay_of_everything_lands_and_quarantines_nothing(many: list[Sent]) -> None:
    messages = [opened(one, offset) for offset, one in enumerate(many)]
    again = [opened(one, offset + len(many)) for offset, one in enumerate(many)]
    once, _ = run(messages, [], [])
    twice, _ = run([*messages, *again], [len(messages)], [True])
    assert (twice.rows, twice.outcomes, twice.losses) == (once.rows, once.outcomes, once.losses)
    assert (twice.quarantined, twice.findings) == (once.quarantined, once.findings)
    assert [tally.duplicate for tally in twice.tallies[len(many) :]] == [one.count for one in many]
