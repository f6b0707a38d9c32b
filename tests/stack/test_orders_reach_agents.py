"""A kill switch, from the command line to a running agent: gateway, agent and command are processes of their own."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import pytest

from controlplane.model import ProjectSettings
from controlplane.service import ControlPlane
from controlzero.ids import new_id
from controlzero.records import encode_record
from controlzero.testing import a_decision
from tests.environments import without_ours
from tests.gateways import RunningGateway, running_gateway, wait_until_ready
from tests.stacks import cz, last_json, stack_over
from topics.sqlite import SqliteLog

POLICY = {"name": "open", "rules": [{"effect": "allow", "action": "llm:*"}]}
REACHES_S_MAX = 2.0  # from the end of `cz kill`, which published the order, to the first call that is denied
WAITS_S_MAX = 30.0
AGENT = """
import json, sys, controlzero
cz = controlzero.Client(agent_id=sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    decision = cz.guard("llm", "generate")
    print(json.dumps([decision.allowed, decision.reason_code, decision.reason, decision.verdict]), flush=True)
cz.close(0)
"""


@dataclass(frozen=True)
class Agent:
    """An agent that makes a call whenever it is asked to."""

    asked: IO[str]
    answers: IO[str]

    def call(self) -> tuple[bool, str, str, str]:
        self.asked.write("\n")
        self.asked.flush()
        allowed, code, reason, verdict = json.loads(self.answers.readline())
        return allowed, code, reason, verdict

    def is_soon(self, *, allowed: bool, within_s: float = REACHES_S_MAX) -> bool:
        """Call until the answer is `allowed`, for as long as is given."""
        give_up_at = time.monotonic() + within_s
        while self.call()[0] is not allowed:
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.01)
        return True


@contextmanager
def an_agent(home: Path, url: str, key: str, name: str) -> Iterator[Agent]:
    environment = without_ours() | {
        "CONTROLZERO_API_KEY": key,
        "CONTROLZERO_BASE_URL": url,
        "CONTROLZERO_SPOOL": str(home / f"spool-{name}"),
    }
    command = [sys.executable, "-c", AGENT, name]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Agent(process.stdin, process.stdout)
        process.stdin.close()


@pytest.fixture
def key(tmp_path: Path) -> str:
    """Make a log-only project with a policy, and a key for its agents."""
    with closing(SqliteLog(tmp_path / "log.db")) as log, ControlPlane(tmp_path, log) as plane:
        plane.create_project("shop", actor="test")
        plane.apply_policy("shop", POLICY, actor="test")
        return plane.create_key(["shop"], actor="test")[0]


@pytest.fixture
def gateway(tmp_path: Path, key: str) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path) as gateway:
        wait_until_ready(gateway)
        yield gateway


def test_a_kill_switch_stops_its_agent_within_two_seconds_and_no_other_until_it_is_lifted(gateway: RunningGateway, key: str) -> None:
    with an_agent(gateway.home, gateway.url, key, "bot") as bot, an_agent(gateway.home, gateway.url, key, "other") as other:
        assert bot.call()[0]
        thrown = last_json(cz(gateway.home, "kill", "--agent", "bot", "--reason", "it spends", "--json"))
        assert bot.is_soon(allowed=False)
        assert bot.call() == (False, "order", "it spends", "allow")
        assert other.call()[0]
        last_json(cz(gateway.home, "kill", "--everything", "--reason", "breach", "--yes", "--json"))
        assert other.is_soon(allowed=False)
        assert other.call() == (False, "order", "breach", "allow")
        for order in json.loads(cz(gateway.home, "kill", "--list", "--json").stdout):
            last_json(cz(gateway.home, "kill", "--lift", order["order_id"], "--json"))
        assert thrown["order"]["order_id"]
        assert bot.is_soon(allowed=True)
        assert other.is_soon(allowed=True)


def test_orders_are_handed_out_while_the_control_planes_database_is_gone(gateway: RunningGateway, key: str) -> None:
    last_json(cz(gateway.home, "kill", "--all-agents", "--reason", "breach", "--json"))
    for file in gateway.home.glob("control.db*"):
        file.unlink()
    with an_agent(gateway.home, gateway.url, key, "bot") as bot:
        assert bot.is_soon(allowed=False)


def test_an_agent_stays_stopped_without_its_gateway_and_after_a_start_without_it(tmp_path: Path, key: str) -> None:
    with running_gateway(tmp_path) as gateway:
        wait_until_ready(gateway)
        with an_agent(gateway.home, gateway.url, key, "bot") as bot:
            last_json(cz(tmp_path, "kill", "--agent", "bot", "--reason", "it spends", "--json"))
            assert bot.is_soon(allowed=False)
            gateway.process.kill()
            gateway.process.wait(WAITS_S_MAX)
            assert not bot.call()[0]
    with an_agent(gateway.home, gateway.url, key, "bot") as again:
        assert again.call() == (False, "order", "it spends", "allow")


def test_an_agent_that_lets_through_what_is_denied_is_stopped_where_the_project_asks_for_it(tmp_path: Path, key: str) -> None:
    with closing(SqliteLog(tmp_path / "log.db")) as log, ControlPlane(tmp_path, log) as plane:
        plane.set_mode("shop", "enforce", actor="test")
        plane.set_project("shop", ProjectSettings(on_enforcement_gap="stop_agent"), actor="test")
    with (
        stack_over(tmp_path) as stack,
        an_agent(tmp_path, stack.api_url, key, "bot") as bot,
        an_agent(tmp_path, stack.api_url, key, "other") as other,
    ):
        assert bot.call()[0]
        now = time.time_ns() // 1000
        gap = a_decision(decision_id=new_id(now), occurred_at=now, action="shell:run", mode="enforce", effect="allow", agent_id="bot")
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"}
        answer = httpx.post(f"{stack.api_url}/v1/decisions", content=encode_record(gap) + b"\n", headers=headers, trust_env=False)
        assert answer.json()["accepted"] == 1
        assert bot.is_soon(allowed=False, within_s=WAITS_S_MAX)
        _, code, reason, verdict = bot.call()
        assert (code, verdict) == ("order", "allow")
        assert "finding" in reason
        assert other.call()[0]
