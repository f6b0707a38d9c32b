"""Answers questions about the ledger: the files of one version, seen by DuckDB, scoped to a project.

A `Warehouse` is a process's, for all its threads; a `Session` is for one thread at a time. What a session sees changes only
when it is refreshed. Files that have left the ledger stay readable for 15 minutes; a session older than that refreshes itself.
"""

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Set
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Self

import duckdb
import pyarrow as pa
from msgspec import Struct

from controlzero.errors import Rejected, Tampered, Unavailable
from warehouse.delta_log import DeltaLog, LiveFile, is_made
from warehouse.duck import connect, create_views, file_lists_of, set_variables
from warehouse.files import encode, holds_detail, is_landed, stat_of
from warehouse.kinds import KINDS, Kind
from warehouse.opening import open_store
from warehouse.schema import arrow_schema
from warehouse.stores import Place

QUERIES = files("warehouse") / "queries"
MEMORY_MB = 2_048  # of all sessions of a process together; a question that needs more fails, the pages go on
THREADS = 4
# What DuckDB keeps of a file (its metadata, some 80 KB) it keeps after the file is gone, up to its memory limit. Landings make tens of
# thousands of files a day, so after so many the database is begun anew: at most 400 MB.
FILES_PER_DATABASE = 5_000


class Snapshot(Struct, frozen=True):
    """The files of one version of the ledger."""

    version: int
    files: tuple[LiveFile, ...]


NOTHING = Snapshot(-1, ())
FILE_LISTS: dict[str, tuple[Kind, Callable[[LiveFile], bool]]] = {  # what views read: of which kind, and which of its files
    **{f"{kind}_files": (kind, lambda _: True) for kind in KINDS},
    "decision_landed_files": ("decision", is_landed),
    "rollup_detail_files": ("rollup", holds_detail),
}
SEES_NOTHING: dict[str, object] = {"project": "", "every_project": False, "evolved": False}


class Warehouse:
    """The ledger as a process reads it: the table's own folder, `CZ_HOME/warehouse/ledger`, or a bucket."""

    def __init__(self, place: Place, *, threads: int, memory_mb: int) -> None:
        self._store = open_store(place)
        self._mutex = threading.Lock()
        self._log: DeltaLog | None = None
        self._snapshot = NOTHING
        self._folder = Path(tempfile.mkdtemp(prefix="cz-empty-"))
        self._remove_folder = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._empty = dict(_write_empty_files(self._folder))
        self._connect = partial(connect, [self._store.readable, self._folder], threads=threads, memory_mb=memory_mb)
        self._database = self._new_database()
        self._files_read = 0
        self.generation = 0

    @classmethod
    def open(cls, place: Place, *, threads: int = THREADS, memory_mb: int = MEMORY_MB) -> Self:
        """Open the ledger at `place`; one that is not there yet is empty. Raises `Unavailable` for one that cannot be read."""
        warehouse = cls(place.absolute() if isinstance(place, Path) else place, threads=threads, memory_mb=memory_mb)
        warehouse.snapshot()
        return warehouse

    def session(self, project_id: str | None, *, received_since: int | None = None) -> "Session":
        """Begin a session that sees one project; None sees all, for operators.

        With `received_since` (microseconds) files that hold only older rows are left out; files are not cut.
        """
        return Session(self, project_id, received_since)

    def snapshot(self) -> Snapshot:
        """Return the newest version's files."""
        with self._mutex:
            moved = self._moved_on()
            if self._log and moved:
                entries = self._log.version - self._snapshot.version if self._snapshot is not NOTHING else 0
                self._files_read += entries * len(KINDS)
                self._snapshot = Snapshot(self._log.version, tuple(self._log.files.values()))
            if self._files_read > FILES_PER_DATABASE:
                self._database, self._files_read = self._new_database(), 0
                self.generation += 1
            return self._snapshot

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Return a connection of the reader's own to the database of this generation. It sees nothing until it is told what to see."""
        with self._mutex:
            return self._database.cursor()

    def landed(self, app_ids: Iterable[str]) -> dict[str, int]:
        """Return the offset each app id goes on from, as `Lander.landed` does, for one who only looks."""
        with self._mutex:
            self._moved_on()
            versions = {app_id: self._log.transaction_version(app_id) if self._log else None for app_id in app_ids}
        return {app_id: version for app_id, version in versions.items() if version is not None}

    def close(self) -> None:
        """Let go of the database and the files beside it."""
        self._database.close()
        self._remove_folder()

    def _new_database(self) -> duckdb.DuckDBPyConnection:
        database = self._connect()
        set_variables(database, self.variables(NOTHING, "", None) | SEES_NOTHING)
        create_views(database)
        return database

    def _moved_on(self) -> bool:
        try:
            if self._log:
                return self._log.refresh() or self._log.version != self._snapshot.version
            if is_made(self._store):
                self._log = DeltaLog(self._store)
        except (Tampered, OSError) as error:
            raise Unavailable(f"{self._store.name}: the ledger cannot be read: {error}; see `cz doctor`", retry_after_s=1.0) from error
        return self._log is not None

    def variables(
        self, snapshot: Snapshot, project_id: str | None, received_since: int | None, *, names: Iterable[str] = FILE_LISTS
    ) -> dict[str, object]:
        """Return what the views read: each kind's files on this machine, the first an empty one of all its columns."""
        wanted = [file for file in snapshot.files if _may_hold(file, project_id, received_since)]
        lists: dict[str, object] = {}
        for name in names:
            kind, belongs = FILE_LISTS[name]
            listed = [file.path for file in wanted if file.kind == kind and belongs(file)]
            lists[name] = [self._empty[kind], *self._store.local(listed)]
        return lists


class Session:
    """One reader's view of the ledger, scoped to its project. For one thread at a time."""

    def __init__(self, warehouse: Warehouse, project_id: str | None, received_since: int | None) -> None:
        self._warehouse = warehouse
        self._project_id = project_id
        self._received_since = received_since
        self._begin()
        self.refresh()

    def _begin(self) -> None:
        self._generation = self._warehouse.generation
        self._cursor = self._warehouse.cursor()
        self._snapshot: Snapshot | None = None
        self._shown: set[str] = set()
        mine = {"project": self._project_id or "", "every_project": self._project_id is None}
        set_variables(self._cursor, SEES_NOTHING | mine)

    def refresh(self) -> int:
        """See the newest version from now on; return it."""
        snapshot = self._warehouse.snapshot()
        if self._warehouse.generation != self._generation:
            self._begin()
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            self._unshow()
        return snapshot.version

    def _show(self, names: Set[str]) -> None:
        """See to it that the files of some lists are on this machine, and that the views know them."""
        names = names - self._shown
        if names:
            variables = self._warehouse.variables(self._snapshot or NOTHING, self._project_id, self._received_since, names=names)
            set_variables(self._cursor, variables)
            self._shown |= names

    def _unshow(self) -> None:
        set_variables(self._cursor, dict.fromkeys(self._shown))
        self._shown.clear()

    def query(self, name: str, **parameters: Any) -> pa.Table:
        """Answer the question in `queries/<name>.sql` with its parameters bound."""
        return self.sql(query_text(name), parameters)

    def sql(self, statement: str, parameters: dict[str, Any]) -> pa.Table:
        """Run a statement over the views. For tests and the command line: pages ask by `query`."""
        names: Set[str] = file_lists_of(statement)
        try:
            self._show(names)
            return self._cursor.sql(statement, params=parameters).to_arrow_table()
        except (duckdb.IOException, FileNotFoundError):
            self._unshow()  # a file left the ledger longer ago than readers may hold its name, or this machine to make room
        except duckdb.ParserException as error:
            if "NULL list" not in str(error):
                raise
            names = FILE_LISTS.keys()  # it names a view elsewhere than after FROM or JOIN
        except duckdb.InvalidInputException as error:
            if "schema mismatch" not in str(error).lower():
                raise
            set_variables(self._cursor, {"evolved": True})  # some files are older than a column
        self.refresh()
        self._show(names)
        return self._cursor.sql(statement, params=parameters).to_arrow_table()


@cache
def query_text(name: str) -> str:
    """Return the SQL of a question; raise `Rejected` where there is none of that name."""
    if name not in query_names():
        raise Rejected(f"there is no query `{name}`; warehouse/queries has {', '.join(query_names())}")
    return (QUERIES / f"{name}.sql").read_text(encoding="utf-8")


@cache
def query_names() -> tuple[str, ...]:
    """Return the names of all questions."""
    return tuple(sorted(entry.name.removesuffix(".sql") for entry in QUERIES.iterdir() if entry.name.endswith(".sql")))


def _may_hold(file: LiveFile, project_id: str | None, received_since: int | None) -> bool:
    """Say whether a file can hold rows a session asks for. One without statistics can."""
    low, high = file.min_values, file.max_values
    if project_id is not None and "project_id" in low and not low["project_id"] <= project_id <= high["project_id"]:
        return False
    return received_since is None or "received_at" not in high or high["received_at"] >= stat_of(received_since)


def _write_empty_files(folder: Path) -> Iterator[tuple[Kind, str]]:
    """Write a file without rows for each kind: an empty ledger has columns too, and old files gain those added since."""
    for kind in KINDS:
        path = folder / f"{kind}.parquet"
        path.write_bytes(encode(arrow_schema(kind).empty_table(), kind)[0])
        yield kind, str(path)
