"""`cz organisations`: whom projects and members belong to, where there is more than one."""

from typing import Annotated

import cyclopts
from cyclopts import Parameter

from cz.display import console, done, print_json, table, time_text
from cz.opening import CHANGING, READING, Changing, Reading, control_plane

app = cyclopts.App(name="organisations", help="Organisations: no key and no member of one reaches a project of another.")


@app.command
def create(
    organisation: Annotated[str, Parameter(help="Its id: 1 to 64 of a-z, 0-9, - and _")],
    *,
    name: Annotated[str | None, Parameter(help="Its name for people. Default: the id")] = None,
    options: Changing = CHANGING,
) -> None:
    """Make an organisation. There is `default` from the start, which is enough for one.

    Example:  cz organisations create north --name "Northern branch"
    """
    with control_plane(options) as plane:
        made = plane.create_organisation(organisation, actor=options.actor, name=name, why=options.why)
    if options.json:
        print_json(made)
        return
    done(f"Organisation {organisation} is made.", next_step=f"cz project create NAME --organisation {organisation}")


@app.command(name="list")
def list_(*, options: Reading = READING) -> None:
    """List the organisations.

    Example:  cz organisations list --json
    """
    with control_plane(options) as plane:
        organisations = plane.list_organisations()
    if options.json:
        print_json(organisations)
        return
    rows = [(one.organisation_id, one.name, time_text(one.created_at)) for one in organisations]
    console.print(table("Organisations", ("id", "name", "made"), rows))
