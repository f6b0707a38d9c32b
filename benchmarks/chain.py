"""The chain from log message to committed ledger, all steps, on recorded traffic: decisions per CPU-second of the worker's process.

Beside it the floor: the same records decoded and written as the same Parquet files, and nothing else.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Result, cpu_s
from benchmarks.settings import ENVIRONMENT, SHARED
from controlplane.service import ControlPlane
from controlzero.batch import Batch, compress_lines, encode_batch, ndjson
from controlzero.records import Decision
from cz import traces
from processors import heartbeat
from processors.settings import Settings
from processors.steps.decode import decode
from processors.steps.judge import UNGOVERNED
from processors.steps.land import land
from processors.steps.sequence import SequenceState, sequence
from processors.testing import LandedInMemory
from topics.declarations import DECISIONS
from topics.log import Log, Message, NewMessage
from topics.sqlite import SqliteLog
from warehouse.columns import columns_of
from warehouse.files import encode

BAR_PER_CPU_S = 50_000
BATCH = 500  # decisions in a message, as an SDK and the importer send them
COPIES = 4  # of the traces, each by a producer of its own: enough that starting up does not show
COMMIT = 20_000  # decisions of one commit on a backlog
RECEIVED_AT = 1_764_500_000_000_000
WAIT_S = 120.0


def run(rounds: int) -> list[Result]:
    """Measure worker and floor in turn; both figures are decisions per CPU-second."""
    batches = list(trace_batches())
    decisions = sum(int(headers["count"]) for _, _, headers in batches)
    figures = [(chain_worker(batches, decisions), _floor(batches, decisions)) for _ in range(rounds + 1)][1:]
    worker, steps = statistics.median(rate for (rate, _), _ in figures), figures[-1][0][1]
    floor = statistics.median(rate for _, rate in figures)
    note = ", ".join(f"{step} {us:.1f}" for step, us in steps.items())
    return [
        Result(
            name="chain, traces, batches of 500",
            ours=worker,
            reference=floor,
            bar=BAR_PER_CPU_S,
            unit="decisions/CPU-s",
            note=f"the reference is the floor: decode and Parquet alone; µs a decision in the last commit: {note}",
        )
    ]


def trace_batches() -> Iterator[NewMessage]:
    """Yield the recorded traffic as messages of the decisions topic, each trace several times over, by producers of their own."""
    period = traces.Period(since=RECEIVED_AT - 14 * 86_400_000_000, until=RECEIVED_AT)
    for path in _sources():
        project = _project(path)
        for copy in range(COPIES):
            producer = f"import-{project}-{copy}"
            lines = [line.decision for line in traces.read(path, name=producer, period=period, keep_labels=False)]
            for first in range(0, len(lines), BATCH):
                part = lines[first : first + BATCH]
                yield encode_batch(
                    Batch(
                        project_id=project,
                        producer_id=producer,
                        first_seq=first,
                        count=len(part),
                        total=first + len(part),
                        received_at=RECEIVED_AT,
                        value=compress_lines(ndjson(part)),
                        backfill=True,
                    )
                )


def _sources() -> list[Path]:
    found = sorted((SHARED / "traces" / "dev").glob("*.jsonl.gz"))
    if not found:
        raise ImportError(f"no traces in {SHARED / 'traces'}; name the folder that holds them with CZ_SHARED")
    return found


def _project(path: Path) -> str:
    return path.name.removesuffix(".jsonl.gz")


def chain_worker(batches: Sequence[NewMessage], decisions: int) -> tuple[float, dict[str, float]]:
    """Have a worker's process land all batches; return decisions per second of its CPU, and µs a decision by step."""
    with tempfile.TemporaryDirectory(prefix="cz-chain-") as folder:
        home = Path(folder)
        log = SqliteLog(home / "log.db")
        govern(home, log)
        with _running(home) as process:
            before_s = cpu_s(process.pid)
            for start in range(0, len(batches), 64):
                log.append(DECISIONS.name, batches[start : start + 64])
            beat = _landed(home, len(batches))
            took_s = cpu_s(process.pid) - before_s
        log.close()
        return decisions / took_s, {step: ms * 1000 / max(1, beat.records_in_last_commit) for step, ms in beat.step_ms.items()}


def govern(home: Path, log: Log) -> None:
    """Make a project for each trace, with the policy that comes with it."""
    with ControlPlane(home, log) as plane:
        for path in _sources():
            plane.create_project(_project(path), actor="benchmark")
            policy = (SHARED / "traces" / "policies" / f"{_project(path)}.json").read_text()
            plane.apply_policy(_project(path), policy, actor="benchmark")


@contextmanager
def _running(home: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "processors"], env={**ENVIRONMENT, "CZ_HOME": str(home)}, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            if process.stderr is None or "The worker runs" not in process.stderr.readline():
                raise RuntimeError("the worker does not start; run `python -m processors` with CZ_HOME set to see why")
            yield process
        finally:
            process.terminate()


def _landed(home: Path, messages: int) -> heartbeat.Heartbeat:
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        beat = heartbeat.read(Settings(home=home).run_path / "worker.json")
        if beat is not None and beat.messages >= messages:
            return beat
        time.sleep(0.02)
    raise TimeoutError(f"the worker had not landed {messages:,} messages in {WAIT_S:g} s")


def _floor(batches: Sequence[NewMessage], decisions: int) -> float:
    """Decode the batches and write their decisions as Parquet; return decisions per second of this process' CPU."""
    messages = [
        Message(partition=0, offset=offset, key=key, value=value, headers=headers) for offset, (key, value, headers) in enumerate(batches)
    ]
    chunk = COMMIT // BATCH
    with tempfile.TemporaryDirectory(prefix="cz-floor-") as folder:
        started = time.process_time()
        for number, start in enumerate(range(0, len(messages), chunk)):
            opened = decode(messages[start : start + chunk], log_id="log", now=RECEIVED_AT)
            sequenced, _ = sequence(opened, SequenceState(), LandedInMemory())
            rows = [row.decision for row in sequenced.rows]
            landing = land(sequenced, columns_of(Decision, rows), [UNGOVERNED] * len(rows), [()] * len(rows), [], offsets={})
            (Path(folder) / str(number)).write_bytes(encode(landing.tables["decision"], "decision")[0])
        return decisions / (time.process_time() - started)
