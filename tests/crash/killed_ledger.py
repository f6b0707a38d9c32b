"""Processes that work on a ledger and are killed, or refused by the kernel, at the N-th of a system call.

One process imports everything once and forks a child for each run; strace is attached to the child before it starts, so a run
takes a fraction of a second. Nothing of ours is patched. Run as a program, this module is that process.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NOW = 1_790_000_100_000_000
MESSAGES = 6
RUN_S_MAX = 60
CALLS = ("write", "pwrite64", "fsync", "link", "unlink", "rename", "mkdir", "flock", "ftruncate")


class Refused(Exception):  # noqa: N818
    """The child met an error it should have had a name for."""


class Killer:
    """Runs work on a ledger in child processes, under strace."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parent = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=Path(__file__).parents[2]
        )
        assert self._line() == "ready"

    def run(self, work: str, ledger: Path, *, inject: str | None = None) -> int:
        """Do `work` on the ledger with a fault injected; return the child's status (negative: its signal)."""
        return self._traced(work, ledger, ["-e", f"trace={inject.partition(':')[0]}", "-e", f"inject={inject}"] if inject else None)

    def calls(self, work: str, ledger: Path) -> Counter[str]:
        """Do `work` undisturbed, and count its calls: the most that one thread of it made."""
        trace = self._folder / "trace.txt"
        assert self._traced(work, ledger, ["-e", f"trace={','.join(CALLS)}"], trace) == 0
        made = Counter(re.findall(r"^(\d+) +(\w+)\(", trace.read_text(), re.MULTILINE))
        most: Counter[str] = Counter()
        for (_, call), times in made.items():
            most[call] = max(most[call], times)
        return most

    def close(self) -> None:
        """End the parent process."""
        self._parent.stdin.close()
        self._parent.stdout.close()
        assert self._parent.wait(10) == 0

    def _traced(self, work: str, ledger: Path, options: list[str] | None, trace: Path = Path(os.devnull)) -> int:
        print(json.dumps([work, str(ledger)]), file=self._parent.stdin, flush=True)
        pid = int(self._line())
        tracer = None
        try:
            if options:
                tracer = subprocess.Popen(
                    ["strace", "-f", "-o", str(trace), *options, "-p", str(pid)],
                    stderr=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    text=True,
                )
                said = tracer.stderr.readline()
                assert "attached" in said, said
            os.kill(pid, signal.SIGCONT)
            return int(self._line())
        finally:
            if tracer:
                tracer.communicate(timeout=RUN_S_MAX)

    def _line(self) -> str:
        return self._parent.stdout.readline().strip()


@contextmanager
def killer(folder: Path) -> Iterator[Killer]:
    """Yield a killer, and end it."""
    one = Killer(folder)
    try:
        yield one
    finally:
        one.close()


def copied(template: Path, target: Path) -> Path:
    """Return a copy of a ledger, to be spoilt."""
    return Path(shutil.copytree(template, target)) / "ledger"


def points(calls: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return every point at which a run can be stopped: a call, and which one of it."""
    return [(call, nth) for call, times in sorted(calls.items()) for nth in range(1, times + 1)]


def acknowledged(ledger: Path) -> int:
    """Return the offset up to which the child was told that everything landed."""
    acks = ledger.parent / "acks"
    return int(acks.read_text().split()[-1]) if acks.exists() and acks.read_text().split() else 0


def landed_once(ledger: Path) -> None:
    """Land what is missing, as a worker does when it is started again, and assert that everything is there once."""
    from warehouse.lander import Lander
    from warehouse.testing import DECISIONS, a_landing, an_app_id, ids

    lander = Lander(ledger, clock=lambda: NOW, new_id=ids(1 << 100))
    landed = lander.landed([an_app_id()]).get(an_app_id(), 0)
    assert landed >= acknowledged(ledger)
    lander.land(a_landing(range(landed, MESSAGES)))
    (held,) = ask(ledger, COUNTS)
    assert held == {
        "decisions": DECISIONS * MESSAGES, "ids": DECISIONS * MESSAGES, "outcomes": MESSAGES, "findings": MESSAGES, "tallies": MESSAGES,
        "quarantine": 2, "by_minute": DECISIONS * MESSAGES, "in_detail": DECISIONS * MESSAGES,
    }  # fmt: skip


def nothing_left_over(ledger: Path) -> None:
    """Assert that every file is sound, and that what no version lists is removed once it is old."""
    from warehouse.compaction import Compactor
    from warehouse.removal import sweep
    from warehouse.testing import ids
    from warehouse.verification import damages

    assert list(damages(ledger)) == []
    compactor = Compactor(ledger, clock=lambda: NOW, new_id=ids(1 << 101))
    sweep(compactor.log, now_ms=int(time.time() * 1000) + 20 * 60 * 1000, new_id=compactor.new_id)
    on_disk = {str(path.relative_to(ledger)) for path in ledger.glob("kind=*/*/*.parquet")}
    assert on_disk == set(compactor.log.files)
    assert not list((ledger / "_staging").iterdir())


COUNTS = """
SELECT
  (SELECT count(*) FROM decisions)::BIGINT AS decisions, (SELECT count(DISTINCT decision_id) FROM decisions)::BIGINT AS ids,
  (SELECT count(*) FROM outcomes)::BIGINT AS outcomes, (SELECT count(*) FROM findings)::BIGINT AS findings,
  (SELECT count(*) FROM tallies)::BIGINT AS tallies, (SELECT count(*) FROM quarantine)::BIGINT AS quarantine,
  (SELECT sum(decisions) FROM rollup_minute)::BIGINT AS by_minute, (SELECT sum(decisions) FROM rollup_detail)::BIGINT AS in_detail
"""


def ask(ledger: Path, statement: str) -> list[dict[str, Any]]:
    """Ask the newest version of a ledger, as an operator."""
    from warehouse.snapshot import Warehouse

    warehouse = Warehouse.open(ledger, threads=1)
    try:
        return warehouse.session(None).sql(statement, {}).to_pylist()
    finally:
        warehouse.close()


def main() -> None:
    """Fork a child for each line of standard input: a work and its ledger."""
    import pyarrow.dataset  # noqa: F401

    import warehouse.compaction
    import warehouse.keeping
    import warehouse.testing

    warehouse.testing.a_landing(range(1))  # whatever is imported at first use: a child starts at once

    print("ready", flush=True)
    for line in sys.stdin:
        work, ledger = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(_child(work, Path(ledger)))
        os.waitpid(pid, os.WUNTRACED)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _child(work: str, ledger: Path) -> int:
    try:
        {"land": _land, "compact": _compact, "keep": _keep}[work](ledger)
    except BaseException as error:  # noqa: BLE001  # the status says it; the test fails on it
        print(f"{work}: {error!r}", file=sys.stderr, flush=True)
        return 3
    return 0


def _patiently(attempt: Any) -> Any:
    """Do what a runner does: try again while the ledger is unavailable."""
    from controlzero.errors import Unavailable

    for _ in range(20):
        try:
            return attempt()
        except Unavailable:
            time.sleep(0.001)
    raise Refused("unavailable for too long")


def _land(ledger: Path) -> None:
    from warehouse.lander import Lander
    from warehouse.testing import a_landing, an_app_id

    new_id = lambda: os.urandom(16).hex()  # noqa: E731
    lander = _patiently(lambda: Lander(ledger, clock=lambda: NOW, new_id=new_id))
    landed = _patiently(lambda: lander.landed([an_app_id()])).get(an_app_id(), 0)
    acks = os.open(ledger.parent / "acks", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    for first in range(landed, MESSAGES, 2):
        landing = a_landing(range(first, min(first + 2, MESSAGES)))
        _patiently(lambda landing=landing: lander.land(landing))
        os.write(acks, f"{min(first + 2, MESSAGES)}\n".encode())


def _compactor(ledger: Path, now: int) -> Any:
    from warehouse.compaction import Compactor

    return _patiently(lambda: Compactor(ledger, clock=lambda: now, new_id=lambda: os.urandom(16).hex()))


def _compact(ledger: Path) -> None:
    _patiently(_compactor(ledger, NOW).compact)


def _keep(ledger: Path) -> None:
    """Remove what a compaction replaced, a checkpoint included, as a keeper does 20 minutes later."""
    from warehouse.removal import checkpoint, sweep

    compactor = _compactor(ledger, time.time_ns() // 1000 + 20 * 60 * 1_000_000)
    _patiently(lambda: checkpoint(compactor.log, entries=3))
    _patiently(lambda: sweep(compactor.log, now_ms=compactor.now() // 1000, new_id=compactor.new_id))


if __name__ == "__main__":
    main()
