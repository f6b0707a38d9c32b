"""Brokers away, a ledger that takes nothing: what waits, what it says, and that it goes on by itself."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import msgspec
import pytest

from controlplane.service import ControlPlane
from controlzero.secrets_on_disk import master_key
from processors import heartbeat
from processors.settings import Settings
from tests.kafka_broker import Broker
from tests.kafka_nemesis import BATCH, batch_of
from tests.kafka_workers import worker
from tests.waiting import until
from topics.declarations import DECISIONS
from topics.kafka import KafkaLog
from topics.settings import KafkaSettings
from warehouse.lander import open_ledger
from warehouse.snapshot import Warehouse

MESSAGES, MESSAGE_BYTES = 600, 1 << 20  # nine times what a worker may hold, and more than it may grow to
RSS_MB_MAX = 700.0


def beat_of(home: Path) -> heartbeat.Heartbeat | None:
    return next((heartbeat.read(path) for path in sorted((home / "run").glob("worker-*.json"))), None)


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024


def test_a_ledger_that_takes_nothing_pauses_a_worker_within_its_memory(tmp_path: Path, own_broker: Broker) -> None:
    home = tmp_path / "home"
    master_key(home)
    ledger = Settings(home=home).ledger_path
    open_ledger(ledger, new_id=lambda: "test")
    log = KafkaLog(KafkaSettings(bootstrap_servers=own_broker.bootstrap))
    (ledger / "_locks").mkdir(exist_ok=True)
    with (ledger / "_locks" / "writers").open("ab") as held, worker(home, own_broker.environment) as running:
        until(lambda: "has its partitions" in running.log.read_text(), "the worker's start")
        fcntl.flock(held, fcntl.LOCK_EX)  # every commit waits, as behind a disk that hangs
        for number in range(MESSAGES):  # what does not compress, and what is kept of it is little
            log.append(DECISIONS.name, [(f"shop/{number % 8}".encode(), os.urandom(MESSAGE_BYTES), {})])
        time.sleep(5)  # the time a worker without bounds would take to hold it all
        session = Warehouse.open(ledger).session(None)

        def landed() -> int:
            session.refresh()
            return int(session.sql("SELECT count(*) AS rows FROM quarantine", {}).to_pylist()[0]["rows"])

        assert landed() == 0
        assert rss_mb(running.process.pid) < RSS_MB_MAX
        fcntl.flock(held, fcntl.LOCK_UN)
        until(lambda: landed() == MESSAGES, "landing all")
        assert rss_mb(running.process.pid) < RSS_MB_MAX
    log.close()


def test_a_worker_says_since_when_the_broker_is_away_and_goes_on_when_it_is_back(tmp_path: Path, own_broker: Broker) -> None:
    home = tmp_path / "home"
    master_key(home)
    with worker(home, own_broker.environment) as running:
        until(lambda: (beat := beat_of(home)) is not None and beat.phase == "running", "the first heartbeat")
        own_broker.end(signal.SIGKILL)
        until(lambda: (beat := beat_of(home)) is not None and beat.troubled_since is not None, "its word of trouble")
        told = beat_of(home)
        assert told is not None
        assert "Kafka at 127" in (told.last_error or "")
        assert "The log does not say how far it goes" in running.log.read_text()
        own_broker.start()
        log = KafkaLog(KafkaSettings(bootstrap_servers=own_broker.bootstrap))
        log.append(DECISIONS.name, [batch_of(0, 0)])
        until(lambda: (beat := beat_of(home)) is not None and beat.records == BATCH and beat.troubled_since is None, "going on")
        assert running.process.poll() is None
        assert "The log answers again" in running.log.read_text()
        assert "beat is overlapping" not in running.log.read_text()
        log.close()


def test_a_worker_that_is_started_before_its_broker_waits_and_says_so(tmp_path: Path, own_broker: Broker) -> None:
    home = tmp_path / "home"
    master_key(home)
    own_broker.end(signal.SIGKILL)
    with worker(home, own_broker.environment) as running:
        until(lambda: "Waiting to start." in running.log.read_text(), "its word of waiting")
        own_broker.start()
        log = KafkaLog(KafkaSettings(bootstrap_servers=own_broker.bootstrap))
        log.append(DECISIONS.name, [batch_of(0, 0)])
        until(lambda: (beat := beat_of(home)) is not None and beat.records == BATCH, "landing")
        assert "Traceback" not in running.log.read_text()
        log.close()


def test_the_gateway_answers_503_while_the_broker_is_away_and_takes_batches_when_it_is_back(
    tmp_path: Path, own_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    settings = KafkaSettings(bootstrap_servers=own_broker.bootstrap)
    log = KafkaLog(settings)
    with ControlPlane(home, log) as plane:
        plane.create_project("shop", actor="tester")
        key, _ = plane.create_key(["shop"], actor="tester")
        plane.publish_pending()
    log.close()
    environment = {**own_broker.environment, "KAFKA_DELIVERY_TIMEOUT_MS": "2000", "CZ_HOME": str(home), "PATH": "/usr/bin"}
    command = [sys.executable, "-m", "ingest", "--host", "127.0.0.1", "--port", "0"]
    line = b'{"kind":"decision","decision_id":"01937a5e-0000-7000-8000-000000000001","occurred_at":1795249800000000,"action":"a:b","mode":"log-only","effect":"allow"}\n'
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as gateway:
        try:
            assert gateway.stderr is not None
            said = next(said for said in gateway.stderr if "The gateway listens" in said)
            port = msgspec.json.decode(said.encode())["port"]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, timeout=30) as client:
                until(lambda: client.get("/readyz").status_code == 200, "readiness")
                assert client.post("/v1/decisions", content=line).status_code == 202
                own_broker.end(signal.SIGKILL)
                away = client.post("/v1/decisions", content=line)
                assert (away.status_code, away.headers["content-type"]) == (503, "application/problem+json")
                assert int(away.headers["retry-after"]) >= 1
                own_broker.start()
                until(lambda: client.post("/v1/decisions", content=line).status_code == 202, "taking batches again")
        finally:
            gateway.terminate()
