"""Secrets: what agents are given for their tools and models; everything but the values can be seen here."""

from typing import Final

import streamlit as st

from controlplane.model import SECRET_BYTES_MAX, Secret
from dashboards import marks, words
from dashboards.asking import ask, why_asked
from dashboards.desk import View, from_micros
from dashboards.environments import environment_asked
from dashboards.frame import Page, edge, show
from dashboards.item import item

TURN: Final = "secret-turn"


def draw(view: View) -> None:
    """Draw what there is, each with a way to delete it, then the form that sets one."""
    secrets = view.plane.list_secrets(view.project.project_id)
    told = "<b>{}</b> that agents of project <b>{}</b> read by name. Sealed with AES-256-GCM; nobody can see a value again."
    show(marks.headline(marks.said(told, words.count(len(secrets), "secret"), view.project.project_id)))
    for secret in secrets:
        _secret(view, secret)
    if not secrets:
        show(
            marks.empty(
                "No secret yet",
                marks.said(
                    'Set one below, or with <code>cz secrets set NAME</code>. An agent reads it with <code>cz.get_secret("NAME")</code>, and a tool\'s headers with <code>${{secret:NAME}}</code>.'
                ),
            )
        )
    show(marks.heading("Set a secret", note="a new one, or the next version of one; the control log never has the value"))
    _form(view)


def _secret(view: View, secret: Secret) -> None:
    where = f"in {secret.environment}" if secret.environment else "in all environments"
    read = (
        f"last read {words.ago(from_micros(secret.last_read_at), now=view.now)} by {secret.last_read_by}"
        if secret.last_read_at
        else "never read"
    )
    about = f"version {secret.version} · set by {secret.updated_by} {words.moment(from_micros(secret.updated_at))} UTC · {read}"
    name = f"{secret.name}-{secret.environment or ''}"
    with item(marks.said("{} {}", marks.mono(secret.name), marks.quiet(where)), about, key=f"secret-{name}"):
        if st.button("Delete …", key=f"secret-delete-{name}"):
            ask(
                view,
                "Delete the secret?",
                key=f"secret-end-{name}",
                follows=lambda _: marks.said(
                    "Agents that start from now on do not get <b>{}</b>; those that run keep it until they end.", secret.name
                ),
                action="Delete it",
                change=lambda now, why: now.plane.delete_secret(
                    now.project.project_id, secret.name, environment=secret.environment, actor=now.actor, why=why
                ),
            )


def _form(view: View) -> None:
    turn = st.session_state.setdefault(TURN, 0)  # the next form is another: what was typed in this one is forgotten
    with st.form(f"secret-{turn}", border=True):
        name = st.text_input("Name", placeholder="OPENAI_API_KEY", key=f"secret-name-{turn}")
        value = st.text_input("Value", type="password", max_chars=SECRET_BYTES_MAX, key=f"secret-value-{turn}", autocomplete="off")
        environment = environment_asked(view, key=f"secret-environment-{turn}")
        why = why_asked(view.actor, key=f"secret-why-{turn}")
        sets = st.form_submit_button("Set it", type="primary", key=f"secret-set-{turn}")
    if sets:
        with edge():
            view.plane.set_secret(view.project.project_id, name.strip(), value, environment=environment, actor=view.actor, why=why)
            st.session_state[TURN] = turn + 1
            st.rerun()


PAGE = Page(
    name="secrets",
    title="Secrets",
    icon=":material/lock:",
    section="Settings",
    show=draw,
    summary="What agents are given for their tools and models: set, never shown again, deleted.",
    toolbar="project",
)
