"""The whole product with its ledger on a real S3 server: the same commands, the same counts, whatever happens to the server."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cz.up import Stack
from tests.recorded import arguments, expected_of
from tests.s3_server import BUCKET, S3Server
from tests.stacks import cz, last_json, stack_over
from tests.traffic import append_all, assert_conserved, contents, messages
from tests.waiting import until
from topics.declarations import DECISIONS
from topics.sqlite import SqliteLog
from warehouse.delta_log import DeltaLog
from warehouse.lander import app_id
from warehouse.stores import Bucket
from warehouse.verification import damages

pytestmark = pytest.mark.needs("s3")


@pytest.fixture(scope="module")
def stack(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3.environment.items():
            patch.setenv(name, value)
        patch.setenv("CZ_WAREHOUSE", f"s3://{BUCKET}/of the product")
        with stack_over(tmp_path_factory.mktemp("home")) as running:
            yield running


@pytest.mark.needs("traces")
def test_workers_land_on_s3_what_the_reference_counts(stack: Stack, shared: Path) -> None:
    answer = last_json(cz(stack.home.path, *arguments(shared, "agentdojo-banking", "agentdojo-banking"), "--project", "banking"))
    expected = expected_of(shared, "agentdojo-banking", "agentdojo-banking")
    assert answer["received"] == answer["landed"] == expected["received"]
    assert answer["verdicts"] == expected["verdicts"]
    assert answer["rule_hits"] == expected["rule_hits"]
    listed = cz(stack.home.path, "decisions", "--project", "banking", "--json", "--limit", "10000", "--last-minutes", "30000")
    assert len(listed.stdout.splitlines()) == expected["received"]


def test_the_doctor_says_where_the_ledger_is_and_that_all_is_balanced(stack: Stack) -> None:
    found = last_json(cz(stack.home.path, "doctor", "--json"))
    assert found["healthy"]
    assert all(project["balanced"] for project in found["projects"].values())
    (ledger,) = [check for check in found["checks"] if check["name"] == "ledger"]
    assert f"s3://{BUCKET}/of the product/ledger" in ledger["found"]
    assert isinstance(stack.home.ledger, Bucket)
    assert list(damages(stack.home.ledger)) == []
    assert not (stack.home.path / "warehouse").exists()


def test_a_server_that_is_killed_and_comes_back_costs_nothing(stack: Stack, s3: S3Server) -> None:
    sent = list(messages(7, 60))
    s3.kill()
    with closing(SqliteLog(stack.home.log)) as log:
        append_all(log, sent)
    until(lambda: b"does not take part" in (stack.home.run / "worker.json").read_bytes())
    s3.start()
    with closing(SqliteLog(stack.home.log)) as log:
        ids = [app_id(log.log_id, log.topic_id(DECISIONS.name), number) for number in range(log.partitions(DECISIONS.name))]
        ends = [log.bounds(DECISIONS.name, number).end for number in range(log.partitions(DECISIONS.name))]
        until(lambda: _landed(stack, ids) == ends, "landing all")
        assert_conserved(contents(stack.home.ledger), log)


def _landed(stack: Stack, ids: list[str]) -> list[int]:
    ledger = DeltaLog(stack.home.ledger)
    return [ledger.transaction_version(one) or 0 for one in ids]
