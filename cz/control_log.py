"""`cz log`: who changed what, when, from what to what, and why."""

from typing import Annotated

import cyclopts
from cyclopts import Parameter

from cz.display import console, empty, print_json, shortened, table, time_text
from cz.opening import READING, Reading, chosen_project, control_plane

app = cyclopts.App(name="log")


@app.default
def show(
    *,
    project: Annotated[
        str | None, Parameter(name=["--project", "-p"], help="The project. Default: all, and what is of none, such as members")
    ] = None,
    limit: Annotated[
        int, Parameter(name=["--limit", "-n"], help="How many entries at most", validator=cyclopts.validators.Number(gte=1, lte=1000))
    ] = 50,
    before: Annotated[int | None, Parameter(help="Page on: entries before this entry id")] = None,
    options: Reading = READING,
) -> None:
    """Show the control log: who changed what, when, from what to what, and why; newest first.

    Example:  cz log --project support-bot --limit 20
    """
    with control_plane(options) as plane:
        entries = plane.control_log(project if project is None else chosen_project(plane, project), limit=limit, before=before)
    if options.json:
        print_json(entries)
        return
    if not entries:
        empty("The control log is empty.", "cz project create NAME")
        return
    rows = [
        (
            str(entry.entry_id),
            time_text(entry.at),
            entry.actor,
            entry.project_id or "-",
            entry.action,
            shortened(entry.subject),
            shortened(f"{entry.from_value or '-'} → {entry.to_value or '-'}"),
            entry.why or "",
        )
        for entry in entries
    ]
    console.print(table("Control log", ("id", "when", "who", "project", "did", "to what", "from → to", "why"), rows))
