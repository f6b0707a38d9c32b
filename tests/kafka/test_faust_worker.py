"""A Faust worker over a real broker: it lands what the embedded one lands, from where the ledger says."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest
from confluent_kafka import Producer

from controlzero.secrets_on_disk import master_key
from cz.doctor import Check, Examination, examine
from cz.home import Home
from processors.embedded import open_worker
from processors.settings import Settings
from tests import traffic
from tests.kafka_broker import Broker
from tests.kafka_workers import worker
from tests.waiting import until
from topics.declarations import DECISIONS
from topics.kafka import KafkaLog
from topics.log import Log
from warehouse.lander import Lander, app_id

# A consumer's thread whose end is cut short, as a fetch that is cancelled at the wrong moment does to it.
CUT_SHORT = """
import asyncio
from types import SimpleNamespace
from processors.faust_app import LandedConsumer, PromptThread, app

class CutShort(PromptThread):
    async def on_start(self): pass
    async def on_thread_stop(self): raise asyncio.CancelledError

async def main():
    consumer = SimpleNamespace(app=app, transport=app.transport, RebalanceListener=LandedConsumer.RebalanceListener)
    thread = CutShort(consumer, loop=asyncio.get_running_loop())
    await thread.start()
    await thread.stop()
    print("ended")

asyncio.run(main())
"""


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
        assert "leaked" not in running.log.read_text()
        assert "http://" not in running.log.read_text(), "a web server is named, or started"
        (beat,) = (home / "run").glob("worker-*.json")
        assert json.loads(beat.read_bytes())["phase"] == "stopped"
    copytree(home / "keys", tmp_path / "other" / "keys")
    embedded = open_worker(Settings(home=tmp_path / "other"), own_log)
    while embedded.tick() != "idle":
        pass
    landed = traffic.contents(Settings(home=home).ledger_path)
    assert landed == traffic.contents(Settings(home=tmp_path / "other").ledger_path)
    traffic.assert_conserved(landed, own_log)


def test_a_worker_whose_consumer_ends_at_a_bad_moment_is_not_waited_for(tmp_path: Path) -> None:
    environment = {**os.environ, "CZ_HOME": str(tmp_path), "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    done = subprocess.run([sys.executable, "-c", CUT_SHORT], capture_output=True, text=True, env=environment, timeout=30, check=False)
    assert "ended" in done.stdout, done.stderr


def test_what_other_programs_write_lands_or_is_in_quarantine_with_its_place(tmp_path: Path, own_broker: Broker, own_log: KafkaLog) -> None:
    record = {"occurred_at": 7, "action": "database:query", "mode": "log-only", "effect": "allow", "agent_id": "etl"}
    plain = {**record, "decision_id": "01937a5e-0000-7000-8000-000000000001"}
    event = {"specversion": "1.0", "id": "1", "source": "/etl", "type": "decision", "project": "shop", "data": record}
    producer = Producer({"bootstrap.servers": own_broker.bootstrap, "enable.idempotence": True})
    for _ in range(2):  # the second time each is a duplicate
        producer.produce(DECISIONS.name, json.dumps(plain), key="shop/etl", partition=0)
        producer.produce(DECISIONS.name, json.dumps(event), headers={"content-type": "application/cloudevents+json"}, partition=1)
        binary = {f"ce_{name}": value for name, value in event.items() if name != "data"} | {"ce_id": "2"}
        producer.produce(DECISIONS.name, json.dumps(record), headers=binary, partition=2)
    producer.produce(DECISIONS.name, b"\x00 no JSON", key="shop/etl", partition=3)
    producer.flush(10)
    home = tmp_path / "home"
    master_key(home)
    with worker(home, own_broker.environment):
        until(has_landed(home, own_log), "landing all")
    held = traffic.contents(Settings(home=home).ledger_path)
    assert [(row["project_id"], row["agent_id"], row["log_partition"]) for row in held["decisions"]] == [
        ("shop", "etl", n) for n in range(3)
    ]
    assert sum(int(str(row["duplicate"])) for row in held["tallies"]) == 3
    (rejected,) = held["quarantine"]
    assert (rejected["log_partition"], rejected["log_offset"], rejected["bytes"]) == (3, 0, b"\x00 no JSON")
    assert "no JSON object" in str(rejected["reason"])


def test_the_doctor_counts_what_waits_whoever_wrote_it_and_says_whether_a_worker_runs(
    tmp_path: Path, own_broker: Broker, own_log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_broker.name_in_environment(monkeypatch)
    home = Home(tmp_path / "home")
    master_key(home.path)
    record = {"decision_id": "01937a5e-0000-7000-8000-000000000001", "occurred_at": 7, "action": "database:query"}
    producer = Producer({"bootstrap.servers": own_broker.bootstrap})

    def examined(*written: tuple[str, bytes]) -> tuple[Examination, Check]:
        for key, value in written:
            producer.produce(DECISIONS.name, value, key=key)
        producer.flush(10)
        found = examine(home, now=time.time_ns() // 1000)
        return found, next(check for check in found.checks if check.name == "landed offsets")

    found, offsets = examined(("shop/etl", json.dumps(record).encode()), ("", b"\x00"))
    assert {project: of.in_flight for project, of in found.projects.items()} == {"shop": 1, "": 1}
    assert (offsets.ok, offsets.found) == (False, "2 messages accepted and not landed yet; no worker runs")
    assert "faust -A processors.faust_app worker" in (offsets.next_step or "")
    with worker(home.path, own_broker.environment) as running:
        until(lambda: (home.path / "warehouse").exists(), "a ledger")
        until(has_landed(home.path, own_log), "landing all")
        running.process.send_signal(signal.SIGSTOP)
        _, offsets = examined(("shop/etl", json.dumps(record | {"action": "a:b"}).encode()))
        assert (offsets.ok, offsets.found) == (True, "1 messages accepted and not landed yet; 1 at work on them")
