"""The keeper: when it is due, that a pass keeps the ledger small, and that there is one."""

from controlzero.testing import SettableClock
from warehouse.delta_log import DeltaLog
from warehouse.files import is_landed
from warehouse.keeping import DUE_AFTER_S, DUE_FILES, Due, keep
from warehouse.locks import keeping
from warehouse.removal import GRACE_S
from warehouse.testing import a_landing, nothing_from


def test_few_fresh_files_wait(lander, compactor, clock):
    lander.land(a_landing(range(1)))
    kept, _ = keep(compactor, Due(merged_at=clock.now), {})
    assert kept.merged_files == 0


def test_many_files_are_merged_at_once(lander, compactor, clock, ledger):
    for offset in range(DUE_FILES):
        lander.land(a_landing(range(offset, offset + 1)))
    kept, due = keep(compactor, Due(merged_at=clock.now), {})
    assert kept.merged_files > DUE_FILES
    assert not any(map(is_landed, DeltaLog(ledger).files.values()))
    assert keep(compactor, due, {})[0].merged_files == 0


def test_few_files_are_merged_when_the_last_merge_is_long_ago(lander, compactor, clock):
    lander.land(a_landing(range(1)))
    clock.advance(DUE_AFTER_S)
    assert keep(compactor, Due(merged_at=clock.now - DUE_AFTER_S * 1_000_000), {})[0].merged_files == 6 + 1  # and the detail


def test_passes_remove_what_earlier_ones_replaced(lander, compactor, clock: SettableClock, ledger):
    lander.land(a_landing(range(1)))
    _, due = keep(compactor, Due(), {})
    clock.advance(GRACE_S + 1)
    kept, _ = keep(compactor, due, {})
    assert kept.removed_files == 7  # those of the landing, and the detail of their decisions
    assert len(list(ledger.glob("kind=*/*/*.parquet"))) == len(DeltaLog(ledger).files)


def test_a_long_log_is_checkpointed(lander, compactor):
    for offset in range(201):
        lander.land(nothing_from(offset))
    assert keep(compactor, Due(), {})[0].checkpoints == 1


def test_there_is_one_keeper(ledger, lander):
    with keeping(ledger) as first, keeping(ledger) as second:
        assert (first, second) == (True, False)
    with keeping(ledger) as next_:
        assert next_
