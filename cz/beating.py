"""`python -m cz.beating NAME`: whether a process of this host said lately that it lives; for health checks.

Exit code 0 where `run/NAME.json`, or one of this host's `run/NAME-<host>-<pid>.json`, was written within half a minute.
"""

import socket
import sys
import time
from pathlib import Path

from cz import settings
from cz.home import Home

SILENT_AFTER_S = 30.0  # the slowest beats every few seconds


def is_beating(run: Path, name: str, *, host: str, now_s: float) -> bool:
    """Whether the process of that name on this host wrote its heartbeat lately."""
    beats = (run / f"{name}.json", *run.glob(f"{name}-{host}-*.json"))
    return any(path.exists() and now_s - path.stat().st_mtime < SILENT_AFTER_S for path in beats)


def main() -> None:
    """Answer by the exit code."""
    name = sys.argv[1]
    if not is_beating(Home(settings.read().home).run, name, host=socket.gethostname(), now_s=time.time()):
        sys.exit(f"{name} has not said for {SILENT_AFTER_S:.0f} s that it lives")


if __name__ == "__main__":
    main()
