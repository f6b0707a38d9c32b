"""Rollout: what the policy would do before it does it, candidates beside it, and the switch."""

from collections.abc import Sequence
from typing import Final

import streamlit as st
from markupsafe import Markup

from controlplane.model import Candidate
from controlzero.records import Mode
from dashboards import charts, marks, words
from dashboards.answers import Row
from dashboards.asking import ask
from dashboards.consequence import (
    BUTTONS,
    NEXT_MODES,
    Consequence,
    found_by,
    judged_by,
    nothing_judged,
    said_of_policy,
)
from dashboards.counting import bucket_parameters, series_by_standing, window_parameters
from dashboards.desk import View, from_micros
from dashboards.frame import Page, connect_an_agent, show
from dashboards.mode_switch import Evidence, ask_about_mode, evidence_of
from dashboards.policy_form import policy_form
from dashboards.policy_in_force import bundles_of, in_force_since, names_of
from dashboards.quiet import say_if_quiet
from dashboards.urls import address
from dashboards.window import bucket_labels, describe, within
from dashboards.words import count

BARS_MAX: Final = 7
CHANGES_SHOWN: Final = 8
FACETS: Final = {"rule": "By rule", "agent": "By agent", "action": "By action", "resource": "By resource"}


def draw(view: View) -> None:
    """Draw the mode and its switch, then the evidence, then the candidates."""
    if not view.answers.row("any_decision").get("decisions"):
        connect_an_agent(view)
        return
    evidence = evidence_of(view)
    _mode(view, evidence)
    if view.project.version is not None and not say_if_quiet(view, "rollout"):
        _denials(view, evidence)
    _candidates(view, evidence)


def _mode(view: View, evidence: Evidence) -> None:
    project = view.project
    if project.version is None:
        show(marks.headline(marks.said("{} There is no policy yet: every call is judged by default deny.", marks.mode_pill(project.mode))))
    else:
        versions = view.plane.policy_versions(project.project_id)
        to = address("policies", project=project.project_id, window=view.window)
        show(
            marks.headline(
                marks.said(
                    "{} Policy <b>{}</b> ({}), in force since {} UTC.",
                    marks.mode_pill(project.mode),
                    names_of(versions[0].policies),
                    marks.link(f"version {project.version}", to),
                    words.moment(in_force_since(versions)),
                )
            )
        )
        _shown_so_far(NEXT_MODES[project.mode][0], evidence)
    with st.container(horizontal=True, key="mode-switch"):
        for mode in NEXT_MODES[project.mode]:
            if st.button(f"{BUTTONS[mode]} …", key=f"to-{mode}", type="primary" if mode == "enforce" else "secondary"):
                ask_about_mode(view, mode)


def _shown_so_far(next_mode: Mode, evidence: Evidence) -> None:
    would_stop_more = next_mode == "enforce" or not evidence.happened.judged
    show(
        marks.banner(
            "logged" if would_stop_more else "none",
            found_by(next_mode, evidence.happened, judged_ever=evidence.judged_ever),
            icon_name="through" if next_mode == "enforce" else "clock",
        )
    )


def _denials(view: View, evidence: Evidence) -> None:
    happened = evidence.happened
    if view.project.mode == "enforce":
        show(marks.heading("What the policy in force denies", note=describe(view.window)))
    else:
        show(marks.heading("What went ahead although the policy denies it", note=describe(view.window)))
    others = marks.link("Which policies judged", address("compliance", project=view.project.project_id, window=view.window))
    show(marks.quiet(marks.said("{}{}", judged_by(happened), marks.said(" {}", others) if happened.judged_by_others else "")))
    if not happened.judged:
        show(marks.empty("No evidence", nothing_judged(happened, judged_ever=evidence.judged_ever)))
        return
    if not happened.let_through and not happened.denied:
        show(marks.empty("The policy denies none of it", _denies_none(happened)))
        return
    show(
        marks.stats(
            (
                marks.stat("would have been denied", f"{happened.let_through:,}", "they went ahead"),
                marks.stat("of all it judged", words.percent(happened.let_through, happened.judged), f"of {happened.judged:,}"),
                marks.stat("were denied", f"{happened.denied:,}", "they did not go ahead"),
                marks.stat("not replayable", f"{happened.not_replayable:,}", "no verdict, never guessed"),
            )
        )
    )
    over_time = view.answers.rows("denials_over_time", digests=evidence.bundles, **bucket_parameters(view.window))
    labels = bucket_labels(view.window)
    series = series_by_standing(over_time, buckets=len(labels))
    st.echarts_chart(
        charts.effects_over_time(labels, series, palette=view.palette),
        height=210,
        key="denials",
        alt=charts.alternative("Denials over time", labels, series),
    )
    _breakdown(view, evidence)


def _denies_none(happened: Consequence) -> str:
    if not happened.not_replayable:
        return f"It allows, warns of or audits all {count(happened.judged, 'call')} it judged in this period."
    return f"It denies none of the {count(happened.judged, 'call')} it judged; {happened.not_replayable:,} of them are not replayable: no verdict."


def _breakdown(view: View, evidence: Evidence) -> None:
    """Draw what is denied by who and what, whether it went ahead or not: the same rules deny under any mode."""
    groups = view.answers.rows("denials_of_policy", digests=evidence.bundles, limit=BARS_MAX, **window_parameters(view.window))
    both = evidence.happened.let_through and evidence.happened.denied
    tone: words.Tone = "logged" if evidence.happened.let_through else "deny"
    columns = st.columns(2, gap="medium")
    for i, (facet, label) in enumerate(FACETS.items()):
        with columns[i % 2]:
            show(marks.heading(label, note="denied or let through" if both else ""))
            show(marks.bars([_bar(view, facet, row, tone) for row in groups if row["facet"] == facet], label=label))


def _bar(view: View, facet: str, row: Row, tone: words.Tone) -> tuple[Markup, int, words.Tone]:
    name = row["value"] or ("no rule matches: default deny" if facet == "rule" else f"no {facet}")
    to = address(
        "decisions",
        project=view.project.project_id,
        window=view.window,
        policy=view.project.policy_digest,
        change="denied",
        **{facet: [row["value"]]},
    )
    return marks.link(name, to, hint=name), row["decisions"], tone


def _candidates(view: View, evidence: Evidence) -> None:
    show(marks.heading("Candidates", note="judged in shadow beside the policy in force, on the same calls"))
    candidates = view.plane.list_candidates(view.project.project_id)
    for candidate in candidates:
        _candidate(view, candidate, evidence.bundles)
    if not candidates:
        show(
            marks.empty(
                "No candidate",
                "Add a policy as a candidate and see which calls it would newly deny or newly allow, before anything changes for an agent.",
            )
        )
    with st.expander("Add a candidate", icon=":material/add:", key="add-candidate"):
        policy_form(
            view,
            key=f"candidate-{view.project.project_id}",
            action="Judge it in shadow",
            apply=lambda now, text, why: now.plane.add_candidate(now.project.project_id, text, actor=now.actor, why=why),
        )


def _candidate(view: View, candidate: Candidate, bundles: list[str]) -> None:
    rows = view.answers.rows(
        "candidate_changes", candidate=candidate.digest, digests=bundles, limit=CHANGES_SHOWN, **window_parameters(view.window)
    )
    sums = _sums(rows)
    with st.container(border=True, key=f"candidate-{candidate.digest[:8]}"):
        show(
            marks.said(
                '<h3 class="cz-sub">{}</h3><p class="cz-quiet cz-line-quiet">added by {} on {} UTC{}</p>',
                candidate.name,
                candidate.created_by,
                words.moment(from_micros(candidate.created_at)),
                f": {candidate.why}" if candidate.why else "",
            )
        )
        if not sums:
            show(
                marks.quiet(
                    "No call was judged by both in this period: a candidate judges what arrives after it was added, beside the policy in force then."
                )
            )
        else:
            show(marks.stats((
                marks.stat("newly denied", f"{sums.get('newly_denied', 0):,}", "the policy in force allows them", tone="deny" if sums.get("newly_denied") else None),
                marks.stat("newly allowed", f"{sums.get('newly_allowed', 0):,}", "the policy in force denies them", tone="warn" if sums.get("newly_allowed") else None),
                marks.stat("the same", f"{sums.get('same', 0):,}", words.percent(sums.get("same", 0), sum(sums.values()))),
                marks.stat("not replayable", f"{sums.get('not_replayable', 0):,}", "no verdict, never guessed"),
            )))  # fmt: skip
            _changes(view, candidate, rows)
        _candidate_buttons(candidate, view)


def _changes(view: View, candidate: Candidate, rows: Sequence[Row]) -> None:
    changed = [row for row in rows if row["change"] in ("newly_denied", "newly_allowed")][:CHANGES_SHOWN]
    if not changed:
        return
    cells = []
    for row in changed:
        to = address(
            "decisions", project=view.project.project_id, window=view.window, policy=view.project.policy_digest, candidate=candidate.digest, change=row["change"],
            **{name: [row[name]] for name in ("agent", "action", "resource")},
        )  # fmt: skip
        newly = (
            marks.pill("newly denied", "deny", icon_name="stop")
            if row["change"] == "newly_denied"
            else marks.pill("newly allowed", "allow", icon_name="check")
        )
        on = marks.said(" on {}", marks.mono(row["resource"])) if row["resource"] else ""
        rule = marks.said(
            "{} instead of {}", marks.mono(row["candidate_rule"] or "default deny"), marks.mono(row["rule"] or "default deny")
        )
        cells.append(
            (
                newly,
                marks.link(f"{row['decisions']:,}", to, hint="Show these decisions"),
                row["agent"] or marks.NOTHING,
                marks.said('<span class="cz-clamp">{}{}</span>{}', marks.mono(row["action"]), on, marks.quiet(rule)),
            )
        )
    show(
        marks.table(
            ("Change", "Calls", "Agent", "Action and rule"), cells, label=f"What {candidate.name} changes", numbers=(1,), kind="groups"
        )
    )


def _candidate_buttons(candidate: Candidate, view: View) -> None:
    with st.container(horizontal=True, key=f"candidate-buttons-{candidate.digest[:8]}"):
        if st.button("Put it in force …", key=f"promote-{candidate.digest}"):
            ask(
                view,
                "Put the candidate in force?",
                key=f"promote-{candidate.digest}",
                follows=lambda now: _in_force_means(now, candidate),
                action="Put it in force",
                change=lambda now, why: now.plane.promote_candidate(now.project.project_id, candidate.digest, actor=now.actor, why=why),
            )
        if st.button("Stop judging by it …", key=f"remove-{candidate.digest}", type="tertiary"):
            ask(
                view,
                "Stop judging by the candidate?",
                key=f"remove-{candidate.digest}",
                follows=lambda _: marks.said(
                    "<p><b>{}</b></p><p>Nothing changes for agents; what it judged so far stays recorded.</p>", candidate.name
                ),
                action="Stop judging by it",
                change=lambda now, why: now.plane.remove_candidate(now.project.project_id, candidate.digest, actor=now.actor, why=why),
            )


def _in_force_means(view: View, candidate: Candidate) -> Markup:
    return marks.said(
        "<p><b>{}</b></p><p>Its policies replace those in force. {}</p>{}",
        candidate.name,
        _newly(view, candidate),
        said_of_policy(view.project.mode, candidate.policies),
    )


def _newly(view: View, candidate: Candidate) -> Markup:
    """Say what it would have changed of the period's calls, as far as both judged them."""
    bundles = bundles_of(view.plane.policy_versions(view.project.project_id), view.project.policy_digest)
    sums = _sums(view.answers.rows(
        "candidate_changes", candidate=candidate.digest, digests=bundles, limit=CHANGES_SHOWN, **window_parameters(view.window)
    ))  # fmt: skip
    if not sums:
        return marks.said("<b>It judged no call</b> {}: nothing shows what it would deny.", within(view.window))
    return marks.said(
        "Of {} it judged {}, <b>{}</b> would be newly denied and <b>{}</b> newly allowed.",
        count(sum(sums.values()), "call"),
        within(view.window),
        f"{sums.get('newly_denied', 0):,}",
        f"{sums.get('newly_allowed', 0):,}",
    )


def _sums(rows: Sequence[Row]) -> dict[str, int]:
    return {row["change"]: row["of_change"] for row in rows}


PAGE = Page(
    name="rollout",
    title="Rollout",
    icon=":material/rocket_launch:",
    section="Govern",
    show=draw,
    summary="What the policy would deny, what candidates would change, and the switch between log-only and enforce.",
)
