"""What is removed, and what must stay: for readers of an old list, and for writers not yet done."""

import os
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from controlzero.testing import SettableClock
from warehouse.compaction import Compactor
from warehouse.delta_log import DeltaLog, last_checkpoint
from warehouse.lander import Lander
from warehouse.locks import writing
from warehouse.removal import CHECKPOINT_ENTRIES, GRACE_S, checkpoint, sweep
from warehouse.testing import a_landing, an_app_id, ids, nothing_from


@pytest.fixture
def merged(lander: Lander, compactor: Compactor) -> Compactor:
    for offset in range(3):
        lander.land(a_landing(range(offset, offset + 1)))
    compactor.compact()
    return compactor


def data_files(ledger: Path) -> int:
    return len(list(ledger.glob("kind=*/*/*.parquet")))


def make_old(path: Path, clock: SettableClock) -> None:
    os.utime(path, (clock.now / 1e6, clock.now / 1e6))


def swept(compactor: Compactor) -> int:
    return sweep(compactor.log, now_ms=compactor.now() // 1000, new_id=compactor.new_id)


def test_replaced_files_stay_for_who_may_still_read_them(merged, ledger, clock):
    before = data_files(ledger)
    clock.advance(GRACE_S - 1)
    assert swept(merged) == 0
    assert data_files(ledger) == before


def test_replaced_files_go_after_the_grace(merged, ledger, clock):
    clock.advance(GRACE_S + 1)
    assert swept(merged) == 3 * 5 + 1 + 1  # of each landing; the quarantined line of the first; the detail
    assert data_files(ledger) == len(DeltaLog(ledger).files) == 6


def test_a_keeper_started_anew_knows_when_files_left(merged, ledger, clock):
    anew = Compactor(ledger, clock=clock, new_id=ids(1 << 40))
    clock.advance(GRACE_S - 1)
    assert swept(anew) == 0
    clock.advance(2)
    assert swept(anew) == 17


def test_a_file_never_listed_goes_when_it_is_old(merged, ledger, clock):
    folder = next(ledger.glob("kind=tally/*"))
    orphans = [folder / "l-orphan.parquet", ledger / "_staging" / "entry-orphan.json"]
    for orphan in orphans:
        orphan.write_bytes(b"of a writer that was killed")
        make_old(orphan, clock)
    swept(merged)
    assert all(orphan.exists() for orphan in orphans)
    clock.advance(GRACE_S + 1)
    swept(merged)
    assert not any(orphan.exists() for orphan in orphans)


def test_a_file_never_listed_stays_while_a_writer_is_at_work(merged, ledger, clock):
    orphan = next(ledger.glob("kind=tally/*")) / "l-of-a-sleeping-writer.parquet"
    orphan.write_bytes(b"to be listed when it wakes")
    make_old(orphan, clock)
    clock.advance(GRACE_S + 1)
    with writing(merged.store.locks):
        swept(merged)
        assert orphan.exists()
    swept(merged)
    assert not orphan.exists()


def test_a_state_read_from_a_checkpoint_that_is_gone_still_knows_who_landed(lander, ledger, compactor, clock):
    lander.land(nothing_from(3, partition=7))
    assert checkpoint(compactor.log, entries=1)
    opened_then = DeltaLog(ledger)
    lander.land(nothing_from(0))
    compactor.log.refresh()
    assert checkpoint(compactor.log, entries=1)
    for path in (ledger / "_delta_log").glob("0*"):
        make_old(path, clock)
    clock.advance(GRACE_S + 1)
    assert swept(compactor)
    assert len(list((ledger / "_delta_log").glob("*.checkpoint.parquet"))) == 1
    assert opened_then.transaction_version(an_app_id(7)) == 4


def test_checkpoints_forget_files_that_left_longer_ago_than_anybody_asks(ledger):
    for ago_s, remembered in ((2 * 3600, False), (GRACE_S, True)):  # by the machine's clock: checkpoints are deltalake's
        clock = SettableClock(time.time_ns() // 1000 - ago_s * 1_000_000)
        own = ledger / str(ago_s)
        lander, compactor = (kind(own, clock=clock, new_id=ids(start)) for kind, start in ((Lander, 0), (Compactor, 1 << 40)))
        lander.land(a_landing(range(1)))
        assert compactor.compact()
        assert checkpoint(compactor.log, entries=1)
        (written,) = (own / "_delta_log").glob("*.checkpoint.parquet")
        removals = pq.read_table(written, columns=["remove"], partitioning=None)["remove"]
        assert (removals.null_count < len(removals)) is remembered


def test_entries_before_a_checkpoint_go_after_the_grace_and_nobody_misses_them(lander, ledger, compactor, clock):
    follower = DeltaLog(ledger)
    for offset in range(CHECKPOINT_ENTRIES + 5):
        lander.land(nothing_from(offset))
    compactor.log.refresh()
    assert checkpoint(compactor.log)
    assert not checkpoint(compactor.log)
    for entry in (ledger / "_delta_log").glob("*.json"):
        make_old(entry, clock)
    clock.advance(GRACE_S + 1)
    assert swept(compactor) >= CHECKPOINT_ENTRIES
    assert sorted((ledger / "_delta_log").glob("*.json"))[0].stem == f"{last_checkpoint(ledger):020d}"
    follower.refresh()
    assert follower.transaction_version(an_app_id()) == CHECKPOINT_ENTRIES + 5
    assert follower.files == DeltaLog(ledger).files
    assert DeltaTable(str(ledger)).transaction_version(an_app_id()) == CHECKPOINT_ENTRIES + 5
    lander.land(a_landing(range(CHECKPOINT_ENTRIES + 5, CHECKPOINT_ENTRIES + 6)))
