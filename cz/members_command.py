"""`cz members`: who belongs to the organisation, and in which role."""

from typing import Annotated

import cyclopts
from cyclopts import Parameter

from controlplane.members import DEFAULT_ORGANISATION
from controlplane.model import ROLE_SCOPES, Role
from cz.display import console, done, empty, print_json, table, time_text
from cz.opening import CHANGING, READING, Changing, Reading, control_plane

app = cyclopts.App(name="members", help="Members of the organisation: the role of a member bounds what the keys of that member may do.")

OrganisationOption = Annotated[str, Parameter(name="--organisation", help="The organisation")]


@app.command(name="set")
def set_(
    name: Annotated[str, Parameter(help="The member, as the control log is to name them")],
    role: Annotated[Role, Parameter(help="owner, admin, editor or viewer")],
    *,
    organisation: OrganisationOption = DEFAULT_ORGANISATION,
    options: Changing = CHANGING,
) -> None:
    """Add a member, or give one another role: from now on the keys of that member may do no more than it allows.

    Example:  cz members set bob editor --why "writes the policies"
    """
    with control_plane(options) as plane:
        member = plane.set_member(name, role, organisation_id=organisation, actor=options.actor, why=options.why)
    if options.json:
        print_json(member)
        return
    done(f"{name} is {role}: {', '.join(ROLE_SCOPES[role])}.", next_step=f"cz keys create --member {name} --scope control:read")


@app.command(name="list")
def list_(*, organisation: OrganisationOption = DEFAULT_ORGANISATION, options: Reading = READING) -> None:
    """List the members.

    Example:  cz members list --json
    """
    with control_plane(options) as plane:
        members = plane.list_members(organisation)
    if options.json:
        print_json(members)
        return
    if not members:
        empty("There is no member yet: whoever may run cz here may change everything.", "cz members set NAME owner")
        return
    rows = [(member.name, member.role, time_text(member.added_at), member.added_by) for member in members]
    console.print(table("Members", ("name", "role", "since", "added by"), rows))


@app.command
def remove(
    name: Annotated[str, Parameter(help="The member")],
    *,
    organisation: OrganisationOption = DEFAULT_ORGANISATION,
    options: Changing = CHANGING,
) -> None:
    """Remove a member and revoke the keys of that member.

    Example:  cz members remove bob --why "left the company"
    """
    with control_plane(options) as plane:
        member = plane.remove_member(name, organisation_id=organisation, actor=options.actor, why=options.why)
    if options.json:
        print_json(member)
        return
    done(f"{name} is no member any more, and the keys of that member are revoked.")
