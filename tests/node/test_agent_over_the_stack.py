"""Agents in Node against the product: what they decide lands, judged alike; what they record survives them."""

import json
import random
import re
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controlplane.service import ControlPlane
from cz.up import Stack
from tests.node_sdk import an_agent
from tests.stacks import cz, last_json
from tests.waiting import until
from topics.sqlite import SqliteLog

RULES = [
    {"id": "no-shell", "effect": "deny", "action": "shell:*"},
    {"id": "trying", "effect": "deny", "action": "mail:*", "mode": "log-only"},
    {"id": "no-evil", "effect": "deny", "action": "send", "conditions": {"args.to": "*@evil.test"}},
    {"id": "gold", "effect": "warn", "action": "refund:*", "conditions": {"tier": "gold", "args.amount": {"gt": 100}}},
    {"id": "rest", "effect": "allow", "action": "*"},
]
REACHES_S_MAX = 5.0
RECORDED_BYTES_MIN = 30 * 37  # ids of decisions that an agent has told before it may be killed


@dataclass(frozen=True)
class Shop:
    """A project of a running product, and how an agent reaches it."""

    stack: Stack
    project: str
    environment: dict[str, str]

    def decisions(self, count: int) -> list[dict[str, Any]]:
        """Return the decisions that have landed once they are so many."""
        return until(lambda: self._landed(count), f"{count} landed decisions")

    def producer(self, producer_id: str) -> dict[str, Any]:
        """Return what the doctor counts of a producer that has ended."""
        return until(lambda: self._closed(producer_id), "its end in the account")

    def _landed(self, count: int) -> list[dict[str, Any]] | None:
        done = cz(self.stack.home.path, "decisions", "--project", self.project, "--json", "--limit", "10000")
        landed = [json.loads(line) for line in done.stdout.splitlines()]
        return landed if len(landed) >= count else None

    def _closed(self, producer_id: str) -> dict[str, Any] | None:
        found = last_json(cz(self.stack.home.path, "doctor", "--json"))["projects"].get(self.project, {}).get("producers", {})
        one: dict[str, Any] | None = found.get(producer_id)
        return one if one is not None and one["end"] == "closed" else None


@pytest.fixture
def shop(stack: Stack, tmp_path: Path, request: pytest.FixtureRequest, sdk: Path) -> Shop:
    """Make a project that enforces, and a key for its agents."""
    project = request.node.name.removeprefix("test_").replace("_", "-")[:40]
    home = stack.home.path
    with closing(SqliteLog(home / "log.db")) as log, ControlPlane(home, log) as plane:
        plane.create_project(project, actor="test")
        plane.apply_policy(project, {"name": "starter", "rules": RULES}, actor="test")
        plane.set_mode(project, "enforce", actor="test", why="the test says so")
        key = plane.create_key([project], actor="test")[0]
    environment = {"CONTROLZERO_API_KEY": key, "CONTROLZERO_BASE_URL": stack.api_url, "CONTROLZERO_SPOOL": str(tmp_path / "spool")}
    return Shop(stack, project, environment)


def test_what_is_decided_lands_and_is_judged_alike_from_the_record(shop: Shop, tmp_path: Path) -> None:
    with an_agent(shop.environment, agentId="bot", userId="ann@example.com") as agent:
        said = [
            agent.do("enforce", {"action": "llm.generate", "resource": "model/gpt-4"}),
            agent.do("enforce", {"action": "shell.run", "args": {"command": "mail bob@example.com"}}),
            agent.do("enforce", {"action": "send", "args": {"to": "bob@evil.test"}}),
            agent.do("guard", {"tool": "mail", "method": "send", "args": {"to": "bob@example.com"}}),
            agent.do("guard", {"tool": "refund", "method": "pay", "args": {"amount": 5000}, "context": {"tier": "gold"}}),
            agent.do("guard", {"tool": "refund", "method": "pay", "args": {"amount": 50}, "context": {"tier": "gold"}}),
        ]
        assert [(each["ruleId"], each["allowed"], each["mode"]) for each in said] == [
            ("rest", True, "enforce"), ("no-shell", False, "enforce"), ("no-evil", False, "enforce"),
            ("trying", True, "log-only"), ("gold", True, "enforce"), ("rest", True, "enforce"),
        ]  # fmt: skip
        assert said[1]["denied"] == "shell:run is denied: rule `no-shell` of policy `starter` says deny"
        producer = agent.do("producer")
        assert agent.do("guarded", {"tool": "shell", "method": "run"}) == "PolicyDeniedError"
        assert agent.do("guarded", {"tool": "search"}) == "carried out"
        assert agent.end() == 0
    landed = shop.decisions(8)
    assert [each["decision_id"] for each in landed[:6]] == [each["decisionId"] for each in said]
    assert [(each["shown_verdict"], each["rule_id"], each["reason"]) for each in landed[:6]] == [
        (each["verdict"], each["ruleId"], each["reason"]) for each in said
    ]
    assert all("judged" not in type_ and type_ != "enforcement_gap" for each in landed for type_ in each["finding_types"])
    counted = shop.producer(producer)
    assert counted["balanced"]
    assert (counted["received"], counted["landed"], counted["missing"], counted["quarantined"]) == (12, 12, 0, 0)  # 8 decisions, 4 outcomes
    assert not any(
        b"example.com" in path.read_bytes() or b"evil.test" in path.read_bytes() for path in (tmp_path / "spool").rglob("*.records")
    )


def test_what_agents_recorded_that_were_killed_at_any_moment_is_brought_by_the_next(shop: Shop, tmp_path: Path) -> None:
    told, moments = tmp_path / "told", random.Random("killed")
    told.touch()
    for _ in range(4):
        with an_agent(shop.environment, agentId="bot") as agent:
            agent.start("until killed", str(told))
            until(partial(grown, told, told.stat().st_size + RECORDED_BYTES_MIN), "records")
            time.sleep(moments.uniform(0, 0.4))
            agent.kill()
    with an_agent(shop.environment, agentId="bot") as agent:
        last = agent.do("guard", {"tool": "last"})["decisionId"]
        ids = {*told.read_text().split(), last}
        landed = until(lambda: having(ids, shop.decisions(len(ids))), "all that was told")
        producer = agent.do("producer")
        assert agent.do("close") is True
        assert agent.end() == 0
    assert len(ids) > 100
    assert len(landed) == len({each["decision_id"] for each in landed})
    assert len(ids) <= len(landed) <= len(ids) + 4  # each agent may have been killed between its record and its word
    assert shop.producer(producer)["missing"] == 0
    found = last_json(cz(shop.stack.home.path, "doctor", "--json"))["projects"][shop.project]
    assert found["balanced"]
    assert (found["gaps"], found["missing"], found["quarantined"]) == (0, 0, 0)
    assert len(found["producers"]) == 5
    assert not any(path.suffix == ".records" for path in (tmp_path / "spool").rglob("*"))


def grown(path: Path, size: int) -> bool:
    return path.stat().st_size > size


def having(ids: set[str], decisions: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    return decisions if ids <= {each["decision_id"] for each in decisions} else None


def test_a_kill_switch_and_a_mode_reach_a_running_agent(shop: Shop) -> None:
    home = shop.stack.home.path
    with an_agent(shop.environment, agentId="bot") as agent:
        assert agent.do("guard", {"tool": "search"})["allowed"]
        last_json(cz(home, "kill", "--project", shop.project, "--agent", "bot", "--reason", "it spends", "--json"))
        stopped = until(lambda: None if (said := agent.do("guard", {"tool": "search"}))["allowed"] else said, within_s=REACHES_S_MAX)
        assert (stopped["reasonCode"], stopped["reason"], stopped["verdict"]) == ("order", "it spends", "allow")
        assert agent.do("guard", {"tool": "search", "agentId": "other"})["allowed"]
        assert cz(home, "mode", "set", "log-only", "--project", shop.project, "--yes").returncode == 0
        until(lambda: agent.do("mode") == "log-only", "log-only", within_s=REACHES_S_MAX)
        said = agent.do("enforce", {"action": "shell.run", "agentId": "other"})
        assert (said["allowed"], said["effect"], said["verdict"]) == (True, "allow", "deny")
        assert agent.end() == 0


def test_secrets_reach_an_agent_whose_key_may_read_them_and_no_record(shop: Shop, tmp_path: Path) -> None:
    home = shop.stack.home.path
    with closing(SqliteLog(home / "log.db")) as log, ControlPlane(home, log) as plane:
        plane.set_secret(shop.project, "STRIPE_KEY", "a secret of the shop", actor="test")
        narrow = plane.create_key([shop.project], actor="test", scopes=["decisions:write", "bundle:read", "session:read"])[0]
    with an_agent(shop.environment, secretsEnabled=True) as agent:
        assert agent.do("secret", "STRIPE_KEY") == "a secret of the shop"
        agent.do("guard", {"tool": "search", "context": {"resource": "q/a secret of the shop!"}})
        assert agent.do("close") is True
        assert agent.end() == 0
    (landed,) = shop.decisions(1)
    assert re.fullmatch(r"q/\[vault_secret:[a-p]{10}\]!", landed["resource"])
    with (
        pytest.raises(AssertionError, match="secrets:read"),
        an_agent(shop.environment | {"CONTROLZERO_API_KEY": narrow}, secretsEnabled=True),
    ):
        pass
    spool = tmp_path / "spool"
    assert [path for path in spool.rglob("*") if path.is_file() and b"a secret of the shop" in path.read_bytes()] == []
