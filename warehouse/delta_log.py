"""The ledger's transaction log: read forward entry by entry, and committed to by one exclusive link.

A commit is written aside, fsynced, and linked as the next entry: the link fails if that entry exists, so what was read
up to then still held when it was committed. See docs/adr/0004-own-delta-commits.md for why not through a library.
Opening, checkpoints and schema changes are deltalake's.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

import msgspec
import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from msgspec import Struct

from controlzero.errors import ControlZeroError, Tampered
from controlzero.version import __version__
from warehouse.disk import sync_directory, sync_file, write_durably
from warehouse.kinds import Kind
from warehouse.schema import PARTITIONED_BY, table_schema

LOG = "_delta_log"
STAGING = "_staging"  # entries and merged files being written; readers of Delta skip names with an underscore
STATISTICS = ("project_id", "received_at", "occurred_at")  # kept per file: what readers and retention choose files by

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

    def __init__(self, ledger: Path, *, keeps_removals: bool = False) -> None:
        self.ledger = ledger
        self.removed: dict[str, int] = {}  # path → when, in milliseconds
        self._keeps_removals = keeps_removals
        self._synced = max(last_checkpoint(ledger), 0) - 1
        self._open()

    def _open(self) -> None:
        with _readable(self.ledger):
            self._base = DeltaTable(str(self.ledger))
        self._transactions: dict[str, int] = {}
        self.version: int = self._base.version()
        self.files: dict[str, LiveFile] = dict(_files_of(self._base))
        if self._keeps_removals:
            self._read_removals()

    def refresh(self) -> bool:
        """Read the entries that are new; say whether there were any."""
        was = self.version
        while True:
            try:
                entry = self.entry(self.version + 1).read_bytes()
            except FileNotFoundError:
                if not self._is_behind_a_checkpoint():
                    return self.version != was
                self._open()
                continue
            self._apply(actions_of(entry))
            self.version += 1

    def transaction_version(self, app_id: str) -> int | None:
        """Return how far an application has come, None if it never committed."""
        if app_id not in self._transactions:
            version = self._base.transaction_version(app_id)
            if version is None:
                return None
            self._transactions[app_id] = version
        return self._transactions[app_id]

    def commit(self, actions: Sequence[Action], *, operation: str, at_ms: int, new_id: NewId) -> None:
        """Make `actions` the next entry, or raise `Raced` where another entry took that place. Durable after `sync`.

        After an `OSError` no entry was made either. After anything else, such as an interrupt, read on to know.
        """
        info = {"timestamp": at_ms, "operation": operation, "engineInfo": f"controlzero-audit/{__version__}", "actions": len(actions)}
        lines = [msgspec.json.encode({"commitInfo": info}), *map(msgspec.json.encode, actions)]
        staged = self.ledger / STAGING / f"entry-{new_id()}.json"
        write_durably(staged, b"\n".join(lines) + b"\n")
        try:
            os.link(staged, self.entry(self.version + 1))
        except FileExistsError:
            raise Raced(f"entry {self.version + 1} of {self.ledger} was taken by another writer") from None
        finally:
            with suppress(OSError):
                staged.unlink()
        self._apply(actions)
        self.version += 1

    def sync(self) -> None:
        """Fsync every entry up to this version: those of other writers too, or a hole in the log could outlive ours."""
        if self._synced == self.version:
            return
        for version in range(self._synced + 1, self.version + 1):
            with suppress(FileNotFoundError):  # a checkpoint, fsynced before, took its place
                sync_file(self.entry(version))
        sync_directory(self.ledger / LOG)
        self._synced = self.version

    def entry(self, version: int) -> Path:
        """Return the path of an entry of the log."""
        return self.ledger / LOG / f"{version:020d}.json"

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

    def _read_removals(self) -> None:
        for entry in sorted((self.ledger / LOG).glob("[0-9]*.json")):
            if int(entry.stem) <= self.version:
                for action in actions_of(entry.read_bytes()):
                    if action.remove:
                        self._note_removal(action.remove)

    def _is_behind_a_checkpoint(self) -> bool:
        """Say whether the entry that comes next is gone because a checkpoint replaced it."""
        return last_checkpoint(self.ledger) > self.version


@contextmanager
def _readable(ledger: Path) -> Iterator[None]:
    try:
        yield
    except DeltaError as error:
        what = str(error).partition("\n")[0]
        raise Tampered(f"{ledger}: the ledger's log cannot be read: {what}; `cz doctor` says what to do") from error


class _LastCheckpoint(Struct):
    version: int


def last_checkpoint(ledger: Path) -> int:
    """Return the version of the last checkpoint, -1 without any."""
    try:
        return msgspec.json.decode((ledger / LOG / "_last_checkpoint").read_bytes(), type=_LastCheckpoint).version
    except FileNotFoundError:
        return -1


def is_made(ledger: Path) -> bool:
    """Say whether there is a ledger at all."""
    return (ledger / LOG / f"{0:020d}.json").exists() or last_checkpoint(ledger) >= 0


def create_ledger(ledger: Path) -> None:
    """Make an empty ledger where there is none, with the folders its writers need, or add the columns that an older one lacks."""
    ledger.mkdir(parents=True, exist_ok=True)
    if is_made(ledger):
        _add_columns(ledger)
    else:
        properties = {"delta.dataSkippingStatsColumns": ",".join(STATISTICS)}
        DeltaTable.create(str(ledger), table_schema(), mode="ignore", partition_by=list(PARTITIONED_BY), configuration=properties)
    (ledger / STAGING).mkdir(exist_ok=True)
    for folder in (ledger, ledger / LOG, ledger.parent):
        sync_directory(folder)


def _add_columns(ledger: Path) -> None:
    with _readable(ledger):
        table = DeltaTable(str(ledger))
    known = {field.name for field in table.schema().fields}
    missing = pa.schema([field for field in table_schema() if field.name not in known])
    if len(missing):
        with suppress(CommitFailedError):  # another process that is as new was first
            table.alter.add_columns(Schema.from_arrow(missing).fields)


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
