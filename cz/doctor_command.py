"""`cz doctor`: what is accounted for, and what is not well."""

import json
import sys
import time
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from cz import settings
from cz.doctor import Examination, examine
from cz.home import Home
from cz.up_command import HomeOption

PRODUCERS_SHOWN = 5


def doctor(
    *,
    home: HomeOption = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object, every producer in it")] = False,
) -> None:
    """Look at versions, disk, clock, log, offsets and tallies; exit 1, with a next step, where something is wrong.

    Example:  cz doctor --json | jq .projects
    """
    read = settings.read()
    found = examine(Home((home or read.home).resolve()), now=time.time_ns() // 1000)
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        _show(found, Console())
    sys.exit(0 if found.healthy else 1)


def _show(found: Examination, console: Console) -> None:
    for check in found.checks:
        console.print(f"{'[green]✓[/]' if check.ok else '[red]✗[/]'} [bold]{check.name:<15}[/] {check.found}", highlight=False)
        if check.next_step:
            console.print(f"  {'':<15} → {check.next_step}", style="yellow", highlight=False)
    if not found.projects:
        console.print("\nNothing has been received yet. `cz keys create --project default` makes the key an agent needs.", style="dim")
        return
    columns = ("received", "landed", "duplicate", "quarantined", "in flight", "gaps", "lost")
    table = Table("project / producer", *columns, "end", box=None, header_style="dim")
    for project, account in found.projects.items():
        table.add_row(f"[bold]{project}[/]", *_row(account), "balanced" if account.balanced else "[red]does not balance[/]")
        own = list(found.producers[project].items())
        for name, of in own[:PRODUCERS_SHOWN]:
            table.add_row(f"  {name}", *_row(of), of.end or "", style="dim")
        if len(own) > PRODUCERS_SHOWN:
            table.add_row(f"  … and {len(own) - PRODUCERS_SHOWN:,} more: --json", style="dim")
    console.print()
    console.print(table)


def _row(account: object) -> tuple[str, ...]:
    return tuple(f"{getattr(account, name):,}" for name in ("received", "landed", "duplicate", "quarantined", "in_flight", "gaps", "lost"))
