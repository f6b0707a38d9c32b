"""`cz decisions`: the decisions of a project, with the pages' filters, as they come in or as JSON."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from controlzero.errors import Rejected
from cz import settings
from cz.home import Home
from cz.opening import ProjectOption, Reading, chosen_project, control_plane
from cz.up_command import HomeOption
from warehouse.snapshot import Session, Warehouse

FOLLOW_EVERY_S = 0.3
FOLLOW_BACK = timedelta(minutes=10)  # how late a decision may arrive and still be shown while following
FOLLOW_LIMIT = 1_000
STYLES = {"allow": "green", "deny": "red", "warn": "yellow", "audit": "cyan"}
STANDINGS = Literal["allow", "warn", "audit", "deny", "deny_logged", "deny_unenforced", "unevaluated"]

Many = Parameter(consume_multiple=True, negative="")


def decisions(
    *,
    project: ProjectOption = None,
    standing: Annotated[list[STANDINGS] | None, Many] = None,
    agent: Annotated[list[str] | None, Many] = None,
    action: Annotated[list[str] | None, Many] = None,
    resource: Annotated[list[str] | None, Many] = None,
    rule: Annotated[list[str] | None, Many] = None,
    mode: Annotated[list[Literal["enforce", "log-only", "off"]] | None, Many] = None,
    finding: Annotated[
        list[str] | None, Parameter(consume_multiple=True, negative="", help="email, payment_card, … or a drift kind")
    ] = None,
    session: Annotated[list[str] | None, Many] = None,
    search: Annotated[str, Parameter(name=["--search", "-q"], help="Text in any field, within the period")] = "",
    last_minutes: Annotated[int, Parameter(name=["--last-minutes", "-m"], help="The period, back from now")] = 1_440,
    limit: Annotated[int, Parameter(help="At most so many, newest last")] = 50,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="", help="Go on as they land, until Ctrl-C")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="One JSON object a line")] = False,
    home: HomeOption = None,
) -> None:
    """List a project's decisions, newest last; with --follow, as they land.

    `deny_logged` is a denial that log-only did not enforce; `deny` one that was.

    Example:  cz decisions --project default --standing deny deny_logged --follow
    """
    where = Home((home or settings.read().home).resolve())
    filters = {
        "standing": standing or [],
        "agent": agent or [],
        "action": action or [],
        "resource": resource or [],
        "rule": rule or [],
        "mode": mode or [],
        "finding": finding or [],
        "session": session or [],
        "q": search,
        "candidate": "",
        "change": "",
        "older_than_at": None,
        "older_than_id": None,
    }
    if limit < 1 or last_minutes < 1:
        raise Rejected("--limit and --last-minutes must be at least 1")
    with control_plane(Reading(home=where.path)) as plane:
        project = chosen_project(plane, project)
    reader = Warehouse.open(where.ledger).session(project)
    console = Console()
    shown = list(_page(reader, filters, since=timedelta(minutes=last_minutes), limit=limit))
    for row in shown:
        _print(row, console, as_json=as_json)
    if follow:
        _follow(reader, filters, {row["decision_id"] for row in shown}, console, as_json=as_json)
    elif not shown and not as_json:
        console.print(f"No decisions match in the last {last_minutes:,} minutes. A longer period: --last-minutes 20160", style="dim")


def _follow(reader: Session, filters: Mapping[str, Any], seen: set[bytes], console: Console, *, as_json: bool) -> None:
    while True:
        time.sleep(FOLLOW_EVERY_S)
        reader.refresh()
        rows = list(_page(reader, filters, since=FOLLOW_BACK, limit=FOLLOW_LIMIT))
        for row in rows:
            if row["decision_id"] not in seen:
                _print(row, console, as_json=as_json)
        seen |= {row["decision_id"] for row in rows}


def _page(reader: Session, filters: Mapping[str, Any], *, since: timedelta, limit: int) -> Iterator[dict[str, Any]]:
    now = datetime.now(UTC)
    page = reader.query("decisions_page", **filters, from_at=now - since, until_at=now + timedelta(minutes=1), limit=limit)
    yield from reversed(page.to_pylist())


def _print(row: Mapping[str, Any], console: Console, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({name: _plain(value) for name, value in row.items()}), flush=True)
        return
    verdict = row["shown_verdict"] or "unevaluated"
    logged_only = verdict == "deny" and row["effect"] != "deny"
    said = f"{verdict} (logged only)" if logged_only and row["mode"] == "log-only" else verdict
    found = " ".join([*_strings(row["finding_types"]), *_strings(row["drift_kinds"])])
    console.print(
        f"[dim]{row['occurred_at']:%Y-%m-%d %H:%M:%S}[/] [{STYLES.get(verdict, 'dim')}]{said:<19}[/] {escape(str(row['agent_id'] or '—')):<18} "
        f"{escape(row['action'])} [dim]{escape(row['resource'] or '')}[/] [dim]{escape(row['rule_id'] or row['reason_code'] or '')}[/] [magenta]{escape(found)}[/]",
        highlight=False,
        soft_wrap=True,
    )


def _strings(values: Iterable[str] | None) -> Sequence[str]:
    return list(values or ())


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return str(UUID(bytes=value))
    if isinstance(value, datetime):
        return value.isoformat()
    return value
