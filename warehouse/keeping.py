"""Keeps the ledger small to read: when files are due to be merged, what a pass does, and in which order."""

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from warehouse.compaction import Compactor
from warehouse.delta_log import LiveFile
from warehouse.files import is_landed
from warehouse.heartbeat import Kept
from warehouse.removal import checkpoint, sweep
from warehouse.retention import Retention, expire

DUE_FILES = 48  # landed files of a kind: far below the 256 that questions bear, as a merge takes its time while more land
DUE_AFTER_S = 60  # a quiet ledger is merged too: its detail is counted and its few files become one
SWEEP_EVERY_S = 60
EXPIRE_EVERY_S = 3600  # deadlines are midnights
SECOND = 1_000_000


class Due(Struct, frozen=True, kw_only=True):
    """When each duty was last done, in microseconds."""

    merged_at: int = 0
    swept_at: int = 0
    expired_at: int = 0


def keep(compactor: Compactor, due: Due, retention: Retention) -> tuple[Kept, Due]:
    """Do what is due: expire, merge, checkpoint, remove. Room is made before it is taken."""
    now = compactor.now()
    compactor.log.refresh()
    kept, done = Kept(), due
    if now - due.swept_at >= SWEEP_EVERY_S * SECOND:
        kept = replace(kept, removed_files=sweep(compactor.log, now_ms=now // 1000, new_id=compactor.new_id))
        done = replace(done, swept_at=now)
    if now - due.expired_at >= EXPIRE_EVERY_S * SECOND:
        kept = replace(kept, expired_rows=expire(compactor, retention))
        done = replace(done, expired_at=now)
    if is_merge_due(compactor.log.files.values(), waited_s=(now - due.merged_at) // SECOND):
        kept = replace(kept, merged_files=compactor.compact())
        done = replace(done, merged_at=now)
    return replace(kept, checkpoints=int(checkpoint(compactor.log))), done


def is_merge_due(files: Iterable[LiveFile], *, waited_s: int) -> bool:
    """Say whether enough files landed, or any did and the last merge is long ago."""
    landed = Counter(file.kind for file in files if is_landed(file))
    return max(landed.values(), default=0) >= (1 if waited_s >= DUE_AFTER_S else DUE_FILES)
