"""`python -m warehouse`: the keeper, which merges, expires and removes files of the ledger in the background until it is told to end."""

import os
import time
import uuid

import structlog
from msgspec.structs import replace

from controlzero.errors import Unavailable
from topics.control import ControlFollower
from topics.ending import Ending, asked_by_signals
from topics.heartbeat import write_if_possible
from topics.opening import open_log
from topics.settings import ending_in_a_sentence
from warehouse.compaction import Compactor
from warehouse.heartbeat import Heartbeat, Kept, sum_of
from warehouse.keeping import Due, keep
from warehouse.locks import keeping
from warehouse.opening import open_store
from warehouse.retention import Retention
from warehouse.settings import Settings

BUSY_S, IDLE_S = 1.0, 5.0  # between looks at the ledger, each two system calls when nothing is new
BACK_OFF_S = 10.0

log = structlog.get_logger("keeper")


def main() -> None:
    """Keep the ledger until SIGTERM or SIGINT."""
    ending = asked_by_signals()
    settings = Settings()
    settings.beat_path.parent.mkdir(parents=True, exist_ok=True)
    locks = open_store(settings.ledger).locks
    beat = Heartbeat(pid=os.getpid(), at=_now(), started_at=_now())
    while not ending.is_asked:
        with keeping(locks) as ours:
            if ours:
                beat = _keep(settings, beat, ending)
            else:
                ending.wait(BACK_OFF_S)
    write_if_possible(settings.beat_path, replace(beat, at=_now(), phase="stopped"))


def _keep(settings: Settings, beat: Heartbeat, ending: Ending) -> Heartbeat:
    """Do what is due, again and again, and say so; return the last heartbeat. What fails is logged once a time and tried again."""
    due = Due()
    compactor: Compactor | None = None
    follower = ControlFollower(open_log(settings.log_path))
    while not ending.is_asked:
        try:
            compactor = compactor or Compactor(settings.ledger, clock=_now, new_id=_new_id, memory_mb=settings.keeper_memory_mb)
            follower.poll()
            kept, due = keep(compactor, due, _retention(follower))
        except Unavailable as failed:
            log.warning("The ledger cannot be kept now; nothing is lost.", reason=str(failed))
            compactor = None
            beat = replace(beat, at=_now(), phase="waiting", last_error=str(failed), last_error_at=_now())
            write_if_possible(settings.beat_path, beat)
            ending.wait(BACK_OFF_S)
            continue
        if kept != Kept():
            log.info("Kept the ledger.", merged=kept.merged_files, expired=kept.expired_rows, removed=kept.removed_files)
        beat = replace(beat, at=_now(), phase="running", kept=sum_of(beat.kept, kept))
        write_if_possible(settings.beat_path, beat)
        ending.wait(BUSY_S if kept.merged_files else IDLE_S)
    return beat


def _retention(follower: ControlFollower) -> Retention:
    return {project.project_id: project.retention_days for project in follower.state.projects.values()}


def _now() -> int:
    return time.time_ns() // 1000


def _new_id() -> str:
    return uuid.uuid4().hex


if __name__ == "__main__":
    with ending_in_a_sentence():
        main()
