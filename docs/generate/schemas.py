"""The JSON Schemas of the records, from their types."""

import inspect
import json
from collections.abc import Mapping
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Struct
from msgspec.inspect import Metadata

from controlzero.records import ABSENT, TAGS_MAX, Record
from docs.generate.struct_fields import described_fields, fields_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OBJECT: Any = dict[str, Any]
_CARRIED: Mapping[str, Any] = {"tags": Annotated[dict[str, Any], Meta(max_length=TAGS_MAX)]}


def schemas() -> dict[str, str]:
    """Return each record's JSON Schema as text, by the record's kind."""
    return {_tag(kind): _text(_schema(kind)) for kind in get_args(Record)}


def described(kind: type[Struct], *, ref_template: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a record's JSON Schema with the meaning of its fields, and the schemas it refers to by their names."""
    (own,), components = msgspec.json.schema_components([_with_objects(kind)], ref_template=ref_template)
    definitions = dict(components)
    schema = definitions.pop(own["$ref"].rpartition("/")[2])
    for name in _uuids(kind):
        schema["properties"][name]["format"] = "uuid"
    for field in fields_of(kind):
        schema["properties"][field.name]["description"] = field.meaning
    for one in (schema, *definitions.values()):
        one["description"] = inspect.cleandoc(one["description"])
    return schema, definitions


def _schema(kind: type[Struct]) -> dict[str, Any]:
    schema, definitions = described(kind, ref_template="#/$defs/{name}")
    return {"$schema": DIALECT, **schema, **({"$defs": definitions} if definitions else {})}


def _with_objects(kind: type[Struct]) -> type[Struct]:
    """Return a record's type with its fields of raw JSON as what they hold: an object or null."""
    config = kind.__struct_config__
    return msgspec.defstruct(
        kind.__name__,
        [
            (field.encode_name, _CARRIED.get(field.encode_name, _OBJECT) | None, None)
            if field.default is ABSENT
            else (field.encode_name, field.type, msgspec.field(default=field.default))
            for field in msgspec.structs.fields(kind)
        ],
        namespace={"__doc__": kind.__doc__},
        kw_only=True,
        tag=config.tag,
        tag_field=config.tag_field,
        forbid_unknown_fields=config.forbid_unknown_fields,
    )


def _uuids(kind: type[Struct]) -> list[str]:
    return [
        field.encode_name
        for field in described_fields(kind)
        if isinstance(field.type, Metadata) and (field.type.extra or {}).get("arrow") == "uuid"
    ]


def _tag(kind: type[Struct]) -> str:
    return str(kind.__struct_config__.tag)


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
