"""What a power cut tears at the end of the log is set aside, and lands again; damage further back stops."""

from pathlib import Path

import pytest

from controlzero.errors import Tampered
from warehouse.delta_log import DeltaLog
from warehouse.lander import Lander
from warehouse.mending import TAIL_MAX, set_aside
from warehouse.removal import CHECKPOINT_ENTRIES, checkpoint
from warehouse.testing import a_landing, an_app_id, ids, nothing_from


def entries(ledger: Path) -> list[Path]:
    return sorted((ledger / "_delta_log").glob("*.json"))


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def cut_between_lines(content: bytes) -> bytes:
    return b"\n".join(content.splitlines()[:3]) + b"\n"


def emptied(content: bytes) -> bytes:
    return b""


def zeroed(content: bytes) -> bytes:
    return bytes(len(content))


def garbled(content: bytes) -> bytes:
    return content[:40] + b"\xff\x00\xfe" + content[43:]


@pytest.mark.parametrize("tear", [cut, cut_between_lines, emptied, zeroed, garbled])
def test_a_torn_last_entry_is_set_aside_and_what_it_held_lands_again(ledger, clock, ask, tear):
    lander = Lander(ledger, clock=clock, new_id=ids())
    for offset in range(3):
        lander.land(a_landing(range(offset, offset + 1)))
    torn = entries(ledger)[-1]
    torn.write_bytes(tear(torn.read_bytes()))
    again = Lander(ledger, clock=clock, new_id=ids(1 << 20))
    assert again.landed([an_app_id()]) == {an_app_id(): 2}
    assert [path.name.partition(".json")[0] for path in set_aside(ledger)] == [torn.stem]
    again.land(a_landing(range(2, 4)))
    assert ask("SELECT count(*) AS held, count(DISTINCT decision_id) AS ids FROM decisions") == [{"held": 12, "ids": 12}]


def test_a_torn_entry_takes_those_after_it_aside_too(ledger, clock):
    lander = Lander(ledger, clock=clock, new_id=ids())
    for offset in range(4):
        lander.land(a_landing(range(offset, offset + 1)))
    torn = entries(ledger)[-2]
    torn.write_bytes(cut(torn.read_bytes()))
    assert Lander(ledger, clock=clock, new_id=ids(1 << 20)).landed([an_app_id()]) == {an_app_id(): 2}
    assert len(set_aside(ledger)) == 2


def test_a_first_entry_torn_makes_the_ledger_anew(ledger, clock):
    Lander(ledger, clock=clock, new_id=ids())
    entries(ledger)[0].write_bytes(b"")
    lander = Lander(ledger, clock=clock, new_id=ids(1 << 20))
    lander.land(a_landing(range(1)))
    assert DeltaLog(ledger).transaction_version(an_app_id()) == 1


def test_damage_further_back_than_writers_can_be_in_flight_stops(ledger, clock):
    lander = Lander(ledger, clock=clock, new_id=ids())
    for offset in range(TAIL_MAX + 4):
        lander.land(nothing_from(offset))
    entries(ledger)[2].write_bytes(b"{")
    with pytest.raises(Tampered, match="cannot be read"):
        Lander(ledger, clock=clock, new_id=ids(1 << 20))
    assert not set_aside(ledger)


@pytest.mark.parametrize("what", ["*.checkpoint.parquet", "_last_checkpoint"])
def test_a_torn_checkpoint_is_set_aside_and_the_entries_are_read(ledger, clock, what):
    lander = Lander(ledger, clock=clock, new_id=ids())
    for offset in range(CHECKPOINT_ENTRIES):
        lander.land(nothing_from(offset))
    assert checkpoint(DeltaLog(ledger))
    (torn,) = (ledger / "_delta_log").glob(what)
    torn.write_bytes(cut(torn.read_bytes()))
    assert Lander(ledger, clock=clock, new_id=ids(1 << 20)).landed([an_app_id()]) == {an_app_id(): CHECKPOINT_ENTRIES}
    assert set_aside(ledger)


def test_a_whole_log_is_left_as_it_is(ledger, clock):
    lander = Lander(ledger, clock=clock, new_id=ids())
    lander.land(a_landing(range(3)))
    before = [entry.read_bytes() for entry in entries(ledger)]
    Lander(ledger, clock=clock, new_id=ids(1 << 20))
    assert [entry.read_bytes() for entry in entries(ledger)] == before
    assert not set_aside(ledger)
