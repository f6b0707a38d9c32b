"""`cz alerts`: what the watch saw that a person should."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from cz.home import Home
from cz.up_command import HomeOption
from processors.watch.alerts import read

STYLES = {"firing": "red", "pending": "yellow", "resolved": "green"}


def alerts(
    *,
    project: Annotated[str | None, Parameter(name=["--project", "-p"], help="One project's alone")] = None,
    firing: Annotated[bool, Parameter(negative="", help="Those that fire now; exit code 1 where there are any")] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="One JSON object a line")] = False,
    home: HomeOption = None,
) -> None:
    """List alerts, the one that changed last at the end: denials that jumped against the hour before, enforcement gaps, and drift that is critical.

    Example:  cz alerts --project default --firing
    """
    where = Home.named(home)
    found = [
        alert
        for alert in read(where.alerts)
        if (project is None or alert.project_id == project) and (not firing or alert.state == "firing")
    ]
    console = Console()
    for alert in found:
        if as_json:
            print(msgspec.json.encode(alert).decode())
        else:
            at = datetime.fromtimestamp(alert.changed_at / 1e6, UTC)
            console.print(
                f"[dim]{at:%m-%d %H:%M}[/] [{STYLES[alert.state]}]{alert.state:<9}[/] [bold]{escape(alert.project_id)}[/] {escape(alert.message)}",
                highlight=False,
                soft_wrap=True,
            )
    if not found and not as_json:
        console.print("No alert." if not firing else "Nothing fires.", style="dim")
    sys.exit(1 if firing and found else 0)
