"""`cz kill`: whom it stops, what it asks first, what it says and what it refuses."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlzero.errors import Rejected
from cz import control_log, kill_command, projects
from tests.ledgers import grown_home

Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `cz kill` over a data folder with a project `demo`, and return what it printed."""
    home = ("--home", str(tmp_path / "home"))
    projects.app(["create", "demo", *home], result_action="return_value", exit_on_error=False)
    capsys.readouterr()

    def run(*tokens: str, app: Any = kill_command.app) -> str:
        app([*tokens, *home], result_action="return_value", exit_on_error=False)
        return capsys.readouterr().out

    return run


def in_force(run: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("--list", "--json"))
    return found


def test_an_agent_is_stopped_and_the_order_is_listed_until_it_is_lifted(run: Run) -> None:
    said = run("--agent", "bot", "--reason", "it spends", "--as", "ada")
    (order,) = in_force(run)
    assert (order["project_id"], order["agent_id"], order["reason"], order["issued_by"]) == ("demo", "bot", "it spends", "ada")
    assert f"cz kill --lift {order['order_id']}" in said
    listed = run("--list")
    assert "agent bot of project demo" in listed
    assert "it spends" in listed
    assert "judged by policy and mode alone" in run("--lift", order["order_id"], "--reason", "mended", "--as", "bob")
    assert in_force(run) == []
    log = run("--project", "demo", app=control_log.app)
    assert "order.lifted" in log
    assert "mended" in log


def test_a_whole_project_is_stopped(run: Run) -> None:
    thrown = json.loads(run("--all-agents", "--reason", "breach", "--json"))
    assert thrown["changed"]
    assert (thrown["order"]["project_id"], thrown["order"]["agent_id"]) == ("demo", None)


def test_everything_is_stopped_once_it_is_confirmed(run: Run) -> None:
    with pytest.raises(Rejected, match="confirmed"):
        run("--everything", "--reason", "breach")
    assert in_force(run) == []
    run("--everything", "--reason", "breach", "--yes")
    (order,) = in_force(run)
    assert (order["project_id"], order["agent_id"]) == (None, None)


def test_a_second_order_for_the_same_says_that_there_is_one(run: Run) -> None:
    run("--agent", "bot", "--reason", "it spends")
    assert "stopped already" in run("--agent", "bot", "--reason", "again")
    assert len(in_force(run)) == 1


def test_where_governance_is_off_it_says_that_nothing_is_stopped(run: Run) -> None:
    from cz import modes

    run("set", "off", "--yes", app=modes.app)
    assert "there an order stops nothing" in run("--agent", "bot", "--reason", "it spends")


def test_an_id_that_no_agent_has_is_stopped_and_said_to_be_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = grown_home(tmp_path / "home", now_us=time.time_ns() // 1000, per_day=5).home

    def kill(agent: str) -> str:
        tokens = ["--agent", agent, "--reason", "it spends", "--project", "default", "--home", str(home)]
        kill_command.app(tokens, result_action="return_value", exit_on_error=False)
        return " ".join(capsys.readouterr().out.split())

    unknown = "No agent trading-agnet acted in project default in the last 14 days; did you mean trading-agent?"
    assert unknown in kill("trading-agnet")
    assert "No agent" not in kill("trading-agent")


def test_without_any_order_it_says_so(run: Run) -> None:
    assert "No order is in force" in run("--list")


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        ((), "nothing to do"),
        (("--agent", "bot"), "no reason"),
        (("--agent", "bot", "--all-agents", "--reason", "x"), "--agent and --all-agents"),
        (("--everything", "--project", "demo", "--reason", "x", "--yes"), "--all-agents --project"),
        (("--lift", "ord_nothing"), "in force: none"),
        (("--agent", "bot", "--reason", "x" * 301), "expected 1 to 300"),
        (("--agent", "bot", "--project", "nothing", "--reason", "x"), "nothing"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(run: Run, tokens: tuple[str, ...], told: str) -> None:
    with pytest.raises(Rejected, match=told):
        run(*tokens)
    assert in_force(run) == []


def test_what_an_enforcement_gap_leads_to_can_be_set(run: Run) -> None:
    assert "recorded and alerted" in run("show", app=projects.app)
    assert "its agent is stopped" in run("set", "--on-enforcement-gap", "stop_agent", app=projects.app)


def test_an_order_that_the_log_did_not_take_promises_no_seconds(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr("topics.kafka_clients.ADMIN_S_MAX", 0.1)
    monkeypatch.setenv("KAFKA_DELIVERY_TIMEOUT_MS", "1000")
    said = run("--agent", "bot", "--reason", "it spends")
    assert "agents are told when the log takes it again" in said
    assert "two seconds" not in said
    assert "Kafka at" not in said  # that is for standard error: a program may read what a command prints
