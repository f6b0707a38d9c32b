"""Records sent to Kafka itself: librdkafka on a cluster of its own making, which speaks Kafka's protocol on a port."""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from controlzero import AsyncClient, Client
from controlzero.batch import TOPIC, Batch, compress_lines, partition_of
from controlzero.brokers import Brokers
from controlzero.errors import Rejected, Unavailable
from controlzero.ids import new_id
from controlzero.recorder import backlog
from controlzero.recorder.folders import Destination
from controlzero.recorder.kafka_link import KafkaLink
from controlzero.recorder.position import Position
from controlzero.recorder.recording import Recorder
from controlzero.records import AGENT_RECORDS, Decision, encode_record
from controlzero.settings import read_settings
from controlzero.testing import InMemoryGateway, SettableClock, a_decision
from topics.batches import decode_batch, expand_lines
from topics.log import Message

WAIT_S = 10.0
KAFKA = {"CONTROLZERO_API_KEY": "cz_test_key", "CONTROLZERO_DELIVERY": "kafka", "KAFKA_BOOTSTRAP_SERVERS": "broker:9092"}
POLICY = {"rules": [{"effect": "allow", "action": "*"}]}


class Cluster:
    """A cluster in memory, and what is in its topic of decisions."""

    def __init__(self) -> None:
        self._holder = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
        ((_, broker),) = self._holder.list_topics(timeout=WAIT_S).brokers.items()
        self.brokers = Brokers(bootstrap_servers=f"{broker.host}:{broker.port}")

    def make_topic(self) -> None:
        self._holder.list_topics(TOPIC, timeout=WAIT_S)

    def topics(self) -> set[str]:
        return set(self._holder.list_topics(timeout=WAIT_S).topics)

    def partitions(self) -> int:
        return len(self._holder.list_topics(TOPIC, timeout=WAIT_S).topics[TOPIC].partitions)

    def messages(self) -> list[Message]:
        """Return all messages, partition by partition."""
        places = [TopicPartition(TOPIC, number, 0) for number in range(self.partitions())]
        consumer = Consumer(
            {"bootstrap.servers": self.brokers.bootstrap_servers, "group.id": "reader", "fetch.wait.max.ms": 10, "log_level": 0}
        )
        found: list[Message] = []
        for place in places:
            consumer.assign([place])
            _, end = consumer.get_watermark_offsets(place, timeout=WAIT_S)
            while not found or (found[-1].partition, found[-1].offset + 1) != (place.partition, end):
                if not end:
                    break
                one = consumer.poll(WAIT_S)
                assert one is not None
                assert one.error() is None
                headers = {name: value.decode() for name, value in one.headers() or []}
                found.append(
                    Message(partition=place.partition, offset=one.offset(), key=one.key() or b"", value=one.value(), headers=headers)
                )
        consumer.close()
        return found

    def decisions(self) -> list[Decision]:
        lines = b"".join(expand_lines(message.value or b"") for message in self.messages())
        return [record for line in lines.splitlines() if isinstance(record := _decoded(line), Decision)]


def _decoded(line: bytes) -> object:
    return msgspec.json.decode(line, type=AGENT_RECORDS)


@pytest.fixture
def cluster() -> Cluster:
    cluster = Cluster()
    cluster.make_topic()
    return cluster


@pytest.fixture
def link(cluster: Cluster) -> Iterator[KafkaLink]:
    link = KafkaLink(cluster.brokers)
    yield link
    link.close()


def a_batch(first_seq: int = 0, count: int = 2, *, closes: bool = False) -> backlog.Batch:
    lines = [encode_record(a_decision(evaluated_rules=number)) for number in range(first_seq, first_seq + count)]
    return backlog.Batch("a-producer", first_seq, lines, Position(first_seq + count), closes=closes, is_all=True)


def test_a_batch_is_the_message_that_a_gateway_appends_but_for_its_time(link: KafkaLink, cluster: Cluster) -> None:
    for batch in (a_batch(0, 2), a_batch(2, 3, closes=True)):
        assert link.deliver("acme", batch).status == 202
    first, last = cluster.messages()
    assert {first.partition, last.partition} == {partition_of(b"acme/a-producer", cluster.partitions())}
    lines = b"".join(line + b"\n" for line in a_batch(2, 3).lines)
    assert decode_batch(last) == Batch(
        project_id="acme",
        producer_id="a-producer",
        first_seq=2,
        count=3,
        total=5,
        received_at=None,
        value=compress_lines(lines),
        closed=True,
    )
    assert not decode_batch(first).closed


def test_a_recorder_delivers_in_order_and_closes(cluster: Cluster, tmp_path: Path) -> None:
    recorder = Recorder(
        Destination("acme", cluster.brokers.url), root=tmp_path, link=KafkaLink(cluster.brokers), clock=SettableClock(), new_id=new_id
    )
    for number in range(1_200):
        assert recorder.record(encode_record(a_decision(evaluated_rules=number)))
    assert recorder.close(WAIT_S)
    batches = [decode_batch(message) for message in cluster.messages()]
    assert [decision.evaluated_rules for decision in cluster.decisions()] == list(range(1_200))
    assert [batch.first_seq for batch in batches] == [sum(batch.count for batch in batches[:place]) for place in range(len(batches))]
    assert [batch.closed for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert batches[-1].total == 1_200


def test_brokers_that_are_away_are_told_by_their_name_and_nothing_is_taken() -> None:
    link = KafkaLink(Brokers(bootstrap_servers="127.0.0.1:1"))
    with pytest.raises(Unavailable, match=r"Kafka at 127\.0\.0\.1:1: .*Connection refused"):
        link.deliver("acme", a_batch())


def test_a_topic_that_is_not_there_is_not_made_by_accident() -> None:
    cluster = Cluster()
    link = KafkaLink(cluster.brokers)
    with pytest.raises(Unavailable, match=f"no topic {TOPIC}.*cz topics create"):
        link.deliver("acme", a_batch())
    assert cluster.topics() == set()
    cluster.make_topic()
    assert link.deliver("acme", a_batch()).status == 202
    link.close()


def test_settings_that_librdkafka_cannot_use_keep_the_records(tmp_path: Path) -> None:
    (tmp_path / "no-certificate").write_text("nothing of the kind")
    brokers = Brokers(bootstrap_servers="127.0.0.1:1", security_protocol="SSL", ssl_cafile=str(tmp_path / "no-certificate"))
    with pytest.raises(Unavailable, match=r"ssl\.ca\.location"):
        KafkaLink(brokers).deliver("acme", a_batch())


def test_a_forked_child_never_destroys_its_parents_producer(link: KafkaLink) -> None:
    """Destroying it waits for threads that the child does not have."""
    link.deliver("acme", a_batch())
    producer = link._producer
    held = sys.getrefcount(producer)
    link.forget()
    assert link._producer is None
    assert sys.getrefcount(producer) == held


@pytest.mark.filterwarnings("ignore:This process")  # 3.12 warns of forking beside threads, which is the point
def test_a_forked_child_delivers_by_a_producer_of_its_own(cluster: Cluster, tmp_path: Path) -> None:
    recorder = Recorder(
        Destination("acme", cluster.brokers.url), root=tmp_path, link=KafkaLink(cluster.brokers), clock=SettableClock(), new_id=new_id
    )
    recorder.record(encode_record(a_decision(evaluated_rules=1)))
    assert recorder.flush(WAIT_S)
    child = os.fork()
    if child == 0:
        try:
            recorder.record(encode_record(a_decision(evaluated_rules=2)))
            os._exit(0 if recorder.close(WAIT_S) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    recorder.record(encode_record(a_decision(evaluated_rules=3)))
    assert recorder.close(WAIT_S)
    assert sorted(decision.evaluated_rules for decision in cluster.decisions()) == [1, 2, 3]
    batches = [decode_batch(message) for message in cluster.messages()]
    assert sorted(batch.total for batch in batches if batch.closed) == [1, 2]
    assert len({batch.producer_id for batch in batches}) == 2


# Clients


def test_with_a_policy_file_nobody_but_the_brokers_is_asked(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", cluster.brokers.bootstrap_servers)
    (tmp_path / "policy.json").write_text('{"rules": [{"effect": "allow", "action": "*"}]}')
    cz = Client(policy_file=tmp_path / "policy.json", project_id="acme", delivery="kafka", spool=tmp_path / "spool")
    decision = cz.guard("database", method="query")
    assert cz.close(WAIT_S)
    assert [found.decision_id for found in cluster.decisions()] == [decision.decision_id]
    assert {message.headers["project"] for message in cluster.messages()} == {"acme"}


def test_with_a_server_the_bundle_is_the_servers_and_the_records_are_the_brokers(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", cluster.brokers.bootstrap_servers)
    monkeypatch.setenv("CONTROLZERO_DELIVERY", "kafka")
    gateway = InMemoryGateway(policy=POLICY, mode="enforce", project_id="acme")
    with Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path) as cz:
        assert cz.guard("database", method="query").allowed
    assert {message.headers["project"] for message in cluster.messages()} == {"acme"}
    assert [found.action for found in cluster.decisions()] == ["database:query"]
    assert "POST /v1/decisions" not in gateway.requests


async def _recorded(**given: object) -> None:
    async with AsyncClient(**given) as cz:  # type: ignore[arg-type]
        await cz.guard("database", method="query")


def test_an_async_client_takes_the_same_argument(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", cluster.brokers.bootstrap_servers)
    gateway = InMemoryGateway(policy=POLICY, project_id="acme")
    asyncio.run(_recorded(api_key="cz_test_key", base_url="http://gateway", transport=gateway, delivery="kafka", spool=tmp_path))
    assert len(cluster.decisions()) == 1


def test_clients_that_deliver_differently_share_no_producer(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", cluster.brokers.bootstrap_servers)
    gateway = InMemoryGateway(policy=POLICY, project_id="acme")
    given = {"api_key": "cz_test_key", "base_url": "http://gateway", "transport": gateway, "spool": tmp_path}
    with Client(**given) as one, Client(**given, delivery="kafka") as other:  # type: ignore[arg-type]
        one.guard("over", "http")
        other.guard("over", "kafka")
    assert [found.action for found in gateway.decisions()] == ["over:http"]
    assert [found.action for found in cluster.decisions()] == ["over:kafka"]


# Settings


def test_every_problem_of_the_brokers_is_told_with_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    environ = {
        "CONTROLZERO_DELIVERY": "kafka",
        "CONTROLZERO_MODE": "strict",
        "CONTROLZERO_POLICY_FILE": "policy.json",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "GSSAPI",
        "KAFKA_DELIVERY_TIMEOUT_MS": "soon",
        "KAFKA_SSL_CAFILE": "/nowhere/ca.pem",
    }
    with pytest.raises(Rejected) as raised:
        read_settings(environ)
    for part in (
        "mode `strict`",
        "pip install 'controlzero-audit[kafka]'",
        "CONTROLZERO_PROJECT_ID",
        "KAFKA_BOOTSTRAP_SERVERS",
        "KAFKA_SASL_MECHANISM: Invalid enum value 'GSSAPI'",
        "KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD",
        "KAFKA_DELIVERY_TIMEOUT_MS: Expected `int`",
        "KAFKA_SSL_CAFILE: there is no file `/nowhere/ca.pem`",
    ):
        assert part in str(raised.value)


def test_another_way_of_delivery_is_refused() -> None:
    with pytest.raises(Rejected, match=r"delivery `pigeon`.*expected one of http, kafka"):
        read_settings(KAFKA, delivery="pigeon")


def test_brokers_that_nobody_asked_for_are_not_read() -> None:
    environ = {**KAFKA, "CONTROLZERO_DELIVERY": "", "KAFKA_SECURITY_PROTOCOL": "nonsense"}
    settings = read_settings(environ)
    assert (settings.delivery, settings.brokers) == ("http", None)


def test_the_project_of_a_policy_file_is_one_that_a_message_can_name() -> None:
    environ = {**KAFKA, "CONTROLZERO_API_KEY": "", "CONTROLZERO_POLICY_FILE": "policy.json"}
    with pytest.raises(Rejected, match="for project `a/b`"):
        read_settings({**environ, "CONTROLZERO_PROJECT_ID": "a/b"})
    assert read_settings({**environ, "CONTROLZERO_PROJECT_ID": "acme"}).brokers is not None


def test_the_password_is_never_shown() -> None:
    environ = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "agent", "KAFKA_SASL_PASSWORD": "correct-horse"}
    settings = read_settings({**KAFKA, **environ})
    assert settings.brokers is not None
    assert settings.brokers.sasl_password == "correct-horse"
    assert "correct-horse" not in repr(settings)


def test_the_same_brokers_are_one_destination_and_no_gateways() -> None:
    one = read_settings({**KAFKA, "KAFKA_BOOTSTRAP_SERVERS": "a:9092, b:9092"}).brokers
    other = read_settings({**KAFKA, "KAFKA_BOOTSTRAP_SERVERS": "b:9092,a:9092"}).brokers
    assert one is not None
    assert other is not None
    assert one.url == other.url == "kafka://a:9092,b:9092"
    assert Destination("acme", one.url).folder_name != Destination("acme", "http://a:9092").folder_name
