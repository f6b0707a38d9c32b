"""The Arrow and Delta schemas of the ledger, derived from the types in `kinds.py`."""

from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
from msgspec import Meta, Raw, Struct, structs

from warehouse.kinds import KINDS, Kind

PARTITIONED_BY = ("kind", "received_month")
TIMESTAMP = pa.timestamp("us", "UTC")
ID = pa.binary(16)

# Not marked as labels in the records, because nothing bounds them there, and yet few in practice: agents repeat themselves.
# Where one is not, Parquet falls back to plain pages by itself.
REPEATED = frozenset({"action", "tool", "method", "resource", "session_id", "user_id", "resource_label", "candidates"})


@cache
def arrow_schema(kind: Kind) -> pa.Schema:
    """Return the columns of a kind's files, in the order of its types. The partition columns are not among them."""
    fields = []
    for struct in KINDS[kind]:
        hints = get_type_hints(struct, include_extras=True)
        for field in structs.fields(struct):
            type_, nullable, repeated = _arrow_field(hints[field.name])
            repeated = repeated or field.name in REPEATED
            fields.append(pa.field(field.name, type_, nullable, {"dictionary": "yes"} if repeated else None))
    return pa.schema(fields)


@cache
def table_schema() -> pa.Schema:
    """Return the schema of the whole table: each kind's columns, all nullable, as any Delta reader sees them."""
    union: dict[str, pa.DataType] = dict.fromkeys(PARTITIONED_BY, pa.string())
    for kind in KINDS:
        for field in arrow_schema(kind):
            type_ = _delta_type(field.type)
            if union.setdefault(field.name, type_) != type_:
                raise TypeError(
                    f"column `{field.name}` is {type_} in kind `{kind}` and {union[field.name]} in another; one table holds both"
                )
    return pa.schema([pa.field(name, type_) for name, type_ in union.items()])


def repeats(field: pa.Field) -> bool:
    """Say whether a column's values are few, so that a dictionary pays."""
    return field.metadata is not None and b"dictionary" in field.metadata


def _delta_type(type_: pa.DataType) -> pa.DataType:
    """Return a type as Delta knows it: it has no fixed length."""
    if pa.types.is_list(type_):
        return pa.list_(_delta_type(type_.value_type))
    if pa.types.is_struct(type_):
        return pa.struct([pa.field(field.name, _delta_type(field.type)) for field in type_])
    return pa.binary() if type_ == ID else type_


def _arrow_field(hint: Any) -> tuple[pa.DataType, bool, bool]:
    """Return the Arrow type of an annotation, whether it may be null, and whether its values are few."""
    meta: dict[str, Any] = {}
    nullable = False
    while True:
        origin = get_origin(hint)
        if origin is Annotated:
            hint, *notes = get_args(hint)
            for note in notes:
                meta |= (note.extra or {}) if isinstance(note, Meta) else {}
        elif origin in (Union, UnionType) and NoneType in get_args(hint):
            nullable = True
            (hint,) = (part for part in get_args(hint) if part is not NoneType)
        else:
            break
    return _arrow_type(hint, meta), nullable or hint is Raw, get_origin(hint) is Literal or "dictionary" in meta


def _arrow_type(hint: Any, meta: dict[str, Any]) -> pa.DataType:
    if get_origin(hint) is tuple:
        return pa.list_(_arrow_field(get_args(hint)[0])[0])
    if isinstance(hint, type) and issubclass(hint, Struct):
        hints = get_type_hints(hint, include_extras=True)
        return pa.struct([pa.field(field.name, _arrow_field(hints[field.name])[0]) for field in structs.fields(hint)])
    if get_origin(hint) is Literal:
        return pa.string()
    by_note = {"uuid": ID, "hex16": ID, "timestamp": TIMESTAMP, "json": pa.string()}
    by_type = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_(), bytes: pa.binary(), Raw: pa.string()}
    return by_note.get(meta.get("arrow", "")) or by_type[hint]
