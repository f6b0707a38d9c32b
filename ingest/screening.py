"""A whole batch proven fine in two passes of C: decoded, the JSON it carries included, and encoded again.

Bytes that come back equal hold no name twice, no half character and no number out of range, whatever the line:
an encoder writes none. What fits the types here is shallow and within its bounds. A batch that does not pass may
still be fine (another writer's spaces or order of names): `ingest.admission` then looks line by line.
"""

from collections.abc import Mapping
from types import GenericAlias
from typing import Annotated, Any, Union, get_args

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import fields as fields_of

from controlzero.records import ABSENT, AGENT_RECORDS, TAGS_MAX, Micros
from ingest.limits import LINE_BYTES_MAX, LINES_MAX, OCCURRED_AT_MIN

SCREENED_LEVELS = 8  # of nesting in `args`: what passes here; deeper ones, up to DEPTH_MAX, are counted line by line

CHUNK_BYTES = 32 * 2**10  # of a batch proven at a time: what fits a processor's cache is proven a tenth faster, and memory stays small
UUID_CHARS = 36
UUID_DASHES = (8, 13, 18, 23)
HEX_DIGITS = b"0123456789abcdefABCDEF"


def count_if_all_fine(body: bytes) -> int | None:
    """Return the number of records where the whole body goes into the log as it is; None where it takes a closer look."""
    if len(body) > LINE_BYTES_MAX and (body.count(b"\n") > LINES_MAX or max(map(len, body.split(b"\n"))) > LINE_BYTES_MAX):
        return None
    count = begin = 0
    while begin < len(body):
        end = body.find(b"\n", begin + CHUNK_BYTES) + 1 or len(body)
        chunk = body[begin:end]
        try:
            records = _decoder.decode_lines(chunk)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        count += len(records)
        if _encoder.encode_lines(records) != chunk or not are_uuids(_ids_of(records)):
            return None
        begin = end
    return count if count <= LINES_MAX else None


def are_uuids(ids: list[str]) -> bool:
    """Say whether all texts are UUIDs, which they are together or not: each has 36 characters, or none is looked at further."""
    text = "".join(ids).encode()
    dashes = b"-" * len(ids)
    return (
        len(text) == UUID_CHARS * len(ids)
        and text.translate(None, HEX_DIGITS) == dashes * len(UUID_DASHES)
        and all(text[place::UUID_CHARS] == dashes for place in UUID_DASHES)
    )


def _ids_of(records: list[Any]) -> list[str]:
    try:
        return [record.decision_id for record in records]
    except AttributeError:  # a loss has none
        return [record.decision_id for record in records if hasattr(record, "decision_id")]


def _json(levels: int) -> Any:
    """Return the type of a JSON object whose values nest so deep at most."""
    scalar: Any = str | int | float | bool | None
    value = scalar
    for _ in range(levels):
        value = scalar | GenericAlias(list, (value,)) | GenericAlias(dict, (str, value))
    return GenericAlias(dict, (str, value))


def _screen(kind: type[Struct]) -> type[Struct]:
    """Return the type of a record that decodes the JSON it carries too. It holds nothing that points back: no GC."""
    narrower: Mapping[str, Any] = {
        "tags": Annotated[_json(1), Meta(max_length=TAGS_MAX)],
        "occurred_at": Annotated[int, Meta(ge=OCCURRED_AT_MIN, le=get_args(Micros)[1].le)],
    }
    fields: list[tuple[str, Any, Any]] = [
        (field.name, narrower.get(field.name, _json(SCREENED_LEVELS)) | None, None)
        if field.default is ABSENT
        else (field.name, narrower.get(field.name, field.type), msgspec.field(default=field.default))
        for field in fields_of(kind)
    ]
    config = kind.__struct_config__
    return msgspec.defstruct(
        kind.__name__,
        fields,
        kw_only=True,
        gc=False,
        tag=config.tag,
        tag_field=config.tag_field,
        omit_defaults=config.omit_defaults,
        forbid_unknown_fields=config.forbid_unknown_fields,
    )


_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Union[tuple(map(_screen, get_args(AGENT_RECORDS)))])  # noqa: UP007 - made above
_encoder = msgspec.json.Encoder()
