"""What a gateway says of itself, in `run/`: the pages show it beside the workers."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import structlog
from msgspec import Struct
from msgspec.structs import replace

from ingest.logside import LogSide
from ingest.metrics import Counts
from topics.heartbeat import write

BEAT_S = 2.0

_logger = structlog.get_logger("ingest.heartbeat")


class Heartbeat(Struct, frozen=True, kw_only=True):
    """A gateway at one moment. Times are microseconds since 1970 UTC; counts are since it started."""

    pid: int
    at: int
    started_at: int
    phase: Literal["running", "waiting", "stopped"] = "waiting"
    records: int = 0  # that it acknowledged
    refused: int = 0  # requests it answered with a problem
    last_error: str | None = None
    troubled_since: int | None = None  # while it takes nothing in: when that began; `last_error` is why, None where all is well


def next_beat(before: Heartbeat, *, at: int, counts: Counts, trouble: str | None) -> Heartbeat:
    """Return the heartbeat of this moment."""
    return replace(
        before,
        at=at,
        phase="waiting" if trouble else "running",
        records=counts.accepted,
        refused=counts.problems.total(),
        last_error=trouble,
        troubled_since=(before.troubled_since or at) if trouble else None,
    )


async def beat(path: Path, counts: Counts, log_side: LogSide, *, clock: Callable[[], int]) -> None:
    """Write the heartbeat until cancelled, and once more then. A disk that takes none keeps nothing from being delivered."""
    started_at = clock()
    last = Heartbeat(pid=os.getpid(), at=started_at, started_at=started_at)
    told = ""
    try:
        while True:
            last = next_beat(last, at=clock(), counts=counts, trouble=log_side.trouble)
            try:
                path.parent.mkdir(exist_ok=True)
                write(path, last)
            except OSError as error:
                if str(error) != told:
                    _logger.warning("The heartbeat cannot be written.", why=str(error))
                told = str(error)
            await asyncio.sleep(BEAT_S)
    finally:
        try:
            write(path, replace(last, at=clock(), phase="stopped"))
        except OSError:
            return
