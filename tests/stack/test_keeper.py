"""The keeper as a process: it merges what landed, gives way to another, and ends in order."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.environments import without_ours
from tests.waiting import until
from warehouse.delta_log import DeltaLog
from warehouse.files import is_landed
from warehouse.heartbeat import Heartbeat
from warehouse.keeping import DUE_FILES
from warehouse.lander import Lander
from warehouse.testing import a_landing, ids

WITHIN_S = 60.0


@contextmanager
def keeper(home: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "warehouse"]
    process = subprocess.Popen(
        command, env={**without_ours(), "CZ_HOME": str(home)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=WITHIN_S)


def beat(home: Path) -> Heartbeat | None:
    path = home / "run" / "keeper.json"
    return msgspec.json.decode(path.read_bytes(), type=Heartbeat) if path.exists() else None


def test_the_keeper_merges_what_landed_and_ends_in_order(tmp_path: Path) -> None:
    ledger = tmp_path / "warehouse" / "ledger"
    lander = Lander(ledger, clock=lambda: time.time_ns() // 1000, new_id=ids())
    now = time.time_ns() // 1000
    for offset in range(DUE_FILES):
        lander.land(a_landing(range(offset, offset + 1), at=now))
    with keeper(tmp_path) as process:
        log = DeltaLog(ledger)
        until(lambda: log.refresh() and not any(map(is_landed, log.files.values())))
        until(lambda: (told := beat(tmp_path)) is not None and told.kept.merged_files > DUE_FILES)
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert beat(tmp_path).phase == "stopped"


def test_a_second_keeper_waits_and_takes_over(tmp_path: Path) -> None:
    with keeper(tmp_path) as first:
        until(lambda: beat(tmp_path) is not None)
        with keeper(tmp_path) as second:
            assert beat(tmp_path).pid == first.pid
            first.kill()
            until(lambda: beat(tmp_path).pid == second.pid)
