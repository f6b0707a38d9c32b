"""The form of a trial call: its action, resource and agent are in the address, so that a trial can be shared."""

from typing import Final

import streamlit as st

from dashboards.address_bar import follow_value, write_value
from dashboards.recorded_call import RecordedCall
from dashboards.trial import FACTS_CHARS_MAX, Trial
from dashboards.urls import TEXT_CHARS_MAX

ARGS: Final = "trial-args"
CONTEXT: Final = "trial-context"
FILLED: Final = "trial-filled"  # which decision's facts the form was filled with


def trial_form(recorded: RecordedCall | None) -> Trial | None:
    """Draw the form and return the call in it, None before there is an action; arguments and context are first those of `recorded`."""
    _fill(recorded)
    with st.container(horizontal=True, key="trial"):
        action = _shared("Action", "try", placeholder="llm:generate")
        resource = _shared("Resource", "on", placeholder="model/gpt-5.4")
        agent_id = _shared("Agent", "as", placeholder="support-bot")
    with st.container(horizontal=True, key="trial-facts"):
        args = _facts("Arguments, as JSON", key=ARGS, placeholder='{"amount": 500}')
        context = _facts("Context, as JSON", key=CONTEXT, placeholder='{"user_group": "analysts"}')
    return Trial(action=action, resource=resource, agent_id=agent_id, args=args, context=context) if action else None


def _fill(recorded: RecordedCall | None) -> None:
    """Put the facts of a decision into the form, once; what is typed over them stays."""
    if recorded is None:
        return
    decision_id = recorded.decision["decision_id"]
    if st.session_state.get(FILLED) != decision_id or ARGS not in st.session_state:
        st.session_state[FILLED] = decision_id
        st.session_state[ARGS], st.session_state[CONTEXT] = recorded.trial.args, recorded.trial.context


def _facts(label: str, *, key: str, placeholder: str) -> str:
    return st.text_area(label, key=key, placeholder=placeholder, height="content", max_chars=FACTS_CHARS_MAX).strip()


def _shared(label: str, name: str, *, placeholder: str) -> str:
    follow_value(name, default="", parse=lambda text: text[:TEXT_CHARS_MAX])
    text: str = st.text_input(label, key=name, placeholder=placeholder, max_chars=TEXT_CHARS_MAX).strip()
    write_value(name, text, default="")
    return text
