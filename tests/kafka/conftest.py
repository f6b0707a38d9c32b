"""One broker for all tests of the group, and one of its own for a test that kills it or counts all that is in it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

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


@pytest.fixture(scope="module")
def brokered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of a module's own, without topics, named in the environment of whatever is started."""
    with Broker(tmp_path_factory.mktemp("broker")) as one, pytest.MonkeyPatch.context() as patch:
        one.name_in_environment(patch)
        yield one


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as one:
        kafka_topics.create(KafkaSettings(bootstrap_servers=one.bootstrap))
        yield one


@pytest.fixture
def own_log(own_broker: Broker) -> Iterator[KafkaLog]:
    with closing(KafkaLog(KafkaSettings(bootstrap_servers=own_broker.bootstrap))) as opened:
        yield opened


@pytest.fixture
def kafka(broker: Broker) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=broker.bootstrap)


@pytest.fixture
def log(kafka: KafkaSettings) -> Iterator[KafkaLog]:
    with closing(KafkaLog(kafka)) as opened:
        yield opened
