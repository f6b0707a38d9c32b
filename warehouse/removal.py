"""Removes what no version of the ledger lists any more: replaced files, leftovers of crashed writers, entries before a checkpoint.

A reader may hold a list of files for `GRACE_S`, so a file stays that long after the commit that took it out of the list. A file
that was never listed may be of a commit under way: it goes when it is as old and no writer is at work.
"""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from deltalake import DeltaTable

from warehouse.delta_log import LOG, STAGING, DeltaLog, last_checkpoint
from warehouse.disk import sync_directory, sync_file
from warehouse.locks import sweeping

GRACE_S = 15 * 60  # longer than any reader holds a list: pages refresh theirs within minutes
CHECKPOINT_ENTRIES = 200  # opening reads at most about so many entries: some 60 ms
MILLIS = 1000


def checkpoint(log: DeltaLog, *, entries: int = CHECKPOINT_ENTRIES) -> bool:
    """Write a durable checkpoint where that many entries came since the last; say whether one was written."""
    if log.version - last_checkpoint(log.ledger) < entries:
        return False
    table = DeltaTable(str(log.ledger))
    table.create_checkpoint()
    folder = log.ledger / LOG
    sync_file(folder / f"{table.version():020d}.checkpoint.parquet")
    sync_file(folder / "_last_checkpoint")
    sync_directory(folder)
    return True


def sweep(log: DeltaLog, *, now_ms: int) -> int:
    """Remove what has not been listed for the grace; return how many files went.

    `log.removed` says when files left the list; it goes back at least as far as the grace.
    """
    log.refresh()
    replaced = [path for path, removed_ms in log.removed.items() if _is_past(removed_ms, now_ms)]
    for path in replaced:
        _remove(log.ledger / path)
        del log.removed[path]
    never_listed = [path for path in _never_listed(log) if _is_past(_modified_ms(path), now_ms)]
    passed_over = list(_replaced_entries(log.ledger, now_ms))
    if not never_listed and not passed_over:
        return len(replaced)
    with sweeping(log.ledger) as alone:
        if not alone:  # a writer is at work: next time
            return len(replaced)
        log.refresh()
        unlisted = [path for path in never_listed if _relative(log, path) not in log.files]
        for gone in unlisted + passed_over:
            _remove(gone)
    return len(replaced) + len(unlisted) + len(passed_over)


def _never_listed(log: DeltaLog) -> Iterator[Path]:
    """Yield what writers have made and no entry mentions."""
    for path in log.ledger.glob("kind=*/received_month=*/*.parquet"):
        name = _relative(log, path)
        if name not in log.files and name not in log.removed:
            yield path
    yield from (log.ledger / STAGING).iterdir()


def _relative(log: DeltaLog, path: Path) -> str:
    return str(path.relative_to(log.ledger))


def _replaced_entries(ledger: Path, now_ms: int) -> Iterator[Path]:
    """Yield entries and checkpoints that the last checkpoint replaced, once no reader can still be on its way through them."""
    kept_from = last_checkpoint(ledger)
    for path in (ledger / LOG).glob("[0-9]*"):
        if int(path.name.partition(".")[0]) < kept_from and _is_past(_modified_ms(path), now_ms):
            yield path


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _modified_ms(path: Path) -> int:
    with suppress(FileNotFoundError):
        return int(path.stat().st_mtime * MILLIS)
    return 0


def _is_past(since_ms: int, now_ms: int) -> bool:
    return now_ms - since_ms > GRACE_S * MILLIS
