"""Decisions as rows of a table, the same on every page that lists them."""

from collections.abc import Iterable

from markupsafe import Markup

from dashboards import marks, words
from dashboards.answers import Row
from dashboards.desk import View
from dashboards.export import uuid_text
from dashboards.urls import address

HEADINGS = ("Time (UTC)", "Agent", "Action", "Resource", "Decision", "Mode", "Rule", "Found")


def decision_table(view: View, rows: Iterable[Row]) -> Markup:
    """Draw decisions newest first, each leading to its own page; what the verdict was and what came of it is one word: the decision."""
    return marks.table(HEADINGS, [_cells(view, row) for row in rows], label="Decisions", kind="decisions")


def _cells(view: View, row: Row) -> tuple[Markup | str, ...]:
    to = address("decision", project=view.project.project_id, id=uuid_text(row["decision_id"]))
    found = [*row["finding_types"], *row["drift_kinds"]]
    return (
        marks.link(
            marks.said('<span class="cz-time">{}</span>', _time(row, view)), to, hint=f"{words.moment(row['occurred_at'], micros=True)} UTC"
        ),
        said_agent(row["agent_id"]),
        marks.mono(row["action"]),
        marks.mono(row["resource"]),
        marks.verdict_pill(verdict=row["shown_verdict"], mode=row["mode"], effect=row["effect"]),
        marks.quiet(row["mode"]),
        marks.mono(row["rule_id"]) if row["rule_id"] or row["reason_code"] != "default_deny" else marks.quiet("default deny"),
        _found(found),
    )


def said_agent(agent_id: str | None) -> Markup:
    """Name an agent; the name is the agent's own claim, and may be any text."""
    return marks.said('<span title="{}">{}</span>', agent_id, agent_id) if agent_id else marks.NOTHING


def _found(kinds: list[str]) -> Markup:
    if not kinds:
        return Markup("")
    more = f" +{len(kinds) - 1}" if len(kinds) > 1 else ""
    return marks.pill(f"{kinds[0].replace('_', ' ')}{more}", "warn", hint=", ".join(kinds).replace("_", " "))


def _time(row: Row, view: View) -> str:
    at = row["occurred_at"]
    return f"{at:%H:%M:%S}" if at.date() == view.now.date() else f"{at:%b %-d %H:%M:%S}"
