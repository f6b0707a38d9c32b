"""`cz keys`: make, list and revoke API keys."""

import sys
from typing import Annotated

import cyclopts
from cyclopts import Parameter
from rich.panel import Panel
from rich.text import Text

from controlplane.model import DEFAULT_SCOPES, Key
from controlplane.service import GRACE_S
from cz.display import console, done, empty, print_json, table, time_text
from cz.opening import CHANGING, READING, Changing, ProjectOption, Reading, chosen_project, control_plane
from topics.control import Scope

app = cyclopts.App(name="keys", help="API keys: what an agent sends its decisions with.")


@app.command
def create(
    *,
    project: Annotated[
        list[str] | None,
        Parameter(name=["--project", "-p"], negative="", help="A project it speaks for; may be repeated. Default: the only one there is"),
    ] = None,
    name: Annotated[str | None, Parameter(name=["--name", "-n"], help="What it is for; the control log names it so where it acts")] = None,
    scope: Annotated[
        list[Scope] | None,
        Parameter(negative="", help="What it may do; may be repeated. Default: what an agent needs, secrets:read included"),
    ] = None,
    environment: Annotated[str | None, Parameter(name=["--environment", "-e"], help="For this environment alone. Default: for all")] = None,
    member: Annotated[str | None, Parameter(help="Whose it is: it may do no more than the role of that member allows")] = None,
    test: Annotated[bool, Parameter(negative="", help="Make a cz_test_ key, to tell test traffic from live")] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="", help="Print the key and nothing else")] = False,
    options: Changing = CHANGING,
) -> None:
    """Make a key and show it, this once.

    Where standard output is no terminal it gets the key alone, as with --quiet: `export CONTROLZERO_API_KEY=$(cz keys create)` works.

    Example:  cz keys create --project support-bot --name "support bot" --why "the new support bot"

    Example:  cz keys create --project support-bot --name ci --scope control:read --scope control:write --quiet
    """
    with control_plane(options) as plane:
        projects = project or [chosen_project(plane, None)]
        secret, record = plane.create_key(
            projects,
            actor=options.actor,
            live=not test,
            name=name,
            scopes=scope or DEFAULT_SCOPES,
            environment=environment,
            member=member,
            why=options.why,
        )
    _show(secret, record, f"Key {record.key_id} is made for {', '.join(record.projects)}", quiet=quiet, options=options)


@app.command
def rotate(
    key: Annotated[str, Parameter(help="Its id or prefix")],
    *,
    grace_minutes: Annotated[int, Parameter(help="How long it goes on being good, in minutes; 0 ends it now")] = GRACE_S // 60,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="", help="Print the key and nothing else")] = False,
    options: Changing = CHANGING,
) -> None:
    """Make a key that stands in the place of one, with what that one may do, and show it, this once.

    Example:  cz keys rotate key_1a2b3c4d5e6f --grace-minutes 60 --why "the quarter's rotation"
    """
    with control_plane(options) as plane:
        secret, record = plane.rotate_key(key, grace_s=grace_minutes * 60, actor=options.actor, why=options.why)
    until = f"is good for {grace_minutes} minutes more" if grace_minutes else "is good no more"
    _show(secret, record, f"Key {record.key_id} stands in the place of {key}, which {until}", quiet=quiet, options=options)


def _show(secret: str, record: Key, fact: str, *, quiet: bool, options: Changing) -> None:
    if options.json:
        print_json({"secret": secret, "key": record})
        return
    if quiet or not sys.stdout.isatty():
        print(secret)
        if not quiet:
            print(f"{fact}; this is the only time it is shown.", file=sys.stderr)
        return
    done(f"{fact}.")
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
            key.name or "-",
            ", ".join(key.projects) + (f" ({key.environment})" if key.environment else ""),
            " ".join(key.scopes),
            time_text(key.created_at),
            "never" if key.last_used_at is None else time_text(key.last_used_at),
            _state(key),
        )
        for key in keys
    ]
    console.print(table("API keys", ("id", "key", "name", "projects", "may", "made", "last used", "state"), rows))
    if hidden:
        console.print(f"Not shown: {hidden}", style="dim")


def _state(key: Key) -> Text:
    if key.revoked_at is not None:
        return Text(f"revoked {time_text(key.revoked_at)}", style="red")
    if key.expires_at is not None:
        return Text(f"rotated to {key.rotated_to}, good until {time_text(key.expires_at)}", style="yellow")
    return Text("active", style="green")


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
