"""A form that takes a policy as file or text, names every problem by its path, and says what it would change."""

from collections.abc import Callable

import msgspec
import streamlit as st

from controlplane.signing import parse_policies
from controlzero.errors import PolicyError, Rejected
from controlzero.policy import canonical
from dashboards import marks
from dashboards.desk import View
from dashboards.frame import edge, show
from dashboards.policy_marks import comparison
from dashboards.policy_text import Policies, compare
from dashboards.words import count

Apply = Callable[[View, str, str | None], object]


def policy_form(view: View, *, key: str, action: str, apply: Apply) -> None:
    """Draw the form; `apply` is called with the text once it is valid and the button is pressed."""
    upload = st.file_uploader("Policy file (JSON or YAML)", type=["json", "yaml", "yml"], key=f"{key}-file")
    text = (
        _text(upload.getvalue())
        if upload
        else st.text_area(
            "or its text",
            key=f"{key}-text",
            height=180,
            placeholder="name: …\nrules:\n- effect: allow\n  action: llm:generate\n  resource: model/*",
        )
    )
    if not text.strip():
        return
    try:
        policies = parse_policies(text)
    except PolicyError as invalid:
        show(
            marks.banner(
                "deny", marks.said("This policy cannot be taken: <b>{}</b>.", count(len(invalid.problems), "problem")), icon_name="stop"
            )
        )
        show(
            marks.table(
                ("Where", "What"),
                [(marks.mono(problem.path or "the whole file"), problem.message) for problem in invalid.problems],
                label="Problems",
            )
        )
        return
    except Rejected as refused:
        show(marks.banner("deny", str(refused), icon_name="stop"))
        return
    _difference(view, [msgspec.json.decode(canonical(policy)) for policy in policies])
    why = st.text_input("Why (kept in the control log)", key=f"{key}-why", max_chars=2_000)
    show(marks.quiet(f"Written to the control log as {view.actor}."))
    if st.button(action, type="primary", key=f"{key}-apply"):
        with edge():
            apply(view, text, why or None)
            st.rerun()


def _difference(view: View, policies: Policies) -> None:
    in_force = view.plane.policy(view.project.project_id).policies if view.project.version else ()
    changes = compare(in_force, policies)
    if not changes:
        show(marks.banner("none", "It says what the policy in force says.", icon_name="check"))
        return
    show(marks.quiet("It is valid. Against the policy in force it changes:"))
    show(comparison(changes))


def _text(given: bytes) -> str:
    """Return a file as text; what is no UTF-8 shows as such in the problems that follow."""
    return given.decode("utf-8", errors="replace")
