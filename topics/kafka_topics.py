"""The declared topics on a cluster: which are there, what is missing, making them, and what an acknowledgement is worth."""

import time
from collections.abc import Sequence
from typing import Literal

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType  # type: ignore[attr-defined]
from msgspec import Struct

from controlzero.batch import MESSAGE_BYTES_MAX
from controlzero.errors import Rejected
from topics import kafka_clients
from topics.declarations import TOPICS, Topic
from topics.kafka_clients import ADMIN_S_MAX, errors_explained
from topics.settings import KafkaSettings

DAY_MS = 86_400_000
TOLD_EVERY_S = 0.05


class TopicState(Struct, frozen=True, kw_only=True):
    """A declared topic as the cluster has it, or not."""

    name: str
    state: Literal["there", "missing", "differs"]
    partitions: int
    replication_factor: int = 0
    min_insync_replicas: int = 0
    differences: tuple[str, ...] = ()  # a sentence for each setting that is not as declared

    @property
    def worth(self) -> str:
        """What an acknowledged append survives, for people."""
        if self.replication_factor <= 1:
            return "a single broker has it: its disk is the only copy"
        lost = self.replication_factor - 1 if self.min_insync_replicas > 1 else 0
        if not lost:
            return f"{self.replication_factor} replicas, min.insync.replicas 1: an acknowledged message may be on one broker alone"
        return f"{self.min_insync_replicas} of {self.replication_factor} replicas have it before it is acknowledged"


class PlannedTopic(Struct, frozen=True, kw_only=True):
    """A topic to be made, with its settings by Kafka's names; `replication_factor` None is the cluster's own."""

    name: str
    partitions: int
    replication_factor: int | None
    config: dict[str, str]


def states(settings: KafkaSettings, topics: Sequence[Topic] = TOPICS) -> list[TopicState]:
    """Return each declared topic as it is. Raises `Unavailable` where the cluster does not answer."""
    admin = kafka_clients.admin(settings)
    with errors_explained(settings):
        return [_state(admin, topic) for topic in topics]


def create(settings: KafkaSettings, *, partitions: int | None = None, replication_factor: int | None = None) -> list[str]:
    """Make the topics that are missing, wait until the cluster tells of them, and return their names.

    `partitions` is of the decisions topic (default: as declared); a topic that is there keeps its own, a topic version never
    changes them. `replication_factor`: default is the cluster's own.
    """
    admin = kafka_clients.admin(settings)
    with errors_explained(settings):
        made = _missing(admin, partitions, replication_factor)
        for topic in made:
            _make(admin, topic)
        for topic in made:
            _wait_until_told(admin, topic.name)
    return [topic.name for topic in made]


def plan(settings: KafkaSettings, *, partitions: int | None = None, replication_factor: int | None = None) -> list[PlannedTopic]:
    """Return what `create` would make, after the cluster was asked whether it would. Raises `Rejected` where not, else as `create`."""
    admin = kafka_clients.admin(settings)
    with errors_explained(settings):
        planned = _missing(admin, partitions, replication_factor)
        for topic in planned:
            _make(admin, topic, is_trial=True)
    return planned


def _missing(admin: AdminClient, partitions: int | None, replication_factor: int | None) -> list[PlannedTopic]:
    return [
        PlannedTopic(
            name=topic.name,
            partitions=_partitions(topic, partitions),
            replication_factor=replication_factor,
            config=config_of(topic, replication_factor),
        )
        for topic in TOPICS
        if kafka_clients.described(admin, topic.name) is None
    ]


def _make(admin: AdminClient, topic: PlannedTopic, *, is_trial: bool = False) -> None:
    new = NewTopic(topic.name, topic.partitions, topic.replication_factor or -1, config=topic.config)
    try:
        admin.create_topics([new], operation_timeout=ADMIN_S_MAX, validate_only=is_trial)[topic.name].result()
    except KafkaException as error:
        if error.args[0].code() != KafkaError.INVALID_REPLICATION_FACTOR:
            raise
        told = "would not be" if is_trial else "was not"
        raise Rejected(f"{topic.name} {told} made: {error.args[0].str()} Say a smaller --replication-factor") from error


def _wait_until_told(admin: AdminClient, name: str) -> None:
    """Wait for a topic that was made: a broker tells of it once it has heard from the controller. Raises `TimeoutError`."""
    deadline = time.monotonic() + ADMIN_S_MAX
    while kafka_clients.described(admin, name) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} was made, and no broker tells of it after {ADMIN_S_MAX:g} s")
        time.sleep(TOLD_EVERY_S)


def members(settings: KafkaSettings, group: str) -> int:
    """Return how many consumers a group has now; none of one that is not known. Raises `Unavailable` where the cluster does not answer."""
    admin = kafka_clients.admin(settings)
    with errors_explained(settings):
        try:
            found = admin.describe_consumer_groups([group], request_timeout=ADMIN_S_MAX)[group].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return 0
            raise
    return len(found.members)


def _partitions(topic: Topic, asked: int | None) -> int:
    """Return how many partitions a topic is made with: a compacted one is read in one order, it has the one declared."""
    return topic.partitions if asked is None or topic.cleanup == "compact" else asked


def config_of(topic: Topic, replication_factor: int | None) -> dict[str, str]:
    """Return the settings a topic is made with."""
    config = {"cleanup.policy": topic.cleanup, "max.message.bytes": str(MESSAGE_BYTES_MAX)}
    if topic.retention_days is not None:
        config["retention.ms"] = str(topic.retention_days * DAY_MS)
    if replication_factor is not None and replication_factor > 1:
        config["min.insync.replicas"] = "2"
    return config


def _state(admin: AdminClient, topic: Topic) -> TopicState:
    described = kafka_clients.described(admin, topic.name)
    if described is None:
        return TopicState(name=topic.name, state="missing", partitions=topic.partitions)
    resource = ConfigResource(ResourceType.TOPIC, topic.name)
    found = admin.describe_configs([resource], request_timeout=ADMIN_S_MAX)[resource].result()
    config = {name: entry.value for name, entry in found.items()}
    wanted = config_of(topic, None)
    differences = [f"{name} is {config.get(name)}, declared is {value}" for name, value in wanted.items() if config.get(name) != value]
    if topic.cleanup == "compact" and len(described.partitions) != topic.partitions:
        differences.append(f"{len(described.partitions)} partitions, declared are {topic.partitions}: the order of its records is lost")
    return TopicState(
        name=topic.name,
        state="differs" if differences else "there",
        partitions=len(described.partitions),
        replication_factor=min(len(partition.replicas) for partition in described.partitions),
        min_insync_replicas=int(config.get("min.insync.replicas") or 1),
        differences=tuple(differences),
    )
