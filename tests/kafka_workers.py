"""Workers over Kafka as an operator starts them: processes of the `faust` command."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

FAUST = [sys.executable, "-m", "faust", "-A", "processors.faust_app", "worker", "-l", "info"]


class Worker:
    """A worker's process, which can be ended in order, killed, held up and let go on."""

    def __init__(self, home: Path, environment: Mapping[str, str], *, name: str = "worker") -> None:
        home.joinpath("run").mkdir(parents=True, exist_ok=True)
        self.log = home / "run" / f"{name}.log"
        with self.log.open("ab") as said:
            self.process = subprocess.Popen(
                FAUST,
                env={**os.environ, **environment, "CZ_HOME": str(home), "CZ_WORKER_TICK_MS": "50"},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def stop(self) -> int:
        """End it in order; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)

    def kill(self) -> None:
        """End it at once, as a bad day does."""
        self.process.kill()
        self.process.wait()


@contextmanager
def worker(home: Path, environment: Mapping[str, str]) -> Iterator[Worker]:
    """Run one worker; it is gone afterwards."""
    one = Worker(home, environment)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.kill()
