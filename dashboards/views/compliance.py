"""Compliance: who did what under which policy, and whether the record of it is complete."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import Final

import streamlit as st

from dashboards import marks
from dashboards.answers import Row
from dashboards.compliance import BY_VERDICT, NO_DATA, Evidence, Report, Section, report_of, shown
from dashboards.counting import totals_of, window_parameters
from dashboards.desk import View
from dashboards.frame import Page, show
from dashboards.quiet import say_if_quiet
from dashboards.report import report_csv, report_pdf
from dashboards.speakers import speakers_of
from dashboards.urls import address
from dashboards.window import CUSTOM, Window, describe
from dashboards.words import begun

AGENTS_MAX: Final = 1_000
PRODUCERS_MAX: Final = 1_000
CHANGES_MAX: Final = 1_000  # what the control plane answers at once
ROWS_SHOWN: Final = 25
JOINED_MAX: Final = 5_000_000  # decisions asked of their outcomes at once: some 250 MB
MONTHS_OFFERED: Final = 3


def draw(view: View) -> None:
    """Draw the report of the period, and offer it as a file."""
    report = make_report(view, whole=False)
    with st.container(horizontal=True, vertical_alignment="center", key="report-head"):
        with st.container(width="stretch", key="report-head-text"):
            show(marks.headline(marks.said("The record of project <b>{}</b>, {}.", report.project_name, _period(view.window))))
            show(marks.quiet(marks.said("By month: {}", marks.joined((marks.link(name, to) for name, to in _months(view)), ", "))))
        _download(view, report, "csv", "text/csv", report_csv)
        _download(view, report, "pdf", "application/pdf", report_pdf)
    say_if_quiet(view, "compliance")
    show(marks.stats(marks.stat(name, shown(value), note) for name, value, note in report.figures))
    slots = {section.title: st.container() for section in report.sections}
    for section in report.sections:
        if section.title != BY_VERDICT:
            with slots[section.title]:
                _section(section)
    with slots[BY_VERDICT], st.spinner("Outcomes are being counted …"):
        _section(next(section for section in make_report(view, whole=True).sections if section.title == BY_VERDICT))


def make_report(view: View, *, whole: bool) -> Report:
    """Ask all that the report is made of; what became of each decision, which takes longest, only for a `whole` one."""
    window = window_parameters(view.window)
    totals = totals_of(view.answers.rows("effects_total", before_at=view.window.from_at, **window))
    producers = view.answers.rows("producers", limit=PRODUCERS_MAX, **window)
    evidence = Evidence(
        totals=totals,
        agents=view.answers.rows("agents", limit=AGENTS_MAX, **window),
        in_force=view.answers.rows("in_force", **window),
        carried_out=_carried_out(view, totals.decisions) if whole else None,
        found=view.answers.rows("findings_by_type", **window),
        producers=producers,
        speakers=speakers_of(view, producers),
        versions=view.plane.policy_versions(view.project.project_id),
        changes=view.plane.control_log(view.project.project_id, limit=CHANGES_MAX),
    )
    return report_of(
        evidence, project=view.project, window=view.window, made_at=view.now, made_by=view.actor, ledger_version=view.answers.version
    )


def _carried_out(view: View, decisions: int) -> list[Row]:
    """Ask what became of decisions, a part of the period at a time: each joins a bounded number of them."""
    parts = -(-decisions // JOINED_MAX) or 1
    length = view.window.length / parts
    bounds = [view.window.from_at + i * length for i in range(parts)] + [view.window.until_at]
    return [row for from_at, until_at in pairwise(bounds) for row in view.answers.rows("carried_out", from_at=from_at, until_at=until_at)]


def _section(section: Section) -> None:
    show(marks.heading(section.title, note=section.question))
    if section.absent:
        show(
            marks.empty(
                begun(NO_DATA if section.absent.startswith(NO_DATA) else section.absent),
                begun(section.absent.removeprefix(f"{NO_DATA}: ")) if section.absent.startswith(NO_DATA) else "",
            )
        )
        return
    rows = [tuple(marks.dotted(shown(cell)) for cell in row) for row in section.rows]
    show(marks.table(section.headings, rows[:ROWS_SHOWN], label=section.title, numbers=section.numbers))
    if len(rows) > ROWS_SHOWN:
        with st.expander(f"{len(rows) - ROWS_SHOWN:,} more", key=f"more-{section.title}"):
            show(marks.table(section.headings, rows[ROWS_SHOWN:], label=f"More of {section.title}", numbers=section.numbers))


def _download(view: View, report: Report, ending: str, mime: str, write: Callable[[Report], bytes]) -> None:
    st.download_button(
        ending.upper(),
        data=partial(_file, view, write, ending),
        file_name=f"compliance-{report.project_id}-{report.from_at:%Y%m%d}-{report.until_at:%Y%m%d}.{ending}",
        mime=mime,
        icon=":material/download:",
        on_click="ignore",
        key=f"report-{ending}",
    )


def _file(view: View, write: Callable[[Report], bytes], ending: str) -> bytes:
    with view.desk.look(view.asked) as now:
        report = make_report(now, whole=True)
    view.plane.record(report.project_id, "export.compliance", f"{ending}, {_period(view.window)}", actor=view.actor)
    return write(report)


def _period(window: Window) -> str:
    return (
        f"{describe(window)}"
        if window.name == CUSTOM
        else f"{describe(window)}: {window.from_at:%Y-%m-%d %H:%M} to {window.until_at:%Y-%m-%d %H:%M} UTC"
    )


def _months(view: View) -> list[tuple[str, str]]:
    """Return the newest months, each with the address of its report."""
    months, first = [], datetime(view.now.year, view.now.month, 1, tzinfo=UTC)
    for _ in range(MONTHS_OFFERED):
        after = datetime(first.year + first.month // 12, first.month % 12 + 1, 1, tzinfo=UTC)
        month = Window(name=CUSTOM, from_at=first, until_at=after)
        months.append((f"{first:%B %Y}", address("compliance", project=view.project.project_id, window=month)))
        first = datetime(first.year - (first.month == 1), (first.month - 2) % 12 + 1, 1, tzinfo=UTC)
    return months


PAGE = Page(
    name="compliance",
    title="Compliance",
    icon=":material/verified_user:",
    section="Prove",
    show=draw,
    summary="For a period: who acted, under which policy, with what verdicts, personal data, completeness and changes. CSV and PDF.",
)
