"""Faust workers over a real broker, on recorded traffic: beside the embedded one, two beside one, killed, restarted, and on a backlog."""

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.chain import chain_worker, govern, trace_batches
from benchmarks.freshness import freshness
from benchmarks.measure import Result, cpu_s
from benchmarks.peers.environment import ROOT, peer_python
from benchmarks.settings import ENVIRONMENT, told
from processors.settings import Settings
from tests.kafka_broker import Broker, is_present
from tests.kafka_workers import Worker
from topics import kafka_topics
from topics.declarations import DECISIONS
from topics.kafka import KafkaLog
from topics.log import NewMessage
from topics.settings import KafkaSettings
from warehouse.delta_log import DeltaLog
from warehouse.lander import app_id, open_ledger

PEERS, BAR_OF_PEERS = ("quixstreams", "bytewax"), 0.95
BARS_FRESH_MS = (500.0, 2_000.0)
BAR_OF_EMBEDDED, BAR_OF_ONE = 0.8, 0.85
BAR_KILLED_S, BAR_RESTARTED_S = 15.0, 4.0
BAR_RSS_MB, BACKLOG = 700.0, 2_000_000
WAIT_S = 300.0
SETTLE_S = 3.0  # a second worker's arrival has the first let go of partitions

if not is_present():
    raise ImportError("no Java, or no Maven to fetch a broker with")


def run(rounds: int) -> list[Result]:
    """Measure; rates are decisions per CPU-second of the workers' processes, the embedded one's measured in turn."""
    batches = list(trace_batches())
    decisions = sum(int(headers["count"]) for _, _, headers in batches)
    figures = [(chain_worker(batches, decisions)[0], _rate(batches, decisions, 1), _rate(batches, decisions, 2)) for _ in range(rounds + 1)]
    embedded, one, two = (statistics.median(figure[place] for figure in figures[1:]) for place in range(3))
    unit = "decisions/CPU-s"
    return [
        Result(name="a Faust worker, traces, batches of 500", ours=one, reference=embedded, ratio=one / embedded, bar=BAR_OF_EMBEDDED, unit=unit, note="the reference is the embedded worker"),
        Result(name="two of them", ours=two, reference=one, ratio=two / one, bar=BAR_OF_ONE, unit=unit, note="the reference is one alone"),
        *(_beside(peer, one, batches, decisions, rounds) for peer in PEERS),
        *_freshness(rounds),
        *_restarts(batches, rounds),
        _backlog(batches, decisions),
    ]  # fmt: skip


def _rate(batches: Sequence[NewMessage], decisions: int, count: int) -> float:
    """Return decisions per CPU-second of `count` workers together, from when they have their partitions."""
    with _bench() as bench:
        workers = [bench.worker() for _ in range(count)]
        time.sleep(SETTLE_S)
        before_s = sum(cpu_s(worker.process.pid) for worker in workers)
        bench.append(batches)
        until(bench.is_drained)
        return decisions / (sum(cpu_s(worker.process.pid) for worker in workers) - before_s)


def _beside(peer: str, ours: float, batches: Sequence[NewMessage], decisions: int, rounds: int) -> Result:
    """Return our rate beside that of the same stages driven by another stream processor."""
    rates = []
    for _ in range(rounds):
        with _bench() as bench:
            bench.append(batches)
            environment = {**ENVIRONMENT, **bench.environment, "CZ_HOME": str(bench.home)}
            command = [str(peer_python()), "-W", "ignore", "-m", f"benchmarks.peers.{peer}_driver", str(len(batches))]
            said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WAIT_S, check=True).stdout
            if not bench.is_drained():
                raise AssertionError(f"{peer} ended before all had landed")
            rates.append(decisions / json.loads(said.splitlines()[0])["cpu_s"])
    reference = statistics.median(rates)
    return Result(
        name=f"beside {peer}", ours=ours, reference=reference, ratio=ours / reference, bar=BAR_OF_PEERS, unit="decisions/CPU-s", note="the same stages, one process each"
    )  # fmt: skip


def _freshness(rounds: int) -> list[Result]:
    """Return how long a decision takes from the agent's call to a query, over the broker."""
    with (
        tempfile.TemporaryDirectory(prefix="cz-faust-") as folder,
        Broker(Path(folder) / "broker") as broker,
        told(broker.environment) as environment,
    ):
        return freshness(rounds, environment, what="emit to visible over Kafka", bars_ms=BARS_FRESH_MS)


def _restarts(batches: Sequence[NewMessage], rounds: int) -> list[Result]:
    """Return how long it takes from the signal to a worker, to die or to end in order, until the next one has landed something."""
    killed: list[float] = []
    stopped: list[float] = []
    with _bench() as bench:
        worker = bench.worker()
        for number in range(rounds):
            for took, end in ((killed, Worker.kill), (stopped, Worker.stop)):
                began, before = time.monotonic(), bench.landed()
                end(worker)
                worker = bench.worker(wait=False)
                bench.append(batches[number : number + 1])
                until(lambda: bench.landed() > before)  # noqa: B023 - waited for within the loop
                took.append(time.monotonic() - began)
    note = "from the signal to the next one's first commit"
    return [
        Result(name=name, ours=statistics.median(took), bar=bar, unit="s", higher_is_better=False, note=f"{note}; worst {max(took):.1f} s")
        for name, took, bar in (("after kill -9", killed, BAR_KILLED_S), ("after SIGTERM", stopped, BAR_RESTARTED_S))
    ]


def _backlog(batches: Sequence[NewMessage], decisions: int) -> Result:
    """Return the most memory a worker held while it drained a backlog: the traces, again and again by other producers."""
    with _bench() as bench:
        for turn in range(-(-BACKLOG // decisions)):
            bench.append([_by_another(message, turn) for message in batches])
        worker = bench.worker()
        took = until(bench.is_drained)
        rss_mb = peak_rss_mb(worker.process.pid)
    note = f"{BACKLOG:,} decisions in {took:.0f} s"
    return Result(name="memory on a backlog", ours=rss_mb, bar=BAR_RSS_MB, unit="MB", higher_is_better=False, note=note)


def _by_another(message: NewMessage, turn: int) -> NewMessage:
    _, value, headers = message
    producer = f"{headers['producer']}-{turn}"
    return f"{headers['project']}/{producer}".encode(), value, {**headers, "producer": producer}


def peak_rss_mb(pid: int) -> float:
    """Return the most memory a process ever held (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def until(is_so: Callable[[], bool]) -> float:
    """Wait; return how long it took."""
    began = time.monotonic()
    while not is_so():
        if time.monotonic() > began + WAIT_S:
            raise TimeoutError(f"it did not come about in {WAIT_S:g} s")
        time.sleep(0.05)
    return time.monotonic() - began


@contextmanager
def _bench() -> Iterator["Bench"]:
    with tempfile.TemporaryDirectory(prefix="cz-faust-") as folder, Broker(Path(folder) / "broker") as broker:
        kafka_topics.create(KafkaSettings(bootstrap_servers=broker.bootstrap))
        bench = Bench(Path(folder) / "home", broker)
        try:
            yield bench
        finally:
            bench.close()


class Bench:
    """A broker and a ledger, with workers that come and go."""

    def __init__(self, folder: Path, broker: Broker) -> None:
        self.home = folder
        self.environment = broker.environment
        self._workers: list[Worker] = []
        self.log = KafkaLog(KafkaSettings(bootstrap_servers=broker.bootstrap))
        govern(folder, self.log)
        ledger = Settings(home=folder).ledger_path
        open_ledger(ledger, new_id=lambda: "bench")
        self._ledger = DeltaLog(ledger)
        topic = self.log.topic_id(DECISIONS.name)
        self._ids = {number: app_id(self.log.log_id, topic, number) for number in range(self.log.partitions(DECISIONS.name))}

    def worker(self, *, wait: bool = True) -> Worker:
        """Start a worker; return when it has partitions, or at once."""
        one = Worker(self.home, self.environment, name=f"worker-{time.monotonic_ns()}")
        self._workers.append(one)
        if wait:
            until(lambda: "has its partitions" in one.log.read_text())
        return one

    def append(self, batches: Sequence[NewMessage]) -> None:
        """Append a backlog."""
        for start in range(0, len(batches), 64):
            self.log.append(DECISIONS.name, batches[start : start + 64])

    def landed(self) -> int:
        """Return how many messages have landed."""
        self._ledger.refresh()
        return sum(self._ledger.transaction_version(name) or 0 for name in self._ids.values())

    def is_drained(self) -> bool:
        """Whether all there is has landed."""
        return self.landed() == sum(self.log.bounds(DECISIONS.name, number).end for number in self._ids)

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.kill()
        self.log.close()
