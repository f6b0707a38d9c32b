"""A data folder whose log moves to Kafka, and topics that are not what they were: recognised, never skipped over."""

import time
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from cz.doctor import Check, examine
from cz.home import Home
from cz.moving import Moved, move_from_embedded
from cz.plane import plane_over
from processors.settings import Settings
from tests import traffic
from tests.kafka_broker import Broker
from tests.kafka_nemesis import BATCH, batch_of
from tests.kafka_workers import worker
from tests.waiting import until
from topics import kafka_clients, kafka_topics
from topics.control import ControlFollower
from topics.declarations import DECISIONS
from topics.kafka import KafkaLog
from topics.settings import KafkaSettings
from topics.sqlite import SqliteLog
from warehouse.lander import open_ledger
from warehouse.snapshot import Warehouse

WAIT_S = 60.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A data folder with a project, a key, and batches that have not landed."""
    folder = Home(tmp_path / "home")
    with plane_over(folder) as plane:
        plane.ensure_default_project()
    embedded = SqliteLog(folder.log)
    embedded.append(DECISIONS.name, [batch_of(number, 0) for number in range(4)])
    embedded.close()
    return folder


def rows(home: Home) -> int:
    if not home.ledger.exists():
        return 0
    found = Warehouse.open(home.ledger).session(None).sql("SELECT count(*) AS rows FROM decisions", {}).to_pylist()
    return int(found[0]["rows"])


def until_landed(home: Home, wanted: int) -> None:
    until(lambda: rows(home) == wanted, lambda: f"{wanted:,} rows (there are {rows(home):,})", within_s=WAIT_S)


def test_what_waits_lands_and_what_governs_is_carried_over_once(home: Home, own_log: KafkaLog) -> None:
    moved = move_from_embedded(home, own_log)
    assert (moved.records_landed, rows(home)) == (4 * BATCH, 4 * BATCH)
    follower = ControlFollower(own_log)
    follower.poll()
    assert list(follower.state.projects) == ["default"]
    assert len(follower.state.keys) == len(follower.state.bundles) == 1
    assert move_from_embedded(home, own_log) == Moved()
    assert rows(home) == 4 * BATCH


def test_a_producer_goes_on_where_the_embedded_log_ended(home: Home, own_broker: Broker, own_log: KafkaLog) -> None:
    move_from_embedded(home, own_log)
    own_log.append(DECISIONS.name, [batch_of(1, 0), batch_of(1, BATCH)])  # the first again: its 202 may have been lost in the move
    with worker(home.path, own_broker.environment):
        until_landed(home, 5 * BATCH)
    tallies = traffic.contents(home.ledger)["tallies"]
    assert sum(int(str(row["duplicate"])) for row in tallies) == BATCH
    assert [row["detail"] for row in traffic.contents(home.ledger)["findings"] if row["type"] == "sequence_gap"] == []


def test_the_doctor_names_what_waits_in_the_embedded_log(home: Home, own_broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    open_ledger(home.ledger, new_id=lambda: "test")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", own_broker.bootstrap)
    (found,) = [check for check in examine(home, now=time.time_ns() // 1000).checks if check.name == "embedded log"]
    assert not found.ok
    assert found.found.startswith("2,000 records wait in ")


def test_a_topic_made_again_begins_anew(home: Home, own_broker: Broker, own_log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    own_log.append(DECISIONS.name, [batch_of(0, 0)])
    with worker(home.path, own_broker.environment):
        until_landed(home, BATCH)
    admin = kafka_clients.admin(KafkaSettings(bootstrap_servers=own_broker.bootstrap))
    admin.delete_topics([DECISIONS.name])[DECISIONS.name].result()
    settings = KafkaSettings(bootstrap_servers=own_broker.bootstrap)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", own_broker.bootstrap)

    def of_log() -> Check:
        return next(check for check in examine(home, now=time.time_ns() // 1000).checks if check.name == "log")

    until(lambda: of_log().found == "Kafka has no topic cz.decisions.v1", of_log, within_s=WAIT_S)
    assert "cz topics create" in (of_log().next_step or "")
    until(lambda: kafka_topics.create(settings), "the topic made again", within_s=WAIT_S)
    again = KafkaLog(settings)
    again.append(DECISIONS.name, [batch_of(0, BATCH)])  # at the very offset that had landed in the topic before
    again.close()
    with worker(home.path, own_broker.environment):
        until_landed(home, 2 * BATCH)


def test_what_retention_took_before_it_landed_is_found(home: Home, own_broker: Broker, own_log: KafkaLog) -> None:
    places = own_log.append(DECISIONS.name, [batch_of(0, number * BATCH) for number in range(3)])
    partition = places[0][0]
    with worker(home.path, own_broker.environment):
        until_landed(home, 3 * BATCH)
    own_log.append(DECISIONS.name, [batch_of(0, number * BATCH) for number in range(3, 6)])
    admin = kafka_clients.admin(KafkaSettings(bootstrap_servers=own_broker.bootstrap))
    before = TopicPartition(DECISIONS.name, partition, 5)
    admin.delete_records([before])[before].result()
    with worker(home.path, own_broker.environment):
        until_landed(home, 4 * BATCH)
    found = {str(row["detail"]): row for row in traffic.contents(Settings(home=home.path).ledger_path)["findings"]}
    hole = found["log_hole"]
    assert (hole["log_partition"], hole["first_seq"], hole["last_seq"]) == (partition, 3, 4)
    gap = next(row for detail, row in found.items() if row["type"] == "sequence_gap" and detail != "log_hole")
    assert (gap["first_seq"], gap["last_seq"]) == (3 * BATCH, 5 * BATCH - 1)
