"""`cz project`: make projects, look at them, change their settings."""

from collections.abc import Mapping
from typing import Annotated, Literal, get_args

import cyclopts
from cyclopts import Parameter
from msgspec import UNSET
from rich.text import Text

from controlplane.members import DEFAULT_ORGANISATION
from controlplane.model import Project, ProjectSettings, Retained
from controlzero.errors import Rejected
from cz.display import console, done, empty, facts, mode_text, print_json, short, table, time_text, unchanged
from cz.opening import CHANGING, READING, Changing, Reading, chosen_project, control_plane
from warehouse.retention import QUARANTINE_DAYS

app = cyclopts.App(
    name="project",
    help="Projects: what keys, policies and modes belong to.",
    help_epilogue="Example:  cz project create support-bot --name 'Support bot'",
)

NONE = "none"  # how a setting is taken away


@app.command
def create(
    project: Annotated[str, Parameter(help="Its id: 1 to 64 of a-z, 0-9, - and _")],
    *,
    name: Annotated[str | None, Parameter(help="Its name for people. Default: the id")] = None,
    organisation: Annotated[str, Parameter(help="The organisation it belongs to")] = DEFAULT_ORGANISATION,
    options: Changing = CHANGING,
) -> None:
    """Make a project: log-only, without a policy.

    Example:  cz project create support-bot --name "Support bot"
    """
    with control_plane(options, create=True) as plane:
        made = plane.create_project(project, actor=options.actor, name=name, organisation_id=organisation, why=options.why)
    if options.json:
        print_json(made)
        return
    done(f"Project {made.project_id} is made: log-only, without a policy.", next_step=f"cz policy apply FILE --project {made.project_id}")


@app.command(name="list")
def list_(
    *,
    archived: Annotated[bool, Parameter(name="--all", negative="", help="Also those that are archived")] = False,
    options: Reading = READING,
) -> None:
    """List the projects.

    Example:  cz project list --all --json
    """
    with control_plane(options) as plane:
        projects = plane.list_projects(archived=archived)
    if options.json:
        print_json(projects)
        return
    if not projects:
        empty("There is no project in use." if not archived else "There is no project yet.", "cz project create NAME")
        return
    rows = [
        (
            project.project_id,
            project.name,
            mode_text(project.mode) if project.archived_at is None else Text("archived", style="dim"),
            f"version {project.version}" if project.version else "none",
            str(len(project.candidates)),
            time_text(project.created_at),
        )
        for project in projects
    ]
    console.print(table("Projects", ("id", "name", "mode", "policy", "candidates", "made"), rows))


@app.command
def show(
    project: Annotated[str | None, Parameter(help="Its id. Default: the only one there is")] = None, *, options: Reading = READING
) -> None:
    """Show a project: its mode, policy and settings.

    Example:  cz project show support-bot
    """
    with control_plane(options) as plane:
        found = plane.project(chosen_project(plane, project))
    if options.json:
        print_json(found)
        return
    console.print(_panel(found))


@app.command(name="set")
def set_(
    project: Annotated[str | None, Parameter(help="Its id. Default: the only one there is")] = None,
    *,
    name: Annotated[str | None, Parameter(help="Its name for people")] = None,
    retention: Annotated[
        dict[str, str] | None,
        Parameter(help="Days to keep a kind of record: --retention.decision 90; `none` keeps it for ever, quarantine 7 days"),
    ] = None,
    on_stale: Annotated[Literal["keep", "deny"] | None, Parameter(help="What an agent does with a bundle past its age")] = None,
    on_unrecordable: Annotated[Literal["go_on", "deny"] | None, Parameter(help="What an agent does when it cannot record")] = None,
    bundle_days: Annotated[str | None, Parameter(help="How long a signed bundle is good for, in days; `none` for always")] = None,
    on_enforcement_gap: Annotated[
        Literal["record", "stop_agent"] | None, Parameter(help="What follows when an action went ahead that was to be denied")
    ] = None,
    webhook_url: Annotated[str | None, Parameter(help="Where alerts are posted to; `none` for nowhere")] = None,
    options: Changing = CHANGING,
) -> None:
    """Change settings of a project; what is not named stays.

    Example:  cz project set support-bot --retention.decision 90 --webhook-url https://example.org/hook
    """
    wanted = ProjectSettings(
        name=UNSET if name is None else name,
        retention_days=UNSET if retention is None else _retention(retention),
        on_stale=UNSET if on_stale is None else on_stale,
        on_unrecordable=UNSET if on_unrecordable is None else on_unrecordable,
        on_enforcement_gap=UNSET if on_enforcement_gap is None else on_enforcement_gap,
        bundle_days=UNSET if bundle_days is None else _days("--bundle-days", bundle_days),
        webhook_url=UNSET if webhook_url is None else (None if webhook_url == NONE else webhook_url),
    )
    if wanted == ProjectSettings():
        raise Rejected("nothing to set; name a setting, such as --retention.decision 90 (`cz project set --help` lists them)")
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        change = plane.set_project(chosen, wanted, actor=options.actor, why=options.why)
        now = plane.project(chosen)
    if options.json:
        print_json({"changed": change.changed, "project": now})
        return
    done(f"Project {chosen} is changed.") if change.changed else unchanged(f"Project {chosen} has these settings already.")
    console.print(_panel(now))


@app.command
def archive(project: Annotated[str, Parameter(help="Its id")], *, options: Changing = CHANGING) -> None:
    """Put a project into the archive: it takes no records and hands out no bundle, and lists leave it out.

    What it holds stays, under its retention. Agents go on by the bundle they have, and what they record waits in their spools.

    Example:  cz project archive old-bot --why "replaced by new-bot"
    """
    with control_plane(options) as plane:
        changed = plane.archive_project(project, actor=options.actor, why=options.why)
    if options.json:
        print_json({"project_id": project, "changed": changed})
    elif changed:
        done(
            f"Project {project} is archived: keys are refused for it, and lists leave it out. What it holds stays.",
            next_step=f"cz project restore {project} takes it out again",
        )
    else:
        unchanged(f"Project {project} is archived already.")


@app.command
def restore(project: Annotated[str, Parameter(help="Its id")], *, options: Changing = CHANGING) -> None:
    """Take a project out of the archive: its keys and its bundle are good again.

    Example:  cz project restore old-bot --why "still in use in Vienna"
    """
    with control_plane(options) as plane:
        changed = plane.restore_project(project, actor=options.actor, why=options.why)
    if options.json:
        print_json({"project_id": project, "changed": changed})
    elif changed:
        done(f"Project {project} is out of the archive: its keys and its bundle are good again.")
    else:
        unchanged(f"Project {project} is not archived.")


def _retention(days: dict[str, str]) -> dict[Retained, int | None]:
    known = get_args(Retained)
    if unknown := [kind for kind in days if kind not in known]:
        raise Rejected(f"--retention.{unknown[0]}: expected one of {', '.join(known)}; tallies are kept for ever, they prove completeness")
    return {kind: _days(f"--retention.{kind}", days[kind]) for kind in known if kind in days}


def _days(option: str, text: str) -> int | None:
    if text == NONE:
        return None
    if not text.isascii() or not text.isdigit():
        raise Rejected(f"{option}: `{text}`, expected a number of days or `none`")
    return int(text)


def _kept(days: Mapping[str, int]) -> str:
    named = {"quarantine": QUARANTINE_DAYS, **days}  # which has a time of its own where a project sets none
    return f"{', '.join(f'{kind} {named[kind]} days' for kind in sorted(named))}, the rest for ever"


def _panel(project: Project) -> object:
    policy = f"version {project.version}, policy {short(project.policy_digest)}, bundle {short(project.bundle_digest)}"
    return facts(
        f"Project {project.project_id}",
        [
            ("name", project.name),
            ("mode", mode_text(project.mode)),
            ("policy", policy if project.version else "none yet: cz policy apply FILE"),
            ("candidates", ", ".join(map(short, project.candidates)) or "none"),
            ("kept for", _kept(project.retention_days)),
            ("bundle past its age", "judged by all the same, recorded and alerted" if project.on_stale == "keep" else "denies"),
            ("bundle is good for", f"{project.bundle_days} days" if project.bundle_days else "always"),
            ("cannot record", "the action goes on, the loss is recorded" if project.on_unrecordable == "go_on" else "the action is denied"),
            ("enforcement gap", "recorded and alerted" if project.on_enforcement_gap == "record" else "alerted, and its agent is stopped"),
            ("webhook", project.webhook_url or "none"),
            ("made", time_text(project.created_at)),
            *([("archived", time_text(project.archived_at))] if project.archived_at is not None else []),
        ],
    )
