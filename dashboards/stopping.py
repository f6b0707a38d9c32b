"""Kill switches on every page: the button that throws one, and the orders in force, each with a way to lift it."""

from datetime import timedelta
from functools import partial
from typing import Final

import streamlit as st
from markupsafe import Markup

from controlplane.model import REASON_CHARS_MAX, Order
from controlzero.errors import Rejected
from controlzero.records import Mode
from dashboards import marks, words
from dashboards.asking import why_asked
from dashboards.desk import Desk, from_micros
from dashboards.edge import edge, show

EVERY_S: Final = 5.0  # an order thrown elsewhere shows on a page that is open
AGENTS_OF: Final = timedelta(days=30)
AGENTS_MAX: Final = 1_000
ONE, ALL = "One agent", "All agents"


def stop_button(desk: Desk, project_id: str) -> None:
    """Draw the button; it asks whom to stop and why, and says what follows, before anything does."""
    if st.button("Stop", icon=":material/front_hand:", key="stop", help="Stop an agent of this project, or all of them"):
        st.dialog(f"Stop agents of project {project_id}")(partial(_ask, desk, project_id))()


def orders_in_force(desk: Desk, project_id: str) -> None:
    """Draw the orders that concern the project, anew every few seconds."""

    def draw() -> None:
        with edge():
            for order in desk.plane.list_orders(project_id):
                _in_force(desk, order)

    st.fragment(draw, run_every=EVERY_S)()


def _ask(desk: Desk, project_id: str) -> None:
    with edge():
        mode = desk.plane.project(project_id).mode
        whom = st.radio("Whom", (ONE, ALL), horizontal=True, key="stop-whom")
        agent_id = _agent(desk, project_id) if whom == ONE else None
        reason = st.text_input("Why (agents are told it, and the control log keeps it)", max_chars=REASON_CHARS_MAX, key="stop-reason")
        who = Markup("every call of <b>all agents</b>") if whom == ALL else marks.said("every call of agent <b>{}</b>", agent_id or "…")
        show(marks.consequence(follows(who, mode)))
        show(marks.quiet(f"Written to the control log as {desk.settings.actor}."))
        with st.container(horizontal=True, key="stop-answer"):
            stops = st.button("Stop now", type="primary", key="stop-confirm")
            if st.button("Leave it", key="stop-leave"):
                st.rerun()
        if stops:
            if whom == ONE and not agent_id:
                raise Rejected("Which agent? Choose one, or type its id.")
            desk.plane.throw_order(project_id=project_id, agent_id=agent_id, reason=reason, actor=desk.settings.actor)
            st.rerun()


def _agent(desk: Desk, project_id: str) -> str | None:
    now = desk.clock()
    with desk.archive.asking(project_id) as answers:
        rows = answers.rows("agents", from_at=now - AGENTS_OF, until_at=now + timedelta(days=1), limit=AGENTS_MAX)
    agents = [row["agent_id"] for row in rows if row["agent_id"]]
    filtered = st.query_params.get("agent")
    return st.selectbox(
        "Agent",
        agents,
        index=agents.index(filtered) if filtered in agents else None,
        format_func=marks.visible,
        placeholder="Choose one, or type its id",
        accept_new_options=True,
        key="stop-agent",
    )


def follows(who: Markup, mode: Mode) -> Markup:
    """Say what an order means in a project of this mode."""
    if mode == "off":
        return Markup("The project is in mode <b>off</b>: there an order stops <b>nothing</b>. Switch to log-only or enforce first.")
    return marks.said(
        "From now on <b>{} is denied</b>, under log-only too, whatever the policy says: guard() returns a denial; enforce() and wrapped "
        "clients raise. Connected agents learn of it within two seconds. It holds until somebody lifts it.",
        who,
    )


def _in_force(desk: Desk, order: Order) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"order-{order.order_id}"):
        with st.container(width="stretch", key=f"order-said-{order.order_id}"):
            show(marks.banner("deny", told(order), icon_name="stop"))
        with st.popover("Lift", key=f"order-lift-{order.order_id}"):
            show(marks.said("{} judged by policy and mode alone again.", _lifted(order)))
            why = why_asked(desk.settings.actor, key=f"order-why-{order.order_id}")
            if st.button("Lift it", type="primary", key=f"order-lifted-{order.order_id}"):
                desk.plane.lift_order(order.order_id, actor=desk.settings.actor, why=why)
                st.rerun()


def told(order: Order) -> Markup:
    """Say whom an order stops, since when, by whom and why."""
    if order.project_id is None:
        stopped = Markup("<b>Everything is stopped</b>, in every project")
    elif order.agent_id is None:
        stopped = marks.said("<b>All agents</b> of project <b>{}</b> are stopped", order.project_id)
    else:
        stopped = marks.said("Agent <b>{}</b> is stopped", order.agent_id)
    since = words.moment(from_micros(order.issued_at))
    return marks.said("{}, by {} since {} UTC: <b>{}</b>", stopped, order.issued_by, since, order.reason)


def _lifted(order: Order) -> Markup:
    if order.agent_id is not None:
        return marks.said("Calls of agent <b>{}</b> are", order.agent_id)
    return (
        Markup("Calls of <b>all agents of all projects</b> are") if order.project_id is None else Markup("Calls of <b>all agents</b> are")
    )
