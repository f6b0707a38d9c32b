"""What a worker does with messages, whichever runner brings them: has them processed, lands what they cause, and says how it goes."""

import atexit
import gc
import os
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import pyarrow as pa
import structlog
from msgspec.structs import replace

from controlzero.errors import ControlZeroError
from controlzero.secrets_on_disk import master_key, project_key, trusted_keys
from processors import heartbeat as heartbeats
from processors.flow import ProjectKeys
from processors.governance import Governor
from processors.heartbeat import Heartbeat, Phase
from processors.ledger import LedgerLanded
from processors.pipeline import Environment, Hole, PipelineState, process
from processors.settings import Settings
from processors.taking import lags, records_of
from topics.control import ControlFollower
from topics.declarations import DECISIONS
from topics.log import Log, Message
from warehouse.lander import Lander, app_id
from warehouse.snapshot import Warehouse

GARBAGE_MAX = 1_000_000  # objects made and not let go of before the collector looks: more than a commit holds
PROJECT_KEYS_MAX = 10_000  # kept ready
READER_THREADS, READER_MEMORY_MB = 1, 512  # for the questions that `sequence` asks the ledger

Clock = Callable[[], int]
_logger = structlog.get_logger("processors")


class Work:
    """Lands messages of the partitions it was given. Whoever else lands the same, nothing is lost or counted twice."""

    def __init__(self, log: Log, lander: Lander, landed: LedgerLanded, governor: Governor, *, key_of: ProjectKeys, clock: Clock) -> None:
        self._log, self._lander, self._landed, self._governor = log, lander, landed, governor
        self._follower = ControlFollower(log)
        self._key_of, self._clock = key_of, clock
        self._topic_id = log.topic_id(DECISIONS.name)
        self._state = PipelineState()
        self._ages: deque[int] = deque(maxlen=heartbeats.AGES_KEPT)
        self.heartbeat = Heartbeat(pid=os.getpid(), at=clock(), started_at=clock())
        self._hears = True  # the log answered when it was last asked how far it goes

    @property
    def offsets(self) -> Mapping[int, int]:
        """Where each partition goes on from: what is below has landed, and the ledger has acknowledged it."""
        return self._state.offsets

    def begin(self, partitions: Iterable[int]) -> Mapping[int, int]:
        """Take these partitions and no others, with nothing in memory; return where the ledger says each goes on from.

        Raises `Unavailable` where log or ledger do not answer, `Tampered` where the log ends below what has landed.
        """
        ids = {partition: app_id(self._log.log_id, self._topic_id, partition) for partition in partitions}
        landed = self._lander.landed(ids.values())
        starts = {partition: landed.get(name) for partition, name in ids.items()}
        offsets = {
            partition: self._log.bounds(DECISIONS.name, partition).start if start is None else start for partition, start in starts.items()
        }
        self._note(partitions=lags(self._log, offsets))
        self._landed.forget()
        self._state = PipelineState(offsets=offsets)
        return offsets

    def land(self, messages: Sequence[Message], *, proven_empty: frozenset[Hole] = frozenset()) -> None:
        """Land what the messages cause, durably: they go on from `offsets`, each partition's in order.

        Raises `OffsetGap` where the ledger has less than `offsets` says (it was restored from a copy): begin again. Raises
        `Unavailable` where log or ledger do not take part; the same messages can then be landed again.
        """
        laps = _Laps()
        self._follower.poll()  # after the messages were read: what their agents were judging by is known by now
        environment = Environment(
            log_id=self._log.log_id,
            topic_id=self._topic_id,
            now=self._clock(),
            governance=self._governor.govern(self._follower.state),
            key_of=self._key_of,
            landed=self._landed,
            proven_empty=proven_empty,
            on_step=laps.lap,
        )
        landing, after = process(messages, self._state, environment)
        self._lander.land(landing)
        laps.lap("commit")
        self._state = after
        self._count(messages, laps.ms)

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
            self._note(partitions=lags(self._log, self._state.offsets))
        except ControlZeroError as unread:
            error = error or self._unheard(str(unread))
        else:
            self._heard()
        self._note(phase=phase, at=now, troubled_since=None if error is None else self.heartbeat.troubled_since or now)
        if error is not None:
            self._note(last_error=error, last_error_at=now)
        return self.heartbeat

    def _unheard(self, why: str) -> str:
        if self._hears:
            _logger.warning("The log does not say how far it goes: the worker waits for it.", why=why)
        self._hears = False
        return why

    def _heard(self) -> None:
        if not self._hears:
            _logger.info("The log answers again: the worker goes on.")
        self._hears = True

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


def open_work(settings: Settings, log: Log) -> Work:
    """Return a worker's work over the data folder of `settings`. Raises `Unavailable` where the disk does not take part."""
    master = master_key(settings.home)
    return Work(
        log,
        Lander(settings.ledger_path, clock=now_us, new_id=new_id),
        LedgerLanded(lambda: Warehouse.open(settings.ledger_path, threads=READER_THREADS, memory_mb=READER_MEMORY_MB)),
        Governor(lambda: trusted_keys(settings.home)),
        key_of=lru_cache(PROJECT_KEYS_MAX)(lambda project_id: project_key(master, project_id)),
        clock=now_us,
    )


def settle() -> None:
    """Do at the start what would else be done in the first commits.

    pyarrow imports pandas, where it is installed, at its first array. And the garbage collector is to look seldom: a commit
    makes a hundred thousand records and no cycles, and looking costs a fifth of its time. Its last look, as the process ends,
    is at everything: what stays out of that duckdb calls leaked, at length.
    """
    pa.array([0])
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)
    gc.set_threshold(GARBAGE_MAX, 10, 10)


def now_us() -> int:
    """Return the time, microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def new_id() -> str:
    """Return a new unique id."""
    return uuid.uuid4().hex
