"""API keys: those that grant this project and what each may do, a new one shown once, and the end of one."""

from typing import Final, get_args

import streamlit as st
from markupsafe import Markup

from controlplane.model import DEFAULT_SCOPES, KEY_NAME_CHARS_MAX, Key
from controlplane.service import GRACE_S
from dashboards import marks, words
from dashboards.asking import ask, why_asked
from dashboards.desk import View, api_url, from_micros
from dashboards.environments import environment_asked
from dashboards.frame import Page, edge, show
from dashboards.item import item
from dashboards.words import SCOPE_WORDS
from topics.control import Scope

MADE: Final = "key-made"
GRACE_H: Final = GRACE_S // 3_600


def draw(view: View) -> None:
    """Draw the keys with a way to end each, then those that ended."""
    keys = view.plane.list_keys(view.project.project_id)
    active = [key for key in keys if state_of(key, now_us=_now_us(view)) == "active"]
    told = "<b>{}</b> in use: what agents of project <b>{}</b> deliver their decisions with."
    show(marks.headline(marks.said(told, words.count(len(active), "key"), view.project.project_id)))
    if st.button("Make a key …", type="primary", key="key-make"):
        _ask_to_make(view)
    if not keys:
        text = "An agent needs one to deliver its decisions and to follow the policy. Make one for each, so that one can end without the others."
        show(marks.empty("No key yet", text))
        return
    for key in active:
        _key(view, key)
    if ended := [key for key in keys if key not in active]:
        show(marks.heading("Ended", note="refused by the gateway"))
        rows = [(marks.mono(f"{key.prefix}…"), key.name, key.key_id, *_end_of(key)) for key in ended]
        show(marks.table(("Key", "Name", "Id", "How", "When (UTC)"), rows, label="Ended keys"))


def state_of(key: Key, *, now_us: int) -> str:
    """Say whether a key is `active`, `revoked` or `expired`."""
    if key.revoked_at is not None and key.revoked_at <= now_us:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now_us else "active"


def _end_of(key: Key) -> tuple[str, str]:
    if key.revoked_at is not None:
        return "revoked", words.moment(from_micros(key.revoked_at))
    return "expired after its rotation", words.moment(from_micros(key.expires_at or 0))


def _key(view: View, key: Key) -> None:
    what = marks.said("{} <b>{}</b> {}", marks.mono(f"{key.prefix}…"), key.name, marks.quiet(key.key_id))
    with item(what, _about(view, key), key=f"key-{key.key_id}"):
        if key.rotated_to is None and st.button("Rotate …", key=f"key-rotate-{key.key_id}"):
            _ask_to_rotate(view, key)
        if st.button("Revoke …", key=f"key-revoke-{key.key_id}"):
            ask(
                view,
                "Revoke the key?",
                key=f"key-end-{key.key_id}",
                follows=lambda _: marks.said(
                    "What comes with <b>{}…</b> is refused from now on, for ever, in {}. Agents that use it go on by the policy they "
                    "have, and keep what they record on disk until they are given another key.",
                    key.prefix,
                    ", ".join(key.projects),
                ),
                action="Revoke it",
                change=lambda now, why: now.plane.revoke_key(key.key_id, actor=now.actor, why=why),
            )


def _about(view: View, key: Key) -> Markup:
    """Say what a key may do, for whom, and when it was used."""
    may = "agents' work" if set(key.scopes) == set(DEFAULT_SCOPES) else ", ".join(key.scopes)
    others = [each for each in key.projects if each != view.project.project_id]
    said = [f"for {may}"]
    said += [f"also of project {', '.join(others)}"] * bool(others)
    said += [f"environment {key.environment}"] * bool(key.environment)
    said += [f"of member {key.member}"] * bool(key.member)
    said.append(f"made by {key.created_by} {words.moment(from_micros(key.created_at))} UTC")
    said.append(f"last used {words.ago(from_micros(key.last_used_at), now=view.now)}" if key.last_used_at else "never used")
    until = marks.said(" · <b>rotated, good until {} UTC</b>", words.moment(from_micros(key.expires_at))) if key.expires_at else ""
    return marks.said("{}{}", " · ".join(said), until)


def _ask_to_make(view: View) -> None:
    def draw() -> None:
        with edge(), view.desk.look(view.asked) as now:
            if _made(now):
                return
            name = st.text_input("Name", max_chars=KEY_NAME_CHARS_MAX, placeholder="support bot, production", key="key-name")
            kind = st.radio(
                "For",
                ("live", "test"),
                format_func={"live": "live traffic", "test": "tests (cz_test_…)"}.__getitem__,
                horizontal=True,
                key="key-kind",
            )
            scopes = st.multiselect(
                "It may", get_args(Scope), default=list(DEFAULT_SCOPES), format_func=SCOPE_WORDS.__getitem__, key="key-scopes"
            )
            environment = environment_asked(now, key="key-environment")
            member = _member_asked(now)
            why = why_asked(now.actor, key="key-why")
            if st.button("Make it", type="primary", key="key-confirm"):
                st.session_state[MADE], _ = now.plane.create_key(
                    [now.project.project_id],
                    actor=now.actor,
                    live=kind == "live",
                    name=name.strip() or None,
                    scopes=scopes,
                    environment=environment,
                    member=member,
                    why=why,
                )
                st.rerun(scope="fragment")

    st.dialog("Make a key", on_dismiss=_forget)(draw)()


def _member_asked(view: View) -> str | None:
    """Ask whose key it is; None is nobody's, and no question in an organisation without members."""
    members = [each.name for each in view.plane.list_members(view.project.organisation_id)]
    return st.selectbox("Of member", [None, *members], format_func=lambda name: name or "nobody", key="key-member") if members else None


def _ask_to_rotate(view: View, key: Key) -> None:
    def draw() -> None:
        with edge(), view.desk.look(view.asked) as now:
            if _made(now):
                return
            follows = "A new key takes the place of <b>{}…</b>, which is good for as long as you say and is refused after that."
            show(marks.consequence(marks.said(follows, key.prefix)))
            hours = st.number_input("Hours the old one is still good for", 0, 24 * 30, value=GRACE_H, key=f"key-grace-{key.key_id}")
            why = why_asked(now.actor, key=f"key-rotate-{key.key_id}-why")
            if st.button("Rotate it", type="primary", key=f"key-rotated-{key.key_id}"):
                st.session_state[MADE], _ = now.plane.rotate_key(key.key_id, actor=now.actor, grace_s=int(hours) * 3_600, why=why)
                st.rerun(scope="fragment")

    st.dialog("Rotate the key?", on_dismiss=_forget)(draw)()


def _made(view: View) -> bool:
    """Show the key just made, where there is one; it is forgotten with the dialog."""
    secret = st.session_state.get(MADE)
    if secret is None:
        return False
    show(marks.said("<p><b>This is the only time it is shown</b>: only its hash is kept. Where the agent runs:</p>"))
    st.code(f"export CONTROLZERO_API_KEY={secret} CONTROLZERO_BASE_URL={api_url(view.settings)}", language="bash", wrap_lines=True)
    if st.button("I have it", type="primary", key="key-kept"):
        _forget()
        st.rerun()
    return True


def _forget() -> None:
    st.session_state.pop(MADE, None)


def _now_us(view: View) -> int:
    return int(view.now.timestamp() * 1e6)


PAGE = Page(
    name="keys",
    title="API keys",
    icon=":material/key:",
    section="Settings",
    show=draw,
    summary="The keys agents deliver with: make one, see it once, rotate it, revoke it.",
    toolbar="project",
)
