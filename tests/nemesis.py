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
import sys, time, controlzero
with controlzero.Client(agent_id=sys.argv[1]) as client, open(sys.argv[2], "a", buffering=1) as told:
    while True:
        decision = client.guard("llm", method="generate", args={"model": "gpt-5.4", "note": "call ada@example.com"})
        told.write(decision.decision_id + "\\n")
        time.sleep(float(sys.argv[3]))
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


class Agent:
    """An agent that guards without end and writes down each decision whose guard() returned."""

    def __init__(self, number: int, folder: Path, environment: dict[str, str]) -> None:
        self.told = folder / f"told-{number}.txt"
        self.told.touch()
        self._name, self._environment = f"agent-{number}", environment
        self.start()

    def start(self) -> None:
        """Start it, for the first time or again."""
        self._told_before = self.told.stat().st_size
        with self.told.with_suffix(".log").open("ab") as log:
            command = [sys.executable, "-c", AGENT, self._name, str(self.told), str(1 / DECISIONS_PER_S_MAX)]
            self.process = subprocess.Popen(command, env=self._environment, stderr=log)

    @property
    def is_at_work(self) -> bool:
        """Whether it has recorded something since it was started: killed before that, it shows nothing."""
        return self.told.stat().st_size > self._told_before

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


def rage(folder: Path, *, kills: int, seed: int) -> Aftermath:
    """Run the product with live agents over `folder`, kill `kills` times, and count once all has drained."""
    random = Random(seed)
    aftermath = Aftermath()
    with stack_over(folder / "home", restarts=True) as stack:
        environment = _agents_environment(stack, folder)
        agents = [Agent(number, folder, environment) for number in range(AGENTS)]
        until(lambda: all(agent.is_at_work for agent in agents), "the agents' first records", within_s=QUIET_S)
        born = dict.fromkeys(PARTS, time.monotonic())
        while sum(aftermath.kills.values()) < kills:
            time.sleep(random.uniform(*PAUSE_S))
            for agent in agents:
                if agent.process.poll() is not None:  # it found no gateway when it began: whoever runs agents starts them again
                    agent.start()
            part, agent = random.choice(PARTS), random.choice(agents)
            if part == "agent":
                if not agent.is_at_work:
                    continue
                agent.kill()
                agent.start()
            elif time.monotonic() - born[part] < ALIVE_S_MIN or not _kill(stack, part):
                continue
            else:
                born[part] = time.monotonic()
            aftermath.kills[part] += 1
        for agent in agents:
            agent.kill()
        _wait_until_answering(stack)
        _send_what_is_left(environment)
        _wait_until_drained(stack)
        aftermath.examination = examine(stack.home, now=time.time_ns() // 1000)
        aftermath.returned = {UUID(line) for agent in agents for line in agent.told.read_text().split() if len(line) == 36}
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
