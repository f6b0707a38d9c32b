"""Policies swapped under load: each decision is judged by one bundle, whose digest it carries, and by no mix of two."""

import threading
import time
from pathlib import Path

import pytest

from cz.home import Home
from cz.plane import plane_over
from tests.kafka_broker import Broker
from tests.kafka_nemesis import BATCH, batch_of
from tests.kafka_workers import Worker
from tests.waiting import until
from topics import kafka_topics
from topics.declarations import DECISIONS
from topics.kafka import KafkaLog
from topics.settings import KafkaSettings
from warehouse.snapshot import Warehouse

ALLOWS = {"name": "swapped", "rules": [{"effect": "allow", "action": "*"}]}
DENIES = {"name": "swapped", "rules": [{"effect": "deny", "action": "*"}]}
BATCHES, SWAPS = 240, 30
WAIT_S = 120.0
JUDGED = """
SELECT judged_bundle_digest AS digest, judged_verdict AS verdict, count(*) AS rows
FROM decisions
GROUP BY ALL
"""


def test_each_decision_is_judged_by_the_one_bundle_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home")
    with Broker(tmp_path / "broker") as broker:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap)
        kafka_topics.create(KafkaSettings(bootstrap_servers=broker.bootstrap))
        log = KafkaLog(KafkaSettings(bootstrap_servers=broker.bootstrap))
        workers: list[Worker] = []
        with plane_over(home) as plane:
            plane.create_project("nemesis", actor="tester")
            plane.apply_policy("nemesis", ALLOWS, actor="tester")
            sending = threading.Thread(target=_send, args=(log,))
            try:
                workers += [Worker(home.path, broker.environment, name=f"worker-{number}") for number in range(2)]
                until(lambda: all("has its partitions" in one.log.read_text() for one in workers), "the workers' start")
                sending.start()
                for swap in range(SWAPS):
                    plane.apply_policy("nemesis", DENIES if swap % 2 == 0 else ALLOWS, actor="tester")
                    time.sleep(0.3)
                sending.join()
                verdicts = {version.digest: "allow" if version.version % 2 else "deny" for version in plane.policy_versions("nemesis")}
                judged = _judged(home)
            finally:
                for one in workers:
                    one.kill()
        log.close()
    assert sum(rows for *_, rows in judged) == BATCHES * BATCH
    assert {(digest, verdict) for digest, verdict, _ in judged} <= set(verdicts.items())
    assert len(judged) > SWAPS // 3  # many bundles judged, or this shows nothing


def _send(log: KafkaLog) -> None:
    for number in range(BATCHES):
        log.append(DECISIONS.name, [batch_of(number % 8, number // 8 * BATCH)])
        time.sleep(0.04)


def _judged(home: Home) -> list[tuple[str, str, int]]:
    def judged() -> list[tuple[str, str, int]]:
        rows = Warehouse.open(home.ledger).session(None).sql(JUDGED, {}).to_pylist()
        return [(row["digest"], row["verdict"], row["rows"]) for row in rows]

    def all_of_them() -> list[tuple[str, str, int]] | None:
        found = judged()
        return found if sum(rows for *_, rows in found) == BATCHES * BATCH else None

    return until(all_of_them, judged, within_s=WAIT_S)
