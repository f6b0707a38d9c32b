"""Tables as files for other tools: CSV that no spreadsheet runs as a formula, and Parquet."""

import io
import json
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

ROWS_MAX: Final = 100_000  # a download a browser and a spreadsheet can hold; the page says when it cuts
# What spreadsheets take for a formula (OWASP, CSV injection), with the full-width forms some of them fold.
FORMULA: Final = r"^([\s\x00]*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|[\t\r\n])"
ID_BYTES: Final = 16


def csv_bytes(table: pa.Table) -> bytes:
    """Return the table as CSV: nested values as JSON, ids as text, times in UTC; text that looks like a formula is quoted as text."""
    columns = [_neutral(_plain(table.column(name))) for name in table.column_names]
    out = io.BytesIO()
    pa.csv.write_csv(pa.table(columns, names=table.column_names), out, pa.csv.WriteOptions(quoting_style="all_valid"))
    return out.getvalue()


def parquet_bytes(table: pa.Table) -> bytes:
    """Return the table as Parquet with its types; text in it is typed as text, so nothing can take it for a formula."""
    out = io.BytesIO()
    pq.write_table(
        pa.table([_ids_as_text(table.column(name)) for name in table.column_names], names=table.column_names), out, compression="zstd"
    )
    return out.getvalue()


def uuid_text(value: bytes | None) -> str | None:
    """Return the text of a 16-byte id."""
    if value is None:
        return None
    digits = value.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_timestamp(kind):
        return pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ") if len(column) else pa.chunked_array([pa.array([], pa.string())])
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_large_binary(kind):
        return _ids_as_text(column)
    if pa.types.is_nested(kind):
        return pa.chunked_array(
            [pa.array([None if value is None else json.dumps(value, default=str) for value in column.to_pylist()], pa.string())]
        )
    return column


def _ids_as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not (pa.types.is_binary(column.type) or pa.types.is_fixed_size_binary(column.type)):
        return column
    values: list[Any] = [uuid_text(value) if value and len(value) == ID_BYTES else value and value.hex() for value in column.to_pylist()]
    return pa.chunked_array([pa.array(values, pa.string())])


def _neutral(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    looks_like_formula = pc.fill_null(pc.match_substring_regex(column, FORMULA), False)  # noqa: FBT003 - Arrow's own signature
    return pc.if_else(looks_like_formula, pc.binary_join_element_wise("'", column, ""), column)
