"""`cz mode`: see and set whether denials stop actions."""

import sys
from typing import Annotated, Literal

import cyclopts
from cyclopts import Parameter
from rich.panel import Panel
from rich.prompt import Confirm
from rich.text import Text

from controlplane.model import Project
from controlzero.errors import Rejected
from controlzero.records import Mode
from cz.display import console, done, facts, mode_text, print_json, unchanged
from cz.opening import CHANGING, READING, Changing, ProjectOption, Reading, chosen_project, control_plane

app = cyclopts.App(name="mode", help="The mode of a project: enforce, log-only or off.")

MEANS = {
    "enforce": "Denials stop actions: what the policy denies does not happen.",
    "log-only": "Nothing is stopped: denials are recorded as deny (logged only).",
    "off": "Nothing is evaluated in the agents: actions go ahead and are recorded unevaluated.",
}
WHEN = "Agents follow when they next fetch their bundle; decisions made until then keep the mode they were made under."


@app.command
def show(*, project: ProjectOption = None, options: Reading = READING) -> None:
    """Show the mode of a project.

    Example:  cz mode show --project support-bot
    """
    with control_plane(options) as plane:
        found = plane.project(chosen_project(plane, project))
    if options.json:
        print_json({"project_id": found.project_id, "mode": found.mode, "version": found.version})
        return
    console.print(facts(f"Project {found.project_id}", [("mode", mode_text(found.mode)), ("means", MEANS[found.mode])]))


@app.command(name="set")
def set_(
    mode: Annotated[Mode, Parameter(help="enforce, log-only or off")],
    *,
    project: ProjectOption = None,
    yes: Annotated[bool, Parameter(name=["--yes", "-y"], negative="", help="Do not ask")] = False,
    options: Changing = CHANGING,
) -> None:
    """Set the mode of a project, after saying what follows from it.

    Example:  cz mode set enforce --project support-bot --why "two weeks without a wrong denial"
    """
    with control_plane(options) as plane:
        before = plane.project(chosen_project(plane, project))
        if before.mode != mode and not yes:
            _confirm(before, mode)
        change = plane.set_mode(before.project_id, mode, actor=options.actor, why=options.why)
    if options.json:
        print_json(change)
        return
    if not change.changed:
        unchanged(f"Project {before.project_id} is {mode} already.")
        return
    done(
        f"Project {before.project_id}: {before.mode} → {mode}. {MEANS[mode]}",
        next_step=f"cz log --project {before.project_id} shows who changed what",
    )


@app.command
def rule(
    rule: Annotated[str, Parameter(help="Its id, or <policy>#<place>")],
    mode: Annotated[Literal["log-only", "project"], Parameter(help="log-only, or project: it follows its project again")],
    *,
    project: ProjectOption = None,
    options: Changing = CHANGING,
) -> None:
    """Have a rule of the policy in force only log, also while its project enforces.

    Example:  cz mode rule no-refunds log-only --project support-bot --why "try it for a week"
    """
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        change = plane.set_rule_mode(chosen, rule, "log-only" if mode == "log-only" else None, actor=options.actor, why=options.why)
    if options.json:
        print_json(change)
    elif not change.changed:
        unchanged(f"Rule {rule} of project {chosen} has that mode already.")
    elif mode == "log-only":
        done(f"Rule {rule} of project {chosen} only logs: what it denies goes ahead and is recorded. Version {change.version} is in force.")
    else:
        done(f"Rule {rule} of project {chosen} follows its project, which is {change.mode}. Version {change.version} is in force.")


def consequence(project: Project, mode: Mode) -> str:
    """Return what follows from setting that mode, in sentences for who decides it."""
    if project.version is None:
        first = f"Project {project.project_id} has no policy, so there is no bundle: an agent that starts finds none and stops there. Apply a policy first."
        return f"{MEANS[mode]} {first}"
    if mode == "enforce":
        return (
            f"{MEANS[mode]} Under version {project.version} that is every action a rule denies and every action that no rule matches. "
            f"guard() returns a denial; enforce(), call_tool() and wrapped clients raise PolicyDeniedError. {WHEN} "
            "See on the Rollout page what would have been denied so far."
        )
    if mode == "log-only":
        return f"{MEANS[mode]} Nothing raises any more. {WHEN}"
    return f"{MEANS[mode]} Denials and kill switches do not hold. Every such decision is a finding of type drift. {WHEN}"


def _confirm(project: Project, mode: Mode) -> None:
    if not sys.stdin.isatty():
        raise Rejected(
            f"mode {project.mode} → {mode} of project `{project.project_id}`: it has to be confirmed and nobody is there to ask; say --yes"
        )
    warning = Text.assemble((f"{project.mode} → {mode}", "bold"), f"\n\n{consequence(project, mode)}")
    console.print(Panel(warning, title=f"Project {project.project_id}", title_align="left", border_style="yellow"))
    if not Confirm.ask(f"Set {project.project_id} to {mode}?", console=console, default=False):
        raise Rejected(f"nothing was changed: project `{project.project_id}` is still {project.mode}")
