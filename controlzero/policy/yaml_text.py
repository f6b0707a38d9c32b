"""YAML text as plain values and the line each is in, strictly; and where it is no YAML, what may mend it."""

import math
import re
from collections.abc import Iterator, Mapping

import yaml
from msgspec import Struct

from controlzero.errors import Problem
from controlzero.policy.model import POLICY_DEPTH_MAX, POLICY_NODES_MAX
from controlzero.policy.undecodable import NotYaml, Undecodable, integer, undecodable

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, object] = {"true": True, "false": False, "null": None, "~": None, "": None}
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser where PyYAML was built with it
_LAST_WORD = re.compile(r"(?:^|[\s,\[{])([*&@`%])[^\s,]*[\s,\]}]?$")  # that begins with a character YAML keeps for itself
_WAYS_OUT = (
    ("mapping values are not allowed", "quote a text that holds `: `, and look for a key without its colon in the line before"),
    ("tab character", "indent with spaces"),
    ("cannot start any token", "indent with spaces, not tabs"),
    ("',' or ']'", "close the `[` before it"),
    ("',' or '}'", "close the `{` before it"),
    ("end of stream", "close the quote or bracket that is open"),
    ("indicator", "indent it as the lines it belongs to"),
    ("expected key", "indent it as the lines it belongs to"),
    ("<block end>", "indent it as the lines it belongs to"),
    ("control characters", "write plain text"),
)


class Read(Struct, frozen=True):
    """What a text says, and by the path of each value in it the line it begins in."""

    value: object
    lines: Mapping[str, int]


def read(text: str) -> Read:
    """Return what a YAML text says. Raises `Undecodable`, of which `NotYaml` where it is none."""
    try:
        events = iter(list(_bounded(yaml.parse(text, Loader=_LOADER))))
    except yaml.YAMLError as error:
        raise NotYaml(Problem("", _as_told(error, text))) from error
    except RecursionError as error:
        raise undecodable(f"nests deeper than {POLICY_DEPTH_MAX} levels; a policy needs six") from error
    problems: list[Problem] = []
    lines: dict[str, int] = {}
    value: object = None
    for event in events:
        if not isinstance(event, (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)):
            # A bare list is the rules of a policy.
            value = _node(event, events, "rules" if isinstance(event, yaml.SequenceStartEvent) else "", problems, lines)
    if problems:
        raise Undecodable(*problems)
    return Read(value, lines)


def _as_told(error: yaml.YAMLError, text: str) -> str:
    """Say what is wrong with a text, where, and what may mend it."""
    said = str(getattr(error, "problem", None) or error).partition("\n")[0]
    mark, position = getattr(error, "problem_mark", None), getattr(error, "position", None)
    if mark is not None:
        line, column = mark.line, mark.column
    elif isinstance(position, int):  # a character that no text holds
        line, column = text.count("\n", 0, position), position - text.rfind("\n", 0, position) - 1
    else:
        return f"not YAML: {said}"
    rows = text.split("\n")  # where the text ends too early, the mark is behind its last line
    begun = _LAST_WORD.search(rows[line][: column + 1]) if line < len(rows) else None
    ways = [f'quote a text that begins with {begun[1]}, as in "{begun[1]}"'] if begun else [way for sign, way in _WAYS_OUT if sign in said]
    return "; ".join([f"not YAML: {said} in line {line + 1}, column {column + 1}", *ways[:1]])


def _bounded(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    depth = documents = 0
    for number, event in enumerate(events):
        where = _place(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise undecodable(f"an anchor or alias (`&`, `*`) in {where}; quote a pattern that begins with `*`, and write a value out")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise undecodable(
                f"the tag `{tag}` in {where}; quote a text that begins with `!`: a policy is text, numbers, lists and objects"
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > POLICY_DEPTH_MAX:
            raise undecodable(f"nests deeper than {POLICY_DEPTH_MAX} levels in {where}; a policy needs six")
        if number > POLICY_NODES_MAX * 2:
            raise undecodable(f"more than {POLICY_NODES_MAX:,} values; split it into several policies")
        if documents > 1:
            raise undecodable(f"a second YAML document begins in {where}; one file is one policy")
        yield event


def _node(event: yaml.Event, events: Iterator[yaml.Event], path: str, problems: list[Problem], lines: dict[str, int]) -> object:
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event)
    if isinstance(event, yaml.SequenceStartEvent):
        listed: list[object] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            at = f"{path}[{len(listed)}]"
            lines[at] = _line(event)
            listed.append(_node(event, events, at, problems, lines))
        return listed
    found: dict[str, object] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = event.value if isinstance(event, yaml.ScalarEvent) else None
        at = f"{path}.{key}" if path else f"{key}"
        if key is None:
            _node(event, events, path, problems, lines)
            problems.append(Problem(path, "a list or object as a key; keys are text", _line(event)))
        elif key in found:
            problems.append(Problem(path, f"key `{key}` is there twice; keep one", _line(event)))
        lines[at] = _line(event)
        found[key or ""] = _node(next(events), events, at, problems, lines)
    return found


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _place(event: yaml.Event) -> str:
    return f"line {_line(event)}, column {event.start_mark.column + 1 if event.start_mark else 0}"


def _scalar(event: yaml.ScalarEvent) -> object:
    """Read a plain scalar as JSON would (the core schema): no dates, no `yes` and `off`, no base 60."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return integer(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
