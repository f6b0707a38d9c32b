"""The question before a change that stops something: what follows from it, why it is asked for, and a way to leave it."""

from collections.abc import Callable

import streamlit as st
from markupsafe import Markup

from controlplane.model import WHY_CHARS_MAX
from dashboards import marks
from dashboards.desk import View
from dashboards.edge import edge, show

Change = Callable[[View, str | None], object]  # what is as it is when the answer is given, and why


def ask(view: View, question: str, *, key: str, follows: Markup, action: str, change: Change) -> None:
    """Open the question; `change` is made once the button of the name `action` is pressed."""

    def draw() -> None:
        with edge(), view.desk.look(view.asked) as now:
            show(marks.said('<div class="cz-consequence">{}</div>', follows))
            why = why_asked(now, key=key)
            with st.container(horizontal=True, key=f"{key}-answer"):
                if st.button(action, type="primary", key=f"{key}-confirm"):
                    change(now, why)
                    st.rerun()
                if st.button("Leave it", key=f"{key}-leave"):
                    st.rerun()

    st.dialog(question, on_dismiss="rerun")(draw)()


def why_asked(view: View, *, key: str) -> str | None:
    """Ask for the reason of a change, and say under which name it is written down."""
    why = st.text_input("Why (kept in the control log)", max_chars=WHY_CHARS_MAX, key=f"{key}-why")
    show(marks.quiet(f"Written to the control log as {view.actor}."))
    return why or None
