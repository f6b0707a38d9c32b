"""Open messages: from the log's bytes to records in their places, each bad line named by its reason."""

import re
from collections.abc import Callable, Sequence

import msgspec

from controlzero.batch import Batch
from controlzero.errors import Rejected as BadInput
from controlzero.records import INT64_MAX, Decision, Outcome, Record
from processors.flow import Opened, Place, Unreadable
from processors.steps.foreign import foreign
from topics.batches import decode_batch, expand_lines
from topics.log import Message

MICROS_MAX = 253_402_300_799_999_999  # the end of the year 9999, as `controlzero.records.Micros` has it

_UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX = re.compile("[0-9a-fA-F]{32}")
BATCH_HEADERS = frozenset({"producer", "first_seq", "count", "total", "schema_version"})  # a message with any of them means to be a batch
Lines = Sequence[Record | Unreadable]

_records = msgspec.json.Decoder(Record)


def decode(messages: Sequence[Message], *, log_id: str, now: int, thorough: bool = False) -> list[Opened]:
    """Return each message opened, in order.

    Lines are checked against the types of `controlzero.records` again: the log may hold what an older gateway
    or another program wrote. `now` stands for the time of receipt of a message that does not say its own. The JSON
    a record keeps as bytes (args, tags, facts) and its ids are looked into only if `thorough`: a later step that cannot
    read some of it has the messages decoded again so, and the line is then in quarantine.
    Raises `Unavailable` for a message of a newer schema version: waiting for an upgrade loses nothing.
    """
    read_lines = _lines_one_by_one if thorough else _lines
    return [_open(message, read_lines, log_id=log_id, now=now) for message in messages]


def _open(message: Message, read_lines: Callable[[bytes], Lines], *, log_id: str, now: int) -> Opened:
    if BATCH_HEADERS.isdisjoint(message.headers):
        return _open_foreign(message, log_id=log_id, now=now)
    try:
        batch = decode_batch(message)
        _check_numbers(batch)
    except BadInput as error:
        return _nobodys(message, str(error), log_id=log_id, now=now)
    place = _place(batch, message, log_id=log_id, now=now)
    if batch.count == 0 and not batch.value:
        return Opened(place=place)
    try:
        data = expand_lines(batch.value)
    except BadInput as error:
        return Opened(place=place, unreadable=Unreadable(code="undecodable_message", path="", reason=str(error), bytes=batch.value))
    lines = read_lines(data)
    if len(lines) != batch.count:
        reason = f"the message holds {len(lines)} lines, its header says {batch.count}; their numbers cannot be told"
        return Opened(place=place, unreadable=Unreadable(code="count_differs", path="", reason=reason, bytes=batch.value))
    return Opened(place=place, lines=lines)


def _check_numbers(batch: Batch) -> None:
    """Refuse numbers that no column holds: one such message would stop its partition for good."""
    if max(batch.first_seq + batch.count, batch.total) > INT64_MAX or (batch.received_at or 0) > MICROS_MAX:
        raise BadInput(f"a message of producer {batch.producer_id}: numbers or time past what can be kept")


def _lines(data: bytes) -> Lines:
    """Decode all lines at once; where that fails, one by one to find which are bad and why."""
    try:
        str(data, "utf-8")  # the JSON kept as bytes is not looked into by the decoder
        return _records.decode_lines(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _lines_one_by_one(data)


def _lines_one_by_one(data: bytes) -> Lines:
    return [_line(line) for line in data.split(b"\n") if line.strip()]  # blank ones count nowhere


def _line(line: bytes) -> Record | Unreadable:
    try:
        str(line, "utf-8")
        record: Record = _records.decode(line)
        _check_kept_as_text(record)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, BadInput) as error:
        reason, _, path = str(error).partition(" - at ")
        return Unreadable(code="undecodable_line", path=path.strip("`"), reason=reason or type(error).__name__, bytes=line)
    return record


def _check_kept_as_text(record: Record) -> None:
    """Raise where a value that a record keeps as text is not what it must be to be judged and landed: JSON, a UUID, a digest."""
    if isinstance(record, Decision | Outcome) and not _UUID.fullmatch(record.decision_id):
        raise BadInput("Expected a UUID of hexadecimal digits - at `$.decision_id`")
    if not isinstance(record, Decision):
        return
    for name in ("args", "tags", "facts"):
        try:
            msgspec.json.decode(getattr(record, name))
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadInput(f"{error or 'It nests too deep'} - at `$.{name}`") from error
    digests = [("args_digest", record.args_digest), *(("redactions[...].fingerprint", each.fingerprint) for each in record.redactions)]
    for name, digest in digests:
        if digest is not None and not _HEX.fullmatch(digest):
            raise BadInput(f"Expected hexadecimal digits - at `$.{name}`")


def _place(batch: Batch, message: Message, *, log_id: str, now: int) -> Place:
    return Place(
        project_id=batch.project_id,
        producer_id=batch.producer_id,
        first_seq=batch.first_seq,
        count=batch.count,
        total=batch.total,
        received_at=now if batch.received_at is None else batch.received_at,
        log_id=log_id,
        log_partition=message.partition,
        log_offset=message.offset,
        closed=batch.closed,
        backfill=batch.backfill,
    )


def _open_foreign(message: Message, *, log_id: str, now: int) -> Opened:
    """Open a message that no gateway wrote: one record, by a producer of its own that has ended with it."""
    try:
        found = foreign(message)
    except BadInput as error:
        return _nobodys(message, str(error), log_id=log_id, now=now)
    place = _place_of_one(message, project_id=found.project_id, producer_id=found.producer_id, log_id=log_id, now=now)
    if found.refused is not None:
        return Opened(place=place, lines=[Unreadable(code="foreign_message", path="", reason=found.refused, bytes=found.line)])
    return Opened(place=place, lines=[_line(found.line)])


def _nobodys(message: Message, reason: str, *, log_id: str, now: int) -> Opened:
    """Open a message that cannot be anybody's; it counts as one."""
    place = _place_of_one(message, project_id="", producer_id="", log_id=log_id, now=now)
    return Opened(place=place, unreadable=Unreadable(code="foreign_message", path="", reason=reason, bytes=message.value or b""))


def _place_of_one(message: Message, *, project_id: str, producer_id: str, log_id: str, now: int) -> Place:
    return Place(
        project_id=project_id,
        producer_id=producer_id,
        first_seq=0,
        count=1,
        total=int(bool(producer_id)),
        received_at=now,
        log_id=log_id,
        log_partition=message.partition,
        log_offset=message.offset,
        closed=bool(producer_id),
    )
