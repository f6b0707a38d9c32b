"""Pipeline: whether everything that was accepted has landed, how fresh it is, and what was refused."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import streamlit as st
from markupsafe import Markup

from dashboards import charts, marks, words
from dashboards.answers import Row
from dashboards.completeness import speaker, state_of
from dashboards.counting import bucket_parameters, series_of, summed, window_parameters
from dashboards.desk import NotHere, View, from_micros
from dashboards.export import uuid_text
from dashboards.frame import Page, connect_an_agent, edge, freshness, show
from dashboards.masked import redacted
from dashboards.quiet import nothing_received
from dashboards.running import ENDED, Process, alerts, processes
from dashboards.speakers import speakers_of
from dashboards.window import bucket_labels, bucket_starts, describe, within
from dashboards.words import FINDING_WORDS, Tone, count

PRODUCERS_MAX: Final = 200
PRODUCERS_SHOWN: Final = 15
ROWS_MAX: Final = 30
PEEK_BYTES_MAX: Final = 4_096


def draw(view: View) -> None:
    """Draw what stands still, the balance, then what does not add up, then who works on it."""
    if stands_still := standstill(processes(view.settings.home, now=view.now)):
        show(marks.banner("deny", stands_still, icon_name="triangle"))
    if not view.answers.row("any_decision").get("decisions"):
        connect_an_agent(view)  # and what came in its place, if anything did: lines that could not be taken are no decision
    if not view.answers.row("newest_received").get("received_at"):
        _processes(view)
        return
    tally = view.answers.row("tally", **window_parameters(view.window))
    producers = view.answers.rows("producers", limit=PRODUCERS_MAX, **window_parameters(view.window))
    with st.container(horizontal=True, vertical_alignment="center", key="headline"):
        with st.container(width="stretch", key="headline-text"):
            show(marks.headline(headline(tally, producers, within(view.window), at=view.now)))
        show(freshness(view))
    nothing = None if tally["messages"] else nothing_received(view)
    if nothing:
        show(nothing)
    else:
        _balance(view, tally, producers)
        _producers(view, producers)
        _gaps(view)
    _quarantine(view)
    left, right = st.columns(2, gap="medium")
    with left:
        _processes(view)
    with right:
        _alerts(view)


def standstill(found: Sequence[Process]) -> Markup | None:
    """Say what keeps accepted records from landing, and since when; None where nothing is known to."""
    workers = [process for process in found if process.name.partition("-")[0] == "worker"]
    at_work = [worker for worker in workers if not worker.is_silent and worker.phase != ENDED]
    waiting = [(worker.troubled_since, worker.last_error or "") for worker in at_work if worker.troubled_since is not None]
    if workers and not at_work:
        newest = max(worker.beat_at for worker in workers)
        return marks.said("<b>No worker runs</b> since {} UTC: what is accepted waits in the log.", words.moment(newest))
    if not waiting or len(waiting) < len(at_work):
        return None
    since, why = min(waiting)
    return marks.said("<b>Nothing lands</b> since {} UTC, and nothing is lost: {}", words.moment(since), why)


def headline(tally: Row, producers: Sequence[Row], period: str, *, at: datetime) -> Markup:
    """Say whether everything received in the period is accounted for, and what is missing."""
    if not tally.get("received"):
        return marks.said("Nothing was received {}.", period)
    states = [state_of(row, at=at) for row in producers]
    broken = [state for state in states if state.proof == "unbalanced"]
    gaps = [state for state in states if state.proof == "gap"]
    if tally["unbalanced"] or broken:
        return marks.said(
            "<b>The tally does not balance</b> for {}: run <code>cz doctor</code>.",
            count(max(len(broken), tally["unbalanced"]), "producer"),
        )
    balance = marks.said("All <b>{}</b> received {} are accounted for", count(tally["received"], "record"), period)
    if gaps:
        return marks.said(
            "{}; <b>{}</b> {} missing or lost on the way here.",
            balance,
            count(len(gaps), "producer"),
            "has records" if len(gaps) == 1 else "have records",
        )
    return marks.said("{}.", balance)


def _balance(view: View, tally: Row, producers: Sequence[Row]) -> None:
    missing, lost = sum(row["missing"] for row in producers), sum(row["lost"] for row in producers)
    show(
        marks.said(
            '<div class="cz-equation">{}<i>=</i>{}<i>+</i>{}<i>+</i>{}</div>',
            marks.stat("received", f"{tally['received']:,}", f"{count(tally['messages'], 'message')}"),
            marks.stat("landed", f"{tally['landed']:,}", "once each"),
            marks.stat("duplicate", f"{tally['duplicate']:,}", "sent again, counted once"),
            marks.stat("quarantined", f"{tally['quarantined']:,}", "with reason and bytes", tone="warn" if tally["quarantined"] else None),
        )
    )
    show(
        marks.quiet(
            f"Beyond that: {missing:,} missing (numbers that never arrived), {lost:,} lost (agents could not keep them), {count(tally['producers'], 'producer')}."
        )
    )
    labels = bucket_labels(view.window)
    over_time = view.answers.rows("received_over_time", **bucket_parameters(view.window))
    tones: dict[str, Tone] = {"landed": "allow", "duplicate": "none", "quarantined": "warn"}
    buckets = len(bucket_starts(view.window))
    series = {name: summed(series_of(over_time, name=None, value=name, buckets=buckets), buckets=buckets) for name in tones}
    st.echarts_chart(
        charts.counts_over_time(labels, series, tones=tones, palette=view.palette),
        height=190,
        key="received",
        alt=f"Records received over time: {tally['received']:,}.",
    )


def _producers(view: View, producers: Sequence[Row]) -> None:
    show(marks.heading("Producers", note="one run of one agent process each; it numbers its records without gaps"))
    speakers = {row["producer_id"]: row for row in speakers_of(view, producers)}
    gravest_first = sorted(producers, key=lambda row: state_of(row, at=view.now).proof not in ("gap", "unbalanced"))
    rows = [_producer(row, speaker(speakers.get(row["producer_id"])), at=view.now) for row in gravest_first]
    headings = ("Record", "Agent and producer", "Received", "Landed", "Duplicate", "Quarantined", "Missing", "Lost", "Last (UTC)")
    show(marks.table(headings, rows[:PRODUCERS_SHOWN], label="Producers", numbers=(2, 3, 4, 5, 6, 7)))
    if len(rows) > PRODUCERS_SHOWN:
        with st.expander(f"{len(rows) - PRODUCERS_SHOWN} more", key="more-producers"):
            show(marks.table(headings, rows[PRODUCERS_SHOWN:], label="More producers", numbers=(2, 3, 4, 5, 6, 7)))


def _producer(row: Row, agent: str, *, at: datetime) -> tuple[str | Markup, ...]:
    state = state_of(row, at=at)
    numbers = (f"{row[name]:,}" for name in ("received", "landed", "duplicate", "quarantined", "missing", "lost"))
    since = f"since {row['started_at']:%Y-%m-%d %H:%M}{', history' if row['backfill'] else ''}"
    name = marks.said("<b>{}</b> {}<br>{}", agent, marks.quiet(since), marks.quiet(marks.mono(row["producer_id"])))
    return (marks.pill(state.words, state.tone, icon_name=state.icon), name, *numbers, words.moment(row["last_at"]))


def _gaps(view: View) -> None:
    rows = view.answers.rows("gaps", limit=ROWS_MAX, **window_parameters(view.window))
    show(marks.heading("Gaps, losses and skew", note=describe(view.window)))
    if not rows:
        show(marks.empty("None", "No number is missing or claimed twice, no agent lost a record, no clock is off."))
        return
    cells = [
        (
            marks.pill(FINDING_WORDS.get(row["type"], row["type"]), "deny" if row["type"] != "clock_skew" else "warn", icon_name="gap"),
            marks.mono(row["producer_id"]),
            _numbers(row),
            marks.said("{} to {}", words.moment(row["since_at"]) if row["since_at"] else "unknown", words.moment(row["occurred_at"])),
            redacted(row["message"] or row["detail"], view.project.project_id),
        )
        for row in rows
    ]
    show(marks.table(("What", "Producer", "Numbers", "Between (UTC)", "In words"), cells, label="Gaps and losses"))


def _numbers(row: Row) -> str:
    if row["first_seq"] is None:
        return count(row["count"], "record")
    return f"{row['first_seq']:,} to {row['last_seq']:,}" if row["last_seq"] != row["first_seq"] else f"{row['first_seq']:,}"


def _quarantine(view: View) -> None:
    reasons = view.answers.rows("quarantine_by_reason", **window_parameters(view.window))
    show(marks.heading("Quarantine", note="rejected input, kept with its reason; at most 64 KiB each, for a short time"))
    if not reasons:
        show(marks.empty("Empty", "Every line that was sent in this period could be taken."))
        return
    show(
        marks.bars(
            [
                (
                    marks.said("{} {}", row["code"].replace("_", " "), marks.quiet(f"{row['stage']}: {row['reason']}")),
                    row["records"],
                    "warn",
                )
                for row in reasons
            ],
            label="Quarantine by reason",
        )
    )
    rows = view.answers.rows("quarantine_page", limit=ROWS_MAX, **window_parameters(view.window))
    cells = [
        (
            words.moment(row["received_at"]),
            row["stage"],
            row["code"].replace("_", " "),
            marks.mono(row["path"]),
            redacted(row["reason"], view.project.project_id),
            f"{row['length']:,}",
            marks.mono(words.short_id(uuid_text(row["quarantine_id"]) or "")),
        )
        for row in rows
    ]
    show(
        marks.table(("Received (UTC)", "At", "Why", "Path", "In words", "Bytes", "Id"), cells, label="Newest rejected input", numbers=(5,))
    )
    _peek(view, rows)


def _peek(view: View, rows: Sequence[Row]) -> None:
    ids = {uuid_text(row["quarantine_id"]) or "": row for row in rows}
    with st.container(horizontal=True, vertical_alignment="bottom", key="peek"):
        chosen = st.selectbox(
            "Look at the bytes of",
            list(ids),
            format_func=lambda each: f"{words.short_id(each)}, {ids[each]['code']}, {words.moment(ids[each]['received_at'])}",
            key="peek-id",
            width=380,
        )
        if st.button("Show them masked", key="peek-show") and chosen:
            _ask_to_peek(view, ids[chosen]["quarantine_id"])


def _ask_to_peek(view: View, quarantine_id: bytes) -> None:
    def peek() -> None:
        with edge(), view.desk.look(view.asked) as now:
            row = now.answers.row("quarantined", quarantine_id=quarantine_id)
            if not row:
                raise NotHere("It is no longer in quarantine.")
            now.plane.record(now.project.project_id, "quarantine.read", uuid_text(quarantine_id) or "", actor=now.actor)
            show(
                marks.facts(
                    (
                        ("why", redacted(row["reason"], view.project.project_id)),
                        ("path", marks.mono(row["path"])),
                        ("bytes", f"{row['length']:,}"),
                        ("SHA-256", marks.mono(row["sha256"])),
                    )
                )
            )
            text = now.masked(row["bytes"][:PEEK_BYTES_MAX].decode("utf-8", errors="backslashreplace"))
            show(marks.said('<pre class="cz-raw">{}</pre>', redacted(text, view.project.project_id)))
            if len(row["bytes"]) > PEEK_BYTES_MAX:
                show(marks.quiet(f"The first {PEEK_BYTES_MAX:,} bytes of them."))
            show(marks.quiet(f"This look is in the control log as {now.actor}'s."))

    st.dialog("Rejected input", width="large")(peek)()


def _processes(view: View) -> None:
    show(marks.heading("Processes", note="by their last heartbeat"))
    found = processes(view.settings.home, now=view.now)
    if not found:
        text = marks.said("No process of the product has run over this data folder. Start it with <code>cz up</code>.")
        show(marks.empty("No heartbeat", text))
        return
    show(marks.table(("Process", "State", "Heard of", "Says"), [_process(each, view) for each in found], label="Processes"))


def _process(process: Process, view: View) -> tuple[str | Markup, ...]:
    is_well = not process.is_silent and process.phase in ("running", "draining") and process.troubled_since is None
    state = marks.pill(
        "silent" if process.is_silent else process.phase, "audit" if is_well else "deny", icon_name="check" if is_well else "triangle"
    )
    says = ", ".join(f"{name} {value}" for name, value in process.facts)
    error: str | Markup = ""
    if process.troubled_since is not None:
        error = marks.said("<br><b>Waits since {} UTC</b>: {}", words.moment(process.troubled_since), process.last_error or "")
    elif process.last_error:
        error = marks.said("<br>{}", marks.quiet(f"Its last trouble: {process.last_error}"))
    return (
        marks.said("<b>{}</b><br>{}", process.name, marks.quiet(process.about or f"process {process.pid}")),
        state,
        words.ago(process.beat_at, now=view.now),
        marks.said("{}{}", says, error),
    )


def _alerts(view: View) -> None:
    show(marks.heading("Alerts", note="newest change first"))
    found = alerts(view.settings.home, view.project.project_id)[:ROWS_MAX]
    if not found:
        show(
            marks.empty(
                "No alert",
                "The watch compares each minute's denials with the hour before, and looks for what went ahead against its denial "
                "and for critical drift: nothing to see.",
            )
        )
        return
    tones: dict[str, Tone] = {"firing": "deny", "pending": "warn", "resolved": "none"}
    rows = [
        (marks.pill(alert.state, tones[alert.state], icon_name="bell"), words.moment(from_micros(alert.since_at)), alert.message)
        for alert in found
    ]
    show(marks.table(("State", "Since (UTC)", "What"), rows, label="Alerts"))


PAGE = Page(
    name="pipeline",
    title="Pipeline",
    icon=":material/account_tree:",
    section="Prove",
    show=draw,
    summary="Whether everything accepted has landed: tallies, gaps, losses, quarantine, processes and alerts.",
)
