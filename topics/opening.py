"""Which log there is: Kafka where its servers are named, else the embedded one."""

from pathlib import Path

from topics.log import Log
from topics.settings import KafkaSettings
from topics.sqlite import SqliteLog


def open_log(path: Path, settings: KafkaSettings | None = None) -> Log:
    """Open the log: at `path`, unless the environment (or `settings`) names Kafka's servers.

    Raises `Unavailable` where it does not take part, `Rejected` where Kafka is asked for and its clients are not installed.
    """
    settings = KafkaSettings() if settings is None else settings
    if settings.bootstrap_servers is None:
        return SqliteLog(path)
    from topics.kafka import KafkaLog  # an extra: the embedded product goes without its clients

    return KafkaLog(settings)
