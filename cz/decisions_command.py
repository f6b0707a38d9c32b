"""`cz decisions`: the decisions of a project, with the pages' filters, as they come in or as JSON."""

from datetime import UTC
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.text import Text

from controlzero.secrets_on_disk import as_kept
from cz.display import console, visible
from cz.home import Home
from cz.listing import FollowOption, JsonOption, LimitOption, PeriodOption, Row, as_json, newest, short_id, show_lines
from cz.opening import ProjectOption, Reading, chosen_project, control_plane
from cz.up_command import HomeOption
from warehouse.snapshot import Warehouse

STYLES = {"allow": "green", "deny": "red", "warn": "yellow", "audit": "cyan"}
STANDINGS = Literal["allow", "warn", "audit", "deny", "deny_logged", "deny_unenforced", "unevaluated"]
HEADER = f"{'time (UTC)':<19} {'id':<8} {'verdict':<19} {'agent':<18} action  resource  rule  findings"


def many(meaning: str) -> Parameter:
    """Return the option of a filter that takes several values."""
    return Parameter(consume_multiple=True, negative="", help=f"{meaning}; several may be named")


def decisions(
    *,
    project: ProjectOption = None,
    standing: Annotated[list[STANDINGS] | None, many("What became of it: the verdict under its mode")] = None,
    agent: Annotated[list[str] | None, many("Agents by id, such as `support-bot`")] = None,
    action: Annotated[list[str] | None, many("Actions, such as `llm:generate`")] = None,
    resource: Annotated[list[str] | None, many("Resources, such as `model/gpt-5.4`")] = None,
    rule: Annotated[list[str] | None, many("Deciding rules by id")] = None,
    mode: Annotated[list[Literal["enforce", "log-only", "off"]] | None, many("Modes it was made under")] = None,
    finding: Annotated[list[str] | None, many("What was found in it: `email`, `payment_card`, … or a kind of drift")] = None,
    session: Annotated[list[str] | None, many("Sessions by id")] = None,
    search: Annotated[
        str,
        Parameter(name=["--search", "-q"], help="Text in any field, within the period; what is personal in it is searched for by its mask"),
    ] = "",
    last_minutes: PeriodOption = 1_440,
    limit: LimitOption = 50,
    follow: FollowOption = False,
    json: JsonOption = False,
    home: HomeOption = None,
) -> None:
    """List a project's decisions, newest last; with --follow, as they land.

    `deny_logged` is a denial that log-only did not enforce; `deny` one that was. The id's end is shown; `--json` has all of it.

    Example:  cz decisions --project default --standing deny deny_logged --follow
    """
    where = Home.named(home)
    filters: dict[str, Any] = {
        "standing": standing or [],
        "agent": agent or [],
        "action": action or [],
        "resource": resource or [],
        "rule": rule or [],
        "mode": mode or [],
        "finding": finding or [],
        "session": session or [],
        "bundles": [],
        "candidate": "",
        "change": "",
        "older_than_at": None,
        "older_than_id": None,
    }
    with control_plane(Reading(home=where.path)) as plane:
        project = chosen_project(plane, project)
    filters["q"] = as_kept(where.path, project, search)
    reader = Warehouse.open(where.ledger).session(project)
    rows = newest(reader, "decisions_page", filters, key="decision_id", last_minutes=last_minutes, limit=limit, follow=follow)
    if json:
        for row in rows:
            print(as_json(row), flush=True)
    elif not show_lines(HEADER, map(_line, rows)):
        console.print(f"No decisions match in the last {last_minutes:,} minutes. A longer period: --last-minutes 20160", style="dim")


def _line(row: Row) -> Text:
    verdict = row["shown_verdict"] or "unevaluated"
    logged_only = verdict == "deny" and row["effect"] != "deny"
    said = f"{verdict} (logged only)" if logged_only and row["mode"] == "log-only" else verdict
    if row["reason_code"] == "order":  # the policy's verdict may be another: it is a kill switch that denied
        said, verdict = "denied by an order", "deny"
    found = " ".join([*(row["finding_types"] or ()), *(row["drift_kinds"] or ())])
    return Text.assemble(
        (f"{row['occurred_at'].astimezone(UTC):%Y-%m-%d %H:%M:%S} {short_id(row['decision_id'])} ", "dim"),
        (f"{said:<19} ", STYLES.get(verdict, "dim")),
        f"{visible(row['agent_id'] or '—'):<18} {visible(row['action'])}  ",
        (visible(f"{row['resource'] or '—'}  {row['rule_id'] or row['reason_code'] or '—'}  "), "dim"),
        (visible(found), "magenta"),
    )
