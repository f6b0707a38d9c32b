"""Findings: what looking at decisions noticed, gathered by where it comes from."""

from typing import Final

import streamlit as st
from markupsafe import Markup

from dashboards import charts, marks, words
from dashboards.address_bar import follow_filters, write_filter
from dashboards.answers import Row
from dashboards.counting import bucket_parameters, series_of, window_parameters
from dashboards.decision_rows import said_agent
from dashboards.desk import View
from dashboards.export import uuid_text
from dashboards.frame import Page, connect_an_agent, show
from dashboards.masked import redacted
from dashboards.quiet import say_if_quiet
from dashboards.urls import address
from dashboards.window import bucket_labels, within
from dashboards.words import FINDING_WORDS, SEVERITY_TONES, Tone, count

GROUPS_MAX: Final = 100
TYPE_TONES: Final[dict[str, Tone]] = {
    "pii": "warn", "secret": "deny", "drift": "audit", "enforcement_gap": "logged", "denial_unread": "logged",
    "sequence_gap": "none", "sequence_conflict": "none", "clock_skew": "none", "loss": "none",
}  # fmt: skip
GAPS: Final = "gaps, losses, skew"  # one series: they are rare, and all say that the record is not whole
MEANINGS: Final = {
    "pii": "Personal data in a text field; it was masked before it was stored.",
    "secret": "A key or token in a text field; it was masked before it was stored. Change it where it came from.",
    "drift": "The agent's verdict differs from the workers', its bundle is replaced, past its age or unconfirmed, one offered was refused, or governance is off.",
    "enforcement_gap": "It was let through although the policy in force, or an order, denies it.",
    "denial_unread": "It was denied, and nobody in the agent read that.",
    "sequence_gap": "Numbers of a producer that never arrived: the record is not complete.",
    "sequence_conflict": "One number, two records: one of them is in quarantine.",
    "clock_skew": "The agent's clock is far from ours.",
    "loss": "The agent could not keep records, and says so.",
}


def draw(view: View) -> None:
    """Draw what was found over time, then where it comes from."""
    if not view.answers.row("any_decision").get("decisions"):
        connect_an_agent(view)
        return
    by_type = view.answers.rows("findings_by_type", **window_parameters(view.window))
    counts: dict[str, int] = {}
    for row in by_type:
        counts[row["type"]] = counts.get(row["type"], 0) + row["findings"]
    show(marks.headline(_headline(view, counts)))
    if not counts and say_if_quiet(view, "findings"):
        return
    if not counts:
        show(marks.empty("Nothing found", "No personal data, secret, drift or gap was noticed in this period. A wider time may show some."))
        return
    types = _types(counts)
    labels = bucket_labels(view.window)
    over_time = view.answers.rows("findings_over_time", **bucket_parameters(view.window))
    rows = [row | {"name": _series_name(row["type"])} for row in over_time if not types or row["type"] in types]
    series = series_of(rows, name="name", value="findings", buckets=len(labels))
    tones = {_series_name(name): tone for name, tone in TYPE_TONES.items()}
    st.echarts_chart(
        charts.counts_over_time(labels, series, tones=tones, palette=view.palette), height=220, key="findings-chart",
        alt=f"Findings over time: {', '.join(f'{sum(values):,} {name}' for name, values in series.items())}.",
    )  # fmt: skip
    _groups(view, types)


def _series_name(kind: str) -> str:
    return GAPS if TYPE_TONES.get(kind) == "none" else FINDING_WORDS.get(kind, kind)


def _headline(view: View, counts: dict[str, int]) -> str | Markup:
    if not counts:
        return f"{words.begun(within(view.window))} nothing was found."
    said = [
        marks.said("<b>{}</b> {}", f"{number:,}", FINDING_WORDS.get(name, name))
        for name, number in sorted(counts.items(), key=lambda each: -each[1])
    ]
    return marks.said("{}: {}.", words.begun(within(view.window)), marks.joined(said, ", "))


def _types(counts: dict[str, int]) -> list[str]:
    follow_filters(("finding",))
    held = st.session_state["finding"]
    st.session_state["finding"] = [name for name in held if name in FINDING_WORDS]
    chosen = st.pills(
        "Type",
        [name for name in FINDING_WORDS if counts.get(name) or name in held],
        selection_mode="multi",
        format_func=lambda name: f"{FINDING_WORDS[name]} {counts.get(name, 0):,}",
        key="finding",
        label_visibility="collapsed",
    )
    write_filter("finding", chosen)
    return list(chosen)


def _groups(view: View, types: list[str]) -> None:
    groups = view.answers.rows("finding_groups", types=types, agents=[], limit=GROUPS_MAX, **window_parameters(view.window))
    show(marks.heading("Where they come from", note=f"{count(len(groups), 'group')}, the gravest first"))
    rows = []
    for group in groups:
        to = address("decision", project=view.project.project_id, id=uuid_text(group["decision_id"])) if group["decision_id"] else None
        kind = FINDING_WORDS.get(group["type"], group["type"])
        said = redacted(group["message"], view.project.project_id) if group["message"] else MEANINGS.get(group["type"], "")
        rows.append(
            (
                marks.pill(
                    group["severity"],
                    SEVERITY_TONES.get(group["severity"], "none"),
                    icon_name="triangle" if group["severity"] != "info" else "eye",
                    hint=MEANINGS.get(group["type"]),
                ),
                marks.said("{} {}", kind, marks.quiet(group["detail"].replace("_", " "))),
                f"{group['found']:,}",
                said_agent(group["agent_id"]),
                _where(group),
                marks.quiet(said),
                marks.link(words.ago(group["last_at"], now=view.now), to, hint="Open the newest of them")
                if to
                else marks.quiet(words.ago(group["last_at"], now=view.now)),
            )
        )
    show(marks.table(("Severity", "Finding", "Times", "Agent", "Where", "In words", "Newest"), rows, label="Findings", numbers=(2,)))


def _where(group: Row) -> Markup:
    action = marks.mono(group["action"]) if group["action"] else Markup("")
    path = marks.quiet(marks.said("at {}", marks.mono(group["path"]))) if group["path"] else Markup("")
    return marks.joined([piece for piece in (action, path) if piece], " ")


PAGE = Page(
    name="findings",
    title="Findings",
    icon=":material/policy_alert:",
    section="Watch",
    show=draw,
    summary="Personal data, secrets, drift, gaps and losses: what was noticed, how often, and where it comes from.",
)
