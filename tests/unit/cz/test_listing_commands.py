"""The commands that list what has landed: decisions and quarantined lines, for people, for programs, and as they land."""

import json
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import pytest

from controlplane.service import ControlPlane
from controlzero.errors import Rejected
from controlzero.pii import redact_text
from controlzero.records import BundleState
from controlzero.secrets_on_disk import master_key, project_key
from cz import control_log
from cz.__main__ import command_line
from cz.display import visible
from cz.doctor import BUNDLE_STATES, Check, examine
from cz.home import Home
from cz.listing import newest
from topics.sqlite import SqliteLog
from warehouse.columns import rows_table
from warehouse.kinds import Finding, Quarantined
from warehouse.lander import Lander, Landing
from warehouse.snapshot import Warehouse
from warehouse.testing import a_landing, an_app_id, decision_id, ids

HOSTILE = "agent\x1b[2J\u202e"
Run = Callable[..., str]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A data folder with three messages landed a moment ago, and beside them a line that could not be taken."""
    home = Home(tmp_path / "home")
    home.path.mkdir()
    log = SqliteLog(home.log)
    with ControlPlane(home.path, log) as plane:
        plane.create_project("default", actor="ada")
    log.close()
    at = time.time_ns() // 1000 - 60_000_000
    lander = Lander(home.ledger, clock=lambda: at, new_id=ids())
    lander.land(a_landing(range(1, 4), at=at, agent_id=HOSTILE))
    spoilt = Quarantined(
        quarantine_id=decision_id(0, 4, 1), project_id="default", received_at=at, producer_id="p", seq=7, log_partition=0, log_offset=4,
        stage="ingest", code="not_json", path="$.args", reason="JSON is malformed", length=9_000, sha256="0" * 64,
        bytes=b'\x1b[2J\xff {"to": "zoe@example.com"}' + b"x" * 8_000,
    )  # fmt: skip
    lander.land(Landing(tables={"quarantine": rows_table("quarantine", [spoilt])}, offsets={an_app_id(): (4, 5)}))
    return home


@pytest.fixture
def run(home: Home, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command over the data folder and return what it printed."""

    def run(*tokens: str) -> str:
        command_line(tokens[0])([*tokens, "--home", str(home.path)], result_action="return_value", exit_on_error=False)
        return capsys.readouterr().out

    return run


def told(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def test_decisions_have_a_header_and_an_id_that_finds_them(run: Run) -> None:
    header, *lines = run("decisions", "--limit", "2").splitlines()
    assert header.split()[:5] == ["time", "(UTC)", "id", "verdict", "agent"]
    whole = [row["decision_id"] for row in told(run("decisions", "--limit", "2", "--json"))]
    assert [line.split()[2] for line in lines] == [identity[-8:] for identity in whole]


def test_a_name_an_agent_chose_is_nothing_a_terminal_obeys(run: Run) -> None:
    said = run("decisions") + run("quarantine")
    assert "agent\\x1b[2J\\u202e" in said
    assert said.replace("\n", "").isprintable()


def test_a_call_that_an_order_denied_says_so_whatever_the_policy_says(run: Run, home: Home) -> None:
    at = time.time_ns() // 1000 - 30_000_000
    lander = Lander(home.ledger, clock=lambda: at, new_id=ids(900))
    lander.land(a_landing(range(5, 6), at=at, agent_id="stopped", verdict="allow", effect="deny", reason_code="order"))
    assert "denied by an order" in run("decisions", "--agent", "stopped", "--limit", "1")


def test_a_person_is_found_by_the_mask_they_are_kept_as(run: Run, home: Home) -> None:
    at = time.time_ns() // 1000 - 30_000_000
    user, _ = redact_text("zoe@example.com", key=project_key(master_key(home.path), "default"), path="user_id")
    Lander(home.ledger, clock=lambda: at, new_id=ids(900)).land(a_landing(range(5, 6), at=at, user_id=user))
    found = told(run("decisions", "--search", "zoe@example.com", "--json"))
    assert {row["user_id"] for row in found} == {user}


def test_where_nothing_matches_no_header_is_shown(run: Run) -> None:
    assert run("decisions", "--action", "none:such").startswith("No decisions match")
    assert run("decisions", "--action", "none:such", "--json") == ""


def test_quarantine_says_why_where_and_how_the_line_begins(run: Run) -> None:
    header, line, begins = run("quarantine").splitlines()
    assert header.startswith("time (UTC)")
    assert line.split(maxsplit=4)[2:] == ["7", "9,000", "not_json at $.args: JSON is malformed (partition 0, offset 4)"]
    assert begins.strip().startswith('\\x1b[2J\\xff {"to": "[email:')
    assert begins.endswith("x…")
    assert "zoe" not in begins


def test_quarantine_as_json_is_what_people_see_with_the_whole_ids(run: Run) -> None:
    (row,) = told(run("quarantine", "--json"))
    assert (row["quarantine_id"], row["code"], row["seq"], row["length"]) == (decision_id(0, 4, 1), "not_json", 7, 9_000)
    assert "zoe" not in row["begins"]


def test_raw_writes_whole_lines_as_they_came_and_names_those_left_out(home: Home, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    line = b'{"to": "jane@example.com", "bad": \xff}'
    whole = Quarantined(
        quarantine_id=decision_id(0, 5, 1), project_id="default", received_at=time.time_ns() // 1000, producer_id="p", seq=8, log_partition=0, log_offset=5,
        stage="ingest", code="not_json", path="$", reason="JSON is malformed", length=len(line), sha256="0" * 64, bytes=line,
    )  # fmt: skip
    lander = Lander(home.ledger, clock=lambda: time.time_ns() // 1000, new_id=ids(900))
    lander.land(Landing(tables={"quarantine": rows_table("quarantine", [whole])}, offsets={an_app_id(): (5, 6)}))
    command_line("quarantine")(["quarantine", "--raw", "--home", str(home.path)], result_action="return_value", exit_on_error=False)
    out, err = capfdbinary.readouterr()
    assert out == line + b"\n"
    assert b"older ones" not in err
    assert b"left out: a line of 9,000 bytes" in err
    control_log.app(["--json", "--limit", "1", "--home", str(home.path)], result_action="return_value")
    assert json.loads(capfdbinary.readouterr().out)[0]["action"] == "quarantine.export"


def test_raw_writes_all_lines_unless_a_limit_is_named(home: Home, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    lines = [
        Quarantined(
            quarantine_id=decision_id(0, 5, number), project_id="default", received_at=time.time_ns() // 1000, producer_id="p", seq=number,
            log_partition=0, log_offset=5, stage="ingest", code="not_json", path="$", reason="no", length=2, sha256="0" * 64, bytes=b"no",
        )
        for number in range(60)
    ]  # fmt: skip
    lander = Lander(home.ledger, clock=lambda: time.time_ns() // 1000, new_id=ids(900))
    lander.land(Landing(tables={"quarantine": rows_table("quarantine", lines)}, offsets={an_app_id(): (5, 6)}))
    raw = ["quarantine", "--raw", "--home", str(home.path)]
    command_line("quarantine")(raw, result_action="return_value", exit_on_error=False)
    assert capfdbinary.readouterr().out == b"no\n" * 60
    command_line("quarantine")([*raw, "--limit", "7"], result_action="return_value", exit_on_error=False)
    out, err = capfdbinary.readouterr()
    assert out == b"no\n" * 7
    assert b"there may be older ones" in err


def test_who_looked_into_quarantine_is_in_the_control_log(run: Run, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    run("quarantine", "--as", "eve", "--why", "a sender complains")
    control_log.app(["--json", "--limit", "1", "--home", str(home.path)], result_action="return_value")
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["actor"], entry["action"], entry["why"]) == ("eve", "quarantine.read", "a sender complains")


def test_an_empty_quarantine_is_said_to_be(run: Run, home: Home) -> None:
    log = SqliteLog(home.log)
    with ControlPlane(home.path, log) as plane:
        plane.create_project("other", actor="ada")
    log.close()
    assert "Nothing of project other was put in quarantine" in run("quarantine", "--project", "other")


def test_following_shows_each_row_that_lands_once_and_none_from_before(home: Home) -> None:
    at = time.time_ns() // 1000
    reader = Warehouse.open(home.ledger).session("default")
    asked = {"bytes_max": 100}
    rows = newest(reader, "quarantine_begins", asked, key="quarantine_id", last_minutes=60, limit=1, follow=True)
    assert len(list(islice(rows, 1))) == 1
    lander = Lander(home.ledger, clock=lambda: at, new_id=ids(1_000))
    landing = a_landing(range(5, 12), at=at)
    lander.land(landing)
    offsets = [row["log_offset"] for row in landing.tables["quarantine"].to_pylist()]
    found = list(islice(rows, len(offsets)))
    assert [row["quarantine_id"].hex() for row in found] == [decision_id(0, offset, 1 << 14).replace("-", "") for offset in offsets]


def test_what_names_no_project_is_listed_with_its_place_and_who_looked_is_kept(run: Run, home: Home) -> None:
    spoilt = Quarantined(
        quarantine_id=decision_id(0, 6, 1), project_id="", received_at=time.time_ns() // 1000, producer_id=None, seq=None, log_partition=0,
        log_offset=6, stage="decode", code="foreign_message", path="", reason="no project is named", length=2, sha256="0" * 64, bytes=b"hi",
    )  # fmt: skip
    lander = Lander(home.ledger, clock=lambda: time.time_ns() // 1000, new_id=ids())
    lander.land(Landing(tables={"quarantine": rows_table("quarantine", [spoilt])}, offsets={an_app_id(): (5, 7)}))
    said = run("quarantine", "--no-project", "--as", "eve")
    assert "no project is named (partition 0, offset 6)" in said
    assert "not_json" not in said
    assert "no project is named" not in run("quarantine", "--project", "default")
    _, entry = json.loads(run("log", "--json", "--limit", "2"))
    assert (entry["actor"], entry["action"], entry["project_id"]) == ("eve", "quarantine.read", None)
    with pytest.raises(Rejected, match="leave --project out"):
        run("quarantine", "--no-project", "--project", "default")


@pytest.mark.parametrize("command", ["decisions", "quarantine"])
@pytest.mark.parametrize("option", ["--limit", "--last-minutes"])
def test_a_period_or_limit_of_nothing_is_refused(run: Run, command: str, option: str) -> None:
    with pytest.raises(Rejected, match="at least 1"):
        run(command, option, "0")


def test_what_is_visible_stays_as_it_is() -> None:
    assert visible("café/模型 [x]") == "café/模型 [x]"
    assert visible("a\tb\u200b\udc80") == "a\\tb\\u200b\\udc80"


def test_the_doctor_tells_how_things_stood_with_the_agents_bundles(home: Home) -> None:
    now = time.time_ns() // 1000
    lander = Lander(home.ledger, clock=lambda: now, new_id=ids())

    def bundles() -> Check:
        return next(check for check in examine(home, now=now + 1).checks if check.name == "bundles")

    def land(state: BundleState, offset: int) -> None:
        finding = Finding(
            finding_id=decision_id(0, offset, 1), project_id="default", received_at=now, occurred_at=now, type="drift", detail=f"bundle_{state}",
            severity="info", agent_id=f"bot-{state}", log_partition=0, log_offset=offset,
        )  # fmt: skip
        lander.land(Landing(tables={"finding": rows_table("finding", [finding])}, offsets={an_app_id(): (offset, offset + 1)}))

    assert (bundles().ok, bundles().found) == (True, "no agent of the last day judged by one that was not confirmed")
    assert BUNDLE_STATES.keys() == set(get_args(BundleState))
    land("unconfirmed", 5)
    assert (bundles().ok, bundles().found) == (True, f"agents in the last day: 1 {BUNDLE_STATES['unconfirmed']}")
    for offset, state in enumerate(("expired", "rollback_refused"), start=6):
        land(state, offset)  # type: ignore[arg-type]
    assert not bundles().ok
    assert f"1 {BUNDLE_STATES['rollback_refused']}" in bundles().found
    assert "--finding bundle_rollback_refused" in (bundles().next_step or "")
