"""The embedded runner: drives the pipeline over the SQLite log, one commit for all partitions each tick. It holds no logic."""

import signal

import structlog

from controlzero.errors import ControlZeroError
from processors import heartbeat as heartbeats
from processors import log_lines
from processors.heartbeat import Heartbeat, Phase
from processors.pacing import Progress, Runner
from processors.settings import Settings
from processors.taking import PORTION, Portion, take
from processors.work import Work, open_work, settle
from topics.declarations import DECISIONS
from topics.log import Log
from topics.sqlite import SqliteLog
from warehouse.lander import OffsetGap

TAIL_MESSAGES = 64  # kept of each partition though landed: what a person looks at first

_logger = structlog.get_logger("processors")


class Worker:
    """Lands the messages of a log. It may be killed at any moment, or run twice by mistake: nothing is lost or counted twice."""

    def __init__(self, log: Log, work: Work, *, portion: Portion = PORTION) -> None:
        self._log, self._work, self._portion = log, work, portion
        self._has_begun = False
        self._turn = 0

    @property
    def heartbeat(self) -> Heartbeat:
        """What it last said of itself."""
        return self._work.heartbeat

    def tick(self) -> Progress:
        """Land what the log has, up to a portion of it.

        Raises `Unavailable` where log or ledger do not take part, `Tampered` where one of them is not what it was:
        nothing has landed then that is not known to have, and the next tick begins from what the ledger says.
        """
        has_begun, self._has_begun = self._has_begun, False
        if not has_begun:
            self._work.begin(range(DECISIONS.partitions))
        self._turn += 1
        taken = take(self._log, self._work.offsets, portion=self._portion, first=self._turn)
        if taken.messages:
            try:
                self._work.land(taken.messages)
            except OffsetGap as gap:  # the ledger is not where we left it: it was restored from a copy
                _logger.warning("The ledger went back; going on from what it has.", why=str(gap))
                return "more"
        self._has_begun = True
        if not taken.messages:
            return "idle"
        return "landed" if taken.is_all else "more"

    def look(self, phase: Phase, error: str | None = None) -> Heartbeat:
        """Return the heartbeat of this moment."""
        return self._work.look(phase, error)

    def trim(self) -> None:
        """Let go of what has landed, but for a small tail."""
        for partition, offset in self._work.offsets.items() if self._has_begun else ():
            before = offset - TAIL_MESSAGES
            if before > self._log.bounds(DECISIONS.name, partition).start:
                self._log.trim(DECISIONS.name, partition, before)


def open_worker(settings: Settings, log: Log, *, portion: Portion = PORTION) -> Worker:
    """Return a worker over the data folder of `settings`. Raises `Unavailable` where the disk does not take part."""
    return Worker(log, open_work(settings, log), portion=portion)


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
