"""What a power cut can leave half written in the ledger's log is set aside when it is opened, and kept for a person to see.

A torn entry was never acknowledged: whoever commits fsyncs every entry up to its own first. So it and all after it are set
aside, and what they held lands again from the log of messages. Far from the end that reasoning does not hold: that is damage.
"""

import time
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from controlzero.errors import Tampered, Unavailable
from warehouse.delta_log import NewId, actions_of, last_checkpoint
from warehouse.disk import sync_directory
from warehouse.local_folder import LocalFolder
from warehouse.locks import sweeping
from warehouse.stores import LOG

ASIDE = "_torn"
TAIL_MAX = 16  # entries that can be in flight: each writer has one, and writers are few
WAIT_S_MAX = 10.0


def mend(ledger: Path, *, new_id: NewId) -> list[Path]:
    """Set aside what is torn at the end of the log; return where it went. Raises `Tampered` for damage further back."""
    if not _torn(ledger):
        return []
    deadline = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < deadline:
        with sweeping(LocalFolder(ledger).locks) as alone:
            if alone:
                return _set_aside(ledger, _torn(ledger), new_id)
    raise Unavailable(f"{ledger}: the end of its log is torn, and another process is writing; stop all writers and start again")


def set_aside(ledger: Path) -> list[Path]:
    """Return what has ever been set aside, for `cz doctor`."""
    return sorted((ledger / ASIDE).glob("*")) if (ledger / ASIDE).is_dir() else []


def _torn(ledger: Path) -> list[Path]:
    log = ledger / LOG
    torn = _torn_checkpoint(log)
    entries = sorted(log.glob("[0-9]*.json"))
    for place, entry in enumerate(entries[-TAIL_MAX:], start=max(0, len(entries) - TAIL_MAX)):
        if not _is_entry_whole(entry):
            return torn + entries[place:]
    return torn


def _is_entry_whole(entry: Path) -> bool:
    content = entry.read_bytes()
    try:
        actions = actions_of(content)
    except Tampered:
        return False
    promised = msgspec.json.decode(content.splitlines()[0], type=_First).commitInfo.actions if actions else 1
    return promised is None or promised == len(actions) - 1  # without the line of commitInfo itself


class _Info(msgspec.Struct, frozen=True):
    actions: int | None = None


class _First(msgspec.Struct, frozen=True):
    commitInfo: _Info = _Info()  # noqa: N815  # Delta's name


def _torn_checkpoint(log: Path) -> list[Path]:
    """Return the newest checkpoint and the file that names it, where either is torn: an older one and the entries do as well."""
    newest = sorted(log.glob("*.checkpoint.parquet"))[-1:]
    named = log / "_last_checkpoint"
    try:
        last_checkpoint(log.parent)
        for checkpoint in newest:
            pq.read_metadata(checkpoint)
    except msgspec.DecodeError:
        return [named]
    except pa.ArrowInvalid:
        return [*newest, named] if named.exists() else newest
    return []


def _set_aside(ledger: Path, torn: list[Path], new_id: NewId) -> list[Path]:
    (ledger / ASIDE).mkdir(exist_ok=True)
    moved = []
    for path in reversed(torn):  # the last first: a crash in between leaves a shorter log, never a hole
        target = ledger / ASIDE / f"{path.name}.{new_id()}"
        path.rename(target)
        moved.append(target)
    sync_directory(ledger / ASIDE)
    sync_directory(ledger / LOG)
    return moved
