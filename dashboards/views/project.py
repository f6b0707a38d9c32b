"""Project: its mode, what agents and workers do when something is wrong, how long things are kept; and who changed what."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import streamlit as st
from msgspec import UNSET
from msgspec.structs import asdict

from controlplane.model import (
    BUNDLE_DAYS_MAX,
    NAME_CHARS_MAX,
    RETENTION_DAYS_MAX,
    WEBHOOK_CHARS_MAX,
    Project,
    ProjectSettings,
)
from dashboards import marks, words
from dashboards.asking import ask, why_asked
from dashboards.control_log import changes_table
from dashboards.desk import View, from_micros
from dashboards.frame import Page, edge, show
from dashboards.mode_switch import ask_about_mode
from dashboards.urls import address
from warehouse.retention import QUARANTINE_DAYS

CHANGES_SHOWN: Final = 20
KEPT: Final = {
    "decision": "Decisions",
    "outcome": "Outcomes",
    "finding": "Findings",
    "quarantine": "Quarantine",
    "rollup": "Counts (rollups)",
}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A setting with a few values: what it is about, and each value in words."""

    name: str
    label: str
    values: Mapping[str, str]


CHOICES: Final = (
    Choice(
        name="on_stale",
        label="When an agent's bundle is past its age",
        values={"keep": "Judge by it all the same, and record that", "deny": "Deny every call"},
    ),
    Choice(
        name="on_unrecordable",
        label="When a call cannot be recorded",
        values={"go_on": "Go on, and record how many were lost", "deny": "No record, no action: deny it"},
    ),
    Choice(
        name="on_enforcement_gap",
        label="When a call goes ahead although the policy denies it under enforce",
        values={"record": "Record and alert", "stop_agent": "Record, alert, and stop the agent until a person lifts it"},
    ),
)


def draw(view: View) -> None:
    """Draw the mode's switch, the settings, the newest changes, and the way into the archive."""
    project = view.project
    made = f"made {words.moment(from_micros(project.created_at))} UTC"
    show(marks.headline(marks.said("{} <b>{}</b> ({}), {}.", marks.mode_pill(project.mode), project.name, project.project_id, made)))
    _log_only(view)
    show(marks.heading("Settings", note="agents and workers follow within seconds"))
    _settings(view)
    show(marks.heading("Environments", note="a key may be for one, and then reads its secrets"))
    _environments(view)
    to = marks.link("All changes of a period", address("compliance", project=project.project_id, window=view.window))
    show(marks.heading("Control log", note=marks.said("the newest changes · {}", to)))
    show(changes_table(view.plane.control_log(project.project_id, limit=CHANGES_SHOWN)))
    if st.button("Archive this project …", key="archive", type="tertiary"):
        _ask_to_archive(view)


def _log_only(view: View) -> None:
    """Draw the switch as it is in force; turned, it asks first, and stands as before until that is answered."""
    project = view.project
    turn = st.session_state.setdefault("log-only-turn", 0)
    with st.container(border=True, key="log-only"):
        is_on = project.mode == "log-only"
        wanted = st.toggle("**Log-Only Mode**", value=is_on, key=f"log-only-{turn}-{project.project_id}-{project.mode}")
        if project.mode == "off":
            show(
                marks.said(
                    "Governance is <b>off</b>: calls are recorded and judged by workers alone. Turn the switch to judge in agents again."
                )
            )
        elif is_on:
            show(
                marks.said(
                    "<b>true</b>: every call is judged and recorded, and goes ahead. See what enforcing would deny on {}.",
                    marks.link("Rollout", address("rollout", project=project.project_id, window=view.window)),
                )
            )
        else:
            show(marks.said("<b>false</b>: denials are enforced; a denied call does not go ahead."))
    if wanted != is_on:
        st.session_state["log-only-turn"] = turn + 1
        ask_about_mode(view, "log-only" if wanted else "enforce")


def _settings(view: View) -> None:
    project = view.project
    turn = st.session_state.setdefault("settings-turn", 0)
    # What somebody else changed is shown, never written over; nor does what was saved stay typed: a webhook's URL is a secret.
    as_of = f"{project.project_id}-{zlib.crc32(msgspec.json.encode(project)):08x}-{turn}"
    with st.form(f"settings-{as_of}", border=True):
        given: dict[str, Any] = {"name": st.text_input("Name", value=project.name, max_chars=NAME_CHARS_MAX, key=f"setting-name-{as_of}")}
        for choice in CHOICES:
            given[choice.name] = st.selectbox(
                choice.label,
                list(choice.values),
                index=list(choice.values).index(getattr(project, choice.name)),
                format_func=choice.values.__getitem__,
                key=f"setting-{choice.name}-{as_of}",
            )
        given["bundle_days"] = st.number_input(
            "Days a signed bundle is good for",
            1,
            BUNDLE_DAYS_MAX,
            value=project.bundle_days,
            placeholder="always",
            key=f"setting-bundle_days-{as_of}",
        )
        show(marks.quiet("Days each kind is kept, counted from when it was received. Tallies outlive all: they prove completeness."))
        with st.container(horizontal=True, key=f"setting-kept-{as_of}"):
            kept = {
                kind: st.number_input(
                    label,
                    1,
                    RETENTION_DAYS_MAX,
                    value=project.retention_days.get(kind),
                    placeholder=f"{QUARANTINE_DAYS} days" if kind == "quarantine" else "for ever",
                    key=f"setting-kept-{kind}-{as_of}",
                    width=150,
                )
                for kind, label in KEPT.items()
            }
        url = st.text_input(
            "Webhook that alerts are posted to (empty: none)",
            value=project.webhook_url or "",
            max_chars=WEBHOOK_CHARS_MAX,
            placeholder="https://example.org/hook",
            key=f"setting-webhook_url-{as_of}",
        )
        why = why_asked(view.actor, key=f"setting-why-{as_of}")
        saves = st.form_submit_button("Save", type="primary", key=f"setting-save-{as_of}")
    if saves:
        with edge():
            changed = changed_settings(project, {**given, "retention_days": kept, "webhook_url": url.strip() or None})
            view.plane.set_project(project.project_id, changed, actor=view.actor, why=why)
            st.session_state["settings-turn"] = turn + 1
            st.rerun()


def _environments(view: View) -> None:
    project_id = view.project.project_id
    for environment in view.plane.list_environments(project_id):
        with st.container(horizontal=True, vertical_alignment="center", key=f"environment-{environment.name}"):
            since = f"made by {environment.created_by} {words.moment(from_micros(environment.created_at))} UTC"
            show(marks.said("<b>{}</b> {}", environment.name, marks.quiet(since)))
            if st.button("Remove …", key=f"environment-remove-{environment.name}", type="tertiary"):
                _ask_to_remove(view, environment.name)
    with st.form("environment", clear_on_submit=True, border=False):
        name = st.text_input("Another environment", placeholder="staging", key="environment-name", width=300)
        why = why_asked(view.actor, key="environment-why")
        adds = st.form_submit_button("Add", key="environment-add")
    if adds:
        with edge():
            view.plane.add_environment(project_id, name.strip(), actor=view.actor, why=why)
            st.rerun()


def _ask_to_remove(view: View, environment: str) -> None:
    ask(
        view,
        "Remove the environment?",
        key="environment-end",
        follows=lambda _: marks.said(
            "No key and no secret can be made for <b>{}</b> from now on; what was decided in it keeps its name. It stays where a key in "
            "use or a secret is for it.",
            environment,
        ),
        action="Remove it",
        change=lambda now, why: now.plane.remove_environment(now.project.project_id, environment, actor=now.actor, why=why),
    )


def changed_settings(project: Project, given: Mapping[str, Any]) -> ProjectSettings:
    """Return the settings that differ from the project's; the rest stay unset, so that two people may change different ones."""
    now = asdict(project)
    before = {**now, "retention_days": {kind: now["retention_days"].get(kind) for kind in given["retention_days"]}}
    return ProjectSettings(**{name: value if value != before[name] else UNSET for name, value in given.items()})


def _ask_to_archive(view: View) -> None:
    def archive(now: View, why: str | None) -> None:
        now.plane.archive_project(now.project.project_id, actor=now.actor, why=why)
        st.query_params.pop("project", None)

    ask(
        view,
        "Archive the project?",
        key="archive-it",
        follows=lambda _: marks.said(
            "From now on what agents send to <b>{}</b> is refused, and it is in no list. Nothing recorded is deleted. "
            "<code>cz project restore {}</code> takes it back.",
            view.project.project_id,
            view.project.project_id,
        ),
        action="Archive it",
        change=archive,
    )


PAGE = Page(
    name="project",
    title="Project",
    icon=":material/tune:",
    section="Settings",
    show=draw,
    summary="Log-only mode, what happens when something is wrong, how long things are kept, and who changed what.",
    toolbar="project",
)
