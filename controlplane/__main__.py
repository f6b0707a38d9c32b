"""`python -m controlplane`: publish what waits and renew what ages, where no `cz up` runs to do it.

A change is published by whoever makes it, unless brokers are away just then: what is left is published here. The tables are
made by the first start, and brought up to date by the first of a new version.
"""

import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import structlog
from msgspec import Struct

from controlplane.service import ControlPlane
from controlplane.settings import Settings
from controlzero.errors import Unavailable
from topics.ending import Ending, asked_by_signals
from topics.heartbeat import write_if_possible
from topics.opening import open_log
from topics.settings import ending_in_a_sentence

LOOK_EVERY_S = 5.0
RENEW_EVERY_S = 3_600.0  # bundles are good for days where they expire at all

log_line = structlog.get_logger("controlplane")


class Beat(Struct, frozen=True, kw_only=True):
    """What the process says of itself."""

    pid: int
    at: int
    phase: str
    last_error: str | None = None
    troubled_since: int | None = None  # while it waits: when that began


def main() -> None:
    """Keep at it until SIGTERM or SIGINT. A database or a broker that is away is waited for."""
    ending = asked_by_signals()
    settings = Settings()
    settings.beat_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    troubled_since: int | None = None

    def well() -> None:
        nonlocal troubled_since
        troubled_since = None
        _beat(settings.beat_path, "running")

    while not ending.is_asked:
        try:
            with closing(open_log(settings.log_path)) as log, ControlPlane(settings.home, log) as plane:
                tend(plane, ending, well=well, monotonic=time.monotonic)
        except Unavailable as away:
            log_line.warning("The control plane waits; gateways and workers go on.", reason=str(away))
            troubled_since = troubled_since or _now()
            _beat(settings.beat_path, "waiting", error=away, troubled_since=troubled_since)
            ending.wait(LOOK_EVERY_S)
    _beat(settings.beat_path, "stopped")


def tend(plane: ControlPlane, ending: Ending, *, well: Callable[[], None], monotonic: Callable[[], float]) -> None:
    """Publish what waits and renew bundles past half their age, until `ending` is asked for; say each time that all is well. Raises `Unavailable`."""
    renew_at = monotonic()
    while not ending.is_asked:
        if published := plane.publish_pending():
            log_line.info("Published what was left.", records=published)
        if monotonic() >= renew_at:
            renew_at = monotonic() + RENEW_EVERY_S
            if renewed := plane.renew_bundles():
                log_line.info("Signed bundles anew before they expire.", bundles=renewed)
        well()
        ending.wait(LOOK_EVERY_S)


def _now() -> int:
    return time.time_ns() // 1000


def _beat(path: Path, phase: str, *, error: Unavailable | None = None, troubled_since: int | None = None) -> None:
    last_error = None if error is None else str(error)
    write_if_possible(path, Beat(pid=os.getpid(), at=_now(), phase=phase, last_error=last_error, troubled_since=troubled_since))


if __name__ == "__main__":
    with ending_in_a_sentence():
        main()
