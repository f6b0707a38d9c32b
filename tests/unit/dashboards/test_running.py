"""What the pages know of the product's processes: their last heartbeats."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from dashboards.running import processes
from dashboards.views.pipeline import standstill
from processors.heartbeat import Heartbeat, Lag
from topics.heartbeat import write

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)


def beat(home: Path, name: str, *, ago_s: float = 1, **changes: object) -> None:
    (home / "run").mkdir(exist_ok=True)
    at = int((NOW - timedelta(seconds=ago_s)).timestamp() * 1e6)
    written = msgspec.structs.replace(Heartbeat(pid=1, at=at, started_at=at, phase="running"), **changes)
    write(home / "run" / f"{name}.json", written)


def test_each_worker_is_one_process_with_what_a_worker_does(tmp_path: Path) -> None:
    beat(tmp_path, "worker-one-17", partitions={0: Lag(landed=3, end=5)})
    beat(tmp_path, "worker-two-4")
    first, second = processes(tmp_path, now=NOW)
    assert (first.name, second.name) == ("worker-one-17", "worker-two-4")
    assert first.about == second.about == "judges, inspects and lands"
    assert first.facts[0] == ("waiting", "2 messages")


def test_trouble_is_told_with_since_when_and_what_is_over_is_not(tmp_path: Path) -> None:
    since = int((NOW - timedelta(minutes=3)).timestamp() * 1e6)
    beat(tmp_path, "worker-now", phase="waiting", last_error="Kafka is away", troubled_since=since)
    beat(tmp_path, "worker-over", last_error="Kafka was away")
    now, over = processes(tmp_path, now=NOW)
    assert (now.troubled_since, now.last_error) == (NOW - timedelta(minutes=3), "Kafka is away")
    assert (over.troubled_since, over.last_error) == (None, "Kafka was away")


def test_a_worker_long_gone_is_named_only_where_nobody_took_its_place(tmp_path: Path) -> None:
    beat(tmp_path, "worker-gone", ago_s=3_600)
    assert [(one.name, one.is_silent) for one in processes(tmp_path, now=NOW)] == [("worker-gone", True)]
    beat(tmp_path, "worker-new")
    beat(tmp_path, "worker-lost", ago_s=60)
    assert [(one.name, one.is_silent) for one in processes(tmp_path, now=NOW)] == [("worker-lost", True), ("worker-new", False)]


def test_a_worker_that_ended_in_order_is_named_only_until_another_runs(tmp_path: Path) -> None:
    beat(tmp_path, "worker-old", phase="stopped")
    assert [(one.name, one.phase) for one in processes(tmp_path, now=NOW)] == [("worker-old", "stopped")]
    beat(tmp_path, "worker-new")
    assert [one.name for one in processes(tmp_path, now=NOW)] == ["worker-new"]


def test_what_keeps_records_from_landing_is_said_with_since_when(tmp_path: Path) -> None:
    def said() -> str:
        return str(standstill(processes(tmp_path, now=NOW)))

    since = int((NOW - timedelta(minutes=3)).timestamp() * 1e6)
    assert said() == "None"
    beat(tmp_path, "worker-one", phase="waiting", last_error="Kafka is away", troubled_since=since)
    assert said() == "<b>Nothing lands</b> since 2026-11-21 08:27:00 UTC, and nothing is lost: Kafka is away"
    beat(tmp_path, "worker-two")
    assert said() == "None"
    beat(tmp_path, "worker-one", ago_s=120)
    beat(tmp_path, "worker-two", phase="stopped", ago_s=60)
    assert said() == "<b>No worker runs</b> since 2026-11-21 08:29:00 UTC: what is accepted waits in the log."
