"""A worker over a log of its own: what it lands, and what it does when it is run twice, stopped, started again or misled."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from controlzero.secrets_on_disk import master_key
from cz.doctor import examine
from cz.home import Home
from processors import heartbeat
from processors.embedded import Worker, open_worker
from processors.settings import Settings
from processors.taking import Portion
from tests import traffic
from tests.waiting import until
from topics.declarations import DECISIONS
from topics.sqlite import SqliteLog

WAIT_S = 30.0
LogAt = Callable[[Path], SqliteLog]


@pytest.fixture
def log_at() -> Iterator[LogAt]:
    """Open logs that are closed when the test ends."""
    with ExitStack() as opened:
        yield lambda path: opened.enter_context(closing(SqliteLog(path)))


def landed_at_once(home: Path, log: SqliteLog, *, portion: Portion | None = None) -> Path:
    """Land a log in this process, undisturbed, into the ledger of another folder with the same keys; return the ledger."""
    shutil.copytree(log.path.parent / "keys", home / "keys")
    worker = open_worker(Settings(home=home), log, portion=portion or Portion())
    while worker.tick() != "idle":
        pass
    return Settings(home=home).ledger_path


@contextmanager
def workers(home: Path, count: int = 1) -> Iterator[list[subprocess.Popen[str]]]:
    environment = {**os.environ, "CZ_HOME": str(home), "CZ_WORKER_TICK_MS": "10"}
    started = [
        subprocess.Popen([sys.executable, "-m", "processors"], env=environment, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert "The worker runs" in process.stdout.readline()
        yield started
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
            process.communicate()


def all_landed(home: Path, log: SqliteLog) -> Callable[[], bool]:
    ends = {partition: log.bounds(DECISIONS.name, partition).end for partition in range(DECISIONS.partitions)}

    def told() -> bool:
        beat = heartbeat.read(home / "run" / "worker.json")
        return beat is not None and {partition: lag.landed for partition, lag in beat.partitions.items()} == ends

    return told


def stop(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=WAIT_S)
    return process.returncode, said


def test_two_workers_started_by_mistake_change_no_count(tmp_path: Path, log_at: LogAt) -> None:
    home = tmp_path / "home"
    log = log_at(home / "log.db")
    many = list(traffic.messages(1, 160))
    traffic.append_all(log, many[:60])
    with workers(home, 2) as (one, two):
        for message in many[60:]:
            log.append(DECISIONS.name, [message])
        until(all_landed(home, log), "landing")
        assert [stop(one)[0], stop(two)[0]] == [0, 0]
    held = traffic.contents(Settings(home=home).ledger_path)
    traffic.assert_conserved(held, log)
    assert held == traffic.contents(landed_at_once(tmp_path / "other", log))


def test_a_stopped_worker_has_landed_all_there_was_and_the_next_one_goes_on(tmp_path: Path, log_at: LogAt) -> None:
    home = tmp_path / "home"
    log = log_at(home / "log.db")
    many = list(traffic.messages(2, 120))
    for part in (many[:60], many[60:]):
        with workers(home) as (worker,):
            traffic.append_all(log, part)
            code, said = stop(worker)
        assert code == 0, said
        assert json.loads(said.splitlines()[-1])["event"].startswith("The worker has landed all"), "and says nothing after that"
        beat = heartbeat.read(home / "run" / "worker.json")
        assert beat is not None
        assert (beat.phase, beat.last_error) == ("stopped", None)
        held = traffic.contents(Settings(home=home).ledger_path)
        traffic.assert_conserved(held, log)
    assert held == traffic.contents(landed_at_once(tmp_path / "other", log))


def test_a_replayed_log_gives_the_same_rows_however_it_is_cut(tmp_path: Path, log_at: LogAt) -> None:
    log = log_at(tmp_path / "log.db")
    master_key(tmp_path)
    traffic.append_all(log, list(traffic.messages(3, 150)))
    at_once = traffic.contents(landed_at_once(tmp_path / "at once", log))
    traffic.assert_conserved(at_once, log)
    assert {tally["duplicate"] > 0 for tally in at_once["tallies"]} == {True, False}
    assert {"sequence_gap", "sequence_conflict", "loss", "pii"} <= {finding["type"] for finding in at_once["findings"]}
    assert {"decode", "ingest", "sequence"} == {row["stage"] for row in at_once["quarantine"]}
    assert traffic.contents(landed_at_once(tmp_path / "in pieces", log, portion=Portion(messages_max=7))) == at_once


def test_a_ledger_ahead_of_its_log_stops_the_worker_with_the_way_out(tmp_path: Path) -> None:
    home = tmp_path / "home"
    log = SqliteLog(home / "log.db")
    traffic.append_all(log, list(traffic.messages(4, 40)))
    older = {path.name: path.read_bytes() for path in home.glob("log.db*")}
    traffic.append_all(log, list(traffic.messages(5, 40)))
    land(open_worker(Settings(home=home), log))
    log.close()
    for path in home.glob("log.db*"):
        path.unlink()
    for name, content in older.items():
        (home / name).write_bytes(content)
    with workers(home) as (worker,):
        said, _ = worker.communicate(timeout=WAIT_S)
    assert worker.returncode == 1
    assert "Put the right one back" in said
    assert (beat := heartbeat.read(home / "run" / "worker.json")) is not None
    assert beat.phase == "failed"


def land(worker: Worker) -> None:
    while worker.tick() != "idle":
        pass


def test_messages_let_go_of_before_they_landed_are_a_gap_that_a_person_sees(tmp_path: Path, log_at: LogAt) -> None:
    home = tmp_path / "home"
    log = log_at(home / "log.db")
    many = list(traffic.messages(6, 120, records_max=3))
    traffic.append_all(log, many[:60])
    land(open_worker(Settings(home=home), log))
    landed = {partition: log.bounds(DECISIONS.name, partition).end for partition in range(DECISIONS.partitions)}
    traffic.append_all(log, many[60:])
    log.trim(DECISIONS.name, 0, landed[0] + 2)
    land(open_worker(Settings(home=home), log))
    (hole,) = [row for row in traffic.contents(Settings(home=home).ledger_path)["findings"] if row["detail"] == "log_hole"]
    assert (hole["type"], hole["log_partition"], hole["first_seq"], hole["last_seq"]) == ("sequence_gap", 0, landed[0], landed[0] + 1)
    (told,) = [check for check in examine(Home(home), now=int(time.time() * 1e6)).checks if check.name == "log holes"]
    assert not told.ok
    assert told.found.startswith("2 messages were gone before they landed")


def test_a_disk_that_takes_nothing_is_waited_for_and_nothing_is_lost(tmp_path: Path, log_at: LogAt) -> None:
    home = tmp_path / "home"
    log = log_at(home / "log.db")
    many = list(traffic.messages(7, 80))
    traffic.append_all(log, many[:40])
    with workers(home) as (worker,):
        until(all_landed(home, log), "landing")
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))  # every write to a file fails from now on
        traffic.append_all(log, many[40:])
        time.sleep(0.5)
        resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        until(all_landed(home, log), "landing")
        code, said = stop(worker)
    assert code == 0, said
    assert "Waiting: what was accepted stays in the log" in said
    held = traffic.contents(Settings(home=home).ledger_path)
    traffic.assert_conserved(held, log)
    assert held == traffic.contents(landed_at_once(tmp_path / "other", log))


def test_a_worker_lets_the_log_go_of_what_has_landed_but_for_a_tail(tmp_path: Path, log_at: LogAt) -> None:
    home = tmp_path / "home"
    log = log_at(home / "log.db")
    traffic.append_all(log, list(traffic.messages(8, 500, records_max=2)))
    worker = open_worker(Settings(home=home), log)
    land(worker)
    worker.trim()
    bounds = [log.bounds(DECISIONS.name, partition) for partition in range(DECISIONS.partitions)]
    assert [bound.end - bound.start for bound in bounds] == [min(64, bound.end) for bound in bounds]
    assert any(bound.start for bound in bounds)
    land(open_worker(Settings(home=home), log))  # nothing lands twice
    assert len(traffic.contents(Settings(home=home).ledger_path)["tallies"]) == sum(bound.end for bound in bounds)


def test_the_heartbeat_reads_as_prometheus_text() -> None:
    beat = heartbeat.Heartbeat(
        pid=1, at=2, started_at=1, phase="running", partitions={0: heartbeat.Lag(landed=3, end=5)}, step_ms={"judge": 4.0}
    )
    text = heartbeat.prometheus(beat)
    assert 'cz_worker_lag_messages{partition="0"} 2' in text
    assert 'cz_worker_step_seconds{step="judge"} 0.004' in text
    assert msgspec.json.decode(msgspec.json.encode(beat), type=heartbeat.Heartbeat) == beat
