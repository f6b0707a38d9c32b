"""What JSON allows and an audit does not: a name twice, nesting without end, numbers no machine holds, half characters.

Parsers downstream differ on these (which of two equal names counts?), so a line that has one is rejected
whole. `find_flaw` reads a line that the record's own decoder took, `explain` one that it gave up on.
"""

import json
import math
import re
from typing import Any

from msgspec import Struct

from ingest.limits import DEPTH_MAX

NUMBER_CHARS_MAX = 400  # a double written out in full needs 327; past it, a number is a way to burn CPU
PATH_CHARS_MAX = 200

# Possessive: a string of a megabyte is walked once and leaves nothing to go back to.
_PART = re.compile(r'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++')
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\]]')
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Flaw(Struct, frozen=True):
    """What is wrong with a line, where, and why that matters."""

    code: str
    path: str
    reason: str


class _SuspectedError(ValueError):
    """Something is wrong; the slower reading says what and where."""


def find_flaw(line: bytes) -> Flaw | None:
    """Return what is wrong with a line that is a record otherwise, None where nothing is."""
    try:
        text = line.decode()
        if depth(line) <= DEPTH_MAX:
            _quick.decode(text)
            return None
    except (ValueError, RecursionError):
        pass
    return explain(line)


def explain(line: bytes) -> Flaw | None:
    """Return the first flaw of a line, read token by token; None where only its grammar or its values are wrong."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        return Flaw("not_utf8", "$", f"byte {error.start} is not UTF-8; send text in UTF-8, bytes as base64")
    return _first_flaw(text)


def depth(line: bytes) -> int:
    """Return how deep a line nests; an upper bound where that already is within `DEPTH_MAX`."""
    opened = line.count(b"{") + line.count(b"[")
    if opened <= DEPTH_MAX:
        return opened
    now = deepest = 0
    for part in _STRING_OR_BRACKET.finditer(line):
        match part[0]:
            case b"{" | b"[":
                now += 1
                deepest = max(deepest, now)
            case b"}" | b"]":
                now -= 1
    return deepest


def _no_name_twice(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) > 1 and len({name for name, _ in pairs}) != len(pairs):
        raise _SuspectedError


def _holdable(text: str) -> float:
    if len(text) > NUMBER_CHARS_MAX or not math.isfinite(number := float(text)):
        raise _SuspectedError
    return number


def _not_json(_constant: str) -> None:
    raise _SuspectedError


_quick = json.JSONDecoder(object_pairs_hook=_no_name_twice, parse_float=_holdable, parse_int=_holdable, parse_constant=_not_json)


class _Level:
    """An object or a list that is open: what was seen in it so far."""

    def __init__(self, bracket: str) -> None:
        self.is_object = bracket == "{"
        self.names: set[str] = set()
        self.name = ""
        self.place = 0
        self.wants_name = self.is_object


def _first_flaw(text: str) -> Flaw | None:
    levels: list[_Level] = []
    for match in _PART.finditer(text):
        part = match[0]
        if part in "{[":
            if len(levels) == DEPTH_MAX:
                return Flaw("too_deep", _path(levels), f"nests deeper than {DEPTH_MAX} levels; flatten it, or send it as text")
            levels.append(_Level(part))
        elif part in "}]":
            if levels:
                levels.pop()
        elif not levels:
            continue
        elif part == ",":
            levels[-1].place += 1
            levels[-1].wants_name = levels[-1].is_object
        elif flaw := _flaw_of_scalar(part, levels):
            return flaw
    return None


def _flaw_of_scalar(part: str, levels: list[_Level]) -> Flaw | None:
    level = levels[-1]
    if part[0] != '"':
        number = part.lstrip("-")
        if number[:1].isdigit() and (len(part) > NUMBER_CHARS_MAX or not _is_finite(part)):
            return Flaw("number_out_of_range", _path(levels), "no 64-bit number holds it; send it as text")
        return None
    try:
        string = json.loads(part)
        string.encode()
    except UnicodeEncodeError:
        return Flaw(
            "lone_surrogate", _path(levels), "half of a surrogate pair (`\\ud800` to `\\udfff` alone) is no character; send whole ones"
        )
    except ValueError:
        return None  # the record's own decoder says what is malformed
    if level.wants_name:
        level.wants_name = False
        level.name = string
        if string in level.names:
            return Flaw("duplicate_key", _path(levels), "the name is there twice, and readers differ on which counts; send it once")
        level.names.add(string)
    return None


def _is_finite(part: str) -> bool:
    try:
        return math.isfinite(float(part))
    except ValueError:
        return True  # not a number at all: malformed, said elsewhere


def _path(levels: list[_Level]) -> str:
    path = "$"
    for level in levels:
        if not level.is_object:
            path += f"[{level.place}]"
        elif _PLAIN_NAME.match(level.name):
            path += f".{level.name}"
        elif level.names:
            path += f"[{json.dumps(level.name, ensure_ascii=False)}]"
    return path if len(path) <= PATH_CHARS_MAX else path[:PATH_CHARS_MAX] + "…"
