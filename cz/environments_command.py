"""`cz environments`: the environments of a project, such as staging and production."""

from typing import Annotated

import cyclopts
from cyclopts import Parameter

from cz.display import console, done, empty, print_json, table, time_text
from cz.opening import CHANGING, READING, Changing, ProjectOption, Reading, chosen_project, control_plane

app = cyclopts.App(name="environments", help="Environments of a project: a key may be for one, and reads its secrets.")

NameArgument = Annotated[str, Parameter(help="Its name: 1 to 64 of a-z, 0-9, - and _, such as staging")]


@app.command
def add(name: NameArgument, *, project: ProjectOption = None, options: Changing = CHANGING) -> None:
    """Make an environment of a project.

    Example:  cz environments add staging --project shop
    """
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        made = plane.add_environment(chosen, name, actor=options.actor, why=options.why)
    if options.json:
        print_json(made)
        return
    done(f"Project {chosen} has the environment {name}.", next_step=f"cz keys create --project {chosen} --environment {name}")


@app.command(name="list")
def list_(*, project: ProjectOption = None, options: Reading = READING) -> None:
    """List the environments of a project.

    Example:  cz environments list --project shop
    """
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        there = plane.list_environments(chosen)
    if options.json:
        print_json(there)
        return
    if not there:
        empty(f"Project {chosen} has no environment: its keys and secrets are for all.", f"cz environments add NAME --project {chosen}")
        return
    rows = [(one.name, time_text(one.created_at), one.created_by) for one in there]
    console.print(table(f"Environments of {chosen}", ("name", "made", "by"), rows))


@app.command
def remove(name: NameArgument, *, project: ProjectOption = None, options: Changing = CHANGING) -> None:
    """Remove an environment that no secret and no key in use is for.

    Example:  cz environments remove staging --project shop
    """
    with control_plane(options) as plane:
        chosen = chosen_project(plane, project)
        gone = plane.remove_environment(chosen, name, actor=options.actor, why=options.why)
    if options.json:
        print_json(gone)
        return
    done(f"Project {chosen} has no environment {name} any more.")
