"""The embedded runner: drives the pipeline over the SQLite log, one commit for all partitions each tick. It holds no logic."""

import gc
import os
import signal
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import pyarrow as pa
import structlog
from msgspec.structs import replace

from controlzero.errors import ControlZeroError
from controlzero.secrets_on_disk import master_key, project_key, trusted_keys
from processors import heartbeat as heartbeats
from processors import log_lines
from processors.flow import ProjectKeys
from processors.governance import Governor
from processors.heartbeat import Heartbeat, Phase
from processors.ledger import LedgerLanded
from processors.pacing import Progress, Runner
from processors.pipeline import Environment, PipelineState, process
from processors.settings import Settings
from processors.taking import PORTION, Portion, lags, records_of, take
from topics.control import ControlFollower
from topics.declarations import DECISIONS
from topics.log import Log, Message
from topics.sqlite import SqliteLog
from warehouse.lander import Lander, OffsetGap, app_id
from warehouse.snapshot import Warehouse

TAIL_MESSAGES = 64  # kept of each partition though landed: what a person looks at first
GARBAGE_MAX = 1_000_000  # objects made and not let go of before the collector looks: more than a commit holds
PROJECT_KEYS_MAX = 10_000  # kept ready
READER_THREADS, READER_MEMORY_MB = 1, 512  # for the questions that `sequence` asks the ledger

Clock = Callable[[], int]
_logger = structlog.get_logger("processors")


class Worker:
    """Lands the messages of a log. It may be killed at any moment, or run twice by mistake: nothing is lost or counted twice."""

    def __init__(
        self,
        log: Log,
        lander: Lander,
        landed: LedgerLanded,
        governor: Governor,
        *,
        key_of: ProjectKeys,
        clock: Clock,
        portion: Portion = PORTION,
    ) -> None:
        self._log, self._lander, self._landed, self._governor = log, lander, landed, governor
        self._follower = ControlFollower(log)
        self._key_of, self._clock, self._portion = key_of, clock, portion
        self._topic_id = log.topic_id(DECISIONS.name)
        self._ids = {partition: app_id(log.log_id, self._topic_id, partition) for partition in range(DECISIONS.partitions)}
        self._state: PipelineState | None = None
        self._turn = 0
        self._ages: deque[int] = deque(maxlen=heartbeats.AGES_KEPT)
        self.heartbeat = Heartbeat(pid=os.getpid(), at=clock(), started_at=clock())

    def _begun(self) -> PipelineState:
        """Go to where the ledger says each partition goes on from, with nothing in memory."""
        landed = self._lander.landed(self._ids.values())
        starts = {partition: landed.get(name) for partition, name in self._ids.items()}
        offsets = {
            partition: self._log.bounds(DECISIONS.name, partition).start if start is None else start for partition, start in starts.items()
        }
        self._note(partitions=lags(self._log, offsets))
        self._landed.forget()
        return PipelineState(offsets=offsets)

    def tick(self) -> Progress:
        """Land what the log has, up to a portion of it.

        Raises `Unavailable` where log or ledger do not take part, `Tampered` where one of them is not what it was:
        nothing has landed then that is not known to have, and the next tick begins from what the ledger says.
        """
        state, self._state = self._state or self._begun(), None
        self._turn += 1
        taken = take(self._log, state.offsets, portion=self._portion, first=self._turn)
        if not taken.messages:
            self._state = state
            return "idle"
        try:
            self._state = self._land(taken.messages, state)
        except OffsetGap as gap:  # the ledger is not where we left it: it was restored from a copy
            _logger.warning("The ledger went back; going on from what it has.", why=str(gap))
            return "more"
        return "landed" if taken.is_all else "more"

    def _land(self, messages: Sequence[Message], state: PipelineState) -> PipelineState:
        laps = _Laps()
        self._follower.poll()  # after the messages were read: what their agents were judging by is known by now
        environment = Environment(
            log_id=self._log.log_id,
            topic_id=self._topic_id,
            now=self._clock(),
            governance=self._governor.govern(self._follower.state),
            key_of=self._key_of,
            landed=self._landed,
            on_step=laps.lap,
        )
        landing, after = process(messages, state, environment)
        self._lander.land(landing)
        laps.lap("commit")
        self._count(messages, laps.ms)
        return after

    def _count(self, messages: Sequence[Message], step_ms: Mapping[str, float]) -> None:
        now = self._clock()
        ours = [message for message in messages if "received_at" in message.headers and "backfill" not in message.headers]
        self._ages.extend(now - int(message.headers["received_at"]) for message in ours)
        p50, p99 = heartbeats.percentiles(self._ages)
        records = sum(map(records_of, messages))
        self._note(
            commits=self.heartbeat.commits + 1,
            messages=self.heartbeat.messages + len(messages),
            records=self.heartbeat.records + records,
            records_in_last_commit=records,
            step_ms=step_ms,
            freshness_p50_ms=p50,
            freshness_p99_ms=p99,
            problems=(*self._governor.problems.values(), *self._follower.problems),
        )

    def look(self, phase: Phase, error: str | None = None) -> Heartbeat:
        """Return the heartbeat of this moment."""
        now = self._clock()
        try:
            if self._state is not None:
                self._note(partitions=lags(self._log, self._state.offsets))
        except ControlZeroError as unread:
            error = error or str(unread)
        self._note(phase=phase, at=now)
        if error is not None:
            self._note(last_error=error, last_error_at=now)
        return self.heartbeat

    def trim(self) -> None:
        """Let go of what has landed, but for a small tail. The state's offsets are those the ledger has acknowledged."""
        for partition, offset in self._state.offsets.items() if self._state else ():
            before = offset - TAIL_MESSAGES
            if before > self._log.bounds(DECISIONS.name, partition).start:
                self._log.trim(DECISIONS.name, partition, before)

    def _note(self, **changes: object) -> None:
        self.heartbeat = replace(self.heartbeat, **changes)


class _Laps:
    """Times the steps of one commit."""

    def __init__(self) -> None:
        self.ms: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.ms[step] = round((now - self._last) * 1000, 3)
        self._last = now


def open_worker(settings: Settings, log: Log, *, portion: Portion = PORTION) -> Worker:
    """Return a worker over the data folder of `settings`. Raises `Unavailable` where the disk does not take part."""
    master = master_key(settings.home)
    return Worker(
        log,
        Lander(settings.ledger_path, clock=now_us, new_id=new_id),
        LedgerLanded(lambda: Warehouse.open(settings.ledger_path, threads=READER_THREADS, memory_mb=READER_MEMORY_MB)),
        Governor(lambda: trusted_keys(settings.home)),
        key_of=lru_cache(PROJECT_KEYS_MAX)(lambda project_id: project_key(master, project_id)),
        clock=now_us,
        portion=portion,
    )


def settle() -> None:
    """Do at the start what would else be done in the first commits.

    pyarrow imports pandas, where it is installed, at its first array. And the garbage collector is to look seldom: a commit
    makes a hundred thousand records and no cycles, and looking costs a fifth of its time.
    """
    pa.array([0])
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_MAX, 10, 10)


def now_us() -> int:
    """Return the time, microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def new_id() -> str:
    """Return a new unique id."""
    return uuid.uuid4().hex


def main() -> int:
    """Run a worker until SIGTERM or SIGINT; return the exit code."""
    log_lines.configure()
    settings = Settings()
    settings.run_path.mkdir(parents=True, exist_ok=True)
    try:
        log = SqliteLog(settings.log_path)
        runner = Runner(open_worker(settings, log), tick_s=settings.worker_tick_ms / 1000, heartbeat_path=settings.run_path / "worker.json")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, runner.stop)
        if settings.worker_metrics_port is not None:
            heartbeats.serve(runner.told, port=settings.worker_metrics_port)
        settle()
        _logger.info("The worker runs.", home=str(settings.home), tick_ms=settings.worker_tick_ms)
        runner.run()
        _logger.info("The worker has landed all there was and ends.", records=runner.told.heartbeat.records)
    except ControlZeroError as error:
        _logger.error("The worker stops; what was accepted waits in the log.", why=str(error), kind=type(error).__name__)
        return 1
    log.close()
    return 0
