from collections.abc import Iterator
from pathlib import Path

import pytest

from cz.up import Stack
from tests.kafka_broker import Broker
from tests.recorded import differing
from tests.stacks import stack_over


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack_over(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def on_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Broker(tmp_path_factory.mktemp("broker")) as broker, pytest.MonkeyPatch.context() as patch:
        for name, value in broker.environment.items():
            patch.setenv(name, value)
        with stack_over(tmp_path_factory.mktemp("home")) as running:
            yield running


@pytest.mark.needs("traces")
@pytest.mark.parametrize("log", ["embedded", pytest.param("on_kafka", marks=pytest.mark.needs("kafka"))])
def test_every_trace_under_every_policy_counts_as_the_reference_does(log: str, request: pytest.FixtureRequest, shared: Path) -> None:
    assert differing(request.getfixturevalue(log), shared) == []
