"""`cz doctor`: what is accounted for, and what is not well."""

import json
import sys
import time
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from cz.doctor import Account, Examination, examine
from cz.home import Home
from cz.up_command import HomeOption

PRODUCERS_SHOWN = 5
NO_PROJECT = "(no project; cz quarantine --no-project)"  # what another program wrote to the topic, and named none


def doctor(
    *,
    home: HomeOption = None,
    as_json: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object, every producer in it")] = False,
) -> None:
    """Look at versions, disk, clock, log, offsets and tallies; exit 1, with a next step, where something is wrong.

    Example:  cz doctor --json | jq .projects
    """
    found = examine(Home.named(home), now=time.time_ns() // 1000)
    if as_json:
        print(json.dumps(found.as_json()))
    else:
        _show(found, Console())
    sys.exit(0 if found.healthy else 1)


def _show(found: Examination, console: Console) -> None:
    for check in found.checks:
        console.print(
            f"{'[green]✓[/]' if check.ok else '[red]✗[/]'} [bold]{check.name:<15}[/] {check.found}", highlight=False, soft_wrap=True
        )
        if check.next_step:
            console.print(f"  {'':<15} → {check.next_step}", style="yellow", highlight=False, soft_wrap=True)
    if not found.projects:
        if found.healthy:
            console.print(
                "\nNothing has been received yet. `cz keys create --project NAME` makes the key an agent needs.",
                style="dim",
                soft_wrap=True,
            )
        return
    for project, account in found.projects.items():
        console.print(
            f"\n[bold]{project or NO_PROJECT}[/]  {_sum(account)}  " + ("balanced" if account.balanced else "[red]does not balance[/]"),
            highlight=False,
            soft_wrap=True,
        )
        own = [(name, of) for name, of in found.producers[project].items() if name]
        for name, of in own[:PRODUCERS_SHOWN]:
            console.print(f"  {name}  {_sum(of)}  {of.end or ''}", style="dim", highlight=False, soft_wrap=True)
        if len(own) > PRODUCERS_SHOWN:
            console.print(f"  … and {len(own) - PRODUCERS_SHOWN:,} more producers: --json", style="dim")


def _sum(account: Account) -> str:
    """Return a producer's or project's counts as the sum they must be; what is missing or lost only where something is."""
    text = account.equation
    if account.in_flight:
        text += f" + {account.in_flight:,} in flight"
    if account.gaps:
        text += f"; {account.missing:,} missing in {account.gaps:,} gaps"
    if account.lost:
        text += f"; {account.lost:,} lost by agents"
    return text
