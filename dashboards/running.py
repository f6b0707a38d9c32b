"""What the product's processes say of themselves in `run/`, and the alerts the watch keeps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from dashboards.desk import from_micros
from processors.watch.alerts import Alert, read

GONE_AFTER: Final = timedelta(minutes=10)
ENDED: Final = "stopped"
SILENT_AFTER: Final = timedelta(seconds=30)  # the slowest beats every few seconds
ABOUT: Final = {
    "worker": "judges, inspects and lands",
    "watch": "looks for jumps",
    "keeper": "merges and expires",
    "gateway": "takes decisions in",
    "control": "publishes and renews",
}


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process as of its last heartbeat."""

    name: str
    about: str
    pid: int
    beat_at: datetime
    phase: str
    is_silent: bool
    facts: tuple[tuple[str, str], ...]
    last_error: str | None
    troubled_since: datetime | None  # None where it goes on as it should, whatever its last error was


def processes(home: Path, *, now: datetime) -> list[Process]:
    """Return the processes that left a heartbeat, in the order of their names; not those that others replaced: ended, or long gone."""
    found = list(_processes(home / "run", now))
    alive = {_kind(process.name) for process in found if not process.is_silent and process.phase != ENDED}
    missed = [process for process in found if now - process.beat_at < GONE_AFTER and process.phase != ENDED]
    return [process for process in found if process in missed or _kind(process.name) not in alive]


def alerts(home: Path, project_id: str) -> list[Alert]:
    """Return the project's alerts, the newest change first."""
    return [alert for alert in reversed(read(home / "alerts.jsonl")) if alert.project_id == project_id]


def _processes(folder: Path, now: datetime) -> Iterator[Process]:
    for path in sorted(folder.glob("*.json")):
        try:
            beat = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        except (OSError, msgspec.DecodeError):
            continue
        if not isinstance(beat.get("at"), int) or not isinstance(beat.get("pid"), int):
            continue
        beat_at = from_micros(beat["at"])
        yield Process(
            name=path.stem,
            about=ABOUT.get(_kind(path.stem), ""),
            pid=beat["pid"],
            beat_at=beat_at,
            phase=str(beat.get("phase", "running")),
            is_silent=now - beat_at > SILENT_AFTER,
            facts=tuple(_facts(beat)),
            last_error=beat.get("last_error"),
            troubled_since=from_micros(troubled) if isinstance(troubled := beat.get("troubled_since"), int) else None,
        )


def _kind(name: str) -> str:
    """Return what a process is, of `worker` or `worker-host-4711`."""
    return name.partition("-")[0]


def _facts(beat: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    partitions = beat.get("partitions")
    if isinstance(partitions, Mapping):
        yield "waiting", f"{sum(lag['end'] - lag['landed'] for lag in partitions.values()):,} messages"
    for name, label, unit in (
        ("records", "records", ""),
        ("commits", "commits", ""),
        ("firing", "alerts firing", ""),
        ("refused", "requests refused", ""),
    ):
        if isinstance(beat.get(name), int):
            yield label, f"{beat[name]:,}{unit}"
    for name, label in (("freshness_p50_ms", "landed after, median"), ("freshness_p99_ms", "p99")):
        if isinstance(beat.get(name), int | float):
            yield label, f"{beat[name]:,.0f} ms"
