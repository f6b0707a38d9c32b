"""Tables of the ledger from records: whole columns at a time, never row by row."""

from collections.abc import Mapping, Sequence, Sized
from itertools import chain
from operator import attrgetter
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw, Struct, structs

from controlzero.errors import Rejected
from controlzero.records import ABSENT, Decision
from warehouse.kinds import KINDS, Judged, Kind, Placed
from warehouse.schema import ID, TIMESTAMP, arrow_schema

Column: TypeAlias = "Sequence[Any] | pa.Array | pa.ChunkedArray | pa.Scalar"
UNJUDGED = {field.name: None if field.required or field.default is ABSENT else field.default for field in structs.fields(Judged)}
HEX_CHARS = 32  # of a 16-byte id
NO_ID = "0" * HEX_CHARS  # stands where there is none, and is not read
TURNED_ROWS = 200  # made columns at once: few enough to stay in the processor's cache


def decisions_table(decisions: Sequence[Decision], *, placed: Mapping[str, Column], judged: Mapping[str, Column]) -> pa.Table:
    """Build the rows of kind `decision` from records, and the columns of `Placed` and `Judged` for each of them.

    A column left out of `judged` has its default; a `pa.Scalar` stands for the same value in every row.
    """
    columns = {**columns_of(Decision, decisions), **placed, **judged}
    for name in Placed.__struct_fields__:
        if name not in placed:
            raise TypeError(f"decisions_table: `placed` has no column `{name}`; every row owes it to its batch")
    for name, default in UNJUDGED.items():
        columns.setdefault(name, pa.scalar(None) if default is None else [default] * len(decisions))
    return table_of("decision", columns)


def rows_table(kind: Kind, rows: Sequence[Struct]) -> pa.Table:
    """Build a table from the records of a kind that is one type, such as `finding` or `tally`."""
    (type_,) = KINDS[kind]
    return table_of(kind, columns_of(type_, rows))


def columns_of(type_: type[Struct], rows: Sequence[Struct]) -> dict[str, list[Any]]:
    """Return the fields of many records as columns; JSON as bytes, None where there is none."""
    columns: dict[str, list[Any]] = {name: [] for name in type_.__struct_fields__}
    for first in range(0, len(rows), TURNED_ROWS):
        turned = zip(*map(structs.astuple, rows[first : first + TURNED_ROWS]), strict=True)
        for column, values in zip(columns.values(), turned, strict=True):
            column += _json(values) if isinstance(values[0], Raw) else values
    return columns


def _json(values: Sequence[Raw]) -> list[bytes | None]:
    encoded = [b"null" if value is ABSENT else bytes(value) for value in values]
    return [None if value == b"null" else value for value in encoded]


def shared_columns(kind: Kind, type_: type[Struct], rows: Sequence[Struct]) -> dict[str, pa.Array]:
    """Return the fields that a kind has of records which are few objects, each for many rows: every one is laid out once."""
    distinct = {id(row): row for row in rows}
    numbers = {about: number for number, about in enumerate(distinct)}
    places = pa.array([numbers[id(row)] for row in rows], pa.int32())
    columns = columns_of(type_, list(distinct.values()))
    return {
        field.name: _array(field, columns[field.name], len(distinct)).take(places) for field in arrow_schema(kind) if field.name in columns
    }


def table_of(kind: Kind, columns: Mapping[str, Column]) -> pa.Table:
    """Build a kind's table from columns of wire values: ids as text, JSON as bytes, times as microseconds.

    A column may be Arrow already, or a `pa.Scalar` for all rows. Raises `Rejected` for a value that does not fit its column.
    """
    schema = arrow_schema(kind)
    if unknown := columns.keys() - set(schema.names):
        raise TypeError(f"kind `{kind}` has no column {', '.join(sorted(unknown))}; see warehouse/kinds.py")
    rows = max((len(column) for column in columns.values() if not isinstance(column, pa.Scalar)), default=0)
    return pa.Table.from_arrays([_array(field, columns[field.name], rows) for field in schema], schema=schema)


def _array(field: pa.Field, column: Column, rows: int) -> pa.Array:
    if isinstance(column, pa.Scalar):
        return pa.repeat(column.cast(field.type), rows)
    if isinstance(column, pa.Array | pa.ChunkedArray):
        return column if column.type == field.type else column.cast(field.type)
    try:
        return _array_of_values(field, column)
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise Rejected(f"column `{field.name}`: {error}; expected {field.type}") from error


def _array_of_values(field: pa.Field, values: Sequence[Any]) -> pa.Array:
    if field.type == ID:
        return _ids(values)
    if field.type == TIMESTAMP:
        return pa.array(values, pa.int64()).cast(TIMESTAMP)
    if pa.types.is_list(field.type):
        return _lists(field.type, values)
    return pa.array(values, field.type)


def _ids(values: Sequence[str | None]) -> pa.Array:
    """Return 16-byte ids from their text, 36 characters with hyphens or 32 without."""
    validity = _validity([value is not None for value in values]) if None in values else None
    present = values if validity is None else [NO_ID if value is None else value for value in values]
    text = "".join(present).replace("-", "")  # type: ignore[arg-type]  # no None is left
    packed = bytes.fromhex(text)
    if len(text) != HEX_CHARS * len(values) or len(packed) * 2 != len(text):
        raise ValueError("an id is not 32 hexadecimal digits")
    return pa.FixedSizeBinaryArray.from_buffers(ID, len(values), [validity, pa.py_buffer(packed)])


def _validity(present: Sequence[bool]) -> pa.Buffer:
    """Return what Arrow keeps of which values there are: a bit for each."""
    return pa.array(present, pa.bool_()).buffers()[1]


def _offsets(values: Sequence[Sized]) -> pa.Array:
    """Return where each value begins when they are laid end to end, and where the last one ends."""
    return pc.cumulative_sum_checked(pa.array([0, *map(len, values)], pa.int32()))


def _lists(type_: pa.ListType, values: Sequence[Sequence[Any]]) -> pa.Array:
    offsets, items = _offsets(values), list(chain.from_iterable(values))
    item = pa.field("item", type_.value_type)
    if not pa.types.is_struct(item.type):
        return pa.ListArray.from_arrays(offsets, _array_of_values(item, items), type=type_)
    fields = [_array_of_values(field, list(map(attrgetter(field.name), items))) for field in item.type]
    return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(fields, fields=list(item.type)), type=type_)
