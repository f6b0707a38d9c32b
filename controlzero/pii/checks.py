"""What a check is, and how it reads the bytes a pattern proposed and those around them."""

import re
from collections.abc import Callable

# A check is given the text and the proposed span in bytes; it answers the true span and the value in the one form
# all its spellings share (what fingerprints and masks are made of), or None.
Found = tuple[int, int, str]
Check = Callable[[bytes, int, int], Found | None]

_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")
_NOT_DIGITS = re.compile(r"[^0-9]+")
_SYMBOL = re.compile(rb"\\u[0-9A-Fa-f]{4}|[0-9A-Za-z]")
_ESCAPE_BEFORE = re.compile(rb"\\(?:[bfnrt]|u[0-9A-Fa-f]{4})\Z")
APART = "\0"  # stands between texts that are searched together; no pattern and no context reaches over it
CONTEXT_BYTES = 32  # how far before a value a check looks for the word that speaks for or against it


def unescaped(value: bytes) -> str:
    r"""Read a value as text, `\u00e4` as the letter it stands for."""
    text = value.decode("utf-8", "replace")
    return _ESCAPE.sub(lambda m: chr(int(m[1], 16)), text) if "\\u" in text else text


def digits(value: bytes) -> str:
    """Keep the ASCII digits of a value; the digits of an escaped separator are none of them."""
    return _NOT_DIGITS.sub("", unescaped(value))


def symbols(data: bytes, start: int, end: int) -> list[tuple[str, int]]:
    """List the letters and digits of a value, each with where it ends."""
    return [(m[0].decode(), m.end()) for m in _SYMBOL.finditer(data, start, end) if len(m[0]) == 1]


def before(data: bytes, start: int) -> bytes:
    """Read the few bytes before a value, of its own text."""
    return data[max(0, start - CONTEXT_BYTES) : start].rpartition(b"\0")[2]


def is_glued(data: bytes, start: int) -> bool:
    r"""Say whether a letter or digit stands directly before; the `n` of an escaped `\n` is none."""
    if start == 0 or not data[start - 1 : start].isalnum():
        return False
    return _ESCAPE_BEFORE.search(data[max(0, start - 6) : start]) is None


def is_chained(data: bytes, start: int, end: int) -> bool:
    """Say whether a value is a link in a longer run of letters and digits, such as ORD-4111… or 0.4111…."""
    behind = data[end : end + 2]
    if behind[1:].isalnum() and (behind[:1] == b"-" or (behind[:1] == b"." and behind[1:].isdigit())):
        return True
    return start >= 2 and data[start - 1] in b"-.," and is_glued(data, start - 1)


def is_among_numbers(data: bytes, start: int, end: int) -> bool:
    """Say whether another number stands one space away, as in the columns of a table."""
    return data[max(0, start - 2) : start].strip().isdigit() or data[end : end + 2].strip().isdigit()
