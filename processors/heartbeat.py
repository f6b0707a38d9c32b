"""What a worker says of itself: a small file others read, and the same as Prometheus text."""

from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Literal

import msgspec
from msgspec import Struct

Phase = Literal["starting", "running", "waiting", "draining", "stopped", "failed"]
AGES_KEPT = 512  # of the newest landed messages: received → landed


class Lag(Struct, frozen=True, kw_only=True):
    """A partition: landed up to here, the log ends there."""

    landed: int
    end: int

    @property
    def messages(self) -> int:
        """Messages that wait."""
        return self.end - self.landed


class Heartbeat(Struct, frozen=True, kw_only=True):
    """A worker at one moment. Times are microseconds since 1970 UTC; counts are since it started."""

    pid: int
    at: int
    started_at: int
    phase: Phase = "starting"
    partitions: Mapping[int, Lag] = {}
    commits: int = 0
    messages: int = 0
    records: int = 0
    records_in_last_commit: int = 0
    step_ms: Mapping[str, float] = {}  # of the last commit
    freshness_p50_ms: float | None = None  # received → landed, over the newest messages that are no backfill
    freshness_p99_ms: float | None = None
    last_error: str | None = None
    last_error_at: int | None = None
    troubled_since: int | None = None  # while it waits for log or ledger: when that began; `last_error` is what for
    problems: tuple[str, ...] = ()  # what goes on being wrong: bundles that cannot be verified


def read(path: Path) -> Heartbeat | None:
    """Return the heartbeat in a file, None where there is none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Heartbeat)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def percentiles(ages_us: Iterable[int]) -> tuple[float | None, float | None]:
    """Return the median and the 99th percentile of ages, in milliseconds; None of nothing."""
    ages = sorted(ages_us)
    if not ages:
        return None, None
    return ages[len(ages) // 2] / 1000, ages[min(len(ages) - 1, len(ages) * 99 // 100)] / 1000


def prometheus(heartbeat: Heartbeat) -> str:
    """Return a heartbeat in Prometheus' text format."""
    lines = [
        *_metric("cz_worker_commits_total", "counter", "Commits to the ledger.", [("", heartbeat.commits)]),
        *_metric("cz_worker_messages_total", "counter", "Messages landed.", [("", heartbeat.messages)]),
        *_metric("cz_worker_records_total", "counter", "Records accounted for in landed messages.", [("", heartbeat.records)]),
        *_metric("cz_worker_commit_records", "gauge", "Records of the last commit.", [("", heartbeat.records_in_last_commit)]),
        *_metric(
            "cz_worker_lag_messages",
            "gauge",
            "Messages in the log that have not landed.",
            [(f'{{partition="{partition}"}}', lag.messages) for partition, lag in sorted(heartbeat.partitions.items())],
        ),
        *_metric(
            "cz_worker_step_seconds",
            "gauge",
            "Time of each step in the last commit.",
            [(f'{{step="{step}"}}', ms / 1000) for step, ms in heartbeat.step_ms.items()],
        ),
        *_metric(
            "cz_worker_freshness_seconds",
            "gauge",
            "Received to landed, over the newest messages.",
            [
                (f'{{quantile="{quantile}"}}', ms / 1000)
                for quantile, ms in (("0.5", heartbeat.freshness_p50_ms), ("0.99", heartbeat.freshness_p99_ms))
                if ms is not None
            ],
        ),
        *_metric("cz_worker_up", "gauge", "Whether the worker runs as it should.", [("", int(heartbeat.phase in ("running", "draining")))]),
    ]
    return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, about: str, samples: Iterable[tuple[str, float]]) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}", *(f"{name}{labels} {value}" for labels, value in samples)]


class Told:
    """The heartbeat as last told, for whoever asks over HTTP."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self.heartbeat = heartbeat


def serve(told: Told, *, port: int) -> ThreadingHTTPServer:
    """Answer GET /metrics on 127.0.0.1 from a thread of its own; `port` 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/metrics"
            body = prometheus(told.heartbeat).encode() if found else b"only /metrics is here\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
            """Say nothing: a scrape is no event."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return server
