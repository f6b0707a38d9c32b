"""The whole product with its log on a real broker: the same commands, the same counts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cz.up import Stack
from tests.kafka_broker import Broker
from tests.nemesis import rage
from tests.recorded import arguments, expected_of
from tests.stacks import cz, last_json, stack_over

PAIRS = [("agentdojo-banking", "agentdojo-banking"), ("coding", "org-baseline.candidate")]


@pytest.fixture(scope="module")
def stack(brokered: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack_over(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.mark.needs("traces")
@pytest.mark.parametrize(("source", "policy"), PAIRS)
def test_workers_over_kafka_count_what_the_reference_counts(stack: Stack, shared: Path, source: str, policy: str) -> None:
    project = f"{source}-{policy}".replace(".", "-")
    answer = last_json(cz(stack.home.path, *arguments(shared, source, policy), "--project", project))
    expected = expected_of(shared, source, policy)
    assert answer["received"] == answer["landed"] == expected["received"]
    assert answer["verdicts"] == expected["verdicts"]
    assert answer["rule_hits"] == expected["rule_hits"]


def test_the_doctor_says_where_the_log_is_and_that_all_is_balanced(stack: Stack, brokered: Broker) -> None:
    found = last_json(cz(stack.home.path, "doctor", "--json"))
    assert found["healthy"]
    (log,) = [check for check in found["checks"] if check["name"] == "log"]
    assert f"Kafka at {brokered.bootstrap}; a single broker has it: its disk is the only copy" in log["found"]


def test_what_guard_returned_is_landed_once_whatever_was_killed(brokered: Broker, tmp_path: Path) -> None:
    after = rage(tmp_path, kills=10, seed=3)
    assert len(after.returned) > 200
    assert after.returned - after.landed.keys() == set()
    assert [decision for decision, count in after.landed.items() if count > 1] == []
    assert after.examination is not None
    assert all(account.balanced and not account.gaps for account in after.examination.projects.values())
