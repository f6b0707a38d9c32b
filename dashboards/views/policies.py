"""Policies: the text in force with hits beside each rule, its versions, and the way to a new one."""

from collections.abc import Sequence
from typing import Final

import streamlit as st
from markupsafe import Markup

from controlplane.model import PolicyVersion
from controlplane.wording import policy_text
from dashboards import marks, words
from dashboards.answers import Row
from dashboards.counting import window_parameters
from dashboards.desk import NotHere, View, from_micros
from dashboards.export import uuid_text
from dashboards.frame import Page, edge, show
from dashboards.policy_form import policy_form
from dashboards.policy_in_force import bundles_of, names_of
from dashboards.policy_marks import Hits, comparison, policy_block
from dashboards.policy_text import Policies, compare, policy_lines, rules_of
from dashboards.quiet import say_if_quiet
from dashboards.recorded_call import RecordedCall, recorded_call
from dashboards.trial import answer, judge, request_of
from dashboards.trial_form import trial_form
from dashboards.urls import address, id_of
from dashboards.window import describe
from dashboards.words import count

CHANGES: Final = {
    "policy": "policy applied",
    "mode": "mode switched",
    "settings": "settings changed",
    "candidate": "candidate put in force",
    "renewal": "signed again before it expires",
    "rotation": "signed anew by another key",
}


def draw(view: View) -> None:
    """Draw a version's text with its hits, the versions, the form for the next one, and the test bench; it comes first for who brings a call."""
    versions = view.plane.policy_versions(view.project.project_id)
    if "decision" in st.query_params:
        bench = st.container()
        written = _next(view, versions)
        with bench:
            _try_a_call(view, written, versions)
        _signed(view, versions)
    else:
        _signed(view, versions)
        _try_a_call(view, _next(view, versions), versions)


def _signed(view: View, versions: Sequence[PolicyVersion]) -> None:
    if not versions:
        show(
            marks.empty(
                "No policy yet",
                "Every call is judged by default deny. Write the first policy below: a list of rules, the first that matches decides.",
            )
        )
        return
    chosen = _chosen(view, versions)
    _text(view, chosen, versions)
    _versions(view, chosen, versions)


def _next(view: View, versions: Sequence[PolicyVersion]) -> Policies | None:
    """Draw the form for the next version, and return what is written in it."""
    show(marks.heading("Apply a policy", note="the next version, in force as soon as agents fetch it"))
    if versions:
        _start_from(_chosen(view, versions))
    return policy_form(
        view,
        key=f"policy-{view.project.project_id}",
        action="Put it in force",
        apply=lambda now, text, why: now.plane.apply_policy(now.project.project_id, text, actor=now.actor, why=why),
        stops_agents=view.project.mode == "enforce",
    )


def _start_from(version: PolicyVersion) -> None:
    """Offer the text of the version shown, to change it."""

    def take() -> None:
        st.session_state[f"policy-{version.project_id}-text"] = policy_text(version.policies)

    st.button(f"Start from version {version.version}", key="policy-start", on_click=take, icon=":material/edit:")


def _try_a_call(view: View, written: Policies | None, versions: Sequence[PolicyVersion]) -> None:
    """Draw the test bench: one call, judged by the policy in force and by the text of the form, where there is one."""
    show(marks.heading("Try a call", note="judged here and now; nothing is recorded and no agent hears of it"))
    recorded = _recorded(view)
    trial = trial_form(recorded)
    if recorded is not None:
        _say_of_recorded(view, recorded, is_changed=trial != recorded.trial)
    if trial is None:
        return
    judges = [("The text being written", written)] if written is not None else []
    judges += [(f"Version {versions[0].version}, in force", versions[0].policies)] if versions else []
    for column, (name, policies) in zip(st.columns(len(judges) or 1), judges, strict=False):
        with column, edge():
            show(marks.said('<h3 class="cz-sub">{}</h3>', name))
            call = recorded.request if recorded is not None and trial == recorded.trial else request_of(trial)
            show(answer(policies, judge(policies, call), mode=view.project.mode))


def _recorded(view: View) -> RecordedCall | None:
    """Return the call of the decision that the address names."""
    text = st.query_params.get("decision", "")
    if not text:
        return None
    decision_id = id_of(text)
    row = view.answers.row("decision", decision_id=decision_id) if decision_id else {}
    if not row:
        show(marks.banner("warn", f"There is no decision {text[:40]} in project {view.project.project_id}.", icon_name="triangle"))
        return None
    digest = row["bundle_digest"] or row["judged_bundle_digest"]
    signed = view.plane.by_digest(view.project.project_id, digest) if digest else None
    return recorded_call(row, recorded_under=signed.policies if signed else None)


def _say_of_recorded(view: View, recorded: RecordedCall, *, is_changed: bool) -> None:
    """Say which decision the call is of, and what of it is not known."""
    row = recorded.decision
    to = address("decision", project=view.project.project_id, id=uuid_text(row["decision_id"]))
    pill = marks.verdict_pill(verdict=row["shown_verdict"], mode=row["mode"], effect=row["effect"])
    of = marks.said("The call of {}, which came to {}", marks.link(f"the decision of {words.moment(row['occurred_at'])} UTC", to), pill)
    show(marks.said("<p>{}{}</p>", of, marks.quiet(", changed since." if is_changed else ".")))
    if recorded.hidden:
        where = marks.joined((marks.mono(path) for path in recorded.hidden), ", ")
        text = "A mask, or a part, is all that is kept of the value at {}. Where a rule would have to know it, the answer is <b>not replayable</b>, until you write a value of your own there."
        show(marks.banner("warn", marks.said(text, where), icon_name="triangle"))


def _chosen(view: View, versions: Sequence[PolicyVersion]) -> PolicyVersion:
    wanted = st.query_params.get("version")
    if wanted is None:
        return versions[0]
    for version in versions:
        if str(version.version) == wanted:
            return version
    raise NotHere(f"There is no version {wanted[:20]} of the policy of project {view.project.project_id}.")


def _text(view: View, chosen: PolicyVersion, versions: Sequence[PolicyVersion]) -> None:
    in_force = chosen.version == versions[0].version
    name = names_of(chosen.policies)
    rules = rules_of(chosen.policies)
    state = (
        "in force"
        if in_force
        else marks.said(
            "not in force: that is {}",
            marks.link(f"version {versions[0].version}", address("policies", project=view.project.project_id, window=view.window)),
        )
    )
    show(
        marks.headline(
            marks.said(
                "{} <b>{}</b>, version {}, {}: {}.", marks.mode_pill(chosen.mode), name, chosen.version, state, count(len(rules), "rule")
            )
        )
    )
    counted = view.answers.rows("rule_hits", digests=bundles_of(versions, chosen.policy_digest), **window_parameters(view.window))
    hits = _hits(view, chosen, counted)
    unused = len(rules) - sum(1 for place in range(1, len(rules) + 1) if hits.get(place) and hits[place].decisions)
    show(marks.heading("Text and hits", note=f"decisions each rule decided, {describe(view.window)}"))
    say_if_quiet(view, "policies")
    if unused and counted:
        show(marks.quiet(f"{count(unused, 'rule')} decided nothing in this period."))
    show(policy_block(policy_lines(chosen.policies), hits=hits))
    show(_beyond_rules(view, counted))


def _hits(view: View, chosen: PolicyVersion, counted: Sequence[Row]) -> dict[int, Hits]:
    rules = rules_of(chosen.policies)
    names = [f"{policy.get('name', 'policy')}#{i}" for policy in chosen.policies for i in range(1, len(policy.get("rules", ())) + 1)]
    hits: dict[int, Hits] = {}
    for row in counted:
        place = row["rule"]
        if place is None or not 1 <= place <= len(rules):
            continue
        rule_id = rules[place - 1].get("id") or names[place - 1]
        to = address("decisions", project=view.project.project_id, window=view.window, policy=chosen.policy_digest, rule=rule_id)
        known = hits.get(place)
        hits[place] = Hits(
            decisions=row["decisions"] + (known.decisions if known else 0), agents=max(row["agents"], known.agents if known else 0), href=to
        )
    return hits


def _beyond_rules(view: View, counted: Sequence[Row]) -> Markup:
    no_rule = sum(row["decisions"] for row in counted if row["rule"] is None and row["verdict"] == "deny")
    not_replayable = sum(row["decisions"] for row in counted if row["verdict"] == "not_replayable")
    judged = sum(row["decisions"] for row in counted)

    def known(number: int) -> str:
        return f"{number:,}" if counted else "no data"

    return marks.stats(
        (
            marks.stat("judged by this policy", known(judged), describe(view.window)),
            marks.stat("no rule matched", known(no_rule), "denied by default"),
            marks.stat("not replayable", known(not_replayable), "a masked value could have decided"),
        )
    )


def _versions(view: View, chosen: PolicyVersion, versions: Sequence[PolicyVersion]) -> None:
    show(marks.heading("Versions", note="signed, newest first"))
    rows = []
    for i, version in enumerate(versions):
        to = address("policies", project=view.project.project_id, window=view.window, version=version.version)
        earlier = versions[i + 1] if i + 1 < len(versions) else None
        same_text = earlier is not None and earlier.policy_digest == version.policy_digest
        difference = "" if earlier is None or same_text else marks.link("difference", f"{to}&against={earlier.version}")
        here = marks.said("<b>{}</b>", version.version) if version.version == chosen.version else marks.link(str(version.version), to)
        rows.append(
            (
                here,
                words.moment(from_micros(version.created_at)),
                CHANGES.get(version.change, version.change),
                marks.mode_pill(version.mode),
                version.created_by,
                version.why or "",
                difference,
            )
        )
    show(marks.table(("Version", "Since (UTC)", "What", "Mode", "By", "Why", ""), rows, label="Versions"))
    against = st.query_params.get("against")
    earlier = next((version for version in versions if str(version.version) == against), None)
    if earlier:
        show(marks.heading(f"Version {chosen.version} against version {earlier.version}"))
        changes = compare(earlier.policies, chosen.policies)
        show(comparison(changes) if changes else marks.quiet("They say the same."))


PAGE = Page(
    name="policies",
    title="Policies",
    icon=":material/gavel:",
    section="Govern",
    show=draw,
    summary="The policy as text with hits beside each rule, its versions and their differences, and the next one.",
)
