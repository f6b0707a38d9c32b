"""The gateway's beginning, troubles and end, as a process."""

import fcntl
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import msgspec

from ingest.heartbeat import Heartbeat, next_beat
from ingest.metrics import Counts
from tests.gateways import (
    AUTHORIZED,
    BUNDLE,
    SECRET,
    RunningGateway,
    batches,
    lines,
    prepared,
    running_gateway,
    until_somebody_waits,
    wait_until_ready,
)
from tests.ports import is_listening
from tests.waiting import until

HEAD = f"POST /v1/decisions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nContent-Type: application/x-ndjson\r\n"


def wait_for(gateway: RunningGateway, status: int) -> httpx.Response:
    def answer() -> httpx.Response | None:
        response = gateway.post(lines(1))
        return response if response.status_code == status else None

    return until(answer, f"an answer of {status}")


def test_told_to_end_it_takes_the_delivery_that_is_under_way_and_no_other(tmp_path: Path) -> None:
    with running_gateway(prepared(tmp_path)) as gateway:
        wait_until_ready(gateway)
        body = lines(2)
        port = int(gateway.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(f"{HEAD}CZ-Producer: late\r\nCZ-First-Seq: 0\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:50])
            until(lambda: "cz_gateway_in_flight_bytes 50.0" in gateway.get("/metrics").text, "the body's beginning")
            gateway.process.send_signal(signal.SIGTERM)
            until(lambda: not is_listening(port), "the end of listening")
            connection.sendall(body[50:])
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 202")
        assert gateway.process.wait(30) == 0
    assert [batch.producer_id for batch in batches(tmp_path)] == ["late"]


def test_told_to_end_it_does_not_keep_those_who_wait_for_a_change(tmp_path: Path) -> None:
    with running_gateway(prepared(tmp_path)) as gateway:
        wait_until_ready(gateway)
        answers: list[httpx.Response] = []
        waiting = threading.Thread(target=lambda: answers.append(gateway.get("/v1/bundle?wait_s=30", If_None_Match=f'"{BUNDLE.digest}"')))
        waiting.start()
        until_somebody_waits(gateway)
        began_s = time.monotonic()
        assert gateway.ended() == 0
        waiting.join(30)
        assert answers[0].status_code == 304
        assert time.monotonic() - began_s < 15


def test_it_starts_while_the_log_cannot_be_opened_and_gets_ready_by_itself(tmp_path: Path) -> None:
    home = prepared(tmp_path)
    lock = os.open(home / "log.db.lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with running_gateway(home) as gateway:
        refused = wait_for(gateway, 503)
        assert refused.json()["type"] == "/docs#starting"
        assert int(refused.headers["retry-after"]) >= 1
        assert gateway.get("/readyz").status_code == 503
        assert gateway.get("/healthz").status_code == 200
        os.close(lock)
        assert wait_for(gateway, 202).json()["accepted"] == 1


def test_a_log_that_cannot_be_opened_for_a_reason_unforeseen_is_tried_again(tmp_path: Path) -> None:
    home = prepared(tmp_path)
    with sqlite3.connect(home / "log.db") as log:
        log.execute("ALTER TABLE partition RENAME TO aside")
    log.close()
    with running_gateway(home) as gateway:
        refused = wait_for(gateway, 503)
        assert refused.json()["type"] == "/docs#starting"
        assert "no such table: partition" in gateway.get("/readyz").json()["why"]
        with sqlite3.connect(home / "log.db") as log:
            log.execute("ALTER TABLE aside RENAME TO partition")
        log.close()
        assert wait_for(gateway, 202).json()["accepted"] == 1


def test_a_log_that_was_taken_away_is_told_to_senders_and_operators(tmp_path: Path) -> None:
    with running_gateway(prepared(tmp_path)) as gateway:
        wait_until_ready(gateway)
        (tmp_path / "log.db").rename(tmp_path / "taken.db")
        refused = gateway.post(lines(1))
        assert (refused.status_code, refused.json()["type"]) == (503, "/docs#log-damaged")
        assert "was removed or replaced" in gateway.get("/readyz").json()["why"]
        assert gateway.get("/v1/bundle").status_code == 200
        (tmp_path / "taken.db").rename(tmp_path / "log.db")
        assert wait_for(gateway, 202)
        wait_until_ready(gateway)


def test_a_log_that_another_program_holds_is_unavailable_and_comes_back(tmp_path: Path) -> None:
    with running_gateway(prepared(tmp_path)) as gateway:
        wait_until_ready(gateway)
        lock = os.open(tmp_path / "log.db.lock", os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = gateway.post(lines(1))
        assert (refused.status_code, refused.json()["type"], refused.headers["retry-after"]) == (503, "/docs#log-unavailable", "1")
        assert gateway.get("/readyz").status_code == 503
        os.close(lock)
        wait_until_ready(gateway)  # by itself: nobody delivers to a gateway that is not ready
        assert gateway.post(lines(1)).status_code == 202


def test_a_key_that_delivers_too_fast_waits_as_long_as_it_is_told(tmp_path: Path) -> None:
    with running_gateway(prepared(tmp_path), CZ_RATE_LINES_PER_S="20", CZ_RATE_BURST_LINES="10") as gateway:
        wait_until_ready(gateway)
        assert gateway.post(lines(30)).status_code == 202
        refused = gateway.post(lines(1))
        assert (refused.status_code, refused.json()["type"]) == (429, "/docs#rate-limited")
        time.sleep(int(refused.headers["retry-after"]))
        assert gateway.post(lines(1)).status_code == 202


def test_many_connections_share_commits_and_lose_nothing(tmp_path: Path) -> None:
    with running_gateway(prepared(tmp_path)) as gateway:
        wait_until_ready(gateway)

        def deliver(name: int) -> None:
            with gateway.client() as client:
                for number in range(25):
                    headers = {**AUTHORIZED, "CZ-Producer": f"producer-{name}", "CZ-First-Seq": str(number)}
                    assert client.post("/v1/decisions", content=lines(1, first=number), headers=headers).status_code == 202

        threads = [threading.Thread(target=deliver, args=(name,)) for name in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert gateway.ended() == 0
    held = batches(tmp_path)
    for name in range(12):
        assert [batch.first_seq for batch in held if batch.producer_id == f"producer-{name}"] == list(range(25))
    assert len(held) == 300


def test_wrong_settings_are_named_all_at_once() -> None:
    environment = {**os.environ, "CZ_RATE_LINES_PER_S": "fast", "CZ_RATE_BURST_LINES": "-1"}
    done = subprocess.run(
        [sys.executable, "-m", "ingest", "--port", "0"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "CZ_RATE_LINES_PER_S" in done.stderr
    assert "CZ_RATE_BURST_LINES" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_says_how_it_is_while_it_lives_and_that_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "run" / "gateway.json"

    def beat_of(phase: str) -> Heartbeat:
        def beat() -> Heartbeat | None:
            told = msgspec.json.decode(path.read_bytes(), type=Heartbeat) if path.exists() else None
            return told if told is not None and told.phase == phase else None

        return until(beat, phase)

    with running_gateway(prepared(tmp_path)) as gateway:
        wait_until_ready(gateway)
        assert gateway.post(lines(3)).status_code == 202
        until(lambda: beat_of("running").records == 3, "three records in its word")
        assert beat_of("running").troubled_since is None
        assert gateway.ended() == 0
    assert beat_of("stopped").pid == gateway.process.pid


def test_it_says_since_when_it_takes_nothing_in_and_why() -> None:
    first = next_beat(Heartbeat(pid=1, at=1, started_at=1), at=5, counts=Counts(), trouble="the log is away")
    still = next_beat(first, at=9, counts=Counts(), trouble="the log is away")
    assert (still.phase, still.troubled_since, still.last_error) == ("waiting", 5, "the log is away")
    assert next_beat(still, at=10, counts=Counts(), trouble=None).troubled_since is None
