"""A form that takes a policy as file or text, names every problem by its path, says what it would change, and asks where that stops agents."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import streamlit as st
from markupsafe import Markup

from controlplane.signing import parse_policies
from controlzero.errors import PolicyError, Problem, Rejected
from controlzero.policy import canonical
from controlzero.policy.examples import Remark, remarks_on
from dashboards import marks
from dashboards.asking import Change, ask, why_asked
from dashboards.consequence import said_of_policy
from dashboards.desk import View
from dashboards.editor import editor
from dashboards.frame import edge, show
from dashboards.policy_marks import comparison, shown
from dashboards.policy_text import Policies, compare
from dashboards.urls import address
from dashboards.words import count

NOTES_MAX: Final = 20  # of what is worth knowing and no mistake
Apply = Callable[[View, str, str | None], object]


def policy_form(view: View, *, key: str, action: str, apply: Apply, stops_agents: bool = False) -> Policies | None:
    """Draw the form and return the policies in it, None where there are none or none that can be taken.

    `apply` is called with the text once it is valid and the button is pressed. With `stops_agents` what it denies will not go
    ahead: that is stated and has to be confirmed first.
    """
    upload = st.file_uploader("Policy file (JSON or YAML)", type=["json", "yaml", "yml"], key=f"{key}-file")
    text = (
        _text(upload.getvalue())
        if upload
        else editor(
            "or its text",
            key=f"{key}-text",
            placeholder="name: …\nrules:\n- effect: allow\n  action: llm:generate\n  resource: model/*",
        )
    )
    if not text.strip():
        return None
    try:
        policies = parse_policies(text)
    except PolicyError as invalid:
        show(
            marks.banner(
                "deny", marks.said("This policy cannot be taken: <b>{}</b>.", count(len(invalid.problems), "problem")), icon_name="stop"
            )
        )
        _problems(invalid.problems, label="Problems")
        return None
    except Rejected as refused:
        show(marks.banner("deny", marks.sentence(str(refused)), icon_name="stop"))
        return None
    documents: Policies = [msgspec.json.decode(canonical(policy)) for policy in policies]
    _difference(view, documents)
    _remarks(remarks_on(text, policies), key=f"{key}-order")
    if stops_agents:
        if st.button(f"{action} …", type="primary", key=f"{key}-apply"):
            _ask(view, documents, key=key, action=action, change=lambda now, why: apply(now, text, why))
        return documents
    why = why_asked(view.actor, key=f"{key}-why")
    if st.button(action, type="primary", key=f"{key}-apply"):
        with edge():
            apply(view, text, why)
            st.rerun()
    return documents


def _problems(problems: Sequence[Problem], *, label: str) -> None:
    show(
        marks.table(
            ("Where", "What"), [(_where(problem), marks.sentence(problem.message)) for problem in problems], label=label, kind="prose"
        )
    )


def _remarks(remarks: Sequence[Remark], *, key: str) -> None:
    """Draw what is most likely a mistake, and, to be opened, what rests on the order of the rules."""
    warnings = [remark for remark in remarks if remark.kind == "warning"]
    notes = [remark for remark in remarks if remark.kind == "note"]
    if warnings:
        show(marks.quiet("Worth a look, though it can be applied:"))
        show(_remarked(warnings, label="Warnings"))
    if notes:
        with st.expander(f"What rests on the order of its rules ({len(notes):,})", icon=":material/swap_vert:", key=key):
            show(_remarked(notes[:NOTES_MAX], label="Notes"))
            if len(notes) > NOTES_MAX:
                show(marks.quiet(f"{len(notes) - NOTES_MAX:,} more: `cz policy lint` names all."))


def _remarked(remarks: Sequence[Remark], *, label: str) -> Markup:
    def what(remark: Remark) -> Markup:
        example = marks.said('<p class="cz-example">{}</p>', shown(remark.example)) if remark.example is not None else ""
        return marks.said("{}{}", marks.sentence(remark.problem.message), example)

    return marks.table(("Where", "What"), [(_where(remark.problem), what(remark)) for remark in remarks], label=label, kind="prose")


def _where(problem: Problem) -> Markup:
    line = marks.quiet(f"line {problem.line}") if problem.line is not None else ""
    return marks.said("{} {}", marks.mono(problem.path or "the whole file"), line)


def _ask(view: View, documents: Policies, *, key: str, action: str, change: Change) -> None:
    def follows(now: View) -> Markup:
        to = marks.link("candidate", address("rollout", project=now.project.project_id, window=now.window))
        first = marks.quiet(marks.said("To see first what it would deny of real calls, add it as a {} instead.", to))
        return marks.said("{}<p>{}</p>", said_of_policy(now.project.mode, documents), first)

    ask(view, f"{action}?", key=key, follows=follows, action=action, change=change)


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
