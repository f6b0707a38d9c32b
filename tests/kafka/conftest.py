"""One broker for all tests of the group; tests that kill it start their own."""

from collections.abc import Iterator

import pytest

from tests.kafka_broker import Broker
from topics import kafka_topics
from topics.kafka import KafkaLog
from topics.settings import KafkaSettings


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker")) as one:
        kafka_topics.create(KafkaSettings(bootstrap_servers=one.bootstrap))
        yield one


@pytest.fixture
def kafka(broker: Broker) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=broker.bootstrap)


@pytest.fixture
def log(kafka: KafkaSettings) -> Iterator[KafkaLog]:
    opened = KafkaLog(kafka)
    yield opened
    opened.close()
