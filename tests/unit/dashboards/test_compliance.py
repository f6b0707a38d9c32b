import csv
import io
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from controlplane.model import LogEntry, Project, ProjectSettings
from controlplane.service import ControlPlane
from dashboards.compliance import NO_DATA, SYSTEM_ACTORS, Evidence, Report, flat_rows, report_of
from dashboards.control_log import cells
from dashboards.counting import Totals
from dashboards.desk import Asked, Desk
from dashboards.report import report_csv, report_pdf
from dashboards.views.compliance import make_report
from dashboards.window import window_of
from tests.ledgers import HOSTILE_AGENT
from topics.sqlite import SqliteLog

NOW = datetime(2026, 11, 20, 14, 7, tzinfo=UTC)
PROJECT = Project(
    project_id="p", name="P", mode="enforce", version=1, bundle_digest="b", policy_digest="d", candidates=(), on_stale="keep", on_unrecordable="go_on",
    bundle_days=None, retention_days={}, webhook_url=None, created_at=int((NOW - timedelta(days=3)).timestamp() * 1e6),
)  # fmt: skip
NOTHING = Evidence(totals=Totals(), agents=(), in_force=(), carried_out=(), found=(), producers=(), speakers=(), versions=(), changes=())


def report(evidence: Evidence, *, now: datetime = NOW) -> Report:
    return report_of(evidence, project=PROJECT, window=window_of("24h", now=now), made_at=NOW, made_by="tester", ledger_version=3)


def whole_report(desk: Desk) -> Report:
    asked = Asked(project_id="default", range_name="14d", custom_from_at=None, custom_until_at=None, is_live=False, scheme="light")
    with desk.look(asked) as view:
        return make_report(view, whole=True)


def test_figures_without_data_say_so_and_are_never_zero() -> None:
    figures = {name: value for name, value, _ in report(NOTHING).figures}
    assert figures.pop("changes by people") == 0  # the control log was there, and nobody changed anything
    assert set(figures.values()) == {NO_DATA}


def test_sections_without_data_say_so() -> None:
    sections = {section.title: section.absent or "" for section in report(NOTHING).sections}
    assert sections.pop("Changes by people") == "nobody changed anything"
    assert sections.pop("Exports and looks at raw data") == "nobody took out or looked at anything"
    assert all(absent.startswith(NO_DATA) for absent in sections.values())


def test_before_the_project_existed_even_changes_are_unknown() -> None:
    made = report(NOTHING, now=NOW - timedelta(days=30))
    assert {name: value for name, value, _ in made.figures}["changes by people"] == NO_DATA


def test_none_found_is_said_only_of_decisions_that_were_looked_at() -> None:
    looked = Evidence(
        totals=Totals(by_standing={"allow": 40}),
        agents=(),
        in_force=(),
        carried_out=(),
        found=(),
        producers=(),
        speakers=(),
        versions=(),
        changes=(),
    )
    section = next(each for each in report(looked).sections if each.title == "Personal data and secrets")
    assert section.absent == "none found in 40 decisions"


def test_a_missing_outcome_is_unknown_and_no_denial() -> None:
    row: dict[str, Any] = {"verdict": "allow", "mode": "enforce", "effect": "allow", "carried_out": None, "decisions": 5}
    evidence = Evidence(
        totals=Totals(by_standing={"allow": 5}),
        agents=(),
        in_force=(),
        carried_out=(row,),
        found=(),
        producers=(),
        speakers=(),
        versions=(),
        changes=(),
    )
    section = next(each for each in report(evidence).sections if each.title.startswith("Verdicts"))
    assert section.rows == (("allow", 5, 0, 0, 5),)


def test_the_csv_holds_every_value_of_the_report(grown_desk: Desk) -> None:
    made = whole_report(grown_desk)
    rows = list(csv.DictReader(io.StringIO(report_csv(made).decode(), newline="")))
    assert len(rows) == len(flat_rows(made)) > 50
    assert {row["section"] for row in rows} >= {section.title for section in made.sections}


def test_no_two_rows_of_the_csv_have_the_same_key_and_numbers_are_plain(grown_desk: Desk) -> None:
    rows = list(csv.DictReader(io.StringIO(report_csv(whole_report(grown_desk)).decode(), newline="")))
    keys = [(row["section"], row["row"], row["what"]) for row in rows]
    assert len(keys) == len(set(keys))
    numbers = [row["value"] for row in rows if row["what"] == "decisions" or (row["section"], row["row"]) == ("Figures", "decisions")]
    assert any(int(number) >= 100 for number in numbers)
    assert all(number.isdigit() for number in numbers)


def test_a_kind_of_personal_data_is_one_line_whatever_its_severities() -> None:
    row: dict[str, Any] = {"type": "pii", "detail": "email", "severities": ["warning", "info"], "findings": 1_200, "agents": 2}
    looked = replace(NOTHING, totals=Totals(by_standing={"allow": 40}), found=(row,))
    section = next(each for each in report(looked).sections if each.title == "Personal data and secrets")
    assert section.rows == (("email", "personal data", "warning and info", 1_200, 2),)


def test_what_the_product_did_by_itself_is_no_change_by_people() -> None:
    at = int((NOW - timedelta(hours=1)).timestamp() * 1e6)
    entries = tuple(
        LogEntry(entry_id=i, at=at, actor=actor, action=action, project_id="p", subject="s", from_value=None, to_value=None, why=None)
        for i, (actor, action) in enumerate([("first run", "policy.applied"), ("ada", "mode.set"), ("ada", "export.decisions")])
    )
    made = report(replace(NOTHING, changes=entries))
    assert {name: value for name, value, _ in made.figures}["changes by people"] == 1
    assert {section.title: [row[2] for row in section.rows] for section in made.sections}["Changes by people"] == ["mode.set"]
    assert {section.title: [row[2] for row in section.rows] for section in made.sections}["Exports and looks at raw data"] == [
        "export.decisions"
    ]


def test_the_names_of_the_product_itself_are_those_the_control_plane_writes(tmp_path: Path) -> None:
    at = [1_000_000]
    with closing(SqliteLog(tmp_path / "log.db")) as log, ControlPlane(tmp_path, log, clock=lambda: at[0]) as plane:
        plane.ensure_default_project()
        plane.set_project("default", ProjectSettings(bundle_days=1), actor="ada")
        at[0] += 80_000_000_000
        assert plane.renew_bundles() == 1
        actors = {entry.actor for entry in plane.control_log("default")}
    assert actors - SYSTEM_ACTORS == {"ada"}
    assert actors >= SYSTEM_ACTORS


def test_a_running_producer_is_not_counted_among_those_not_proven() -> None:
    sums = {"received": 5, "landed": 5, "duplicate": 0, "quarantined": 0, "missing": 0, "lost": 0, "total": 5, "last_seq": 5, "closed": False, "started_at": NOW - timedelta(hours=9)}  # fmt: skip
    running = {**sums, "producer_id": "r", "last_at": NOW - timedelta(seconds=30)}
    silent = {**sums, "producer_id": "s", "last_at": NOW - timedelta(hours=8)}
    speakers = ({"producer_id": "r", "agent_id": "support-bot", "agents": 1},)
    made = report(replace(NOTHING, producers=(running, silent), speakers=speakers))
    assert ("producers not proven complete", 1, "of 2 producers, 1 still running") in made.figures
    section = next(each for each in made.sections if each.title == "Completeness")
    assert section.rows[0][:3] == ("support-bot, since 2026-11-20 05:07", "r", "still running, last seen 30 s ago")
    assert section.rows[1][0] == "agent without a name, since 2026-11-20 05:07"


def test_no_cell_of_the_csv_begins_as_a_formula(grown_desk: Desk) -> None:
    rows = list(csv.reader(io.StringIO(report_csv(whole_report(grown_desk)).decode(), newline="")))
    assert any(HOSTILE_AGENT in cell for row in rows for cell in row)
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_the_pdf_is_one_and_names_of_agents_are_no_typst(grown_desk: Desk) -> None:
    pdf = report_pdf(whole_report(grown_desk))
    assert pdf.startswith(b"%PDF-")
    assert len(pdf) > 20_000


@pytest.mark.parametrize("name", ["#panic()", "$x$", "*b* _i_ `c`", "[x](y)", '#read("/etc/passwd")', "\u202e"])
def test_any_text_can_be_printed(name: str) -> None:
    row: dict[str, Any] = {
        "agent_id": name, "decisions": 1, "denied": 0, "let_through": 0, "noted": 0, "unevaluated": 0, "first_at": NOW, "last_at": NOW,
    }  # fmt: skip
    evidence = Evidence(
        totals=Totals(by_standing={"allow": 1}),
        agents=(row,),
        in_force=(),
        carried_out=(),
        found=(),
        producers=(),
        speakers=(),
        versions=(),
        changes=(),
    )
    assert report_pdf(report(evidence)).startswith(b"%PDF-")


def test_the_same_report_is_the_same_pdf() -> None:
    assert report_pdf(report(NOTHING)) == report_pdf(report(NOTHING))


def test_of_a_change_is_said_which_side_has_the_value() -> None:
    entry = LogEntry(
        entry_id=1, at=0, actor="ada", action="secret.set", project_id="p", subject="s", from_value=None, to_value="version 1", why=None
    )
    assert cells(entry)[4] == "— → version 1"
    assert cells(structs.replace(entry, from_value="version 1", to_value=None))[4] == "version 1 → —"
    assert cells(structs.replace(entry, from_value="version 1", to_value="version 2"))[4] == "version 1 → version 2"
    assert cells(structs.replace(entry, to_value=None))[4] == ""
