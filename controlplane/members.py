"""Who belongs to an organisation, and in which role."""

import re

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from controlplane.changes import InHand, log_change, publish
from controlplane.keys import keys_of_member, record_of, revoke
from controlplane.model import MEMBERS_MAX, Member, NotFound, Organisation, Role
from controlplane.names import checked_label
from controlplane.tables import MemberRow, OrganisationRow
from controlzero.errors import Rejected

DEFAULT_ORGANISATION = "default"
ORGANISATION_ID = re.compile(r"[a-z0-9_-]{1,64}")


def list_organisations(session: Session) -> list[Organisation]:
    """Return the organisations by id."""
    rows = session.scalars(select(OrganisationRow).order_by(OrganisationRow.organisation_id))
    return [Organisation(organisation_id=row.organisation_id, name=row.name, created_at=row.created_at) for row in rows]


def create_organisation(change: InHand, organisation_id: str, name: str | None) -> Organisation:
    """Make an organisation. Raises `Rejected` if there is one or the id is none."""
    if not ORGANISATION_ID.fullmatch(organisation_id):
        raise Rejected(f"organisation id {organisation_id!r}: expected 1 to 64 of a-z, 0-9, - and _")
    if change.session.get(OrganisationRow, organisation_id) is not None:
        raise Rejected(f"organisation `{organisation_id}`: it is there already; take another id")
    label = checked_label("organisation", organisation_id if name is None else name)
    change.session.add(OrganisationRow(organisation_id=organisation_id, name=label, created_at=change.at))
    change.session.flush()
    log_change(change, "organisation.created", project_id=None, subject=organisation_id, after=label)
    return Organisation(organisation_id=organisation_id, name=label, created_at=change.at)


def set_member(change: InHand, organisation_id: str, name: str, role: Role) -> Member:
    """Add a member, or give one another role: the keys of that member may do no more than it allows from now on."""
    check_organisation(change.session, organisation_id)
    checked_label("member", name)
    row = change.session.get(MemberRow, (organisation_id, name))
    if row is not None and row.role == role:
        return _member(row)
    if row is None:
        there = change.session.scalar(select(func.count()).select_from(MemberRow).where(MemberRow.organisation_id == organisation_id)) or 0
        if there >= MEMBERS_MAX:
            raise Rejected(f"organisation `{organisation_id}`: {there} members, expected at most {MEMBERS_MAX:,}")
        row = MemberRow(organisation_id=organisation_id, name=name, role=role, added_at=change.at, added_by=change.actor)
        change.session.add(row)
        before = None
    else:
        _check_an_owner_stays(change.session, row)
        before, row.role = row.role, role
    change.session.flush()
    log_change(change, "member.set", project_id=None, subject=name, before=before and _logged(row, before), after=_logged(row, role))
    for key in keys_of_member(change.session, organisation_id, name):
        publish(change, record_of(change.session, key))
    return _member(row)


def remove_member(change: InHand, organisation_id: str, name: str) -> Member:
    """Remove a member and revoke the keys of that member. Raises `NotFound`."""
    check_organisation(change.session, organisation_id)
    row = change.session.get(MemberRow, (organisation_id, name))
    if row is None:
        there = ", ".join(member.name for member in list_members(change.session, organisation_id)[:10]) or "none"
        raise NotFound(f"member `{name}`: organisation `{organisation_id}` has none such, there are: {there}")
    _check_an_owner_stays(change.session, row)
    for key in keys_of_member(change.session, organisation_id, name):
        revoke(change, key)
    change.session.delete(row)
    change.session.flush()
    log_change(change, "member.removed", project_id=None, subject=name, before=_logged(row, row.role))
    return _member(row)


def list_members(session: Session, organisation_id: str) -> list[Member]:
    """Return the members of an organisation by name. Raises `NotFound`."""
    check_organisation(session, organisation_id)
    query = select(MemberRow).where(MemberRow.organisation_id == organisation_id).order_by(MemberRow.name)
    return [_member(row) for row in session.scalars(query)]


def check_organisation(session: Session, organisation_id: str) -> None:
    """Raise `NotFound` where there is no such organisation."""
    row = session.get(OrganisationRow, organisation_id)
    if row is None:
        there = ", ".join(one.organisation_id for one in list_organisations(session))
        raise NotFound(f"organisation `{organisation_id}`: not found, there are: {there}")


def _check_an_owner_stays(session: Session, row: MemberRow) -> None:
    others = select(MemberRow.role).where(MemberRow.organisation_id == row.organisation_id, MemberRow.name != row.name)
    roles = session.scalars(others).all()
    if row.role == "owner" and roles and "owner" not in roles:
        raise Rejected(f"member `{row.name}`: is the last owner of organisation `{row.organisation_id}`; make another one owner first")


def _logged(row: MemberRow, role: str) -> str:
    """Return a role as the control log has it: a name may be a member of several organisations."""
    return f"{role} in {row.organisation_id}"


def _member(row: MemberRow) -> Member:
    return Member(
        organisation_id=row.organisation_id,
        name=row.name,
        role=row.role,  # type: ignore[arg-type]  # only a Role was ever written
        added_at=row.added_at,
        added_by=row.added_by,
    )
