"""Overview: what is going on in this project, in five seconds."""

from collections.abc import Sequence

import streamlit as st
from markupsafe import Markup

from controlzero.records import Mode
from dashboards import charts, marks, words
from dashboards.answers import Row
from dashboards.counting import Totals, bucket_parameters, series_by_standing, series_of, summed, totals_of, window_parameters
from dashboards.decision_rows import decision_table, said_agent
from dashboards.desk import View, from_micros
from dashboards.frame import REFRESH_S, Page, connect_an_agent, freshness, live, show
from dashboards.listing import newest_decisions
from dashboards.quiet import say_if_quiet
from dashboards.running import alerts
from dashboards.urls import Filters, address
from dashboards.window import PRESETS, Window, before, bucket_labels, bucket_starts, describe, in_utc, within
from dashboards.words import FINDING_WORDS, SEVERITY_TONES, count

GROUPS_MAX = 8
NEWEST_MAX = 8


def draw(view: View) -> None:
    """Draw the page, and again every two seconds."""
    if not _any_decision(view):
        connect_an_agent(view)
        live(view, _go_on_with_the_first, every_s=REFRESH_S)
        return
    live(view, _draw_now, every_s=REFRESH_S if view.asked.is_live else None)


def headline(mode: Mode, totals: Totals, agents: int, window: Window) -> Markup:
    """Say what happened in one or two sentences, in the words of the mode."""
    period = within(window)
    if not totals.decisions:
        return marks.said("{} No agent asked for anything {}.", marks.mode_pill(mode), period)
    asked = marks.said(
        "{} {}, <b>{}</b> asked <b>{}</b>",
        marks.mode_pill(mode),
        words.begun(period),
        count(agents, "agent"),
        count(totals.decisions, "time"),
    )
    said = []
    if totals.let_through:
        would = marks.said("<b>{}</b> would have been denied", count(totals.let_through, "call"))
        said.append(marks.said("{} ({})", would, words.percent(totals.let_through, totals.decisions)))
    if totals.denied:
        said.append(marks.said("<b>{}</b> {} denied", count(totals.denied, "call"), "was" if totals.denied == 1 else "were"))
    ending = " Nothing was stopped." if totals.let_through and not totals.denied else ""
    return marks.said("{}; {}.{}", asked, marks.joined(said, " and ") if said else "the policy denies none of it", ending)


def _go_on_with_the_first(view: View) -> None:
    if _any_decision(view):
        st.rerun()


def _any_decision(view: View) -> bool:
    return bool(view.answers.row("any_decision").get("decisions"))


def _draw_now(view: View) -> None:
    rows = view.answers.rows("effects_total", before_at=before(view.window).from_at, **window_parameters(view.window))
    totals, earlier = totals_of(row for row in rows if row["inside"]), totals_of(row for row in rows if not row["inside"])
    agents = view.answers.row("agents_total", before_at=before(view.window).from_at, **window_parameters(view.window))
    over_time = view.answers.rows("effects_over_time", **bucket_parameters(view.window))
    with st.container(horizontal=True, vertical_alignment="center", key="headline"):
        with st.container(width="stretch", key="headline-text"):
            show(marks.headline(headline(view.project.mode, totals, agents["agents"], view.window)))
        show(freshness(view))
    for alert in alerts(view.settings.home, view.project.project_id):
        if alert.state == "firing":
            if alert.rule == "denial_jump":
                where = marks.link("Show denials", _to_decisions(view, standing=("deny", "deny_logged", "deny_unenforced")))
            else:
                where = marks.link("Show findings", address("findings", project=view.project.project_id, window=view.window))
            text = marks.said(
                "<b>Alert since {} UTC:</b> {}. {}",
                words.moment(from_micros(alert.since_at)),
                alert.message,
                where,
            )
            show(marks.banner("deny", text, icon_name="bell"))
    if not totals.decisions and say_if_quiet(view, "overview"):
        return
    show(_cards(view, totals, earlier, agents, over_time))
    _chart(view, over_time)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _deny_groups(view, totals)
    with right:
        _findings(view)
    show(marks.heading("Newest decisions", note=marks.link("all decisions", _to_decisions(view))))
    show(decision_table(view, newest_decisions(view.answers, Filters(), view.window, limit=NEWEST_MAX)))


def _cards(view: View, totals: Totals, earlier: Totals, agents: Row, over_time: Sequence[Row]) -> Markup:
    buckets = len(bucket_starts(view.window))
    series = series_by_standing(over_time, buckets=buckets)
    of = describe(view.window).removeprefix("last ") if view.window.name in PRESETS else "period"
    found = summed(series_of(over_time, name=None, value="with_findings", buckets=buckets), buckets=buckets)
    acting = summed(
        series_of(view.answers.rows("agents_over_time", **bucket_parameters(view.window)), name=None, value="agents", buckets=buckets),
        buckets=buckets,
    )
    let_through = ("deny_logged", "deny_unenforced")
    figures: tuple[tuple[str, int, int, Sequence[int], words.Tone, str, str], ...] = (
        ("Decisions", totals.decisions, earlier.decisions, summed(series, buckets=buckets), "allow", _to_decisions(view), "Governed actions of agents"),
        ("Would deny", totals.let_through, earlier.let_through, summed(series, names=let_through, buckets=buckets), "logged",
         _to_decisions(view, standing=let_through), "Denied by the policy, and let through: the mode was not enforce"),
        ("Denied", totals.denied, earlier.denied, summed(series, names=("deny",), buckets=buckets), "deny", _to_decisions(view, standing=("deny",)), "Told not to go ahead"),
        ("With findings", totals.with_findings, earlier.with_findings, found, "warn", address("findings", project=view.project.project_id, window=view.window),
         "Decisions in which something was noticed: personal data, secrets, drift"),
        ("Agents", agents["agents"], agents["agents_before"], acting, "audit", address("compliance", project=view.project.project_id, window=view.window),
         "Different agents that asked for anything"),
    )  # fmt: skip
    return marks.cards(
        marks.card(label, words.compact(now), delta=marks.change(now, then, of=of), points=points, tone=tone, href=href, hint=hint)
        for label, now, then, points, tone, href, hint in figures
    )


def _chart(view: View, over_time: Sequence[Row]) -> None:
    show(marks.heading("Decisions over time", note=in_utc(view.window)))
    labels = bucket_labels(view.window)
    series = series_by_standing(over_time, buckets=len(labels))
    st.echarts_chart(
        charts.effects_over_time(labels, series, palette=view.palette),
        height=charts.HEIGHT_PX,
        key="effects",
        alt=charts.alternative("Decisions over time", labels, series),
    )


def _deny_groups(view: View, totals: Totals) -> None:
    show(marks.heading("Where denials come from", note="largest groups"))
    groups = view.answers.rows("deny_groups", limit=GROUPS_MAX, **window_parameters(view.window))
    if not groups:
        policy = address("policies", project=view.project.project_id, window=view.window)
        text = marks.said(
            "{} was denied. {}", "Nothing" if totals.decisions else "Nothing was asked, and nothing", marks.link("See the policy", policy)
        )
        show(marks.empty("No denial in this period", text))
        return
    rows = []
    for group in groups:
        name = words.standing(verdict=group["verdict"], mode=group["mode"], effect=group["effect"])
        to = _to_decisions(
            view,
            standing=name,
            agent=[group["agent_id"] or ""],
            action=group["action"],
            resource=[group["resource"] or ""],
            rule=[group["rule_id"] or ""],
        )
        on = marks.said(" on {}", marks.mono(group["resource"])) if group["resource"] else ""
        what = marks.said('<span class="cz-clamp">{}{}</span>{}', marks.mono(group["action"]), on, _rule(group["rule_id"]))
        calls = marks.link(f"{group['decisions']:,}", to, hint="Show these decisions")
        rows.append((marks.standing_pill(name), calls, said_agent(group["agent_id"]), what))
    show(marks.table(("Verdict", "Calls", "Agent", "Action and rule"), rows, label="Where denials come from", numbers=(1,), kind="groups"))


def _rule(rule_id: str | None) -> Markup:
    return marks.quiet(marks.said("rule {}", marks.mono(rule_id)) if rule_id else "no rule matches: default deny")


def _findings(view: View) -> None:
    show(
        marks.heading("Findings", note=marks.link("all findings", address("findings", project=view.project.project_id, window=view.window)))
    )
    found = view.answers.rows("findings_by_type", **window_parameters(view.window))[:GROUPS_MAX]
    if not found:
        show(marks.empty("Nothing found", "No personal data, secret, drift or gap was noticed in this period."))
        return
    bars = [
        (
            marks.said(
                "{} {}",
                FINDING_WORDS.get(row["type"], row["type"]),
                marks.quiet(f"{words.readable(row['detail'])}, {words.grave(row['severities'])}"),
            ),
            row["findings"],
            SEVERITY_TONES.get(row["severities"][0], "none"),
        )
        for row in found
    ]
    show(marks.bars(bars, label="Findings by type"))


def _to_decisions(view: View, **filters: str | Sequence[str] | None) -> str:
    return address("decisions", project=view.project.project_id, window=view.window, **filters)


PAGE = Page(
    name="overview",
    title="Overview",
    icon=":material/monitoring:",
    section="Watch",
    toolbar="live",
    show=draw,
    summary="What agents did, what was denied or would have been, what was found, and how fresh that is.",
)
