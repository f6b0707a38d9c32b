"""The question before a change that stops something: what follows from it, why it is asked for, and a way to leave it."""

from collections.abc import Callable

import streamlit as st
from markupsafe import Markup

from controlplane.model import WHY_CHARS_MAX
from dashboards import marks
from dashboards.desk import View
from dashboards.edge import edge, show

Follows = Callable[[View], Markup]  # what follows from the change, as things are when the question is read
Change = Callable[[View, str | None], object]  # what is as it is when the answer is given, and why


def ask(view: View, question: str, *, key: str, follows: Follows, action: str, change: Change) -> None:
    """Open the question; `change` is made once the button of the name `action` is pressed."""

    def draw() -> None:
        with edge(), view.desk.look(view.asked) as now:
            show(marks.consequence(follows(now)))
            why = why_asked(now.actor, key=f"{key}-why")
            with st.container(horizontal=True, key=f"{key}-answer"):
                does = st.button(action, type="primary", key=f"{key}-confirm")
                leaves = st.button("Leave it", key=f"{key}-leave")  # drawn before anything fails: it is the way out
            if does:
                change(now, why)
            if does or leaves:
                st.rerun()

    st.dialog(question, on_dismiss="rerun")(draw)()


def why_asked(actor: str, *, key: str) -> str | None:
    """Ask for the reason of a change, and say under which name it is written down."""
    why = st.text_input("Why (kept in the control log)", max_chars=WHY_CHARS_MAX, key=key)
    show(marks.quiet(f"Written to the control log as {actor}."))
    return why or None
