"""Kill the product's processes and its agents at seeded moments, restart nothing by hand, and count."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from uuid import UUID

import httpx

from cz.doctor import Examination, examine
from cz.plane import plane_over
from cz.up import Stack
from tests.environments import without_ours
from tests.stacks import stack_over
from tests.waiting import until
from warehouse.snapshot import Warehouse

AGENT = """
import sys, controlzero
with controlzero.Client(agent_id=sys.argv[1]) as client, open(sys.argv[2], "a", buffering=1) as told:
    while True:
        decision = client.guard("llm", method="generate", args={"model": "gpt-5.4", "note": "call ada@example.com"})
        told.write(decision.decision_id + "\\n")
"""
PARTS = ("gateway", "worker", "keeper", "watch", "agent", "agent", "gateway", "worker")  # what is killed, the busy ones more often
AGENTS = 2
DECISIONS_PER_S_MAX = 400  # of one agent: kills are what is tested, not throughput
PAUSE_S = (0.3, 1.2)
ALIVE_S_MIN = 2.5  # a process that is killed while it starts shows nothing; from its start to work takes about 1 s
QUIET_S = 60.0


@dataclass
class Aftermath:
    """What was found when everything had come to rest."""

    kills: Counter[str] = field(default_factory=Counter)
    returned: set[UUID] = field(default_factory=set)  # decisions whose guard() had returned to the agent
    landed: Counter[UUID] = field(default_factory=Counter)
    examination: Examination | None = None


def rage(folder: Path, *, kills: int, seed: int) -> Aftermath:
    """Run the product with live agents over `folder`, kill `kills` times, and count once all has drained."""
    random = Random(seed)
    aftermath = Aftermath()
    told = folder / "told.txt"
    told.touch()
    with stack_over(folder / "home", restarts=True) as stack:
        environment = _agents_environment(stack, folder)
        agents = [_agent(number, told, environment) for number in range(AGENTS)]
        born = dict.fromkeys((*PARTS, 0, 1), time.monotonic())
        while sum(aftermath.kills.values()) < kills:
            time.sleep(random.uniform(*PAUSE_S))
            for number, agent in enumerate(agents):
                if agent.poll() is not None:  # it found no gateway when it began: whoever runs agents starts them again
                    agents[number] = _agent(number, told, environment)
            part = random.choice(PARTS)
            number = random.randrange(AGENTS)
            who: str | int = number if part == "agent" else part
            if time.monotonic() - born[who] < ALIVE_S_MIN:
                continue
            if part == "agent":
                agents[number].kill()
                agents[number].wait()
                agents[number] = _agent(number, told, environment)
            elif not _kill(stack, part):
                continue
            born[who] = time.monotonic()
            aftermath.kills[part] += 1
        for agent in agents:
            agent.kill()
            agent.wait()
        _wait_until_answering(stack)
        _send_what_is_left(environment)
        _wait_until_drained(stack)
        aftermath.examination = examine(stack.home, now=time.time_ns() // 1000)
        aftermath.returned = {UUID(line) for line in told.read_text().split() if len(line) == 36}
        rows = (
            Warehouse.open(stack.home.ledger)
            .session("storm")
            .sql("SELECT decision_id FROM decisions", {})
            .column("decision_id")
            .to_pylist()
        )
        aftermath.landed = Counter(UUID(bytes=row) for row in rows)
    return aftermath


def _agents_environment(stack: Stack, folder: Path) -> dict[str, str]:
    with plane_over(stack.home) as plane:
        plane.create_project("storm", actor="tester")
        plane.apply_policy("storm", {"name": "all", "rules": [{"effect": "allow", "action": "*"}]}, actor="tester")
        key, _ = plane.create_key(["storm"], actor="tester")
        plane.publish_pending()
    return {
        **without_ours(),
        "CONTROLZERO_API_KEY": key,
        "CONTROLZERO_BASE_URL": stack.api_url,
        "CONTROLZERO_PROJECT_ID": "storm",
        "CONTROLZERO_SPOOL": str(folder / "spool"),
    }


def _agent(number: int, told: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    paced = AGENT.replace("        told.write", f'        __import__("time").sleep({1 / DECISIONS_PER_S_MAX})\n        told.write')
    with told.with_suffix(".log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-c", paced, f"agent-{number}", str(told)], env=environment, stderr=log)


def _kill(stack: Stack, part: str) -> bool:
    pid = next(child.pid for child in stack.children if child.part.name == part)
    if pid is None:  # it is being started again
        return False
    os.kill(pid, signal.SIGKILL)
    return True


def _wait_until_answering(stack: Stack) -> None:
    def answers() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{stack.api_url}/readyz").status_code == 200
        return False

    until(answers, "the gateway", within_s=QUIET_S)


def _send_what_is_left(environment: dict[str, str]) -> None:
    """A last agent adopts the spools of the killed ones, as any later run of an agent would."""
    code = """
import pathlib, sys, time, controlzero
with controlzero.Client() as client:
    client.guard("llm", method="generate")
    deadline = time.monotonic() + float(sys.argv[2])
    own = lambda: client.producer_id
    while [path for path in pathlib.Path(sys.argv[1]).rglob("*") if path.is_dir() and "-" in path.name and path.name != own()]:
        assert time.monotonic() < deadline, sorted(map(str, pathlib.Path(sys.argv[1]).rglob("*")))[:8]
        time.sleep(0.2)
    assert client.flush(30), "not delivered"
"""
    command = [sys.executable, "-c", code, environment["CONTROLZERO_SPOOL"], str(QUIET_S)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=2 * QUIET_S, check=False)
    assert done.returncode == 0, done.stderr


def _wait_until_drained(stack: Stack) -> None:
    spool = Path(stack.home.path.parent / "spool")

    def is_drained() -> bool:
        accounts = examine(stack.home, now=time.time_ns() // 1000).projects
        return bool(accounts) and not any(account.in_flight for account in accounts.values())

    until(is_drained, lambda: f"draining (left in {spool}: {sorted(spool.rglob('*'))[:10]})", within_s=QUIET_S)
