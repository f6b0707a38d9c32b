"""A message of the decisions topic read as the batch it is; and its lines, expanded within a bound."""

import zstandard

from controlzero.batch import Batch
from controlzero.errors import Rejected, Unavailable
from controlzero.records import SCHEMA_VERSION
from topics.log import Message

# A batch's lines expanded. The gateway admits half of this; the rest is room for the base64 of rejected lines.
BATCH_BYTES_MAX = 128 * 2**20
WINDOW_BYTES_MAX = 8 * 2**20  # RFC 9659: what a zstd decoder must be ready to hold


def decode_batch(message: Message) -> Batch:
    """Return the batch a message holds.

    Raises `Rejected` for a message that is no batch, and `Unavailable` for one written by a newer version.
    """
    headers = message.headers
    where = f"message {message.offset} of partition {message.partition}"
    try:
        batch = Batch(
            project_id=headers["project"],
            producer_id=headers["producer"],
            first_seq=_count(headers, "first_seq"),
            count=_count(headers, "count"),
            total=_count(headers, "total"),
            received_at=_count(headers, "received_at") if "received_at" in headers else None,
            value=message.value or b"",
            closed=headers.get("closed") == "1",
            backfill=headers.get("backfill") == "1",
            schema_version=_count(headers, "schema_version"),
        )
    except KeyError as error:
        raise Rejected(f"{where}: no header {error}; it is not a batch, another program appended it") from error
    if batch.schema_version > SCHEMA_VERSION:
        raise Unavailable(f"{where}: schema version {batch.schema_version}, this one reads {SCHEMA_VERSION}; upgrade the workers")
    if batch.key != message.key:
        raise Rejected(f"{where}: its key is {message.key!r}, its headers say {batch.key!r}; another program appended it")
    return batch


def _count(headers: dict[str, str], name: str) -> int:
    text = headers[name]
    if not (text.isascii() and text.isdigit()):
        raise Rejected(f"header `{name}` of a message: expected digits, got {text!r}")
    return int(text)


def expand_lines(value: bytes, *, bytes_max: int = BATCH_BYTES_MAX) -> bytes:
    """Return the NDJSON of a batch's value. Raises `Rejected` where it is not one whole frame of at most `bytes_max` bytes expanded."""
    try:
        size = zstandard.frame_content_size(value)
        if not 0 <= size <= bytes_max:
            raise Rejected(f"a batch's value states {size} bytes expanded, expected at most {bytes_max}")
        return zstandard.ZstdDecompressor().decompress(value, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Rejected(f"a batch's value is not zstd, or damaged: {error}") from error
