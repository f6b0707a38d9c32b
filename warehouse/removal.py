"""Removes what no version of the ledger lists any more: replaced files, leftovers of crashed writers, entries before a checkpoint.

A reader may hold a list of files for `GRACE_S`, so a file stays that long after the commit that took it out of the list. A file
that was never listed may be of a commit under way: it goes when it is as old and no writer can commit it any more. In a folder a
lock tells that no writer is at work. On an object store a commit of our own is put in the way: whoever wrote files before it finds
the next entry taken, and writes anew.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deltalake import DeltaTable

from controlzero.errors import Unavailable
from warehouse.delta_log import COMPACTOR, Action, DeltaLog, NewId, Raced, Txn
from warehouse.kinds import KINDS
from warehouse.locks import sweeping
from warehouse.stores import LOG, checkpointed

GRACE_S = 15 * 60  # longer than any reader holds a list: pages refresh theirs within minutes
# On an object store: a writer that slept for so long could take the number of an entry that is gone. See `delta_log.COMMIT_S_MAX`.
SHARED_ENTRY_GRACE_S = 24 * 3600
CHECKPOINT_ENTRIES = 200  # opening reads at most about so many entries: some 60 ms
RACES_MAX = 100
MILLIS = 1000


def checkpoint(log: DeltaLog, *, entries: int = CHECKPOINT_ENTRIES) -> bool:
    """Write a durable checkpoint where that many entries came since the last; say whether one was written."""
    if log.version - checkpointed(log.store) < entries:
        return False
    with log.store.opened_log() as folder:
        table = DeltaTable(str(folder))
        table.create_checkpoint()
        log.store.publish(folder, [f"{LOG}/{table.version():020d}.checkpoint.parquet", f"{LOG}/_last_checkpoint"])
    return True


def sweep(log: DeltaLog, *, now_ms: int, new_id: NewId) -> int:
    """Remove what has not been listed for the grace; return how many files went.

    `log.removed` says when files left the list; it goes back at least as far as the grace.
    """
    log.refresh()
    there = {file.name: file.modified_ms for kind in KINDS for file in log.store.listed(f"kind={kind}")}
    replaced = [name for name, removed_ms in log.removed.items() if _is_past(removed_ms, now_ms)]
    gone = [name for name in replaced if name in there]
    log.store.remove(gone)
    for name in replaced:
        del log.removed[name]
    never_listed = [
        name
        for name, modified_ms in there.items()
        if name not in log.files and name not in log.removed and name not in gone and _is_past(modified_ms, now_ms)
    ]
    leftovers = [path for path in log.store.workshop.iterdir() if _is_past(_modified_ms(path), now_ms)]
    passed_over = list(_replaced_entries(log, now_ms))
    if not never_listed and not leftovers and not passed_over:
        return len(gone)
    with _fenced(log, now_ms, new_id, fences=bool(never_listed)) as alone:
        if not alone:  # a writer is at work: next time
            return len(gone)
        unlisted = [name for name in never_listed if name not in log.files]
        log.store.remove(unlisted + passed_over)
        for path in leftovers:
            _remove(path)
    return len(gone) + len(unlisted) + len(leftovers) + len(passed_over)


@contextmanager
def _fenced(log: DeltaLog, now_ms: int, new_id: NewId, *, fences: bool) -> Iterator[bool]:
    """See to it that no commit under way can list what was there before; yields False where a writer of this machine is at work.

    Yields with the newest state read.
    """
    with sweeping(log.store.locks) as alone:
        if alone and fences and log.store.is_shared:
            _put_in_the_way(log, now_ms, new_id)
        elif alone:
            log.refresh()
        yield alone


def _put_in_the_way(log: DeltaLog, now_ms: int, new_id: NewId) -> None:
    """Commit as a compactor that exchanged nothing: landers find the next entry taken, and compactors their fence moved."""
    for _ in range(RACES_MAX):
        log.refresh()
        fence = Txn(COMPACTOR, (log.transaction_version(COMPACTOR) or 0) + 1, now_ms)
        with suppress(Raced):
            log.commit([Action(txn=fence)], operation="FENCE", at_ms=now_ms, new_id=new_id)
            return
    raise Unavailable(f"{log.store.name}: lost {RACES_MAX} races to commit; removal is tried again later")


def _replaced_entries(log: DeltaLog, now_ms: int) -> Iterator[str]:
    """Yield entries and checkpoints that the last checkpoint replaced, once nobody can still be on its way through them."""
    kept_from = checkpointed(log.store)
    grace_s = SHARED_ENTRY_GRACE_S if log.store.is_shared else GRACE_S
    for file in log.store.listed(LOG):  # the oldest first
        version = Path(file.name).name.partition(".")[0]
        if not version.isdigit():
            continue
        if int(version) >= kept_from or not _is_past(file.modified_ms, now_ms, grace_s):
            return
        yield file.name


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _modified_ms(path: Path) -> int:
    with suppress(FileNotFoundError):
        return int(path.stat().st_mtime * MILLIS)
    return 0


def _is_past(since_ms: int, now_ms: int, grace_s: int = GRACE_S) -> bool:
    return now_ms - since_ms > grace_s * MILLIS
