"""A batch as a message of the decisions topic, and back; and its lines, expanded within a bound."""

import threading

import zstandard

from controlzero.errors import Rejected, Unavailable
from topics.declarations import SCHEMA_VERSION
from topics.log import Batch, Message

# A batch's lines expanded. The gateway admits half of this; the rest is room for the base64 of rejected lines.
BATCH_BYTES_MAX = 128 * 2**20
WINDOW_BYTES_MAX = 8 * 2**20  # RFC 9659: what a zstd decoder must be ready to hold
COMPRESSION_LEVEL = 1
# Below this a frame holds the lines as they are. A record alone compresses by a third, and that takes longer than all
# else on its way into the log, most of it waiting to get the interpreter's lock back.
STORED_BYTES_MAX = 4 * 2**10

_of_thread = threading.local()  # one compressor each: a new one costs four times what it does to a small batch


def encode_batch(batch: Batch) -> tuple[bytes, bytes, dict[str, str]]:
    """Return the key, value and headers a batch is appended with."""
    headers = {
        "project": batch.project_id,
        "producer": batch.producer_id,
        "first_seq": str(batch.first_seq),
        "count": str(batch.count),
        "total": str(batch.total),
        "received_at": str(batch.received_at),
        "schema_version": str(batch.schema_version),
    }
    if batch.closed:
        headers["closed"] = "1"
    if batch.backfill:
        headers["backfill"] = "1"
    return batch.key, batch.value, headers


def decode_batch(message: Message) -> Batch:
    """Return the batch a message holds.

    Raises `Rejected` for a message no gateway wrote, and `Unavailable` for one written by a newer version.
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
            received_at=_count(headers, "received_at"),
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


def compress_lines(lines: bytes) -> bytes:
    """Return the value of a batch: one zstd frame that knows its size."""
    if 256 <= len(lines) < STORED_BYTES_MAX:
        return _stored(lines)
    compressor: zstandard.ZstdCompressor | None = getattr(_of_thread, "compressor", None)
    if compressor is None:
        compressor = _of_thread.compressor = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True)
    return compressor.compress(lines)


def _stored(lines: bytes) -> bytes:
    """Return a zstd frame (RFC 8878) of one raw block: a single segment, its size in two bytes (less 256)."""
    size = len(lines)
    return b"\x28\xb5\x2f\xfd\x60" + (size - 256).to_bytes(2, "little") + (size << 3 | 1).to_bytes(3, "little") + lines


def expand_lines(value: bytes, *, bytes_max: int = BATCH_BYTES_MAX) -> bytes:
    """Return the NDJSON of a batch's value. Raises `Rejected` where it is not one whole frame of at most `bytes_max` bytes expanded."""
    try:
        size = zstandard.frame_content_size(value)
        if not 0 <= size <= bytes_max:
            raise Rejected(f"a batch's value states {size} bytes expanded, expected at most {bytes_max}")
        return zstandard.ZstdDecompressor().decompress(value, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise Rejected(f"a batch's value is not zstd, or damaged: {error}") from error
