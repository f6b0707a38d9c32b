"""The ledger answers what the steps ask as a list of all that has landed would."""

from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from controlzero.records import Decision, Loss, Outcome, Record, Rejected
from processors.flow import Opened, Sequenced
from processors.landed import Producer, Seen
from processors.ledger import LedgerLanded
from processors.steps.judge import UNGOVERNED
from processors.steps.land import land
from processors.steps.sequence import SequenceState, sequence
from processors.testing import RECEIVED_AT, LandedInMemory, a_place, an_opened
from warehouse.columns import columns_of
from warehouse.lander import Lander, Landing
from warehouse.snapshot import Warehouse

PRODUCERS = [Producer("shop", "one"), Producer("shop", "two"), Producer("bank", "one"), Producer("bank", "never seen")]


def a_record(seq: int, version: int) -> Record:
    decision_id = f"00000000-0000-7000-8{version:03d}-{seq:012d}"
    match seq % 4:
        case 1:
            return Outcome(decision_id=decision_id, occurred_at=RECEIVED_AT + seq, carried_out=True, status="ok")
        case 2:
            return Loss(occurred_at=RECEIVED_AT + seq, since_at=RECEIVED_AT, count=2, reason="torn")
        case 3 if version:
            return Rejected(code="bad", path="$", reason="bad", length=3, sha256="0" * 64, bytes=b"bad")
    return Decision(decision_id=decision_id, occurred_at=RECEIVED_AT + seq, action="a", mode="log-only", effect="allow")


def landing_of(sequenced: Sequenced, offset: int) -> Landing:
    decisions = columns_of(Decision, [row.decision for row in sequenced.rows])
    judged, types = [UNGOVERNED] * len(sequenced.rows), [()] * len(sequenced.rows)
    return land(sequenced, decisions, judged, types, sequenced.findings, offsets={"cz/log/topic/0": (offset, offset + 1)})


@st.composite
def messages(draw: st.DrawFn) -> list[Opened]:
    found = []
    for offset in range(draw(st.integers(1, 8))):
        producer = draw(st.sampled_from(PRODUCERS[:3]))
        first, lines, version, closed = draw(st.tuples(st.integers(0, 20), st.integers(0, 6), st.integers(0, 1), st.booleans()))
        place = a_place(
            project_id=producer.project_id, producer_id=producer.producer_id, first_seq=first, count=lines, offset=offset, closed=closed,
            total=first + lines + version,
        )  # fmt: skip
        found.append(an_opened([a_record(seq, version) for seq in range(first, first + lines)], place))
    return found


@settings(max_examples=6, deadline=None)
@given(messages())
def test_the_ledger_answers_as_a_list_of_all_that_landed_would(many: list[Opened]) -> None:
    ids = count()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger"
        lander = Lander(path, clock=lambda: RECEIVED_AT, new_id=lambda: f"{next(ids):032x}")
        asked, remembered, state = LedgerLanded(lambda: Warehouse.open(path)), LandedInMemory(), SequenceState()
        for offset, message in enumerate(many):
            sequenced, state = sequence([message], state, remembered)
            remembered.keep(sequenced)
            lander.land(landing_of(sequenced, offset))
        ranges = [(producer, part) for producer in PRODUCERS for part in ((0, 9), (5, 30))]
        seen = [
            (Producer(tally.project_id, tally.producer_id), Seen(tally.first_seq, tally.count, tally.ids_digest))
            for tally in remembered.tallies
        ]
        seen += [(PRODUCERS[0], Seen(0, 1, "0" * 32))]
        assert asked.coverage(PRODUCERS) == remembered.coverage(PRODUCERS)
        assert asked.coverage(PRODUCERS) == remembered.coverage(PRODUCERS)  # by what it knows now
        assert asked.seen(seen) == remembered.seen(seen)
        for producer, part in ranges:
            assert asked.covered([(producer, part)]).get(producer, ()) == remembered.covered([(producer, part)])[producer]
        assert {name: found for name, found in remembered.identities(ranges).items() if found} == asked.identities(ranges)


def test_a_producer_that_lands_after_it_was_asked_for_is_known(tmp_path: Path) -> None:
    ids = count()
    path = tmp_path / "ledger"
    lander = Lander(path, clock=lambda: RECEIVED_AT, new_id=lambda: f"{next(ids):032x}")
    asked = LedgerLanded(lambda: Warehouse.open(path))
    assert asked.coverage(PRODUCERS) == {}
    message = an_opened([a_record(0, 0)], a_place(project_id="shop", producer_id="one", count=1))
    sequenced, _ = sequence([message], SequenceState(), asked)
    lander.land(landing_of(sequenced, 0))
    assert set(asked.coverage(PRODUCERS)) == {PRODUCERS[0]}


def test_what_another_process_landed_is_known_once_memory_is_forgotten(tmp_path: Path) -> None:
    ids = count()
    path = tmp_path / "ledger"
    lander = Lander(path, clock=lambda: RECEIVED_AT, new_id=lambda: f"{next(ids):032x}")
    asked = LedgerLanded(lambda: Warehouse.open(path))
    assert asked.coverage(PRODUCERS[1:]) == {}
    message = an_opened([a_record(0, 0)], a_place(project_id="shop", producer_id="one", count=1))
    sequenced, _ = sequence([message], SequenceState(), LandedInMemory())
    lander.land(landing_of(sequenced, 0))
    asked.forget()
    assert set(asked.coverage(PRODUCERS)) == {PRODUCERS[0]}
