"""`python -m warehouse`: the keeper, which merges, expires and removes files of the ledger in the background until it is told to end."""

import signal
import threading
import time
import uuid

import structlog

from controlzero.errors import Unavailable
from topics.control import ControlFollower
from topics.sqlite import SqliteLog
from warehouse.compaction import Compactor
from warehouse.keeping import Due, Kept, keep
from warehouse.locks import keeping
from warehouse.retention import Retention
from warehouse.settings import Settings

BUSY_S, IDLE_S = 1.0, 5.0  # between looks at the ledger, each two system calls when nothing is new
BACK_OFF_S = 10.0

log = structlog.get_logger("keeper")


def main() -> None:
    """Keep the ledger until SIGTERM or SIGINT."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    settings = Settings()
    settings.ledger.mkdir(parents=True, exist_ok=True)
    while not ended.is_set():
        with keeping(settings.ledger) as ours:
            if ours:
                _keep(settings, ended)
            else:
                ended.wait(BACK_OFF_S)


def _keep(settings: Settings, ended: threading.Event) -> None:
    """Do what is due, again and again. What fails is logged once a time and tried again."""
    due = Due()
    compactor: Compactor | None = None
    follower = ControlFollower(SqliteLog(settings.log_path))
    while not ended.is_set():
        try:
            compactor = compactor or Compactor(settings.ledger, clock=_now, new_id=_new_id, memory_mb=settings.keeper_memory_mb)
            follower.poll()
            kept, due = keep(compactor, due, _retention(follower))
        except Unavailable as failed:
            log.warning("the ledger cannot be kept now; nothing is lost", reason=str(failed))
            compactor = None
            ended.wait(BACK_OFF_S)
            continue
        if kept != Kept():
            log.info("kept the ledger", merged=kept.merged_files, expired=kept.expired_rows, removed=kept.removed_files)
        ended.wait(BUSY_S if kept.merged_files else IDLE_S)


def _retention(follower: ControlFollower) -> Retention:
    return {project.project_id: project.retention_days for project in follower.state.projects.values()}


def _now() -> int:
    return time.time_ns() // 1000


def _new_id() -> str:
    return uuid.uuid4().hex


if __name__ == "__main__":
    main()
