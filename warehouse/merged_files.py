"""Files of merged rows, written as the rows stream in: no month is ever in memory."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.delta_log import Add, NewId, Stats
from warehouse.file_names import Stage, file_name, folder_of
from warehouse.files import bounds_of, discard, entry_of, writer_options
from warehouse.kinds import Kind
from warehouse.schema import arrow_schema
from warehouse.stores import Store

BATCH_ROWS = 20_480  # read at once: some 20 MB
GROUP_ROWS = 6 * BATCH_ROWS  # a row group, as DuckDB scans them
BUFFER_BYTES = 1 << 20  # a page of a column is small: without, each is a system call
BLOOM_ON = "decision_id"
BLOOM_FALSE_POSITIVES = 0.01


def write_merged(
    store: Store,
    batches: Iterator[pa.RecordBatch],
    *,
    kind: Kind,
    month: str,
    rows_per_file: int,
    stage: Stage,
    is_new: bool,
    at_ms: int,
    new_id: NewId,
) -> list[Add]:
    """Write files of about `rows_per_file` rows, durable and in their place; return their entries. None for no rows."""
    folder = folder_of(kind, month)
    adds: list[Add] = []
    file: _MergedFile | None = None
    try:
        for batch in batches:
            file = file or _MergedFile(store.workshop / f"merging-{new_id()}.parquet", kind)
            file.write(batch)
            if file.rows >= rows_per_file:
                adds.append(file.placed(store, folder, month, stage, is_new=is_new, at_ms=at_ms, new_id=new_id))
                file = None
        if file:
            adds.append(file.placed(store, folder, month, stage, is_new=is_new, at_ms=at_ms, new_id=new_id))
    except BaseException:
        if file:
            file.abandon()
        discard(store, adds)
        raise
    return adds


class _MergedFile:
    """One file in the making: it gets its name when its checksum is known."""

    def __init__(self, staged: Path, kind: Kind) -> None:
        self.rows = 0
        self._schema = arrow_schema(kind)
        self._held: list[pa.Table] = []  # of the row group that is not full yet
        self._held_rows = 0
        self._kind = kind
        self._staged = staged
        self._sink = _Hashed(staged)
        self._low: dict[str, str] = {}
        self._high: dict[str, str] = {}
        options = {**writer_options(kind), "write_page_index": True}
        if BLOOM_ON in self._schema.names:
            options = {**options, "bloom_filter_options": {BLOOM_ON: {"ndv": GROUP_ROWS, "fpp": BLOOM_FALSE_POSITIVES}}}
        with ExitStack() as undo:  # the writer begins to write at once
            undo.callback(staged.unlink)
            undo.callback(self._sink.close)
            self._writer = pq.ParquetWriter(self._sink, self._schema, **options)
            undo.pop_all()

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; a full row group is written."""
        table = pa.Table.from_batches([batch]).select(self._schema.names).cast(self._schema)
        for name, (low, high) in bounds_of(table).items():
            self._low[name] = min(low, self._low.get(name, low))
            self._high[name] = max(high, self._high.get(name, high))
        self.rows += table.num_rows
        self._held.append(table)
        self._held_rows += table.num_rows
        if self._held_rows >= GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        self._writer.write_table(pa.concat_tables(self._held), row_group_size=self._held_rows)
        self._held, self._held_rows = [], 0

    def placed(self, store: Store, folder: str, month: str, stage: Stage, *, is_new: bool, at_ms: int, new_id: NewId) -> Add:
        """End the file, give it its place and name, durably, and return its entry."""
        if self._held:
            self._write_group()
        self._writer.close()
        self._sink.close()
        path = f"{folder}/{file_name(stage, new_id(), self._sink.sha256())}"
        store.place(self._staged, path)
        stats = Stats(self.rows, self._low, self._high)
        return entry_of(path, stats, kind=self._kind, month=month, size=self._sink.size, at_ms=at_ms, data_change=is_new)

    def abandon(self) -> None:
        """Leave nothing of it behind."""
        with suppress(OSError, pa.ArrowException, ValueError):
            self._writer.close()
        with suppress(OSError):  # a disk that is full takes no last bytes either
            self._sink.close()
        with suppress(OSError):
            self._staged.unlink()


class _Hashed:
    """A file whose bytes are hashed on their way to it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=BUFFER_BYTES)
        self._hash = hashlib.sha256()
        self.size = 0

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, content: bytes) -> int:
        self._hash.update(content)
        self.size += len(content)
        return self._file.write(content)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self._file.close()

    def sha256(self) -> str:
        return self._hash.hexdigest()
