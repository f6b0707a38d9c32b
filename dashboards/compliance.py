"""The compliance report of a period, as one record: the page, the CSV and the PDF are three drawings of it.

A figure without data says `no data`; it is never 0 and never counts as fine. Numbers stay numbers until they are drawn, so that
a spreadsheet reads them as such.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from controlplane.model import LogEntry, PolicyVersion, Project
from dashboards import words
from dashboards.completeness import speaker, state_of
from dashboards.control_log import cells, newest_first
from dashboards.counting import Totals
from dashboards.desk import from_micros
from dashboards.window import Window
from dashboards.words import WORDS, count, standing

NO_DATA: Final = "no data"
BY_VERDICT: Final = "Verdicts, and what became of them"
Rows = Sequence[Mapping[str, Any]]
Cell = str | int
# What the product does by itself is in the control log under these names, which no person has to answer for.
SYSTEM_ACTORS: Final = frozenset({"first run", "controlplane"})


@dataclass(frozen=True, kw_only=True)
class Section:
    """One question of the report with its answer in rows, each under a key no other has; `absent` says why there is none."""

    title: str
    question: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...] = ()
    keys: tuple[str, ...] = ()  # of each row
    absent: str | None = None
    numbers: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """What happened in a project in a period, as far as the ledger and the control log know."""

    project_id: str
    project_name: str
    mode: str
    from_at: datetime
    until_at: datetime
    made_at: datetime
    made_by: str
    ledger_version: int
    figures: tuple[tuple[str, Cell, str], ...]  # name, value, note
    sections: tuple[Section, ...]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The answers a report is made of."""

    totals: Totals
    agents: Rows
    in_force: Rows
    carried_out: Rows | None  # None: not asked yet
    found: Rows
    producers: Rows
    speakers: Rows  # which agent each producer spoke for
    versions: Sequence[PolicyVersion]
    changes: Sequence[LogEntry]


def report_of(evidence: Evidence, *, project: Project, window: Window, made_at: datetime, made_by: str, ledger_version: int) -> Report:
    """Make the report of a period from the answers about it."""
    entries = [entry for entry in evidence.changes if window.from_at <= from_micros(entry.at) < window.until_at]
    by_people = [entry for entry in entries if entry.actor not in SYSTEM_ACTORS]
    looks = [entry for entry in by_people if entry.action.startswith("export.") or entry.action.endswith(".read")]
    changes = [entry for entry in by_people if entry not in looks]
    existed = from_micros(project.created_at) < window.until_at
    at = min(made_at, window.until_at)
    return Report(
        project_id=project.project_id,
        project_name=project.name,
        mode=project.mode,
        from_at=window.from_at,
        until_at=window.until_at,
        made_at=made_at,
        made_by=made_by,
        ledger_version=ledger_version,
        figures=_figures(evidence, changes, existed=existed, at=at),
        sections=(
            _who_acted(evidence),
            _under_which_policy(evidence),
            _by_verdict(evidence),
            _personal_data(evidence),
            _completeness(evidence, at),
            _control_log("Changes by people", "Who changed what, when and why?", changes, none="nobody changed anything", existed=existed),
            _control_log(
                "Exports and looks at raw data",
                "Who took out or looked at what, and when?",
                looks,
                none="nobody took out or looked at anything",
                existed=existed,
            ),
        ),
    )


def flat_rows(report: Report) -> list[dict[str, str]]:
    """Return the report as rows for a spreadsheet: one for each figure, and for each value of each section's rows.

    Section, row and what are a key: no two lines share it.
    """
    about = {"project": report.project_id, "from": report.from_at.isoformat(), "until": report.until_at.isoformat()}
    flat = [{**about, "section": "Figures", "row": name, "what": "value", "value": str(value)} for name, value, _ in report.figures]
    for section in report.sections:
        if section.absent:
            flat.append({**about, "section": section.title, "row": "", "what": "", "value": section.absent})
        for key, row in zip(section.keys, section.rows, strict=True):
            flat += [
                {**about, "section": section.title, "row": key, "what": heading, "value": str(value)}
                for heading, value in zip(section.headings, row, strict=True)
            ]
    return flat


def shown(cell: Cell) -> str:
    """Return a cell as people read it: numbers with separators."""
    return f"{cell:,}" if isinstance(cell, int) else cell


def _figures(evidence: Evidence, changes: Sequence[LogEntry], *, existed: bool, at: datetime) -> tuple[tuple[str, Cell, str], ...]:
    totals = evidence.totals
    any_decision = totals.decisions > 0

    def known(number: int) -> Cell:
        return number if any_decision else NO_DATA

    proofs = [state_of(row, at=at).proof for row in evidence.producers]
    running = proofs.count("running")
    unproven = len(proofs) - running - proofs.count("complete")
    of = f"of {count(len(proofs), 'producer')}" + (f", {running:,} still running" if running else "")
    return (
        ("decisions", known(totals.decisions), ""),
        ("agents", known(len(evidence.agents)), "names are claimed by agents"),
        ("denied", known(totals.denied), "told not to go ahead"),
        ("deny, let through", known(totals.let_through), "logged only, or not enforced"),
        (
            "personal data found",
            known(sum(row["findings"] for row in evidence.found if row["type"] == "pii")),
            "masked before it was stored",
        ),
        ("producers not proven complete", unproven if proofs else NO_DATA, of if proofs else "gaps, losses or no orderly end"),
        ("changes by people", len(changes) if existed else NO_DATA, ""),
    )


def _who_acted(evidence: Evidence) -> Section:
    headings = (
        "agent (claimed)",
        "decisions",
        "denied",
        "deny, let through",
        "warned or audited",
        "not evaluated",
        "first hour (UTC)",
        "last hour (UTC)",
    )
    rows = tuple(
        (
            row["agent_id"] or "without a name",
            *(row[name] for name in ("decisions", "denied", "let_through", "noted", "unevaluated")),
            _hour(row["first_at"]),
            _hour(row["last_at"]),
        )
        for row in evidence.agents
    )
    return Section(
        title="Who acted",
        question="Which agents acted, and how did it stand?",
        headings=headings,
        rows=rows,
        keys=tuple(row[0] for row in rows),
        absent=_absent(rows, "no decision in this period"),
        numbers=(1, 2, 3, 4, 5),
    )


def _under_which_policy(evidence: Evidence) -> Section:
    names = {version.digest: f"version {version.version}" for version in evidence.versions}
    rows = tuple(
        (
            names.get(row["bundle_digest"], f"{row['bundle_digest'][:12]}… (not signed for this project)")
            if row["bundle_digest"]
            else "none: no policy judged them",
            row["mode"],
            row["decisions"],
            row["agents"],
            _hour(row["first_at"]),
            _hour(row["last_at"]),
        )
        for row in evidence.in_force
    )
    return Section(
        title="Under which policy and mode",
        question="Which policy judged them, and in which mode were they asked?",
        headings=("policy", "mode", "decisions", "agents", "first hour (UTC)", "last hour (UTC)"),
        rows=rows,
        keys=tuple(f"{row[0]}, {row[1]}" for row in rows),
        absent=_absent(rows, "no decision in this period"),
        numbers=(2, 3),
    )


def _by_verdict(evidence: Evidence) -> Section:
    table: dict[str, dict[str, int]] = {}
    for row in evidence.carried_out or ():
        name = standing(verdict=row["verdict"], mode=row["mode"], effect=row["effect"])
        became = "unknown" if row["carried_out"] is None else "carried out" if row["carried_out"] else "not carried out"
        line = table.setdefault(name, {"carried out": 0, "not carried out": 0, "unknown": 0})
        line[became] += row["decisions"]
    occurring = [name for name in WORDS if name in table]
    rows: tuple[tuple[Cell, ...], ...] = tuple((WORDS[name].label, sum(table[name].values()), *table[name].values()) for name in occurring)
    return Section(
        title=BY_VERDICT,
        question="How did decisions stand, and was the action carried out? Unknown: no outcome was recorded within a day.",
        headings=("verdict", "decisions", "carried out", "not carried out", "carried out: unknown"),
        rows=rows,
        keys=tuple(WORDS[name].label for name in occurring),
        absent="being counted …" if evidence.carried_out is None else _absent(rows, "no decision in this period"),
        numbers=(1, 2, 3, 4),
    )


def _personal_data(evidence: Evidence) -> Section:
    rows = tuple(
        (
            words.readable(row["detail"]),
            words.FINDING_WORDS.get(row["type"], row["type"]),
            words.grave(row["severities"]),
            row["findings"],
            row["agents"],
        )
        for row in evidence.found
        if row["type"] in ("pii", "secret")
    )
    absent = (
        None
        if rows
        else "no decision in this period was there to look at"
        if not evidence.totals.decisions
        else f"none found in {count(evidence.totals.decisions, 'decision')}"
    )
    return Section(
        title="Personal data and secrets",
        question="Which kinds were found in the text fields of decisions? All of it was masked before it was stored.",
        headings=("what", "kind", "severity", "found", "agents"),
        rows=rows,
        keys=tuple(f"{row[0]}, {row[1]}" for row in rows),
        absent=f"{NO_DATA}: {absent}" if absent and not evidence.totals.decisions else absent,
        numbers=(3, 4),
    )


def _completeness(evidence: Evidence, at: datetime) -> Section:
    speakers = {row["producer_id"]: row for row in evidence.speakers}
    rows = tuple(
        (
            f"{speaker(speakers.get(row['producer_id']))}, since {_minute(row['started_at'])}",
            str(row["producer_id"]),
            state_of(row, at=at).words,
            *(row[name] for name in ("received", "landed", "duplicate", "quarantined", "missing", "lost")),
            _minute(row["last_at"]),
        )
        for row in evidence.producers
    )
    return Section(
        title="Completeness",
        question="Is the record of each producer (one run of one agent process) complete, from its start to the end of this period?",
        headings=(
            "agent, since (UTC)",
            "producer",
            "record",
            "received",
            "landed",
            "duplicate",
            "quarantined",
            "missing",
            "lost",
            "last (UTC)",
        ),
        rows=rows,
        keys=tuple(str(row["producer_id"]) for row in evidence.producers),
        absent=_absent(rows, "no record arrived in this period, so nothing can be proven"),
        numbers=(3, 4, 5, 6, 7, 8),
    )


def _control_log(title: str, question: str, entries: Sequence[LogEntry], *, none: str, existed: bool) -> Section:
    ordered = newest_first(entries)
    rows = tuple(cells(entry) for entry in ordered)
    return Section(
        title=title,
        question=question,
        headings=("when (UTC)", "who", "what", "of", "from → to", "why"),
        rows=rows,
        keys=tuple(f"entry {entry.entry_id}" for entry in ordered),
        absent=None if rows else none if existed else f"{NO_DATA}: the project did not exist in this period",
    )


def _absent(rows: Iterable[object], why: str) -> str | None:
    return None if rows else f"{NO_DATA}: {why}"


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else NO_DATA


def _hour(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H}:00" if at else NO_DATA
