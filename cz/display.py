"""How commands show things: tables and panels for people, JSON for programs."""

import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

MODE_STYLES = {"enforce": "bold green", "log-only": "yellow", "off": "bold red"}
EFFECT_STYLES = {"allow": "green", "deny": "bold red", "warn": "yellow", "audit": "cyan"}
DIGEST_CHARS = 12

PIPED_COLUMNS = 160  # a pipe has no width, and 80 folds what a person then searches for
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")

console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_COLUMNS)


def print_json(value: Any) -> None:
    """Print records, or what holds them, as one line of JSON."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Table:
    """Return a table. Texts are shown as they are, never as markup, nor as what a terminal obeys."""
    drawn = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in row))
    return drawn


def facts(title: str, rows: Sequence[tuple[str, str | Text]], *, next_step: str | None = None) -> Panel:
    """Return a panel of named facts."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, value if isinstance(value, Text) else Text(plain(value)))
    return Panel(
        grid,
        title=escape(title),
        title_align="left",
        subtitle=escape(next_step) if next_step else None,
        subtitle_align="left",
        expand=False,
    )


def empty(fact: str, next_step: str) -> None:
    """Say that there is nothing, and what would make something."""
    console.print(Text(fact), Text(f"Next: {next_step}", style="dim"), sep="\n", soft_wrap=True)


def done(fact: str, *, next_step: str | None = None) -> None:
    """Say what was done."""
    console.print(Text.assemble(("✓ ", "green"), plain(fact)), soft_wrap=True)
    if next_step:
        console.print(Text(f"  Next: {next_step}", style="dim"), soft_wrap=True)


def warned(fact: str) -> None:
    """Say what a person should look at; nothing is refused."""
    console.print(Text.assemble(("! ", "bold yellow"), plain(fact)), soft_wrap=True)


def failed(fact: str) -> None:
    """Say what is wrong, among what is not."""
    console.print(Text.assemble(("✗ ", "bold red"), plain(fact)), soft_wrap=True)


def noted(fact: str, *, sign: str = "·") -> None:
    """Say what is worth knowing and no mistake."""
    console.print(Text(f"{sign} {plain(fact)}", style="dim"), soft_wrap=True)


def unchanged(fact: str) -> None:
    """Say that there was nothing to do."""
    console.print(Text.assemble(("= ", "dim"), plain(fact)), soft_wrap=True)


def source(text: str, language: str) -> None:
    """Show a text of a language: coloured to a person, as it is to a file."""
    if console.is_terminal:
        console.print(Syntax(text, language, background_color="default", word_wrap=True))
    else:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def mode_text(mode: str) -> Text:
    """Return a mode in its colour."""
    return Text(mode, style=MODE_STYLES.get(mode, ""))


def effect_text(effect: str) -> Text:
    """Return an effect in its colour."""
    return Text(effect, style=EFFECT_STYLES.get(effect, ""))


def time_text(at: int | None) -> str:
    """Return a time, microseconds since 1970, as a person reads it."""
    return "-" if at is None else datetime.fromtimestamp(at // 1_000_000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def shortened(text: str) -> str:
    """Return a text with the digests in it cut short."""
    return _DIGEST.sub(lambda found: found.group()[:DIGEST_CHARS], text)


def visible(text: str) -> str:
    """Return a text with what a terminal would obey, hide or turn around written out: agents choose what they are called."""
    return text if text.isprintable() else "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def plain(text: str) -> str:
    """Return a text of several lines with each of them visible."""
    return "\n".join(visible(line) for line in text.split("\n"))


def short(digest: str | None) -> str:
    """Return the start of a digest."""
    return "-" if digest is None else digest[:DIGEST_CHARS]
