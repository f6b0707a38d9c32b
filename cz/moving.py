"""From the embedded log to Kafka: what it holds is carried over, and nothing of it is skipped."""

from contextlib import closing
from dataclasses import dataclass

from cz.home import Home
from processors.embedded import open_worker
from processors.settings import Settings
from topics.control import READ_BYTES_MAX
from topics.declarations import CONTROL
from topics.log import Log, Message
from topics.sqlite import SqliteLog


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What was carried over."""

    control_records: int = 0
    records_landed: int = 0


def move_from_embedded(home: Home, kafka: Log) -> Moved:
    """Land what waits in the embedded log of a data folder, and tell Kafka of its projects, keys and bundles.

    Records that Kafka already has under their key are newer there, and stay. Done again, it changes nothing; killed in
    between, it goes on. Nothing may append to the embedded log meanwhile: who owns the folder sees to that.
    """
    if not home.log.exists():
        return Moved()
    with closing(SqliteLog(home.log)) as embedded:
        known = {message.key for message in _control(kafka)}
        missing = [(message.key, message.value, message.headers) for message in _control(embedded) if message.key not in known]
        if missing:
            kafka.append(CONTROL.name, missing)
        worker = open_worker(Settings(home=home.path), embedded)
        while worker.tick() != "idle":
            pass
        return Moved(control_records=len(missing), records_landed=worker.heartbeat.records)


def _control(log: Log) -> list[Message]:
    found: list[Message] = []
    while messages := log.read(CONTROL.name, 0, found[-1].offset + 1 if found else 0, bytes_max=READ_BYTES_MAX):
        found += messages
    return found
