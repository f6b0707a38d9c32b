"""Each topic once: its name, partitions, record type, key and retention."""

from dataclasses import dataclass
from typing import Literal

SCHEMA_VERSION = 1
MESSAGE_BYTES_MAX = 48 * 2**20  # on Kafka: the largest expanded body, with the base64 of what was rejected in it, were it not to compress


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A topic's declaration. A topic version never changes its partition count: take a new version."""

    name: str
    partitions: int
    record: str
    key: str
    cleanup: Literal["delete", "compact"]
    retention_days: int | None = None  # on Kafka; the embedded log keeps a message until it has landed


DECISIONS = Topic(
    name="cz.decisions.v1",
    partitions=4,
    record="a batch: NDJSON of controlzero.records.Record, zstd",
    key="project/producer",
    cleanup="delete",
    retention_days=7,
)
CONTROL = Topic(
    name="cz.control.v1",
    partitions=1,
    record="topics.control.ControlRecord, JSON",
    key="kind/id",
    cleanup="compact",
)
TOPICS = (DECISIONS, CONTROL)
