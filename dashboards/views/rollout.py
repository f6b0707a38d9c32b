"""Rollout: what the policy would do before it does it, candidates beside it, and the switch."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import streamlit as st
from markupsafe import Markup

from controlplane.model import Candidate
from controlzero.records import Mode
from dashboards import charts, marks, words
from dashboards.answers import Row
from dashboards.consequence import BUTTONS, NEXT_MODES, Consequence, consequence_of, said_of
from dashboards.counting import bucket_parameters, series_by_standing, summed, totals_of, window_parameters
from dashboards.desk import View, from_micros
from dashboards.frame import Page, connect_an_agent, edge, show
from dashboards.policy_form import policy_form
from dashboards.urls import address
from dashboards.window import bucket_labels, describe
from dashboards.words import Standing, count

EVIDENCE_DAYS: Final = 7
BARS_MAX: Final = 7
CHANGES_MAX: Final = 400  # groups of a candidate's changes that are counted; the page shows the largest
CHANGES_SHOWN: Final = 8
FACETS: Final = {"rule": "By rule", "agent": "By agent", "action": "By action", "resource": "By resource"}
LET_THROUGH: Final[tuple[Standing, ...]] = ("deny_logged", "deny_unenforced")


def draw(view: View) -> None:
    """Draw the mode and its switch, then the evidence, then the candidates."""
    if not view.answers.row("any_decision").get("decisions"):
        connect_an_agent(view)
        return
    happened = _evidence(view)
    _mode(view, happened)
    _let_through(view)
    _candidates(view)


def _evidence(view: View) -> Consequence:
    of_this_policy = [
        v.digest for v in view.plane.policy_versions(view.project.project_id) if v.policy_digest == view.project.policy_digest
    ]
    now = view.now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    row = view.answers.row("mode_consequence", digests=of_this_policy, from_at=now - timedelta(days=EVIDENCE_DAYS), until_at=now)
    return consequence_of(row, days=EVIDENCE_DAYS)


def _mode(view: View, happened: Consequence) -> None:
    project = view.project
    if project.version is None:
        show(marks.headline(marks.said("{} There is no policy yet: every call is judged by default deny.", marks.mode_pill(project.mode))))
    else:
        version = view.plane.policy(project.project_id)
        name = ", ".join(str(policy.get("name", "policy")) for policy in version.policies)
        to = address("policies", project=project.project_id, window=view.window)
        since = words.moment(from_micros(version.created_at))
        show(
            marks.headline(
                marks.said(
                    "{} Policy <b>{}</b>, {}, in force since {} UTC.",
                    marks.mode_pill(project.mode),
                    name,
                    marks.link(f"version {project.version}", to),
                    since,
                )
            )
        )
    next_mode = NEXT_MODES[project.mode][0]
    show(
        marks.banner(
            "logged" if next_mode == "enforce" else "none",
            _evidence_for(next_mode, happened),
            icon_name="through" if next_mode == "enforce" else "clock",
        )
    )
    with st.container(horizontal=True, key="mode-switch"):
        for mode in NEXT_MODES[project.mode]:
            if st.button(f"{BUTTONS[mode]} …", key=f"to-{mode}", type="primary" if mode == "enforce" else "secondary"):
                _ask_about(view, mode)


def _evidence_for(mode: Mode, happened: Consequence) -> Markup:
    if mode == "enforce" and happened.let_through:
        return marks.said(
            "In the last {} days <b>{} by {}</b> would have been denied under enforce.",
            happened.days,
            count(happened.let_through, "call"),
            count(happened.agents_let_through, "agent"),
        )
    if mode == "enforce":
        return marks.said(
            "In the last {} days no call would have been denied under enforce, of {}.", happened.days, count(happened.decisions, "call")
        )
    return marks.said(
        "In the last {} days <b>{} by {}</b> {} denied.",
        happened.days,
        count(happened.denied, "call"),
        count(happened.agents_denied, "agent"),
        "was" if happened.denied == 1 else "were",
    )


def _ask_about(view: View, mode: Mode) -> None:
    """Ask for the switch, stating what it means in numbers, and write it through the control plane."""

    def ask() -> None:
        with edge(), view.desk.look(view.asked) as now:
            show(
                marks.said(
                    "<p>{} is in mode {}; it would be in mode {}.</p>",
                    now.project.project_id,
                    marks.mode_pill(now.project.mode),
                    marks.mode_pill(mode),
                )
            )
            show(marks.said('<p class="cz-consequence">{}</p>', said_of(mode, _evidence(now))))
            why = st.text_input("Why (kept in the control log)", key=f"why-{mode}", max_chars=2_000)
            show(marks.quiet(f"Written to the control log as {now.actor}."))
            with st.container(horizontal=True, key="mode-answer"):
                if st.button(BUTTONS[mode], type="primary", key=f"confirm-{mode}"):
                    now.plane.set_mode(now.project.project_id, mode, actor=now.actor, why=why or None)
                    st.rerun()
                if st.button("Leave it", key=f"leave-{mode}"):
                    st.rerun()

    st.dialog(f"{BUTTONS[mode]}?")(ask)()


def _let_through(view: View) -> None:
    show(marks.heading("What went ahead although the policy denies it", note=describe(view.window)))
    over_time = view.answers.rows("effects_over_time", **bucket_parameters(view.window))
    labels = bucket_labels(view.window)
    series = {name: values for name, values in series_by_standing(over_time, buckets=len(labels)).items() if name in (*LET_THROUGH, "deny")}
    totals = totals_of(view.answers.rows("effects_total", before_at=view.window.from_at, **window_parameters(view.window)))
    groups = view.answers.rows("denials_let_through", limit=BARS_MAX, **window_parameters(view.window))
    if not totals.let_through and not totals.denied:
        show(
            marks.empty(
                "The policy denies none of it", f"All {count(totals.decisions, 'decision')} of this period are allowed, warned or audited."
            )
        )
        return
    show(
        marks.stats(
            (
                marks.stat("would have been denied", f"{totals.let_through:,}", "they went ahead"),
                marks.stat("of all calls", words.percent(totals.let_through, totals.decisions), f"of {totals.decisions:,}"),
                marks.stat("were denied", f"{totals.denied:,}", "they did not go ahead"),
                marks.stat("not replayable", f"{totals.by_standing.get('not_replayable', 0):,}", "no verdict, never guessed"),
            )
        )
    )
    st.echarts_chart(
        charts.effects_over_time(labels, series, palette=view.palette),
        height=210,
        key="denials",
        alt=charts.alternative("Denials over time", labels, series),
    )
    if not summed(series, names=LET_THROUGH, buckets=1) or not groups:
        return
    columns = st.columns(2, gap="medium")
    for i, (facet, label) in enumerate(FACETS.items()):
        with columns[i % 2]:
            show(marks.heading(label))
            show(marks.bars([_bar(view, facet, row) for row in groups if row["facet"] == facet], label=label))


def _bar(view: View, facet: str, row: Row) -> tuple[Markup, int, words.Tone]:
    name = row["value"] or ("no rule matches: default deny" if facet == "rule" else f"no {facet}")
    filters = {facet: row["value"]} if row["value"] else {}
    return (
        marks.link(
            name, address("decisions", project=view.project.project_id, window=view.window, standing=LET_THROUGH, **filters), hint=name
        ),
        row["decisions"],
        "logged",
    )


def _candidates(view: View) -> None:
    show(marks.heading("Candidates", note="judged in shadow beside the policy in force, on the same calls"))
    candidates = view.plane.list_candidates(view.project.project_id)
    for candidate in candidates:
        _candidate(view, candidate)
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
            key="candidate",
            action="Judge it in shadow",
            apply=lambda now, text, why: now.plane.add_candidate(now.project.project_id, text, actor=now.actor, why=why),
        )


def _candidate(view: View, candidate: Candidate) -> None:
    rows = view.answers.rows("candidate_changes", candidate=candidate.digest, limit=CHANGES_MAX, **window_parameters(view.window))
    sums: dict[str, int] = {}
    for row in rows:
        sums[row["change"]] = sums.get(row["change"], 0) + row["decisions"]
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
            show(marks.quiet("No call was judged by it in this period: it judges what arrives after it was added."))
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
            "decisions", project=view.project.project_id, window=view.window, candidate=candidate.digest, change=row["change"],
            **{name: row[name] for name in ("agent", "action", "resource") if row[name]},
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
            _ask_about_candidate(view, candidate, promote=True)
        if st.button("Stop judging by it …", key=f"remove-{candidate.digest}", type="tertiary"):
            _ask_about_candidate(view, candidate, promote=False)


def _ask_about_candidate(view: View, candidate: Candidate, *, promote: bool) -> None:
    def ask() -> None:
        with edge(), view.desk.look(view.asked) as now:
            what = (
                "Its policies replace those in force, in the mode the project is in ({})."
                if promote
                else "Nothing changes for agents; what it judged so far stays recorded. Mode: {}."
            )
            show(marks.said("<p><b>{}</b></p>", candidate.name))
            show(marks.said(what, marks.mode_pill(now.project.mode)))
            why = st.text_input("Why (kept in the control log)", key=f"why-{promote}-{candidate.digest}", max_chars=2_000)
            show(marks.quiet(f"Written to the control log as {now.actor}."))
            if st.button("Put it in force" if promote else "Stop judging by it", type="primary", key=f"sure-{promote}-{candidate.digest}"):
                change = now.plane.promote_candidate if promote else now.plane.remove_candidate
                change(now.project.project_id, candidate.digest, actor=now.actor, why=why or None)
                st.rerun()

    st.dialog("Put the candidate in force?" if promote else "Stop judging by the candidate?")(ask)()


PAGE = Page(
    name="rollout",
    title="Rollout",
    icon=":material/rocket_launch:",
    section="Govern",
    show=draw,
    summary="What the policy would deny, what candidates would change, and the switch between log-only and enforce.",
)
