"""`cz import`: send recorded traces through the gateway, and say what the workers made of them."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import httpx
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from controlplane.service import ControlPlane
from controlzero.errors import Rejected
from cz import importing, settings
from cz.home import Home, running
from cz.importing import Report, Source
from cz.opening import read_text
from cz.plane import plane_over
from cz.traces import Period
from cz.up import no_preparation, running_stack
from cz.up_command import HomeOption
from warehouse.snapshot import Warehouse

DAYS_DEFAULT = 14


def import_(
    files: Annotated[list[Path], Parameter(help="Traces: JSON lines, plain or gzip", negative="")],
    *,
    project: Annotated[str, Parameter(name=["--project", "-p"], help="The project they belong to; made where it is new")],
    policy: Annotated[Path | None, Parameter(help="Judge them by this policy (JSON or YAML): it becomes the project's, log-only")] = None,
    since: Annotated[datetime | None, Parameter(help="Lay the sessions into the time from here. Default: 14 days ago")] = None,
    until: Annotated[datetime | None, Parameter(help="… to here. Default: now")] = None,
    keep_labels: Annotated[bool, Parameter(help="Keep the traces' labels as tags label.*")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object on the last line")] = False,
    home: HomeOption = None,
    as_: Annotated[str | None, Parameter(name="--as", help="Who the control log says it was. Default: the user of this shell")] = None,
) -> None:
    """Import recorded traces: the same gateway, log, workers and ledger as live traffic.

    Importing a file again changes nothing: every line is found a duplicate. Where no `cz up` runs over the
    data folder, one runs for as long as the import takes.

    Example:  cz import traces.jsonl.gz --project shadow --policy candidate.json
    """
    read = settings.read()
    where = Home.named(home)
    period = _period(since, until)
    console = Console(stderr=True)
    sources = importing.sources(files, project)
    with _gateway(where, read.environment, console) as api_url:
        report = _run(
            where,
            api_url,
            sources,
            project=project,
            policy=policy,
            period=period,
            keep_labels=keep_labels,
            actor=as_ or read.actor,
            console=console,
        )
    if as_json:
        print(json.dumps(report.as_json()))
    else:
        _show(report, where, Console())
    if report.tally.quarantined and not report.tally.landed:
        sys.exit(1)


def _run(
    home: Home,
    api_url: str,
    sources: list[Source],
    *,
    project: str,
    policy: Path | None,
    period: Period,
    keep_labels: bool,
    actor: str,
    console: Console,
) -> Report:
    with (
        plane_over(home) as control_plane,
        _import_key(control_plane, project, policy, actor) as key,
    ):
        policy_digest = control_plane.project(project).policy_digest
        session = Warehouse.open(home.ledger).session(project)
        producers = [source.producer for source in sources]
        outcome_producers = [source.outcomes_producer for source in sources]
        before, before_outcomes = importing.tally(session, producers), importing.tally(session, outcome_producers)
        total = sum(source.count for source in sources)
        headers = {"Authorization": f"Bearer {key}", "CZ-Project": project}
        with httpx.Client(base_url=api_url, headers=headers, timeout=30.0) as client, _progress(console) as progress:
            sending, landing = progress.add_task("sent", total=total), progress.add_task("landed", total=total)
            outcomes = 0
            for source in sources:
                outcomes += importing.send(
                    source, client, period=period, keep_labels=keep_labels, on_sent=lambda n: progress.advance(sending, n)
                )
            counts = importing.wait_until_landed(
                session, producers, expected=total, before=before, on_landed=lambda n: progress.advance(landing, n)
            )
            importing.wait_until_landed(session, outcome_producers, expected=outcomes, before=before_outcomes, on_landed=lambda _: None)
        return importing.report(session, producers, project=project, policy_digest=policy_digest, counts=counts)


@contextlib.contextmanager
def _import_key(control_plane: ControlPlane, project: str, policy: Path | None, actor: str) -> Iterator[str]:
    """Make the project and its policy where they are asked for, and a key that lasts as long as the import."""
    known = {one.project_id: one for one in control_plane.list_projects(archived=True)}
    if project in known and known[project].archived_at is not None:
        raise Rejected(
            f"project `{project}` is archived and takes nothing; take it out with `cz project restore {project}`, or name another"
        )
    if project not in known:
        control_plane.create_project(project, actor=actor, why="cz import")
    if policy is not None:
        control_plane.apply_policy(project, read_text(policy), actor=actor, why=f"cz import --policy {policy.name}")
    key, record = control_plane.create_key([project], actor=actor, scopes=("decisions:write", "bundle:read"), why="cz import")
    control_plane.publish_pending()
    try:
        yield key
    finally:
        control_plane.revoke_key(record.key_id, actor=actor, why="the import ended")
        control_plane.publish_pending()


@contextlib.contextmanager
def _gateway(home: Home, environment: dict[str, str], console: Console) -> Iterator[str]:
    """Yield the address of the gateway over `home`; run one for as long as needed where none is up."""
    if note := running(home):
        yield note.api_url
        return
    console.print(f"No `cz up` runs over {home.path}: running one for this import.", style="dim", highlight=False)
    with running_stack(
        home, host=settings.DEFAULT_HOST, port=0, dashboards_port=None, environment=environment, prepare=no_preparation, say=console.print
    ) as stack:
        yield stack.api_url


def _period(since: datetime | None, until: datetime | None) -> Period:
    end = _micros(until) if until else time.time_ns() // 1000
    begin = _micros(since) if since else end - DAYS_DEFAULT * 86_400_000_000
    if begin >= end:
        raise Rejected(f"--since must be before --until; got {since} and {until}")
    return Period(since=begin, until=end)


def _micros(at: datetime) -> int:
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000_000)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:>8}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console, transient=True
    )


def _show(report: Report, home: Home, console: Console) -> None:
    tally = report.tally
    console.print(
        f"Project [bold]{report.project}[/]" + (f", policy {report.policy_digest[:12]}" if report.policy_digest else ", no policy yet")
    )
    table = Table("received", "landed", "duplicate", "quarantined", box=None, header_style="dim")
    table.add_row(*(f"{count:,}" for count in (tally.received, tally.landed, tally.duplicate, tally.quarantined)))
    console.print(table)
    judged = sum(report.verdicts.values())
    for verdict, count in report.verdicts.items():
        share = count / judged if judged else 0.0
        console.print(f"  {verdict:<12} {count:>9,}  {share:>6.1%}  {'█' * round(share * 40)}", highlight=False)
    if report.not_replayable:
        console.print(f"  not replayable {report.not_replayable:,}: a masked value could have decided", style="yellow")
    for reason, count in report.quarantine_reasons.items():
        console.print(f"  {count:,} quarantined: {reason}", style="yellow", highlight=False, soft_wrap=True)
    if tally.quarantined and not tally.landed:
        console.print("No line of it is an action of an agent: see docs/how-to/import-traces.md for what a line holds.", style="yellow")
    elif tally.duplicate == tally.received > 0:
        console.print("All of it had been received before: nothing changed.", style="dim")
    note, page = running(home), f"rollout?project={report.project}&range=14d"
    where = f"{note.dashboards_url}/{page}" if note and note.dashboards_url else f"start `cz up`, and open {page} in its dashboards"
    console.print(f"Look at it: {where}", style="dim", highlight=False, soft_wrap=True)
