"""The ledger's Parquet files: their names, encodings and checksums, and what their log entries say of them.

A name is `<stage>-<unique id>-<SHA-256 of the bytes>.parquet`. The stage is `l` as landed, `d` for detail that compaction counted,
`m` merged. The name is in the log, so rot is found against it (Parquet hides it), and no name is used twice.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from controlzero.errors import Unavailable
from warehouse.delta_log import STATISTICS, Add, LiveFile, Stats
from warehouse.kinds import Kind
from warehouse.schema import TIMESTAMP, arrow_schema, repeats
from warehouse.stores import Store

MICROS = 1_000_000
# zstd pays on text. Ids do not compress, and a column of few values is small already: a codec for each of sixty columns costs a small file
# half of its time.
CODEC_TEXT, CODEC_OTHER = "zstd", "none"
# Long texts of which agents repeat whole ones: in recorded traffic four of five. Each is compressed once, and a column whose texts all
# differ falls back to plain pages when its dictionary is full.
SAID_AGAIN = frozenset({"args", "text"})
DICTIONARY_BYTES_MAX = 4 << 20


def is_landed(file: LiveFile) -> bool:
    """Say whether a file is not merged yet."""
    return Path(file.path).name.startswith(("l-", "d-"))


def holds_detail(file: LiveFile) -> bool:
    """Say whether a file may hold rollups by agent, action and resource: the lander counts none."""
    return file.kind == "rollup" and not Path(file.path).name.startswith("l-")


def encode(table: pa.Table, kind: Kind) -> tuple[bytes, str]:
    """Return a table as the bytes of a Parquet file, and their SHA-256."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, **writer_options(kind), write_statistics=_looked_up(kind)) as writer:
        writer.write_table(table)
    content = sink.getvalue()
    return content, hashlib.sha256(content).hexdigest()


@cache
def _looked_up(kind: Kind) -> list[str]:
    """Return the columns whose bounds are worth their cost in a small file: by them it is passed over."""
    return [name for name in (*STATISTICS, "decision_id", "producer_id", "seq", "session_id") if name in arrow_schema(kind).names]


@cache
def writer_options(kind: Kind) -> dict[str, Any]:
    """Return the options a kind's files are written with: dictionaries where values repeat, deltas on times and counts."""
    dictionaries, encodings, codecs = [], {}, {}
    for field in arrow_schema(kind):
        text = pa.types.is_string(field.type) or pa.types.is_binary(field.type)
        codecs[field.name] = CODEC_TEXT if text and not repeats(field) else CODEC_OTHER
        if field.name in SAID_AGAIN:
            dictionaries.append(field.name)
        if pa.types.is_list(field.type):
            paths = _leaves(field)
            dictionaries += [path for path, leaf in paths if pa.types.is_string(leaf)]
            codecs |= dict.fromkeys((path for path, _ in paths), CODEC_OTHER)
            del codecs[field.name]
        elif repeats(field):
            dictionaries.append(field.name)
        elif field.type == TIMESTAMP or pa.types.is_int64(field.type):
            encodings[field.name] = "DELTA_BINARY_PACKED"
    return {
        "compression": codecs,
        "use_dictionary": dictionaries,
        "dictionary_pagesize_limit": DICTIONARY_BYTES_MAX,
        "column_encoding": encodings,
        "write_page_checksum": True,
        "store_schema": False,
        "data_page_version": "1.0",
    }


def _leaves(field: pa.Field) -> list[tuple[str, pa.DataType]]:
    item = field.type.value_type
    if pa.types.is_struct(item):
        return [(f"{field.name}.list.element.{leaf.name}", leaf.type) for leaf in item]
    return [(f"{field.name}.list.element", item)]


def add_action(path: str, table: pa.Table, *, kind: Kind, month: str, size: int, at_ms: int) -> Add:
    """Return the log entry of a landed file."""
    bounds = bounds_of(table)
    stats = Stats(table.num_rows, {name: low for name, (low, _) in bounds.items()}, {name: high for name, (_, high) in bounds.items()})
    return entry_of(path, stats, kind=kind, month=month, size=size, at_ms=at_ms, data_change=True)


def entry_of(path: str, stats: Stats, *, kind: Kind, month: str, size: int, at_ms: int, data_change: bool) -> Add:
    """Return the log entry of a file by its statistics; `data_change` is False where it only holds rows of other files anew."""
    return Add(
        path=path,
        partitionValues={"kind": kind, "received_month": month},
        size=size,
        modificationTime=at_ms,
        dataChange=data_change,
        stats=msgspec.json.encode(stats).decode(),
    )


def bounds_of(table: pa.Table) -> dict[str, tuple[str, str]]:
    """Return the least and greatest value of each column that files are chosen by."""
    bounds = {}
    for name in STATISTICS:
        if name in table.schema.names and table.num_rows:
            column = table[name]
            ends = pc.min_max(column.cast(pa.int64()) if column.type == TIMESTAMP else column).as_py()
            bounds[name] = stat_of(ends["min"]), stat_of(ends["max"])
    return bounds


def discard(store: Store, adds: Iterable[Add]) -> None:
    """Remove files of a commit that was not made. What is left of them a crash would leave too: removal finds it."""
    with suppress(OSError, Unavailable):
        store.remove([add.path for add in adds])


def stat_of(value: int | str) -> str:
    """Return a statistic as the log has it: text as it is, microseconds as ISO 8601, whose order is that of time."""
    if isinstance(value, str):
        return value
    seconds, micros = divmod(value, MICROS)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{micros:06d}Z"


def month_of(micros: int) -> str:
    """Return the partition of a time: `2026-11`."""
    return f"{datetime.fromtimestamp(micros // MICROS, UTC):%Y-%m}"


def months_of(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Split a table by the month its rows were received in: nearly always one."""
    received = table["received_at"].cast(pa.int64())
    ends = pc.min_max(received).as_py()
    month, last = month_of(ends["min"]), month_of(ends["max"])
    if month == last:
        yield month, table
        return
    while month <= last:
        start, end = month_bounds(month)
        part = table.filter(pc.and_(pc.greater_equal(received, start), pc.less(received, end)))
        if part.num_rows:
            yield month, part
        month = month_of(end)


def month_bounds(month: str) -> tuple[int, int]:
    """Return when a month begins and ends, in microseconds."""
    start = datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
    end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return int(start.timestamp()) * MICROS, int(end.timestamp()) * MICROS
