"""The log protocol: what a stage may ask of the embedded log or of Kafka, and nothing more.

What is deliberately not here: consumer groups and commits. The ledger owns the offsets (DESIGN law 2),
so a reader says where it wants to read from.
"""

import zlib
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

Place = tuple[int, int]  # partition, offset
NewMessage = tuple[bytes, bytes | None, dict[str, str]]  # key, value, headers


def partition_of(key: bytes, partitions: int) -> int:
    """Return where messages of a key go: the same in every process and version."""
    return zlib.crc32(key) % partitions


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
    received_at: int  # microseconds since 1970 UTC, the gateway's clock
    value: bytes
    closed: bool = False  # the producer ended in order; `total` is final
    backfill: bool = False  # imports and demo history: left out of watch, freshness and clock skew
    schema_version: int = 1

    @property
    def key(self) -> bytes:
        """Where it goes: all batches of a producer share a partition, so its order is kept."""
        return f"{self.project_id}/{self.producer_id}".encode()


class Message(Struct, frozen=True, kw_only=True):
    """A message of a topic, at its place. `headers` are the batch's fields as text."""

    partition: int
    offset: int
    key: bytes
    value: bytes | None  # None: a tombstone on the compacted topic
    headers: dict[str, str]


class Bounds(Struct, frozen=True):
    """The offsets a partition holds: from `start`, up to but without `end`."""

    start: int
    end: int


class Log(Protocol):
    """Topics of numbered messages. All calls block; an async edge runs them in its own thread."""

    @property
    def log_id(self) -> str:
        """The cluster's identity: a random id for SQLite, the cluster id for Kafka."""
        ...

    def topic_id(self, topic: str) -> str:
        """Identity of this incarnation of a topic: it changes when the topic is deleted and made again."""
        ...

    def partitions(self, topic: str) -> int:
        """Return how many partitions the topic has."""
        ...

    def append(self, topic: str, messages: Sequence[NewMessage]) -> list[Place]:
        """Append messages; return their places once they are durable.

        Raises `Unavailable` where the log cannot take them: none is then known to be appended, send them all again.
        """
        ...

    def read(self, topic: str, partition: int, offset: int, *, bytes_max: int) -> list[Message]:
        """Return messages from `offset` on, at least one if there is one, up to about `bytes_max` bytes."""
        ...

    def bounds(self, topic: str, partition: int) -> Bounds:
        """Return the offsets the partition holds now."""
        ...

    def trim(self, topic: str, partition: int, before: int) -> None:
        """Let go of messages below `before`. Only ever called with a landed, acknowledged offset."""
        ...

    def close(self) -> None:
        """Let go of the log. It can be opened again by anybody."""
        ...
