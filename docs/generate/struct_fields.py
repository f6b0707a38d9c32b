"""What the fields of a record are, in words: type, bounds, default and meaning, from the type and what its code says."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import msgspec
from msgspec import Struct
from msgspec.inspect import (
    BoolType,
    BytesType,
    DictType,
    FloatType,
    IntType,
    LiteralType,
    Metadata,
    NoneType,
    RawType,
    StrType,
    StructType,
    UnionType,
    VarTupleType,
)

from controlzero.records import INT64_MAX
from docs.generate.source_comments import field_comments

MEANINGS = Path(__file__).with_name("meanings.toml")
BY_NOTE = {"uuid": "UUID", "hex16": "32 hex digits", "timestamp": "microseconds since 1970 UTC", "json": "JSON object"}
PLAIN: Mapping[type, str] = {BoolType: "true or false", BytesType: "bytes", DictType: "JSON object", RawType: "JSON object"}


class Field(Struct, frozen=True, kw_only=True):
    """A field as a page shows it."""

    name: str
    type: str
    is_required: bool
    may_be_null: bool
    default: str  # as JSON, empty where there is none
    meaning: str


def fields_of(kind: type[Struct]) -> list[Field]:
    """Return the fields of a record in order. Raises LookupError for one whose meaning nobody wrote down."""
    defaults = {field.name: field for field in msgspec.structs.fields(kind)}
    return [
        Field(
            name=field.encode_name,
            type=words(field.type),
            is_required=field.required,
            may_be_null=_may_be_null(field.type),
            default="" if field.required else _default(defaults[field.name].default),
            meaning=_meaning(kind, field.name),
        )
        for field in described_fields(kind)
    ]


def described_fields(kind: type[Struct]) -> tuple[msgspec.inspect.Field, ...]:
    """Return the fields of a record as msgspec describes them."""
    return cast(StructType, msgspec.inspect.type_info(kind)).fields


def words(found: Any) -> str:
    """Return a type and its bounds in words. That it may be null is said elsewhere."""
    if isinstance(found, Metadata):
        note = (found.extra or {}).get("arrow")
        return BY_NOTE[note] if note in BY_NOTE else words(found.type)
    if isinstance(found, UnionType):
        return " or ".join(words(part) for part in found.types if not isinstance(part, NoneType))
    if isinstance(found, LiteralType):
        return " ".join(f"`{value}`" for value in found.values)
    if isinstance(found, VarTupleType):
        return f"list of {words(found.item_type)}"
    if isinstance(found, StructType):
        return found.cls.__name__
    if isinstance(found, StrType):
        return _text(found)
    if isinstance(found, IntType | FloatType):
        return _number(found)
    return PLAIN[type(found)]


@cache
def written_meanings() -> dict[str, dict[str, str]]:
    """Return the meanings that people wrote for fields whose code says nothing, by record and field."""
    return tomllib.loads(MEANINGS.read_text(encoding="utf-8"))


def stale_meanings(kinds: Iterable[type[Struct]]) -> list[str]:
    """Name the written meanings that belong to no field."""
    known = {kind.__name__: set(kind.__struct_fields__) for kind in kinds}
    return [f"{kind}.{name}" for kind, names in written_meanings().items() for name in names if name not in known.get(kind, ())]


def _meaning(kind: type[Struct], name: str) -> str:
    said = [written_meanings().get(kind.__name__, {}).get(name), field_comments(kind).get(name)]
    if not any(said):
        raise LookupError(f"{kind.__name__}.{name}: nothing says what it means; write a comment behind it, or a line in {MEANINGS.name}")
    return ": ".join(as_json_says(text) for text in said if text)


def as_json_says(text: str) -> str:
    """Return a comment about Python values as one about JSON's."""
    for python, json in (("None", "null"), ("False", "false"), ("True", "true")):
        text = re.sub(rf"\b{python}\b", json, text)
    return text


def _may_be_null(found: Any) -> bool:
    inner = found.type if isinstance(found, Metadata) else found
    return isinstance(inner, RawType) or (isinstance(inner, UnionType) and any(isinstance(part, NoneType) for part in inner.types))


def _default(value: object) -> str:
    return bytes(value).decode() if isinstance(value, msgspec.Raw) else msgspec.json.encode(value).decode()


def _text(found: StrType) -> str:
    low, high = found.min_length, found.max_length
    if high is None:
        return "text"
    return f"text of {high:,}" if low == high else f"text, at most {high:,} characters"


def _number(found: IntType | FloatType) -> str:
    kind = "whole number" if isinstance(found, IntType) else "number"
    bounds = [f"from {found.ge}"] if found.ge is not None else []
    bounds += [f"to {found.le:,}"] if found.le is not None and found.le != INT64_MAX else []
    return " ".join([kind, *bounds])
