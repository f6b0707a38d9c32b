"""The log protocol on a real broker."""

import signal
from pathlib import Path

import pytest

from controlzero.batch import MESSAGE_BYTES_MAX, partition_of
from controlzero.errors import Rejected, Unavailable
from tests.kafka_broker import Broker
from topics import kafka_topics
from topics.declarations import CONTROL, DECISIONS
from topics.kafka import KafkaLog
from topics.settings import KafkaSettings

MANY = 2**30


def test_what_is_appended_is_read_at_its_place(log: KafkaLog) -> None:
    sent = [(b"acme/p%d" % number, b"value %d" % number, {"count": str(number)}) for number in range(20)]
    places = log.append(DECISIONS.name, sent)
    for (key, value, headers), (partition, offset) in zip(sent, places, strict=True):
        assert partition == partition_of(key, DECISIONS.partitions)
        message = log.read(DECISIONS.name, partition, offset, bytes_max=1)[0]
        assert (message.partition, message.offset, message.key, message.value, message.headers) == (partition, offset, key, value, headers)


def test_reading_goes_on_where_it_ended(log: KafkaLog) -> None:
    before = log.bounds(CONTROL.name, 0).end
    log.append(CONTROL.name, [(b"project/%d" % number, b"x" * 1000, {}) for number in range(50)])
    seen: list[int] = []
    while messages := log.read(CONTROL.name, 0, before + len(seen), bytes_max=7_000):
        assert len(messages) <= 7
        seen += [message.offset for message in messages]
    assert seen == list(range(before, before + 50))
    assert log.bounds(CONTROL.name, 0).end == before + 50


def test_a_tombstone_has_no_value(log: KafkaLog) -> None:
    (_, offset), *_ = log.append(CONTROL.name, [(b"bundle/gone", None, {})])
    assert log.read(CONTROL.name, 0, offset, bytes_max=MANY)[0].value is None


def test_nothing_is_read_at_the_end(log: KafkaLog) -> None:
    assert log.read(DECISIONS.name, 0, log.bounds(DECISIONS.name, 0).end, bytes_max=MANY) == []


def test_the_cluster_and_each_topic_have_an_identity(log: KafkaLog, kafka: KafkaSettings) -> None:
    assert len(log.log_id) == 22
    assert log.topic_id(DECISIONS.name) != log.topic_id(CONTROL.name)
    again = KafkaLog(kafka)
    assert (again.log_id, again.topic_id(CONTROL.name)) == (log.log_id, log.topic_id(CONTROL.name))
    again.close()


def test_the_largest_message_fits_and_a_larger_one_is_refused(log: KafkaLog) -> None:
    (partition, offset), *_ = log.append(DECISIONS.name, [(b"acme/large", b"x" * (MESSAGE_BYTES_MAX - 2_000), {})])
    assert len(log.read(DECISIONS.name, partition, offset, bytes_max=1)[0].value or b"") == MESSAGE_BYTES_MAX - 2_000
    with pytest.raises(Rejected, match="split it"):
        log.append(DECISIONS.name, [(b"acme/large", b"x" * (MESSAGE_BYTES_MAX + 1), {})])


def test_a_missing_topic_says_how_it_is_made(log: KafkaLog) -> None:
    with pytest.raises(Unavailable, match="cz topics create"):
        log.bounds("cz.nothing.v1", 0)


def test_topics_are_made_once_as_declared(kafka: KafkaSettings) -> None:
    assert kafka_topics.create(kafka) == []
    decisions, control = kafka_topics.states(kafka)
    assert (decisions.state, decisions.partitions, decisions.replication_factor) == ("there", DECISIONS.partitions, 1)
    assert (control.state, control.partitions) == ("there", 1)
    assert decisions.worth == "a single broker has it: its disk is the only copy"


def test_a_broker_that_is_away_is_unavailable_and_its_return_needs_no_hand(tmp_path: Path) -> None:
    with Broker(tmp_path / "broker") as broker:
        settings = KafkaSettings(bootstrap_servers=broker.bootstrap, delivery_timeout_ms=2_000)
        kafka_topics.create(settings)
        log = KafkaLog(settings)
        log.append(DECISIONS.name, [(b"acme/p", b"before", {})])
        broker.end(signal.SIGKILL)
        with pytest.raises(Unavailable, match="Kafka at 127") as away:
            log.append(DECISIONS.name, [(b"acme/p", b"meanwhile", {})])
        assert away.value.retry_after_s
        broker.start()
        partition = partition_of(b"acme/p", DECISIONS.partitions)
        log.append(DECISIONS.name, [(b"acme/p", b"after", {})])
        kept = [message.value for message in log.read(DECISIONS.name, partition, 0, bytes_max=MANY)]
        assert kept[0] == b"before"
        assert kept[-1] == b"after"
        log.close()
