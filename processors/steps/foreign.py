"""Messages that no gateway wrote: one record each, as plain JSON or as a CloudEvent (1.0), from whoever may write to the topic.

The project is named by a header `project`, a CloudEvent's extension attribute of that name, or the first part of the key
(`project/whatever`). Such a message is a producer of its own, named by its content: the same one again is a duplicate.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from controlzero.errors import Rejected
from controlzero.records import PROJECT_NAME
from topics.log import Message

STRUCTURED = "application/cloudevents+json"
BINARY_PREFIX = "ce_"
MICROS = 1_000_000


class Foreign(Struct, frozen=True, kw_only=True):
    """A foreign message: whose it is, and its record as a line of ours, or its bytes and why they are no record."""

    project_id: str
    producer_id: str
    line: bytes
    refused: str | None = None


class CloudEvent(Struct, frozen=True, kw_only=True):
    """What is read of a structured CloudEvent; its data is the record."""

    specversion: str
    id: str
    source: str
    type: str
    data: Raw
    time: str | None = None
    project: str | None = None


_cloud_event = msgspec.json.Decoder(CloudEvent)
_object = msgspec.json.Decoder(dict[str, Raw])


def foreign(message: Message) -> Foreign:
    """Return whose a message without a batch's headers is, and its record or why it is none. Raises `Rejected` where it is nobody's."""
    value, event, refused = message.value or b"", None, None
    try:
        event = _event(message, value)
        line = _line(value, event)
    except Rejected as error:
        line, refused = value, str(error)
    project_id = _project(message, event)
    name = hashlib.sha256(project_id.encode() + b"\0" + value + b"\0" + (event.id if event else "").encode()).hexdigest()
    return Foreign(project_id=project_id, producer_id=f"kafka-{name[:24]}", line=line, refused=refused)


def _event(message: Message, value: bytes) -> CloudEvent | None:
    """Return the CloudEvent a message is, in structured or binary mode; None where it is plain JSON."""
    headers = message.headers
    if headers.get("content-type", "").startswith(STRUCTURED):
        try:
            return _cloud_event.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Rejected(f"no CloudEvent, though its content-type says so: {error}") from error
    if f"{BINARY_PREFIX}specversion" not in headers:
        return None
    attributes: dict[str, Any] = {
        name.removeprefix(BINARY_PREFIX): text for name, text in headers.items() if name.startswith(BINARY_PREFIX)
    }
    try:
        return msgspec.convert({**attributes, "data": Raw(value)}, CloudEvent)
    except msgspec.ValidationError as error:
        raise Rejected(f"no CloudEvent, though its headers say so: {error}") from error


def _project(message: Message, event: CloudEvent | None) -> str:
    of_key = message.key.decode(errors="replace").partition("/")[0]
    named = message.headers.get("project") or (event.project if event else None) or of_key
    if not PROJECT_NAME.fullmatch(named):
        raise Rejected("no project is named; expected a header `project`, the CloudEvents attribute `project`, or a key `project/…`")
    return named


def _line(value: bytes, event: CloudEvent | None) -> bytes:
    """Return a record as a line: `kind` is `decision` where it is not said; an event's id and time stand for the record's own."""
    encoded = value if event is None else bytes(event.data)
    try:
        members = _object.decode(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(f"no JSON object: {error}") from error
    members.setdefault("kind", Raw(b'"decision"'))
    if event is not None:
        for name, said in _said_by(event).items():
            members.setdefault(name, said)
    return msgspec.json.encode(members)


def _said_by(event: CloudEvent) -> Mapping[str, Raw]:
    """Return what an event says of its record. An id that is no UUID becomes one: the same for the same source and id."""
    said = {"decision_id": Raw(msgspec.json.encode(_uuid_of(event)))}
    if event.time is not None:
        try:
            at = datetime.fromisoformat(event.time)
        except ValueError as error:
            raise Rejected(f"a CloudEvent's time is {event.time!r}, expected RFC 3339 such as 2026-11-21T08:30:00Z") from error
        if at.tzinfo is None:
            raise Rejected(f"a CloudEvent's time is {event.time!r}, expected an offset from UTC in it, such as Z")
        said["occurred_at"] = Raw(b"%d" % int(at.timestamp() * MICROS))
    return said


def _uuid_of(event: CloudEvent) -> str:
    try:
        return str(UUID(event.id))
    except ValueError:
        digest = bytearray(hashlib.sha256(f"{event.source}\0{event.id}".encode()).digest()[:16])
        digest[6], digest[8] = digest[6] & 0x0F | 0x80, digest[8] & 0x3F | 0x80  # version 8, RFC 9562
        return str(UUID(bytes=bytes(digest)))
