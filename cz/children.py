"""Start the product's processes, keep them up, and stop them in the order the data flows."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

RESTART_AFTER_S = (0.2, 1.0, 3.0, 10.0)  # a child that keeps dying is tried ever more slowly, never given up
STEADY_AFTER_S = 30.0  # up for this long, a child's next death counts as its first
LOG_BYTES_MAX = 10_000_000  # a child's log is started anew past this, the one before it kept
TEND_EVERY_S = 0.25
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, kw_only=True)
class Part:
    """One process of the product: its command, and how long it may take to drain when it is stopped."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    drain_s: float = 15.0


def python_module(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs `module` with this interpreter."""
    return (sys.executable, "-m", module, *arguments)


class Child:
    """A running part. Its output goes to `run/<name>.log`; it ends with us, even when we are killed."""

    def __init__(self, part: Part, *, run: Path, environment: Mapping[str, str]) -> None:
        self.part = part
        self.deaths = 0
        self._log = run / f"{part.name}.log"
        self._environment = {**environment, **part.environment}
        self._again_at = 0.0
        self._started_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, where it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start the process."""
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES_MAX:
            self._log.replace(self._log.with_suffix(".log.1"))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own modules, with this interpreter
                self.part.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,  # Ctrl-C reaches us alone: we stop the parts in their order
                preexec_fn=_end_with_parent(os.getpid()) if sys.platform == "linux" else None,
            )
        self._started_at = time.monotonic()

    def tend(self) -> str | None:
        """Start it again if it ended; return a sentence for people when that happened."""
        process = self._process
        if process is None or process.poll() is None:
            return None
        now = time.monotonic()
        if not self._again_at:
            if now - self._started_at > STEADY_AFTER_S:
                self.deaths = 0
            wait_s = RESTART_AFTER_S[min(self.deaths, len(RESTART_AFTER_S) - 1)]
            self.deaths += 1
            self._again_at = now + wait_s
            return f"{self.part.name} ended ({_ending(process.returncode)}); starting it again in {wait_s:g} s. Its log: {self._log}"
        return self._start_again(now) if now >= self._again_at else None

    def _start_again(self, now: float) -> str | None:
        try:
            self.start()
        except (OSError, subprocess.SubprocessError) as error:  # no memory, process or file to be had: seldom for ever
            wait_s = RESTART_AFTER_S[-1]
            self._again_at = now + wait_s
            return f"{self.part.name} cannot be started ({error}); it is tried again in {wait_s:g} s"
        self._again_at = 0.0
        return None

    def stop(self) -> bool:
        """Ask it to drain, wait its time, then kill it; return whether it drained."""
        process = self._process
        if process is None or process.poll() is not None:
            return True
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(self.part.drain_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False
        return True

    def log_tail(self, lines: int = 8) -> str:
        """Return the end of its log, for a person who must see why it does not start."""
        try:
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])
        except FileNotFoundError:
            return ""


def wait_until(ready: Callable[[], bool], *, children: Sequence[Child], within_s: float) -> Child | None:
    """Poll `ready`; return None once it holds, or the child that died twice, or the last one at the deadline."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if ready():
            return None
        for child in children:
            child.tend()
            if child.deaths >= 2:
                return child
        time.sleep(0.05)
    return children[-1]


@contextmanager
def tended(children: Sequence[Child], say: Callable[[str], None]) -> Iterator[None]:
    """Start again whichever child ends, for as long as the block lasts, and say so."""
    ended = threading.Event()

    def tend() -> None:
        while not ended.wait(TEND_EVERY_S):
            for child in list(children):
                if news := child.tend():
                    with suppress(OSError):  # whoever listened is gone, or the disk under their file is full
                        say(news)

    thread = threading.Thread(target=tend, name="tend", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _end_with_parent(parent: int) -> Callable[[], None]:
    """Have the kernel send SIGTERM when the parent dies: a killed `cz up` leaves no process behind."""
    libc = ctypes.CDLL(None)

    def in_child() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before the kernel knew
            os._exit(0)

    return in_child
