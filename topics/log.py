"""The log protocol: what a stage may ask of the embedded log or of Kafka, and nothing more.

What is deliberately not here: consumer groups and commits. The ledger owns the offsets (DESIGN law 2),
so a reader says where it wants to read from.
"""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

Place = tuple[int, int]  # partition, offset
NewMessage = tuple[bytes, bytes | None, dict[str, str]]  # key, value, headers


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
