"""Agents that are killed at any moment, and the sum that must come out: what guard() had returned arrives once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controlzero import Client
from controlzero.records import Decision
from controlzero.testing import InMemoryGateway
from tests.waiting import until

SPOOL_BYTES_MAX = 1024 * 1024  # segments of 256 KiB: many come and go between two kills
SPOOL_BYTES_AWAY = 256 * 1024 * 1024  # with the gateway away nothing goes: room for all that a fast machine records

# Starts once and forks an agent for each line it reads, since a start takes longer than most agents here live.
NURSERY = """
import os, signal, sys
from controlzero import Client
import httpx, zstandard, cryptography, controlzero.bundle
url, root, told, room = sys.argv[1:]
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    child = os.fork()
    if child:
        print(child, flush=True)
        continue
    cz = Client(api_key="cz_test_key", base_url=url, spool=root, spool_bytes_max=int(room))
    told = os.open(told, os.O_WRONLY | os.O_APPEND)
    while True:
        decision = cz.guard("database", method="query", args={"to": "jane@example.com", "n": 5})
        if decision.is_recorded:
            os.write(told, decision.decision_id.encode() + b"\\n")
"""


class Nursery:
    """Agents to be killed, one after the other."""

    def __init__(self, url: str, folder: Path, spool_bytes_max: int) -> None:
        self.told = folder / "told"
        self.told.touch()
        command = [sys.executable, "-c", NURSERY, url, str(folder / "spool"), str(self.told), str(spool_bytes_max)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)

    def agent(self) -> int:
        """Start an agent; return its process id once it has recorded something."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        size = self.told.stat().st_size
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        until(lambda: self.told.stat().st_size > size, "a record")
        return pid

    def returned(self) -> set[str]:
        """Return the ids of all decisions that guard() had returned as recorded."""
        return set(self.told.read_text().split())

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # an agent that still lives holds the pipe that is read to its end
        self._process.communicate()


@contextmanager
def nursery(url: str, folder: Path, *, spool_bytes_max: int = SPOOL_BYTES_MAX) -> Iterator[Nursery]:
    """Keep a nursery that speaks to the gateway at `url` and spools below `folder`."""
    one = Nursery(url, folder, spool_bytes_max)
    try:
        yield one
    finally:
        one.close()


def kill_agents(nursery: Nursery, *, kills: int, seed: int, alive_s_max: float) -> None:
    """Let agents live one after the other, each for a while of its own, and kill them."""
    moments = random.Random(seed)
    for _ in range(kills):
        agent = nursery.agent()
        time.sleep(moments.uniform(0.0, alive_s_max))
        os.kill(agent, signal.SIGKILL)


def deliver_the_rest(url: str, folder: Path) -> None:
    """Start an agent that lives: it adopts what the dead ones left."""
    with Client(api_key="cz_test_key", base_url=url, spool=folder / "spool") as cz:
        cz.guard("last", "one")
        while (left := len(spools(folder))) > 1:
            until(lambda: len(spools(folder)) < left, "a spool's adoption")


def spools(folder: Path) -> list[Path]:
    return [path for path in (folder / "spool").glob("*/*") if path.is_dir() and len(path.name) == 36]


def check_sum(gateway: InMemoryGateway, told: set[str]) -> None:
    """Everything told arrived once, under numbers without a gap; nothing else was lost but what was being written."""
    arrived = [record.decision_id for record in gateway.records() if isinstance(record, Decision)]
    assert told <= set(arrived)
    assert len(set(arrived)) == len(arrived)
    assert gateway.conflicts == []
    for producer in gateway.producers():
        assert sorted(gateway.lines(producer)) == list(range(len(gateway.lines(producer))))
