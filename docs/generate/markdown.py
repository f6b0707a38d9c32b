"""The little Markdown that generated text needs."""

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; a bar in a cell is escaped, a line break becomes a space."""
    heading, *lines = ["| " + " | ".join(_cell(cell) for cell in cells) + " |" for cells in (columns, *rows)]
    return "\n".join([heading, "|---" * len(columns) + "|", *lines])


def code(text: str) -> str:
    """Return text as code within a line."""
    return f"`{text}`"


def fenced(text: str, language: str = "") -> str:
    """Return text as a block of code."""
    return f"```{language}\n{text.strip()}\n```"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
