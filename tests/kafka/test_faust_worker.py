"""A Faust worker over a real broker: it lands what the embedded one lands, from where the ledger says."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree

import pytest

from controlzero.secrets_on_disk import master_key
from processors.embedded import open_worker
from processors.settings import Settings
from tests import traffic
from tests.kafka_broker import Broker
from tests.kafka_workers import worker
from topics import kafka_topics
from topics.declarations import DECISIONS
from topics.kafka import KafkaLog
from topics.log import Log
from topics.settings import KafkaSettings
from warehouse.lander import Lander, app_id

WAIT_S = 30.0


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as broker:
        kafka_topics.create(KafkaSettings(bootstrap_servers=broker.bootstrap))
        yield broker


@pytest.fixture
def own_log(own_broker: Broker) -> Iterator[KafkaLog]:
    log = KafkaLog(KafkaSettings(bootstrap_servers=own_broker.bootstrap))
    yield log
    log.close()


def until(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not come about in {WAIT_S:g} s"
        time.sleep(0.05)


def has_landed(home: Path, log: Log) -> Callable[[], bool]:
    lander = Lander(Settings(home=home).ledger_path, clock=lambda: 0, new_id=lambda: "reader")
    ids = {app_id(log.log_id, log.topic_id(DECISIONS.name), partition): partition for partition in range(DECISIONS.partitions)}
    ends = {name: log.bounds(DECISIONS.name, partition).end for name, partition in ids.items()}
    return lambda: {name: lander.landed([name]).get(name, 0) for name in ids} == ends


def test_the_same_messages_land_the_same_rows_as_embedded(tmp_path: Path, own_broker: Broker, own_log: KafkaLog) -> None:
    home = tmp_path / "home"
    master_key(home)
    traffic.append_all(own_log, list(traffic.messages(seed=5, count=400)))
    with worker(home, own_broker.environment) as running:
        until(has_landed(home, own_log), "landing all")
        assert running.stop() == 0, running.log.read_text()[-2000:]
    copytree(home / "keys", tmp_path / "other" / "keys")
    embedded = open_worker(Settings(home=tmp_path / "other"), own_log)
    while embedded.tick() != "idle":
        pass
    landed = traffic.contents(Settings(home=home).ledger_path)
    assert landed == traffic.contents(Settings(home=tmp_path / "other").ledger_path)
    traffic.assert_conserved(landed, own_log)
