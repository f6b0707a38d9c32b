"""The gateway against a bare uvicorn app that parses with the same library and appends to the same log by group commit.

Both run as processes of their own and are measured in turn, over the same connections and requests, for
single decisions and batches of 500, plain and compressed. `python -m benchmarks gateway`.
"""

import asyncio
import hashlib
import json
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import uvloop
import zstandard
from msgspec import Raw

from benchmarks.measure import Result, cpu_s, p99
from controlzero.records import Decision, encode_record
from topics.control import KeyRecord, ProjectRecord, control_key, encode_control
from topics.declarations import CONTROL, DECISIONS
from topics.sqlite import SqliteLog

ROOT = Path(__file__).parent.parent
SECRET = "cz_live_benchmarkbenchmarkbenchmark"
BAR = 0.6


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kind of load: how many records a request holds, how it is written, and how many requests a round is."""

    name: str
    lines: int
    compressed: bool
    requests: int
    connections: int


CASES = (
    Case(name="single decisions", lines=1, compressed=False, requests=8_000, connections=32),
    Case(name="batches of 500, plain", lines=500, compressed=False, requests=400, connections=8),
    Case(name="batches of 500, zstd", lines=500, compressed=True, requests=600, connections=8),
)


def a_decision(chance: random.Random) -> bytes:
    """Return a record of about 1 KB as the SDK writes it."""
    words = " ".join("".join(chance.choices("etaoinshrdlu", k=chance.randint(3, 9))) for _ in range(45))
    return encode_record(
        Decision(
            decision_id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            occurred_at=1_790_000_000_000_000 + chance.randrange(10**12),
            action="database:query",
            mode="log-only",
            effect="allow",
            verdict="deny",
            reason_code="matched_rule",
            agent_id=f"agent-{chance.randrange(20)}",
            session_id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            tool="database",
            method="query",
            args=Raw(
                json.dumps({"query": words, "limit": chance.randrange(1000), "tables": ["orders", "lines"]}, separators=(",", ":")).encode()
            ),
            tags=Raw(b'{"team":"billing","tier":"premium"}'),
            args_digest=f"{chance.getrandbits(128):032x}",
            facts=Raw(b'{"agent_id":"agent","args.limit":10}'),
            policy_id="orders",
            rule_id="orders#3",
            reason="queries of the order tables are read by analysts alone",
            bundle_digest=hashlib.sha256(b"bundle").hexdigest(),
            evaluated_rules=3,
            evaluation_time_ns=chance.randrange(10**5),
            sdk="controlzero-python/0.1.0",
        )
    )


def requests_of(case: Case, chance: random.Random) -> list[bytes]:
    """Return the requests of a case, ready to be written to a socket."""
    requests = []
    for number in range(min(case.requests, 2_000 // case.lines + 20)):
        body = b"".join(a_decision(chance) + b"\n" for _ in range(case.lines))
        if case.compressed:
            body = zstandard.compress(body)
        head = (
            "POST /v1/decisions HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: controlzero-python/0.1.0\r\nAccept: */*\r\n"
            f"Authorization: Bearer {SECRET}\r\nContent-Type: application/x-ndjson\r\n"
            f"CZ-Project: bench\r\nCZ-Producer: 0190163d8694739baea5966c26f8ad90\r\nCZ-First-Seq: {number * case.lines}\r\n"
            f"CZ-Total: {(number + 1) * case.lines}\r\n"
            + ("Content-Encoding: zstd\r\n" if case.compressed else "")
            + f"Content-Length: {len(body)}\r\n\r\n"
        )
        requests.append(head.encode() + body)
    return requests


class Connection(asyncio.Protocol):
    """One keep-alive connection: writes a request, waits for its answer, writes the next."""

    def __init__(self, requests: Iterator[bytes], took_s: list[float], done: asyncio.Future[None]) -> None:
        self.requests, self.took_s, self.done = requests, took_s, done
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        request = next(self.requests, None)
        if request is None:
            self.transport.close()
            self.done.set_result(None)
            return
        self.began_s = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, ended, body = self.received.partition(b"\r\n\r\n")
        if not ended or len(body) < int(head.partition(b"content-length: ")[2].partition(b"\r")[0]):
            return
        if not head.startswith(b"HTTP/1.1 202"):
            self.transport.close()
            self.done.set_exception(RuntimeError(self.received.decode(errors="replace")))
            return
        self.received = b""
        self.took_s.append(time.perf_counter() - self.began_s)
        self.next()


def run_round(port: int, case: Case, requests: Sequence[bytes]) -> tuple[float, list[float]]:
    """Return records per second and the latencies of one round."""

    async def load() -> tuple[float, list[float]]:
        took_s: list[float] = []
        feed = (requests[number % len(requests)] for number in range(case.requests))
        loop = asyncio.get_running_loop()
        ends = [loop.create_future() for _ in range(case.connections)]
        began_s = time.perf_counter()
        for end in ends:
            await loop.create_connection(lambda end=end: Connection(feed, took_s, end), "127.0.0.1", port)
        await asyncio.gather(*ends)
        return case.requests * case.lines / (time.perf_counter() - began_s), took_s

    return uvloop.run(load())


@contextmanager
def server(command: list[str], home: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends."""
    with (home / "server.log").open("w") as log:
        environment = [f"CZ_HOME={home}", "CZ_RATE_LINES_PER_S=1e9", "CZ_RATE_BURST_LINES=1e9"]
        process = subprocess.Popen(["env", *environment, *command], cwd=ROOT, stderr=log)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        time.sleep(1)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def prepared_home(folder: Path) -> Path:
    """Make a data folder whose log knows the key."""
    folder.mkdir()
    log = SqliteLog(folder / "log.db")
    key = KeyRecord(
        key_id="key_bench", prefix=SECRET[:12], sha256=hashlib.sha256(SECRET.encode()).hexdigest(), projects=("bench",), created_at=0
    )
    records = (key, ProjectRecord(project_id="bench", name="bench", mode="log-only"))
    log.append(CONTROL.name, [(control_key(record), encode_control(record), {}) for record in records])
    log.close()
    return folder


def trim(home: Path) -> None:
    log = SqliteLog(home / "log.db")
    for partition in range(DECISIONS.partitions):
        log.trim(DECISIONS.name, partition, log.bounds(DECISIONS.name, partition).end)
    log.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(rounds: int) -> list[Result]:
    """Alternate both servers over all cases."""
    with tempfile.TemporaryDirectory(prefix="cz-bench-", dir=ROOT) as folder:  # the disk the product would be on, not /tmp
        return measure(rounds, CASES, Path(folder))


def measure(rounds: int, cases: Sequence[Case], folder: Path) -> list[Result]:
    ports = {"ours": free_port(), "reference": free_port()}
    homes = {name: prepared_home(folder / name) for name in ports}
    ours = [sys.executable, "-m", "ingest", "--port", str(ports["ours"])]
    reference = [sys.executable, "-m", "benchmarks.gateway_reference", str(homes["reference"]), str(ports["reference"])]
    results = []
    with server(ours, homes["ours"], ports["ours"]) as one, server(reference, homes["reference"], ports["reference"]) as other:
        processes = {"ours": one, "reference": other}
        for case in cases:
            requests = requests_of(case, random.Random(7))
            figures: dict[str, list[Figures]] = {"ours": [], "reference": []}
            for number in range(rounds + 1):
                for name in sorted(ports, reverse=bool(number % 2)):
                    before_s = cpu_s(processes[name].pid)
                    rate, took_s = run_round(ports[name], case, requests)
                    used_us = (cpu_s(processes[name].pid) - before_s) * 1e6 / case.requests
                    trim(homes[name])
                    if number:  # the first round warms both up
                        figures[name].append(Figures(rate, statistics.median(took_s) * 1e3, p99(took_s) * 1e3, used_us))
            results.append(result_of(case, figures["ours"], figures["reference"]))
    return results


class Figures(NamedTuple):
    """What a round showed."""

    records_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # of the server, per request


def result_of(case: Case, ours: list[Figures], reference: list[Figures]) -> Result:
    _, p50_ms, p99_ms, cpu_us = (
        f"{statistics.median(mine):,.4g} / {statistics.median(other):,.4g}"
        for mine, other in zip(zip(*ours, strict=True), zip(*reference, strict=True), strict=True)
    )
    return Result(
        name=case.name,
        ours=statistics.median(each.records_per_s for each in ours),
        reference=statistics.median(each.records_per_s for each in reference),
        ratio=statistics.median(mine.records_per_s / other.records_per_s for mine, other in zip(ours, reference, strict=True)),
        bar=BAR,
        unit="records/s",
        note=f"p50 {p50_ms} ms, p99 {p99_ms} ms, CPU {cpu_us} µs a request",
    )
