"""Members: who belongs to the organisation, in which role, and so what their keys may do."""

from typing import Final, get_args

import streamlit as st

from controlplane.model import NAME_CHARS_MAX, ROLE_SCOPES, Member, Role
from dashboards import marks, words
from dashboards.asking import ask, why_asked
from dashboards.desk import View, from_micros
from dashboards.frame import Page, edge, show
from dashboards.item import item

ROLES: Final[tuple[Role, ...]] = get_args(Role)


def draw(view: View) -> None:
    """Draw the members, each with a way to change or remove, then the form for another."""
    organisation = view.project.organisation_id
    members = view.plane.list_members(organisation)
    told = "<b>{}</b> of organisation <b>{}</b>. A role bounds what the keys of a member may do, from the moment it changes."
    show(marks.headline(marks.said(told, words.count(len(members), "member"), organisation)))
    for member in members:
        _member(view, member)
    if not members:
        text = "Keys made without a member are bounded by their scopes alone. Add people and services, and give their keys their name."
        show(marks.empty("No member yet", text))
    show(marks.heading("Add a member, or change a role"))
    with st.form("member", border=True):
        name = st.text_input("Name", max_chars=NAME_CHARS_MAX, placeholder="ada@example.org", key="member-name")
        role = st.selectbox("Role", ROLES, index=ROLES.index("viewer"), key="member-role")
        why = why_asked(view.actor, key="member-why")
        adds = st.form_submit_button("Add", type="primary", key="member-add")
    if adds:
        with edge():
            view.plane.set_member(name.strip(), role, organisation_id=organisation, actor=view.actor, why=why)
            st.rerun()
    show(marks.heading("Roles", note="what the keys of a member may do at most"))
    rows = [(role, "; ".join(text for scope, text in words.SCOPE_WORDS.items() if scope in ROLE_SCOPES[role])) for role in ROLES]
    show(marks.table(("Role", "May"), rows, label="Roles", kind="prose"))


def _member(view: View, member: Member) -> None:
    since = f"added by {member.added_by} {words.moment(from_micros(member.added_at))} UTC"
    with item(marks.said("<b>{}</b> {}", member.name, marks.pill(member.role, "none")), since, key=f"member-{member.name}"):
        if st.button("Remove …", key=f"member-remove-{member.name}"):
            ask(
                view,
                "Remove the member?",
                key=f"member-end-{member.name}",
                follows=lambda _: marks.said("The keys of <b>{}</b> are revoked now, in every project.", member.name),
                action="Remove",
                change=lambda now, why: now.plane.remove_member(
                    member.name, organisation_id=member.organisation_id, actor=now.actor, why=why
                ),
            )


PAGE = Page(
    name="members",
    title="Members",
    icon=":material/group:",
    section="Settings",
    show=draw,
    summary="Who belongs to the organisation, in which role, and what their keys may do.",
    toolbar="project",
)
