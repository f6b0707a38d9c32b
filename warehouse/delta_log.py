"""The ledger's transaction log: read forward entry by entry, and committed to by taking the name of the next.

The name is refused if that entry exists, so what was read up to then still held when it was committed. See
docs/adr/0004-own-delta-commits.md for why not through a library, and 0009 for object stores. Opening, checkpoints and schema
changes are deltalake's.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from msgspec import Struct

from controlzero.errors import ControlZeroError, Tampered, Unavailable
from controlzero.version import __version__
from warehouse.disk import sync_directory, sync_file
from warehouse.kinds import Kind
from warehouse.local_folder import LocalFolder
from warehouse.opening import open_store
from warehouse.schema import PARTITIONED_BY, table_schema
from warehouse.stores import LOG, Place, Store, checkpointed

COMPACTOR = "compactor"  # the transaction that fences exchanges of files, and on an object store removal
STATISTICS = ("project_id", "received_at", "occurred_at")  # kept per file: what readers and retention choose files by

# On an object store no lock keeps entries from being removed that a process which slept still counts on, but their age: a day (see
# `warehouse.removal`). So a state that old is not gone on from, and a commit that took that long is not believed.
STATE_S_MAX = 120
COMMIT_S_MAX = 3600
AHEAD_MAX = 16  # entries asked for at once
# How long checkpoints say which files left the table: longer than they stay. Delta's week would be millions of them.
TOMBSTONES_KEPT = "interval 1 hours"

Clock = Callable[[], int]  # microseconds since 1970 UTC
NewId = Callable[[], str]  # a text no other call ever returned


class Raced(ControlZeroError):  # noqa: N818  # named for what the caller does next
    """Another writer committed first: read on, and decide anew."""


class Stats(Struct, frozen=True):
    """What a file's entry says of its rows."""

    numRecords: int = 0  # noqa: N815  # Delta's names
    minValues: dict[str, str] = {}  # noqa: N815
    maxValues: dict[str, str] = {}  # noqa: N815


class Add(Struct, frozen=True, omit_defaults=True):
    """A file that joins the table."""

    path: str
    partitionValues: dict[str, str | None]  # noqa: N815
    size: int
    modificationTime: int  # noqa: N815
    dataChange: bool  # noqa: N815
    stats: str | None = None


class Remove(Struct, frozen=True):
    """A file that leaves the table; its bytes stay until no reader can hold its name."""

    path: str
    deletionTimestamp: int = 0  # noqa: N815
    dataChange: bool = False  # noqa: N815
    extendedFileMetadata: bool | None = None  # noqa: N815
    partitionValues: dict[str, str | None] = {}  # noqa: N815
    size: int = 0


class Txn(Struct, frozen=True):
    """How far an application has come: for a log partition, the offset it goes on from."""

    appId: str  # noqa: N815
    version: int
    lastUpdated: int | None = None  # noqa: N815


class Action(Struct, frozen=True, omit_defaults=True):
    """A line of an entry: one of these."""

    add: Add | None = None
    remove: Remove | None = None
    txn: Txn | None = None


class LiveFile(Struct, frozen=True, kw_only=True):
    """A file of the current version, by what its entry says."""

    path: str  # relative to the ledger
    kind: Kind
    month: str
    rows: int
    size: int
    min_values: dict[str, str]
    max_values: dict[str, str]


def removal_of(file: LiveFile, *, at_ms: int) -> Remove:
    """Return the line that takes a file out of the table; its rows are in other files, or too old to keep."""
    values: dict[str, str | None] = {"kind": file.kind, "received_month": file.month}
    return Remove(file.path, at_ms, extendedFileMetadata=True, partitionValues=values, size=file.size)


class DeltaLog:
    """The state of the table at `version`, moved forward by `refresh`. Not for several threads at once.

    With `keeps_removals` it also knows when files left the table, as far back as there are entries.
    """

    def __init__(self, place: Place | Store, *, keeps_removals: bool = False) -> None:
        self.store = open_store(place)
        self.removed: dict[str, int] = {}  # path → when, in milliseconds
        self._keeps_removals = keeps_removals
        self._synced = max(checkpointed(self.store), 0) - 1
        self._open()

    def _open(self) -> None:
        self._read_at_s = _seconds()
        with self.store.opened_log() as folder:
            with _readable(self.store):
                table = DeltaTable(str(folder))
            self.version: int = table.version()
            self.files: dict[str, LiveFile] = dict(_files_of(table))
            self._transactions = _transactions_of(folder / LOG, self.version)
            if self._keeps_removals:
                self._read_removals(folder / LOG)

    def refresh(self) -> bool:
        """Read the entries that are new; say whether there were any."""
        was = self.version
        if self._is_old():
            self._open()
        while not self._is_read_to_the_end():
            self._open()
        return self.version != was

    def _is_read_to_the_end(self) -> bool:
        """Read entry by entry until there is none; say whether that is the log's end, and not a gap before a checkpoint."""
        at_once = 1
        while True:
            asked_at_s = _seconds()
            for entry in self.store.get_each([_entry(self.version + ahead) for ahead in range(1, at_once + 1)]):
                if entry is None:
                    self._read_at_s = asked_at_s
                    return not self._is_behind_a_checkpoint()
                self._apply(actions_of(entry))
                self.version += 1
            if self.store.is_shared:  # each is a request: who lags far behind asks for more of them
                at_once = min(2 * at_once, AHEAD_MAX)

    def transaction_version(self, app_id: str) -> int | None:
        """Return how far an application has come, None if it never committed."""
        return self._transactions.get(app_id)

    def commit(self, actions: Sequence[Action], *, operation: str, at_ms: int, new_id: NewId) -> None:
        """Make `actions` the next entry, or raise `Raced` where another entry took that place. Durable after `sync`.

        After an `OSError` no entry was made either. After anything else, such as an interrupt, read on to know.
        """
        if self._is_old():
            raise Raced(f"{self.store.name} was read too long ago to commit to")
        unique = new_id()
        info = {
            "timestamp": at_ms,
            "operation": operation,
            "engineInfo": f"controlzero-audit/{__version__}",
            "actions": len(actions),
            "unique": unique,
        }
        lines = [msgspec.json.encode({"commitInfo": info}), *map(msgspec.json.encode, actions)]
        if not self.store.put_if_absent(_entry(self.version + 1), b"\n".join(lines) + b"\n", unique=unique):
            raise Raced(f"entry {self.version + 1} of {self.store.name} was taken by another writer")
        if self.store.is_shared and _seconds() - self._read_at_s > COMMIT_S_MAX:
            self._read_at_s = float("-inf")
            raise Unavailable(f"{self.store.name}: a commit took so long that it may be of no effect; land again, which finds out")
        self._apply(actions)
        self.version += 1

    def sync(self) -> None:
        """Fsync every entry up to this version: those of other writers too, or a hole in the log could outlive ours."""
        if self._synced == self.version:
            return
        if isinstance(self.store, LocalFolder):
            for version in range(self._synced + 1, self.version + 1):
                with suppress(FileNotFoundError):  # a checkpoint, fsynced before, took its place
                    sync_file(self.store.root / _entry(version))
            sync_directory(self.store.root / LOG)
        self._synced = self.version

    def _apply(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if action.add:
                file = _live_file(action.add)
                self.files[file.path] = file
            elif action.remove:
                self.files.pop(unquote(action.remove.path), None)
                self._note_removal(action.remove)
            elif action.txn:
                self._transactions[action.txn.appId] = action.txn.version

    def _note_removal(self, remove: Remove) -> None:
        if self._keeps_removals:
            self.removed[unquote(remove.path)] = remove.deletionTimestamp

    def _read_removals(self, log: Path) -> None:
        if self.store.is_shared:  # in a folder entries from before the checkpoint are still there
            for checkpoint in log.glob("*.checkpoint.parquet"):
                for remove in pq.read_table(checkpoint, columns=["remove"], partitioning=None)["remove"].drop_null().to_pylist():
                    self._note_removal(Remove(remove["path"], remove["deletionTimestamp"] or 0))
        for entry in sorted(log.glob("[0-9]*.json")):
            if int(entry.stem) <= self.version:
                for action in actions_of(entry.read_bytes()):
                    if action.remove:
                        self._note_removal(action.remove)

    def _is_old(self) -> bool:
        """Say whether entries after this state may be gone without a trace in their names."""
        return self.store.is_shared and _seconds() - self._read_at_s > STATE_S_MAX

    def _is_behind_a_checkpoint(self) -> bool:
        """Say whether the entry that comes next is gone because a checkpoint replaced it."""
        return not self.store.is_shared and checkpointed(self.store) > self.version


def _entry(version: int) -> str:
    return f"{LOG}/{version:020d}.json"


def _seconds() -> float:
    """Return a time that goes on while the machine sleeps, and is never set back."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@contextmanager
def _readable(store: Store) -> Iterator[None]:
    try:
        yield
    except DeltaError as error:
        what = str(error).partition("\n")[0]
        raise Tampered(f"{store.name}: the ledger's log cannot be read: {what}; `cz doctor` says what to do") from error


def last_checkpoint(ledger: Path) -> int:
    """Return the version of the last checkpoint of a ledger in a folder, -1 without any."""
    return checkpointed(LocalFolder(ledger))


def is_made(store: Store) -> bool:
    """Say whether there is a ledger at all."""
    if checkpointed(store) >= 0:
        return True
    try:
        return bool(store.get(_entry(0)))
    except FileNotFoundError:
        return False


def create_ledger(store: Store) -> None:
    """Make an empty ledger where there is none, with the folders its writers need, or add the columns that an older one lacks."""
    store.prepare()
    if is_made(store):
        _add_columns(store)
    elif isinstance(store, LocalFolder):
        _new_table(store.root)
    else:
        with tempfile.TemporaryDirectory(prefix="cz-new-") as folder:
            _new_table(Path(folder))
            store.put_if_absent(_entry(0), (Path(folder) / _entry(0)).read_bytes(), unique="")  # or another process is first
    if isinstance(store, LocalFolder):
        for made in (store.root, store.root / LOG, store.root.parent):
            sync_directory(made)


def identity_of(store: Store) -> str:
    """Return the random identity that the table was made with."""
    with store.opened_log() as folder, _readable(store):
        return str(DeltaTable(str(folder)).metadata().id)


def _new_table(folder: Path) -> None:
    properties = {"delta.dataSkippingStatsColumns": ",".join(STATISTICS), "delta.deletedFileRetentionDuration": TOMBSTONES_KEPT}
    DeltaTable.create(str(folder), table_schema(), mode="ignore", partition_by=list(PARTITIONED_BY), configuration=properties)


def _add_columns(store: Store) -> None:
    with store.opened_log() as folder:
        with _readable(store):
            table = DeltaTable(str(folder))
        known = {field.name for field in table.schema().fields}
        missing = pa.schema([field for field in table_schema() if field.name not in known])
        if not len(missing):
            return
        with suppress(CommitFailedError):  # another process that is as new was first
            table.alter.add_columns(Schema.from_arrow(missing).fields)
            entry = _entry(table.version())
            if not isinstance(store, LocalFolder):
                store.put_if_absent(entry, (folder / entry).read_bytes(), unique="")


def _transactions_of(log: Path, version: int) -> dict[str, int]:
    """Return how far each application has come, by the newest checkpoint up to a version and the entries after it."""
    names = sorted(entry.name for entry in os.scandir(log) if entry.name[:1].isdigit() and int(entry.name[:20]) <= version)
    checkpoints = [name for name in names if ".checkpoint" in name and name.endswith(".parquet")]
    since = checkpoints[-1][:20] if checkpoints else ""
    versions: dict[str, int] = {}
    for name in checkpoints:
        if name.startswith(since):
            for txn in pq.read_table(log / name, columns=["txn"], partitioning=None)["txn"].drop_null().to_pylist():
                versions[txn["appId"]] = txn["version"]
    for name in names:
        if name.endswith(".json") and name[:20] > since:
            versions |= {action.txn.appId: action.txn.version for action in actions_of((log / name).read_bytes()) if action.txn}
    return versions


_decode_action = msgspec.json.Decoder(Action).decode
_decode_stats = msgspec.json.Decoder(Stats).decode


def actions_of(entry: bytes) -> list[Action]:
    """Return the actions of an entry; raise `Tampered` where it is no entry."""
    try:
        return [_decode_action(line) for line in entry.splitlines() if line]
    except msgspec.DecodeError as error:
        raise Tampered(f"an entry of the ledger's log is damaged: {error}; `cz doctor` says what to do") from error


def _files_of(table: DeltaTable) -> Iterable[tuple[str, LiveFile]]:
    adds = pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all().to_pylist()
    for add in adds:
        bounds = [{name: _stat(add.get(f"{end}.{name}")) for name in STATISTICS if add.get(f"{end}.{name}")} for end in ("min", "max")]
        path = unquote(add["path"])
        yield (
            path,
            LiveFile(
                path=path,
                kind=add["partition.kind"],
                month=add["partition.received_month"],
                rows=add["num_records"] or 0,
                size=add["size_bytes"],
                min_values=bounds[0],
                max_values=bounds[1],
            ),
        )


def _stat(value: object) -> str:
    return value if isinstance(value, str) else f"{value:%Y-%m-%dT%H:%M:%S.%fZ}"


def _live_file(add: Add) -> LiveFile:
    stats = _decode_stats(add.stats) if add.stats else Stats()
    return LiveFile(
        path=unquote(add.path),
        kind=add.partitionValues["kind"],  # type: ignore[arg-type]  # the table's partitions are the kinds
        month=add.partitionValues["received_month"] or "",
        rows=stats.numRecords,
        size=add.size,
        min_values=stats.minValues,
        max_values=stats.maxValues,
    )
