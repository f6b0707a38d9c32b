"""From an agent's call to its row in a query: 1,000 decisions a second through SDK, gateway, worker and ledger, each a real process."""

import statistics
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.measure import Result
from benchmarks.settings import ENVIRONMENT
from controlzero.client import Client
from cz.home import Home
from cz.up import Stack, default_project, running_stack
from processors.settings import Settings
from warehouse.snapshot import Session, Warehouse

BARS_MS = (None, 500.0)  # of the median and the 99th percentile
PER_SECOND = 1_000
LASTS_S = 10
POLL_S = 0.02  # how often the reader asks: what it adds to each figure is half of this
NEW_ROWS = "SELECT seq, epoch_us(occurred_at) AS made_at FROM decisions WHERE seq > $seen"


def run(rounds: int) -> list[Result]:
    """Measure each round anew; the figures are the medians of the rounds' percentiles, in milliseconds."""
    return freshness(rounds, ENVIRONMENT, what="emit to visible", bars_ms=BARS_MS)


def freshness(rounds: int, environment: Mapping[str, str], *, what: str, bars_ms: tuple[float | None, float | None]) -> list[Result]:
    """Measure the product as processes with this environment."""
    with tempfile.TemporaryDirectory(prefix="cz-freshness-") as folder, product(Path(folder), environment) as stack:
        ages = [_ages_ms(stack, Path(folder) / f"spool {number}") for number in range(rounds + 1)][1:]
    p50, p99 = (statistics.median(_percentile(each, share) for each in ages) for share in (0.5, 0.99))
    note = f"{PER_SECOND:,} decisions/s for {LASTS_S} s, asked every {POLL_S * 1000:.0f} ms; worst {max(map(max, ages)):,.0f} ms"
    return [
        Result(name=f"{what}, {name}", ours=figure, bar=bar, unit="ms", higher_is_better=False, note=note)
        for name, figure, bar in zip(("p50", "p99"), (p50, p99), bars_ms, strict=True)
    ]


def product(folder: Path, environment: Mapping[str, str]) -> AbstractContextManager[Stack]:
    """Run the product as processes, without dashboards, with a project and a key."""
    return running_stack(
        Home(folder / "home"), host="127.0.0.1", port=0, dashboards_port=None, environment=environment, prepare=default_project, say=print
    )


def _ages_ms(stack: Stack, spool: Path) -> list[float]:
    """Emit for a while, and return how old each decision was when a query first saw it."""
    total = PER_SECOND * LASTS_S
    client = Client(api_key=stack.first_key, base_url=stack.api_url, spool=spool)
    started_at = time.time_ns() // 1000
    emitter = threading.Thread(target=_emit, args=(client, total))
    emitter.start()
    session = Warehouse.open(Settings(home=stack.home.path).ledger_path).session("default", received_since=started_at)
    ages = _watched(session, total, started_at)
    emitter.join()
    client.close()
    return ages


def _emit(client: Client, total: int) -> None:
    started = time.perf_counter()
    for number in range(total):
        client.guard(
            "database", method="query", args={"table": "orders", "limit": number, "query": "select what is open, newest first " * 4}
        )
        ahead_s = started + (number + 1) / PER_SECOND - time.perf_counter()
        if ahead_s > 0:
            time.sleep(ahead_s)


def _watched(session: Session, total: int, started_at: int) -> list[float]:
    ages: list[float] = []
    version, seen, deadline = -1, -1, time.monotonic() + LASTS_S + 60
    while len(ages) < total and time.monotonic() < deadline:
        if (newest := session.refresh()) != version:
            version = newest
            rows = session.sql(f"{NEW_ROWS} AND epoch_us(occurred_at) >= $started_at", {"seen": seen, "started_at": started_at}).to_pylist()
            now_ms = time.time_ns() / 1e6
            ages += [now_ms - row["made_at"] / 1000 for row in rows]
            seen = max((row["seq"] for row in rows), default=seen)
        time.sleep(POLL_S)
    if len(ages) < total:
        raise TimeoutError(f"{total - len(ages):,} of {total:,} decisions were not visible a minute after the last was emitted")
    return ages


def _percentile(ages: list[float], share: float) -> float:
    return sorted(ages)[min(len(ages) - 1, int(len(ages) * share))]
