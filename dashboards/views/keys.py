"""API keys: those that grant this project, a new one shown once, and the end of one."""

from functools import partial
from typing import Final

import streamlit as st

from controlplane.model import WHY_CHARS_MAX, Key
from dashboards import marks, words
from dashboards.desk import View, api_url, from_micros
from dashboards.frame import Page, edge, show

MADE: Final = "key-made"


def draw(view: View) -> None:
    """Draw the keys with a way to end each, then the way to a new one."""
    keys = view.plane.list_keys(view.project.project_id)
    active = [key for key in keys if key.revoked_at is None]
    show(
        marks.headline(
            marks.said(
                "<b>{}</b> in use: what agents of project <b>{}</b> send their decisions with.",
                words.count(len(active), "key"),
                view.project.project_id,
            )
        )
    )
    if st.button("Make a key …", type="primary", key="key-make"):
        st.dialog("Make a key")(partial(_ask_to_make, view))()
    if not keys:
        show(
            marks.empty(
                "No key yet",
                "An agent needs one to deliver its decisions and to follow the policy. Make one for each agent, so that one can be revoked without the others.",
            )
        )
        return
    for key in active:
        _key(view, key)
    if revoked := [key for key in keys if key.revoked_at is not None]:
        show(marks.heading("Revoked", note="refused by the gateway, for ever"))
        rows = [(marks.mono(f"{key.prefix}…"), key.key_id, words.moment(from_micros(key.revoked_at or 0))) for key in revoked]
        show(marks.table(("Key", "Id", "Revoked (UTC)"), rows, label="Revoked keys"))


def _key(view: View, key: Key) -> None:
    with st.container(horizontal=True, vertical_alignment="center", border=True, key=f"key-{key.key_id}"):
        with st.container(width="stretch", key=f"key-said-{key.key_id}"):
            others = [each for each in key.projects if each != view.project.project_id]
            also = marks.quiet(f" also for {', '.join(others)}") if others else ""
            show(
                marks.said(
                    "{} {}{}<br>{}",
                    marks.mono(f"{key.prefix}…"),
                    key.key_id,
                    also,
                    marks.quiet(f"made {words.moment(from_micros(key.created_at))} UTC"),
                )
            )
        if st.button("Revoke …", key=f"key-revoke-{key.key_id}"):
            st.dialog("Revoke the key?")(partial(_ask_to_revoke, view, key))()


def _ask_to_make(view: View) -> None:
    with edge(), view.desk.look(view.asked) as now:
        if secret := st.session_state.get(MADE):
            show(
                marks.said(
                    "<p>The key of project <b>{}</b>. <b>This is the only time it is shown</b>: only its hash is kept.</p>",
                    now.project.project_id,
                )
            )
            st.code(f"export CONTROLZERO_API_KEY={secret} CONTROLZERO_BASE_URL={api_url(now.settings)}", language="bash", wrap_lines=True)
            if st.button("I have it", type="primary", key="key-kept"):
                del st.session_state[MADE]
                st.rerun()
            return
        kind = st.radio(
            "For",
            ("live", "test"),
            format_func={"live": "live traffic", "test": "tests (cz_test_…)"}.__getitem__,
            horizontal=True,
            key="key-kind",
        )
        why = st.text_input("Why (kept in the control log)", max_chars=WHY_CHARS_MAX, key="key-why")
        show(marks.quiet(f"Written to the control log as {now.actor}."))
        if st.button("Make it", type="primary", key="key-confirm"):
            st.session_state[MADE], _ = now.plane.create_key(
                [now.project.project_id], actor=now.actor, live=kind == "live", why=why or None
            )
            st.rerun(scope="fragment")


def _ask_to_revoke(view: View, key: Key) -> None:
    with edge(), view.desk.look(view.asked) as now:
        show(
            marks.said(
                '<div class="cz-consequence">What comes with <b>{}…</b> is refused from now on, for ever, in {}. Agents that use it go on '
                "by the policy they have and keep what they record on disk until they are given another key.</div>",
                key.prefix,
                ", ".join(key.projects),
            )
        )
        why = st.text_input("Why (kept in the control log)", max_chars=WHY_CHARS_MAX, key=f"key-why-{key.key_id}")
        show(marks.quiet(f"Written to the control log as {now.actor}."))
        with st.container(horizontal=True, key="key-answer"):
            if st.button("Revoke it", type="primary", key=f"key-sure-{key.key_id}"):
                now.plane.revoke_key(key.key_id, actor=now.actor, why=why or None)
                st.rerun()
            if st.button("Leave it", key=f"key-leave-{key.key_id}"):
                st.rerun()


PAGE = Page(
    name="keys",
    title="API keys",
    icon=":material/key:",
    section="Settings",
    show=draw,
    summary="The keys agents deliver with: make one, see it once, revoke it.",
    toolbar="project",
)
