"""The control log as a table: who changed what, when, from what to what, and why."""

from collections.abc import Sequence

from markupsafe import Markup

from controlplane.model import LogEntry
from dashboards import marks, words
from dashboards.desk import from_micros

HEADINGS = ("When (UTC)", "Who", "What", "Of", "From → to", "Why")
NOTHING = "—"
Cells = tuple[str, str, str, str, str, str]


def changes_table(entries: Sequence[LogEntry]) -> Markup:
    """Draw entries newest first, or that there are none."""
    rows = [(at, who, marks.dotted(what), *rest) for at, who, what, *rest in map(cells, newest_first(entries))]
    return marks.table(HEADINGS, rows, label="Changes") if rows else marks.quiet("Nobody changed anything yet.")


def newest_first(entries: Sequence[LogEntry]) -> list[LogEntry]:
    """Return entries in the order people read them."""
    return sorted(entries, key=lambda each: -each.entry_id)


def cells(entry: LogEntry) -> Cells:
    """Return an entry as text, one cell each: when, who, what, of what, from what to what, why."""
    values = (entry.from_value, entry.to_value)  # one alone would not say which of the two it is
    between = " → ".join(_short(value) if value else NOTHING for value in values) if any(values) else ""
    return words.moment(from_micros(entry.at)), entry.actor, entry.action, entry.subject, between, entry.why or ""


def _short(value: str) -> str:
    """Shorten a digest, by which nobody reads."""
    return f"{value[:12]}…" if len(value) == 64 else value
