"""Which log there is: Kafka where its servers are named, else the embedded one. Kafka's clients are an extra, loaded where they are used."""

from pathlib import Path

from topics.log import Log
from topics.settings import KafkaSettings
from topics.sqlite import SqliteLog


def is_on_kafka() -> bool:
    """Whether the environment names Kafka's servers."""
    return KafkaSettings().bootstrap_servers is not None


def open_log(path: Path) -> Log:
    """Open the log: at `path`, unless the environment names Kafka's servers. Raises `Unavailable` where it does not take part."""
    if not is_on_kafka():
        return SqliteLog(path)
    from topics.kafka import KafkaLog

    return KafkaLog(KafkaSettings())


def make_topics() -> None:
    """Make the declared topics that Kafka does not have yet. Raises `Unavailable` where it does not answer."""
    from topics import kafka_topics

    kafka_topics.create(KafkaSettings())


def missing_topics() -> list[str]:
    """Return the declared topics that Kafka does not have. Raises `Unavailable` where it does not answer."""
    from topics import kafka_topics

    return [topic.name for topic in kafka_topics.states(KafkaSettings()) if topic.state == "missing"]


def log_worth(path: Path) -> str:
    """Say where the log is kept, and what an acknowledged append is worth there."""
    if not is_on_kafka():
        return f"{path.stat().st_size / 2**20:.1f} MiB; what was answered with 202 is on this disk"
    from topics import kafka_topics

    settings = KafkaSettings()
    decisions, *_ = kafka_topics.states(settings)
    return f"Kafka at {settings.bootstrap_servers}; {decisions.worth}"


def log_members(group: str) -> int:
    """Return how many workers share the decisions on Kafka now. Raises `Unavailable` where it does not answer."""
    from topics import kafka_topics

    return kafka_topics.members(KafkaSettings(), group)
