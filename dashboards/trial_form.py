"""The form of a trial call: its action, resource and agent are in the address, so that a trial can be shared."""

import streamlit as st

from dashboards.address_bar import follow_value, write_value
from dashboards.trial import FACTS_CHARS_MAX, Trial
from dashboards.urls import TEXT_CHARS_MAX


def trial_form() -> Trial | None:
    """Draw the form and return the call in it, None before there is an action."""
    with st.container(horizontal=True, key="trial"):
        action = _shared("Action", "try", placeholder="llm:generate")
        resource = _shared("Resource", "on", placeholder="model/gpt-5.4")
        agent_id = _shared("Agent", "as", placeholder="support-bot")
    with st.container(horizontal=True, key="trial-facts"):
        args = st.text_input("Arguments, as JSON", key="trial-args", placeholder='{"amount": 500}', max_chars=FACTS_CHARS_MAX)
        context = st.text_input(
            "Context, as JSON", key="trial-context", placeholder='{"user_group": "analysts"}', max_chars=FACTS_CHARS_MAX
        )
    return Trial(action=action, resource=resource, agent_id=agent_id, args=args, context=context) if action else None


def _shared(label: str, name: str, *, placeholder: str) -> str:
    follow_value(name, default="", parse=lambda text: text[:TEXT_CHARS_MAX])
    text: str = st.text_input(label, key=name, placeholder=placeholder, max_chars=TEXT_CHARS_MAX).strip()
    write_value(name, text, default="")
    return text
