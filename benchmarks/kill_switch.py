"""How long a kill switch takes to reach 200 connected clients: from before it is thrown to the first call that each of them denies.

The product runs as processes; the clients, fifty to a process, each hold their own connection and make a call every few milliseconds.
"""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.freshness import product
from benchmarks.measure import ROUNDS_MIN, Result, p99
from benchmarks.settings import ENVIRONMENT
from cz.opening import plane_over
from cz.up import Stack

CLIENTS, PROCESSES = 200, 4
BAR_MS = 2_000.0
Agents = list["subprocess.Popen[str]"]


def run(rounds: int) -> list[Result]:
    """Throw and lift a switch each round; the figures are percentiles over all clients and rounds, in milliseconds."""
    thrown, lifted = list[float](), list[float]()
    with (
        tempfile.TemporaryDirectory(prefix="cz-kill-") as name,
        product(Path(name), ENVIRONMENT) as stack,
        _connected(stack, Path(name)) as agents,
    ):
        for _ in range(max(rounds, ROUNDS_MIN)):
            with plane_over(stack.home) as plane:
                _tell(agents, "deny")
                order = plane.throw_order(reason="benchmark", actor="benchmark", project_id="default").order
            thrown += _answers(agents)
            with plane_over(stack.home) as plane:
                _tell(agents, "allow")
                plane.lift_order(order.order_id, actor="benchmark")
            lifted += _answers(agents)
    note = f"{CLIENTS} clients in {PROCESSES} processes, {max(rounds, ROUNDS_MIN)} switches; worst {max(thrown):,.0f} ms, lifted {max(lifted):,.0f} ms"
    return [
        Result(name="thrown to denied, p50", ours=statistics.median(thrown), unit="ms", higher_is_better=False, note=note),
        Result(name="thrown to denied, p99", ours=p99(thrown), bar=BAR_MS, unit="ms", higher_is_better=False, note=note),
        Result(name="lifted to allowed, p99", ours=p99(lifted), bar=BAR_MS, unit="ms", higher_is_better=False, note=note),
    ]


@contextlib.contextmanager
def _connected(stack: Stack, folder: Path) -> Iterator[Agents]:
    """Start the processes and wait until all their clients have a bundle."""
    with contextlib.ExitStack() as running:
        agents: Agents = []
        for number in range(PROCESSES):
            arguments = [stack.api_url, str(stack.first_key), str(CLIENTS // PROCESSES), str(folder / f"spool-{number}")]
            command = [sys.executable, "-m", "benchmarks.kill_switch_agents", *arguments]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
            running.callback(process.wait)
            running.callback(process.kill)
            agents.append(process)
        for process in agents:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield agents


def _tell(agents: Agents, word: str) -> None:
    """Have the clients wait for a word from now on."""
    at = time.monotonic()
    for process in agents:
        assert process.stdin is not None
        process.stdin.write(f"{at} {word}\n")
        process.stdin.flush()


def _answers(agents: Agents) -> list[float]:
    """Return what the clients tell, all of them."""
    lines = [process.stdout.readline() for process in agents if process.stdout is not None]
    return [figure for line in lines for figure in json.loads(line)]
