"""Each topic once: its name, partitions, record type, key and retention."""

from dataclasses import dataclass
from typing import Literal

from controlzero.batch import TOPIC


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
    name=TOPIC,
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
