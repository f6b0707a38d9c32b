"""The spool: places are numbers, nothing torn hides its neighbour, nothing lost is silent."""

import os
import threading
from pathlib import Path

import msgspec
import pytest

from controlzero.errors import Tampered
from controlzero.ids import UuidPool, id_time, new_id
from controlzero.recorder import folders
from controlzero.recorder.backlog import BATCH_BYTES_MAX, SpoolBacklog
from controlzero.recorder.entries import entry_of, split
from controlzero.recorder.folders import Claim, Destination
from controlzero.recorder.position import Position, PositionFile
from controlzero.recorder.spool import EndedError, Spool
from controlzero.records import AGENT_RECORDS, Loss
from controlzero.testing import STARTED_AT, SettableClock

DESTINATION = Destination("default", "http://127.0.0.1:8700")
ORDINARY_BYTES = 800  # of a record
ORDINARY_OF_BATCH = BATCH_BYTES_MAX // (ORDINARY_BYTES + 2)
decode = msgspec.json.Decoder(AGENT_RECORDS).decode


def begun(root: Path, **limits: int) -> Spool:
    clock = SettableClock()
    return Spool(folders.begin(root, DESTINATION, new_id(clock())), clock=clock, **limits)


def delivered(backlog: SpoolBacklog, *, records_max: int = 500) -> list[tuple[int, bytes]]:
    """Deliver everything that is there; return the lines with their numbers."""
    lines = []
    while (batch := backlog.next_batch(records_max=records_max)) is not None:
        lines += enumerate(batch.lines, start=batch.first_seq)
        backlog.acknowledge(batch)
    return lines


def abandoned(root: Path) -> list[Claim]:
    return list(folders.abandoned(root, DESTINATION))


def test_an_entry_without_an_end_is_left_for_later_while_its_segment_may_grow() -> None:
    found = split(b"\x1e{1}\n\x1e{2", is_final=False, started_at=STARTED_AT)
    assert (list(found.lines), list(found.ends)) == ([b"{1}"], [5])


def test_a_torn_entry_keeps_its_number_and_does_not_hide_the_next() -> None:
    found = split(b'\x1e{1}\n\x1e{"occurred_at":42,"acti\x1e{3}\n\x1e\n\x1e{4', is_final=True, started_at=STARTED_AT)
    assert [found.lines[0], found.lines[2]] == [b"{1}", b"{3}"]
    assert [decode(found.lines[place]) for place in (1, 3, 4)] == [
        Loss(occurred_at=42, since_at=42, count=1, reason="torn"),
        Loss(occurred_at=STARTED_AT, since_at=STARTED_AT, count=1, reason="torn"),
        Loss(occurred_at=STARTED_AT, since_at=STARTED_AT, count=1, reason="torn"),
    ]


def test_a_line_feed_inside_an_entry_is_not_a_second_line() -> None:
    found = split(b"\x1e{1}\n{2}\n\x1e{3}\n", is_final=False, started_at=STARTED_AT)
    assert len(found.lines) == 2
    assert b"\n" not in found.lines[0]


def test_a_record_is_numbered_by_its_place_across_segments(tmp_path: Path) -> None:
    spool = begun(tmp_path, segment_bytes_max=100)
    lines = [b'{"n":%d}' % n for n in range(60)]
    assert all(spool.append(entry_of(line)) for line in lines)
    assert len(folders.segments(spool.claim.folder)) > 3
    assert delivered(SpoolBacklog(spool.claim, spool=spool), records_max=7) == list(enumerate(lines))
    assert len(folders.segments(spool.claim.folder)) == 1, "delivered segments are deleted, the current one stays"


def test_many_threads_lose_nothing_and_leave_no_gap(tmp_path: Path) -> None:
    spool = begun(tmp_path, segment_bytes_max=20_000)
    backlog = SpoolBacklog(spool.claim, spool=spool)
    found: list[tuple[int, bytes]] = []

    def write(name: int) -> None:
        for n in range(5_000):
            assert spool.append(entry_of(b"%d-%d" % (name, n)))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        found += delivered(backlog)
    spool.end()
    found += delivered(backlog)
    assert [seq for seq, _ in found] == list(range(40_000))
    assert {line for _, line in found} == {b"%d-%d" % (name, n) for name in range(8) for n in range(5_000)}


def test_a_delivery_goes_on_where_the_last_one_was_acknowledged(tmp_path: Path) -> None:
    spool = begun(tmp_path)
    for n in range(10):
        spool.append(entry_of(b"%d" % n))
    first = SpoolBacklog(spool.claim, spool=spool)
    batch = first.next_batch(records_max=4)
    assert batch is not None
    first.acknowledge(batch)
    spool.abandon()
    (claim,) = abandoned(tmp_path)
    rest = SpoolBacklog(claim)
    assert rest.next_batch() == rest.next_batch(), "asked twice, it is the same batch: a replay is a duplicate"
    assert delivered(rest) == [(n, b"%d" % n) for n in range(4, 10)]


def test_ordinary_records_go_as_many_as_are_read_at_a_time(tmp_path: Path) -> None:
    spool = begun(tmp_path)
    for _ in range(2 * ORDINARY_OF_BATCH):
        spool.append(entry_of(b"x" * ORDINARY_BYTES))
    backlog = SpoolBacklog(spool.claim, spool=spool)
    counts = []
    while (batch := backlog.next_batch()) is not None:
        counts.append(len(batch.lines))
        backlog.acknowledge(batch)
    assert counts == [ORDINARY_OF_BATCH, ORDINARY_OF_BATCH]


def test_the_spool_of_a_living_process_is_not_adopted(tmp_path: Path) -> None:
    spool = begun(tmp_path)
    assert abandoned(tmp_path) == []
    spool.abandon()
    (claim,) = abandoned(tmp_path)
    assert claim.producer_id == spool.producer_id
    assert abandoned(tmp_path) == [], "one adopter at a time"
    folders.remove(claim)
    assert abandoned(tmp_path) == []


def test_only_an_orderly_end_closes_a_producer(tmp_path: Path) -> None:
    for ends in (True, False):
        spool = begun(tmp_path)
        spool.append(entry_of(b"{}"))
        if ends:
            spool.end()
            with pytest.raises(EndedError):
                spool.append(entry_of(b"{}"))
        spool.abandon()
        (claim,) = abandoned(tmp_path)
        backlog = SpoolBacklog(claim)
        batch = backlog.next_batch()
        assert batch is not None
        assert (len(batch.lines), batch.closes) == (1, ends)
        backlog.acknowledge(batch)
        assert backlog.next_batch() is None
        backlog.discard()
        assert not claim.folder.exists()


def test_an_end_after_the_last_record_was_delivered_still_closes(tmp_path: Path) -> None:
    spool = begun(tmp_path)
    spool.append(entry_of(b"{}"))
    backlog = SpoolBacklog(spool.claim, spool=spool)
    assert len(delivered(backlog)) == 1
    spool.end()
    batch = backlog.next_batch()
    assert batch is not None
    assert (batch.first_seq, list(batch.lines), batch.closes) == (1, [], True)


def test_a_full_spool_drops_the_newest_and_says_so_once_there_is_room(tmp_path: Path) -> None:
    spool = begun(tmp_path, bytes_max=400)
    kept = [spool.append(entry_of(b'{"n":%03d}' % n)) for n in range(60)]
    assert kept == sorted(kept, reverse=True), "what came first is kept"
    assert kept.count(False) > 5
    backlog = SpoolBacklog(spool.claim, spool=spool)
    lines = delivered(backlog)
    assert spool.append(entry_of(b'{"n":"after"}'))
    lines += delivered(backlog)
    assert [seq for seq, _ in lines] == list(range(len(lines)))
    losses = [decode(line) for _, line in lines if b'"loss"' in line]
    assert [(loss.reason, loss.count) for loss in losses if isinstance(loss, Loss)] == [("spool_full", kept.count(False))]


def test_spools_of_dead_processes_count_towards_the_limit(tmp_path: Path) -> None:
    dead = begun(tmp_path, bytes_max=1_000)
    while dead.append(entry_of(b"x" * 90)):
        pass
    dead.abandon()
    assert not begun(tmp_path, bytes_max=1_000).append(entry_of(b"y"))


def test_an_end_that_cannot_report_its_losses_is_no_proof(tmp_path: Path) -> None:
    spool = begun(tmp_path, bytes_max=400)
    while spool.append(entry_of(b"x" * 90)):
        pass
    spool.end()
    assert spool.has_losses
    assert not folders.has_ended(spool.claim.folder)


def test_a_lost_position_stops_delivery_instead_of_numbering_anew(tmp_path: Path) -> None:
    spool = begun(tmp_path)
    (spool.claim.folder / "position").write_bytes(b"?" * 128)
    with pytest.raises(Tampered, match="neither slot has a valid checksum"):
        SpoolBacklog(spool.claim, spool=spool)


def test_one_torn_slot_of_the_position_leaves_the_other(tmp_path: Path) -> None:
    file = PositionFile(tmp_path)
    file.advance(Position(5, 0, 50))
    file.advance(Position(9, 1, 10))
    file.close()
    for slot, wanted in ((0, Position(9, 1, 10)), (1, Position(5, 0, 50))):
        data = bytearray((tmp_path / "position").read_bytes())
        data[slot * 64 : slot * 64 + 20] = b"x" * 20
        copy = tmp_path / str(slot)
        copy.mkdir()
        (copy / "position").write_bytes(data)
        assert PositionFile(copy).position == wanted


def test_a_spool_deleted_under_a_living_process_is_told(tmp_path: Path) -> None:
    spool = begun(tmp_path)
    spool.append(entry_of(b"{}"))
    backlog = SpoolBacklog(spool.claim, spool=spool)
    folders.segment_path(spool.claim.folder, 0).unlink()
    with pytest.raises(Tampered, match="is gone while its process lives"):
        backlog.next_batch()


def test_ids_carry_their_time_and_are_distinct() -> None:
    pool = UuidPool()
    ids = [pool(STARTED_AT) for _ in range(3_000)]
    assert len(set(ids)) == 3_000
    assert {id_time(text) for text in ids} == {STARTED_AT // 1000 * 1000}
    assert {(text[14], text[19] in "89ab", len(text)) for text in ids} == {("7", True, 36)}


def test_ids_are_in_the_order_of_their_microseconds() -> None:
    ids = [new_id(STARTED_AT + us) for us in range(3_000)]
    assert ids == sorted(ids)


@pytest.mark.filterwarnings("ignore:This process")  # 3.12 warns of forking beside threads
def test_a_forked_child_draws_other_ids() -> None:
    new_id(STARTED_AT)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, "".join(new_id(STARTED_AT) for _ in range(50)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    drawn = os.read(read, 50 * 36).decode()
    theirs = {drawn[at : at + 36] for at in range(0, len(drawn), 36)}
    assert len(theirs) == 50
    assert not theirs & {new_id(STARTED_AT) for _ in range(255)}
