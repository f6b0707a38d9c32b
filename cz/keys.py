"""`cz keys`: make, list and revoke API keys."""

import sys
from typing import Annotated

import cyclopts
from cyclopts import Parameter
from rich.panel import Panel
from rich.text import Text

from cz.display import console, done, empty, print_json, table, time_text
from cz.opening import CHANGING, READING, Changing, ProjectOption, Reading, chosen_project, control_plane

app = cyclopts.App(name="keys", help="API keys: what an agent sends its decisions with.")


@app.command
def create(
    *,
    project: Annotated[
        list[str] | None,
        Parameter(name=["--project", "-p"], negative="", help="A project it speaks for; may be repeated. Default: the only one there is"),
    ] = None,
    test: Annotated[bool, Parameter(negative="", help="Make a cz_test_ key, to tell test traffic from live")] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="", help="Print the key and nothing else")] = False,
    options: Changing = CHANGING,
) -> None:
    """Make a key and show it, this once.

    Where standard output is no terminal it gets the key alone, as with --quiet: `export CONTROLZERO_API_KEY=$(cz keys create)` works.

    Example:  cz keys create --project support-bot --why "the new support bot"
    """
    with control_plane(options) as plane:
        projects = project or [chosen_project(plane, None)]
        secret, record = plane.create_key(projects, actor=options.actor, live=not test, why=options.why)
    if options.json:
        print_json({"secret": secret, "key": record})
        return
    if quiet or not sys.stdout.isatty():
        print(secret)
        if not quiet:
            print(f"Key {record.key_id} is made for {', '.join(record.projects)}; this is the only time it is shown.", file=sys.stderr)
        return
    done(f"Key {record.key_id} is made for {', '.join(record.projects)}.")
    shown = Text.assemble(
        (secret, "bold green"), "\n\nThis is the only time it is shown: only its hash is kept.\n", "A key that gets lost is revoked: "
    )
    shown.append(f"cz keys revoke {record.key_id}", style="bold")
    console.print(Panel(shown, title="API key", title_align="left", expand=False))
    console.print(Text(f"Connect an agent:  export CONTROLZERO_API_KEY={secret}", style="dim"), soft_wrap=True)


@app.command(name="list")
def list_(
    *,
    project: ProjectOption = None,
    revoked: Annotated[bool, Parameter(name="--all", negative="", help="Also those that are revoked")] = False,
    options: Reading = READING,
) -> None:
    """List the keys, newest first.

    Example:  cz keys list --project support-bot --all
    """
    with control_plane(options) as plane:
        known = plane.list_keys(project if project is None else chosen_project(plane, project))
    keys = [key for key in known if revoked or key.revoked_at is None]
    if options.json:
        print_json(keys)
        return
    hidden = f"{len(known) - len(keys)} revoked; cz keys list --all" if len(known) > len(keys) else ""
    if not keys:
        empty("There is no key in use." if hidden else "There is no key yet.", "cz keys create --project NAME")
        return
    rows = [
        (
            key.key_id,
            f"{key.prefix}…",
            ", ".join(key.projects),
            time_text(key.created_at),
            Text("active", style="green") if key.revoked_at is None else Text(f"revoked {time_text(key.revoked_at)}", style="red"),
        )
        for key in keys
    ]
    console.print(table("API keys", ("id", "key", "projects", "made", "state"), rows))
    if hidden:
        console.print(f"Not shown: {hidden}", style="dim")


@app.command
def revoke(key: Annotated[str, Parameter(help="Its id or prefix")], *, options: Changing = CHANGING) -> None:
    """Revoke a key, for ever: the gateway refuses what comes with it. It stops delivery, not the agent.

    Example:  cz keys revoke key_1a2b3c4d5e6f --why "left on a laptop"
    """
    with control_plane(options) as plane:
        record = plane.revoke_key(key, actor=options.actor, why=options.why)
    if options.json:
        print_json(record)
        return
    done(
        f"Key {record.key_id} ({record.prefix}…) is revoked since {time_text(record.revoked_at)}.",
        next_step="agents that used it: cz keys create",
    )
