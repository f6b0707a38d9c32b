"""When a worker lands: at once after a pause, by the tick while more keeps coming, back-to-back on a backlog, and until empty at the end."""

import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Literal, Protocol

import structlog

from controlzero.errors import Unavailable
from processors.heartbeat import Heartbeat, Phase, Told
from topics.ending import Ending
from topics.heartbeat import write_if_possible

IDLE_POLL_S = 0.02  # how soon a message is noticed; asking costs some 0.1 ms
BACK_OFF_S = (0.1, 0.3, 1.0, 3.0, 10.0)  # while the disk or the log is not there
DRAIN_S_MAX = 25.0  # `cz up` waits 30
BEAT_EVERY_S = 1.0
TRIM_EVERY_S = 30.0  # letting go takes a turn of the log's writer: seldom, and much at once

Progress = Literal["idle", "landed", "more"]  # nothing there; all of it landed; more waits

_logger = structlog.get_logger("processors")


class Paced(Protocol):
    """What can be run: see `processors.embedded.Worker`."""

    @property
    def heartbeat(self) -> Heartbeat:
        """What it last said of itself."""
        ...

    def tick(self) -> Progress:
        """Land what there is, up to a portion."""
        ...

    def trim(self) -> None:
        """Let the log go of what has landed."""
        ...

    def look(self, phase: Phase, error: str | None = None) -> Heartbeat:
        """Return the heartbeat of this moment."""
        ...


class Runner:
    """Runs a worker until it is told to stop, telling how it goes in a heartbeat file."""

    def __init__(self, worker: Paced, *, tick_s: float, heartbeat_path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._worker, self._tick_s, self._path, self._monotonic = worker, tick_s, heartbeat_path, monotonic
        self._stop, self._at_once = Ending(), Ending()
        self._failures = 0
        self._beat_at = 0.0
        self._trimmed_at = monotonic()
        self.told = Told(worker.heartbeat)

    def stop(self, _number: int | None = None, _frame: FrameType | None = None) -> None:
        """Have it land what is left and end; asked twice, it ends with the tick under way."""
        if self._stop.is_asked:
            self._at_once.ask()
        self._stop.ask()

    def run(self) -> None:
        """Run until stopped, and then until the log is empty. Raises what a person must look at."""
        try:
            while not self._stop.is_asked:
                progress, wait_s = self._turn("running")
                self._stop.wait(wait_s)
            deadline = self._monotonic() + DRAIN_S_MAX
            while not self._at_once.is_asked and self._monotonic() < deadline:
                progress, wait_s = self._turn("draining")
                if progress == "idle":
                    break
                self._at_once.wait(wait_s if progress == "failed" else 0)
        except BaseException as error:
            self._beat("failed", f"{type(error).__name__}: {error}")
            raise
        self._beat("stopped")

    def _turn(self, phase: Phase) -> tuple[Progress | Literal["failed"], float]:
        """Land once; return what came of it and how long to wait before the next time."""
        began = self._monotonic()
        try:
            progress = self._worker.tick()
            if began - self._trimmed_at > TRIM_EVERY_S:
                self._trimmed_at = began
                self._worker.trim()
        except Unavailable as error:
            self._note_failure(error)
            wait_s = error.retry_after_s or BACK_OFF_S[min(self._failures, len(BACK_OFF_S)) - 1]
            self._beat("waiting", str(error))
            return "failed", wait_s
        self._failures = 0
        if began - self._beat_at > BEAT_EVERY_S:
            self._beat(phase)
        waits = {"idle": IDLE_POLL_S, "more": 0.0, "landed": max(0.0, began + self._tick_s - self._monotonic())}
        return progress, waits[progress]

    def _note_failure(self, error: Unavailable) -> None:
        self._failures += 1
        if self._failures == 1:
            _logger.warning("Waiting: what was accepted stays in the log and lands later.", why=str(error))

    def _beat(self, phase: Phase, error: str | None = None) -> None:
        """Tell how it goes."""
        self._beat_at = self._monotonic()
        self.told.heartbeat = self._worker.look(phase, error)
        write_if_possible(self._path, self.told.heartbeat)
