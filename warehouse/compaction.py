"""Merges the ledger's files: sorted, with a bloom filter on ids, streamed, and committed as one exchange of files.

Each exchange is fenced by the `compactor` transaction: two compactors that read the same files would double every row, and
deltalake's own `optimize.compact` lets them (it ignores application transactions).
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from msgspec import Struct

from warehouse.delta_log import COMPACTOR, Action, Add, Clock, DeltaLog, LiveFile, NewId, Raced, Txn, removal_of
from warehouse.disk import unavailable_without_disk
from warehouse.duck import connect, set_variables
from warehouse.file_names import Stage
from warehouse.files import discard, is_landed, month_of
from warehouse.kinds import KINDS, Kind
from warehouse.lander import open_ledger
from warehouse.locks import writing
from warehouse.merged_files import BATCH_ROWS, write_merged
from warehouse.opening import open_store
from warehouse.planning import Merge, merges
from warehouse.settings import MEMORY_MB
from warehouse.stores import Place

THREADS = 1  # a keeper beside agents' traffic takes one core at most


class Content(Struct, frozen=True, kw_only=True):
    """Rows to be written: a macro, over its inputs."""

    macro: str
    kind: Kind
    inputs: tuple[LiveFile, ...]
    outputs: int = 1
    stage: Stage = "m"
    is_new: bool = False  # rows that no file held before


class Compactor:
    """Exchanges files of the ledger at `place` for merged ones. One per ledger works; more do no harm."""

    def __init__(self, place: Place, *, clock: Clock, new_id: NewId, memory_mb: int = MEMORY_MB, threads: int = THREADS) -> None:
        self.store = open_store(place.absolute() if isinstance(place, Path) else place)
        self._clock = clock
        self.new_id = new_id
        self._memory_mb = memory_mb
        self._threads = threads
        with unavailable_without_disk(self.store.name):
            open_ledger(self.store, new_id=new_id)
            self.log = DeltaLog(self.store, keeps_removals=True)

    def now(self) -> int:
        """Return the time, in microseconds."""
        return self._clock()

    def compact(self) -> int:
        """Merge what should be merged now; return how many files that took away."""
        removed = 0
        with self.database() as database:
            for kind in KINDS:  # decisions before rollups: they add detail to them
                self.log.refresh()
                files = [file for file in self.log.files.values() if file.kind == kind]
                for merge in merges(files, open_month=month_of(self._clock())):
                    removed += len(merge.inputs) if self.exchange(database, merge.month, merge.inputs, _contents(merge)) else 0
        return removed

    def exchange(self, database: duckdb.DuckDBPyConnection, month: str, inputs: tuple[LiveFile, ...], contents: Sequence[Content]) -> bool:
        """Replace `inputs` by files of `contents`, in one commit; say whether it was made: not when another compactor came first."""
        with unavailable_without_disk(self.store.name), writing(self.store.locks):
            fence = self.log.transaction_version(COMPACTOR) or 0
            at_ms = self._clock() // 1000
            adds: list[Add] = []
            try:
                for content in contents:
                    adds += self._write(database, month, content, at_ms)
                committed = self._commit(inputs, adds, fence, at_ms)
            except (OSError, duckdb.Error) as error:  # not committed, for certain; after anything else removal finds what is left
                discard(self.store, adds)
                if isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException):
                    raise OSError(f"a merge could not be read or spilled: {error}") from error
                raise
            if not committed:
                discard(self.store, adds)
            self.log.sync()
            return committed

    @contextmanager
    def database(self, variables: Mapping[str, object] | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a database of our macros and what they read, in bounded memory, over all projects."""
        spill = self.store.workshop / f"spill-{self.new_id()}"
        database = connect([self.store.readable], threads=self._threads, memory_mb=self._memory_mb, spill=spill)
        try:
            set_variables(database, {"evolved": True, "every_project": True, "project": "", **(variables or {})})
            yield database
        finally:
            database.close()
            shutil.rmtree(spill, ignore_errors=True)

    def _write(self, database: duckdb.DuckDBPyConnection, month: str, content: Content, at_ms: int) -> list[Add]:
        rows = sum(file.rows for file in content.inputs)
        return write_merged(
            self.store,
            self.rows(database, content.macro, content.inputs),
            kind=content.kind,
            month=month,
            rows_per_file=-(-rows // content.outputs),
            stage=content.stage,
            is_new=content.is_new,
            at_ms=at_ms,
            new_id=self.new_id,
        )

    def rows(self, database: duckdb.DuckDBPyConnection, macro: str, inputs: tuple[LiveFile, ...]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one of the macros over the input files."""
        paths = self.store.local([file.path for file in inputs])
        set_variables(database, {"inputs": paths})
        yield from database.sql(f"SELECT * FROM {macro}(getvariable('inputs'))").to_arrow_reader(BATCH_ROWS)  # noqa: S608  # a name of ours

    def _commit(self, inputs: tuple[LiveFile, ...], adds: list[Add], fence: int, at_ms: int) -> bool:
        """Commit the exchange on the newest state in which the inputs are still live and no other compactor committed."""
        actions = [Action(add=add) for add in adds]
        actions += [Action(remove=removal_of(file, at_ms=at_ms)) for file in inputs]
        actions.append(Action(txn=Txn(COMPACTOR, fence + 1, at_ms)))
        while (self.log.transaction_version(COMPACTOR) or 0) == fence and all(file.path in self.log.files for file in inputs):
            try:
                self.log.commit(actions, operation="OPTIMIZE", at_ms=at_ms, new_id=self.new_id)
            except Raced:
                self.log.refresh()
                continue
            return True
        return False


def _contents(merge: Merge) -> list[Content]:
    """Return what a merge writes: its rows, and for decisions merged for the first time their detail."""
    contents = [Content(macro=f"merged_{merge.kind}", kind=merge.kind, inputs=merge.inputs, outputs=merge.outputs)]
    landed = tuple(file for file in merge.inputs if is_landed(file))
    if merge.kind == "decision" and landed:
        contents.append(Content(macro="added_detail", kind="rollup", inputs=landed, stage="d", is_new=True))
    return contents
