"""Decisions: all of them, narrowed by any filter, each a link away from its reason."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import pyarrow as pa
import streamlit as st
from markupsafe import Markup

from dashboards import export, marks
from dashboards.address_bar import follow_filters, follow_value, write_filter, write_value
from dashboards.answers import Row
from dashboards.counting import window_parameters
from dashboards.decision_rows import decision_table
from dashboards.desk import View
from dashboards.frame import REFRESH_S, Page, connect_an_agent, freshness, live, show, toggle
from dashboards.listing import decision_parameters, newest_decisions, rollup_parameters
from dashboards.masked import MASK
from dashboards.policy_in_force import bundles_of
from dashboards.quiet import say_if_quiet
from dashboards.urls import TEXT_CHARS_MAX, Filters, address, place_of
from dashboards.window import describe
from dashboards.words import WORDS, count

ROWS_PER_PAGE: Final = 50
CHOICES_MAX: Final = 60  # of a facet: the largest; what is rarer is found by searching
STANDINGS_ALWAYS: Final = ("allow", "warn", "deny_logged", "deny")
FACET_PX: Final = 250
FACETS: Final = {
    "mode": "Mode",
    "agent": "Agent",
    "action": "Action",
    "resource": "Resource",
    "rule": "Rule",
}
COUNTED: Final = ("standing", *FACETS, "finding")
FINDING_CHOICES: Final = (
    "email", "phone", "payment_card", "iban", "us_ssn", "ip_address", "aws_key", "github_token", "openai_key", "jwt", "private_key",
    "verdict_differs", "bundle_stale", "governance_off", "enforcement_gap",
    "bundle_expired", "bundle_unconfirmed", "bundle_rollback_refused", "bundle_tampering_refused", "bundle_signature_refused",
)  # fmt: skip


def draw(view: View) -> None:
    """Draw the filters, then what they let through; with `Follow` on, the newest anew every two seconds."""
    if not view.answers.row("any_decision").get("decisions"):
        connect_an_agent(view)
        return
    filters = _filters(view)
    older_than = _older_than()
    follow = bool(st.session_state.get("follow")) and older_than is None

    def draw_rows(now: View) -> None:
        _draw_rows(now, filters, older_than)

    live(view, draw_rows, every_s=REFRESH_S if follow else None)


def _filters(view: View) -> Filters:
    """Draw the filters with their counts, and return what they hold; all of them are in the address."""
    asked = replace(follow_filters(COUNTED), q=_searched(view))
    facets = _facets(view, asked)
    with st.container(horizontal=True, vertical_alignment="center", key="search"):
        q = st.text_input(
            "Search", key="q", placeholder="Search actions, resources, arguments, reasons, people", icon=":material/search:",
            label_visibility="collapsed", max_chars=TEXT_CHARS_MAX,
        )  # fmt: skip
        write_value("q", q, default="")
        toggle("Follow", name="follow", default=False, help_text="Show new decisions as they land.")
    if MASK.search(asked.q):
        text = "A personal value is kept as its mask alone, the same one for the same value in this project: that is what is searched for."
        show(marks.quiet(text))
    chosen = {"standing": _standings(facets.get("standing", []), asked.standing)}
    with (
        st.expander(_narrowed(asked), icon=":material/filter_list:", key="filters", expanded=bool(_names(asked))),
        st.container(horizontal=True, key="facets"),
    ):
        for name, label in FACETS.items():
            chosen[name] = _facet(name, label, facets.get(name, []), getattr(asked, name))
        options = list(dict.fromkeys([*asked.finding, *FINDING_CHOICES]))
        chosen["finding"] = st.multiselect("Found", options, format_func=lambda name: name.replace("_", " "), key="finding", width=FACET_PX)
    for name, values in chosen.items():
        write_filter(name, values)
    _say_what_links_narrow(view, asked)
    return asked


def _searched(view: View) -> str:
    """Return the text to search for, masked as what it is to be found in is; in the box and the address too, before anything shows it."""
    typed = follow_value("q", default="", parse=str).strip()[:TEXT_CHARS_MAX]
    masked = view.masked(typed)[:TEXT_CHARS_MAX] if typed else ""  # who searches for nothing needs no key
    if masked != typed:
        st.session_state["q"] = masked
    return masked


def _standings(counted: Sequence[Row], asked: Sequence[str]) -> list[str]:
    counts = {row["value"]: row["decisions"] for row in counted}
    return st.pills(
        "Verdict",
        [name for name in WORDS if name in STANDINGS_ALWAYS or counts.get(name) or name in asked],
        selection_mode="multi",
        format_func=lambda name: f":material/{WORDS[name].material}: {WORDS[name].label} {counts.get(name, 0):,}",
        key="standing",
        label_visibility="collapsed",
    )


def _facet(name: str, label: str, counted: Sequence[Row], asked: Sequence[str]) -> list[str]:
    counts = {row["value"]: row["decisions"] for row in counted}
    options = list(dict.fromkeys([*asked, *counts]))
    return st.multiselect(
        label,
        options,
        format_func=lambda value: f"{marks.visible(value) or f'no {label.lower()}'}  ({counts.get(value, 0):,})",
        key=name,
        width=FACET_PX,
    )


def _names(asked: Filters) -> list[str]:
    return [label.lower() for name, label in (*FACETS.items(), ("finding", "Found")) if getattr(asked, name)]


def _narrowed(asked: Filters) -> str:
    return f"Filters: {', '.join(_names(asked))}" if _names(asked) else "Filters"


def _say_what_links_narrow(view: View, asked: Filters) -> None:
    """Show the filters that come from links alone, with a way to leave them."""
    without = address("decisions", project=view.project.project_id, window=view.window)
    if asked.session:
        text = marks.said("Only session {}. {}", marks.joined(map(marks.mono, asked.session), ", "), marks.link("Show all", without))
        show(marks.banner("none", text, icon_name="clock"))
    if asked.policy and not asked.candidate:
        name = "the policy in force" if asked.policy == view.project.policy_digest else f"policy {asked.policy[:12]}…"
        what = f"{name} denies, whether they went ahead or not" if asked.change == "denied" else f"were judged by {name}"
        text = marks.said("Only calls {}{}. {}", "that " if asked.change != "denied" else "", what, marks.link("Show all", without))
        show(marks.banner("logged", text, icon_name="question"))
    if asked.candidate:
        what = "allow today and the candidate would deny" if asked.change == "newly_denied" else "deny today and the candidate would allow"
        text = marks.said("Only calls the policy in force would {} ({}…). {}", what, asked.candidate[:12], marks.link("Show all", without))
        show(marks.banner("logged", text, icon_name="question"))


def _facets(view: View, asked: Filters) -> dict[str, list[Row]]:
    question = "facets_of_decisions" if asked.beyond_rollup else "facets"
    bundles = _bundles(view, asked)
    parameters = decision_parameters(asked, bundles) if asked.beyond_rollup else rollup_parameters(asked, bundles)
    rows = view.answers.rows(question, **parameters, **window_parameters(view.window), limit=CHOICES_MAX)
    facets: dict[str, list[Row]] = {}
    for row in rows:
        facets.setdefault(row["facet"], []).append(row)
    return facets


def _bundles(view: View, asked: Filters) -> list[str]:
    """Return the bundles of the policy asked for; of one there is not, what no decision was judged by."""
    if not asked.policy:
        return []
    return bundles_of(view.plane.policy_versions(view.project.project_id), asked.policy) or [asked.policy]


def _draw_rows(view: View, filters: Filters, older_than: tuple[str, str] | None) -> None:
    total = next((row["decisions"] for row in _facets(view, filters).get("all", [])), 0)
    older_at, older_id = place_of(*older_than) if older_than else (None, None)
    rows = newest_decisions(
        view.answers,
        filters,
        view.window,
        limit=ROWS_PER_PAGE + 1,
        bundles=_bundles(view, filters),
        older_than_at=older_at,
        older_than_id=older_id,
    )
    with st.container(horizontal=True, vertical_alignment="center", key="rows-head"):
        with st.container(width="stretch", key="rows-count"):
            show(marks.heading(count(total, "decision"), note=marks.said("{} · {}", describe(view.window), freshness(view))))
        _downloads(view, filters, total)
    if not rows and say_if_quiet(view, "decisions"):
        return
    if not rows:
        text = marks.said(
            "Take a filter away or widen the time. {}",
            marks.link("Start over", address("decisions", project=view.project.project_id, window=view.window)),
        )
        show(marks.empty("No decision matches", text))
        return
    show(decision_table(view, rows[:ROWS_PER_PAGE]))
    show(_paging(view, filters, rows, older_than))


def _paging(view: View, filters: Filters, rows: Sequence[Row], older_than: tuple[str, str] | None) -> Markup:
    given = {name: getattr(filters, name) for name in filters.__dataclass_fields__}
    links = []
    if older_than:
        links.append(marks.link("Newest", address("decisions", project=view.project.project_id, window=view.window, **given)))
    if len(rows) > ROWS_PER_PAGE:
        last = rows[ROWS_PER_PAGE - 1]
        cursor = (last["occurred_at"].isoformat(), export.uuid_text(last["decision_id"]) or "")
        links.append(
            marks.link(
                "Older",
                address("decisions", project=view.project.project_id, window=view.window, **given, older_at=cursor[0], older_id=cursor[1]),
            )
        )
    return marks.said('<nav class="cz-paging" aria-label="Pages">{}</nav>', marks.joined(links))


def _older_than() -> tuple[str, str] | None:
    at, decision_id = st.query_params.get("older_at"), st.query_params.get("older_id")
    return (at, decision_id) if at and decision_id else None


def _downloads(view: View, filters: Filters, total: int) -> None:
    """Offer what is shown as a file, made when it is asked for; each export is on the control log."""
    more = f" The newest {export.ROWS_MAX:,} of {total:,}." if total > export.ROWS_MAX else ""
    with st.popover("Export", icon=":material/download:", disabled=not total, key="export"):
        show(
            marks.quiet(
                f"{count(min(total, export.ROWS_MAX), 'decision')}, as filtered, arguments masked as stored.{more} Recorded as yours: {view.actor}."
            )
        )
        for name, mime, write in (
            ("csv", "text/csv", export.csv_bytes),
            ("parquet", "application/vnd.apache.parquet", export.parquet_bytes),
        ):
            st.download_button(
                f"Download {name.upper() if name == 'csv' else 'Parquet'}",
                data=partial(_file, view, filters, write),
                file_name=f"decisions-{view.project.project_id}-{view.window.from_at:%Y%m%dT%H%M}-{view.window.until_at:%Y%m%dT%H%M}.{name}",
                mime=mime,
                on_click="ignore",
                key=f"export-{name}",
                width="stretch",
            )


def _file(view: View, filters: Filters, write: Callable[[pa.Table], bytes]) -> bytes:
    with view.desk.look(view.asked) as now:
        table = now.answers.table(
            "decisions_export",
            **decision_parameters(filters, _bundles(now, filters)),
            **window_parameters(view.window),
            limit=export.ROWS_MAX,
        )
    view.plane.record(view.project.project_id, "export.decisions", f"{table.num_rows} decisions, {describe(view.window)}", actor=view.actor)
    return write(table)


PAGE = Page(
    name="decisions",
    title="Decisions",
    icon=":material/list_alt:",
    section="Watch",
    show=draw,
    summary="Every governed action, searched and narrowed by verdict, agent, action, rule or finding, and as a file.",
)
