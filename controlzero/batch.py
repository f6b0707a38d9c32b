"""A batch as whoever appends to the decisions topic writes it: the gateway, or an SDK that sends to Kafka itself."""

import threading
import zlib
from collections.abc import Iterable

import zstandard
from msgspec import Struct

from controlzero.records import SCHEMA_VERSION

TOPIC = "cz.decisions.v1"
MESSAGE_BYTES_MAX = 48 * 2**20  # on Kafka: the largest expanded body, with the base64 of what was rejected in it, were it not to compress
COMPRESSION_LEVEL = 1
# Below this a frame holds the lines as they are. A record alone compresses by a third, and that takes longer than all
# else on its way into the log, most of it waiting to get the interpreter's lock back.
STORED_BYTES_MAX = 4 * 2**10

_of_thread = threading.local()  # one compressor each: a new one costs four times what it does to a small batch


class Batch(Struct, frozen=True, kw_only=True):
    """One contiguous range of one producer, as it is appended: line i is number `first_seq + i`.

    `value` is the NDJSON of the lines, zstd-compressed, ending in a newline; an empty batch (an orderly
    `closed` with nothing left to send) has count 0. `total` is the producer's running total of records
    when it sent this: the proof that nothing after this batch is missing, once `closed`.
    """

    project_id: str
    producer_id: str
    first_seq: int
    count: int
    total: int
    received_at: int | None  # microseconds since 1970 UTC, the gateway's clock; an agent's is not ours: whoever reads the batch says when
    value: bytes
    closed: bool = False  # the producer ended in order; `total` is final
    backfill: bool = False  # imports and demo history: left out of watch, freshness and clock skew
    schema_version: int = SCHEMA_VERSION

    @property
    def key(self) -> bytes:
        """Where it goes: all batches of a producer share a partition, so its order is kept."""
        return f"{self.project_id}/{self.producer_id}".encode()


def encode_batch(batch: Batch) -> tuple[bytes, bytes, dict[str, str]]:
    """Return the key, value and headers a batch is appended with."""
    headers = {
        "project": batch.project_id,
        "producer": batch.producer_id,
        "first_seq": str(batch.first_seq),
        "count": str(batch.count),
        "total": str(batch.total),
        "schema_version": str(batch.schema_version),
    }
    if batch.received_at is not None:
        headers["received_at"] = str(batch.received_at)
    if batch.closed:
        headers["closed"] = "1"
    if batch.backfill:
        headers["backfill"] = "1"
    return batch.key, batch.value, headers


def partition_of(key: bytes, partitions: int) -> int:
    """Return where messages of a key go: the same in every process and version."""
    return zlib.crc32(key) % partitions


def ndjson(lines: Iterable[bytes]) -> bytes:
    """Return lines as a batch holds them, each with its end."""
    return b"\n".join((*lines, b""))


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
