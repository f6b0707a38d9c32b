"""JSON and YAML text as plain values, strictly: no key twice, no alias, no tag, nothing without a bound."""

import json
import math
import re
from collections.abc import Iterator
from typing import NoReturn

import yaml

from controlzero.errors import Problem
from controlzero.policy.model import POLICY_BYTES_MAX, POLICY_DEPTH_MAX, POLICY_NODES_MAX

INT_CHARS_MAX = 309  # of a whole number, as of the largest double
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, object] = {"true": True, "false": False, "null": None, "~": None, "": None}


class Undecodable(Exception):  # noqa: N818 - it becomes a PolicyError at once
    """The text is not what it should be; `problems` say where and why."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(problems)
        self.problems = problems


class NotYaml(Undecodable):
    """The text is not even YAML, of which JSON is a part."""


def decode(source: str | bytes) -> object:
    """Return what a JSON or YAML text says. Raises `Undecodable`."""
    size = len(source) if isinstance(source, bytes) else len(source.encode("utf-8", "surrogatepass"))
    if size > POLICY_BYTES_MAX:
        raise _undecodable(f"{size:,} bytes of policy, of which {POLICY_BYTES_MAX:,} are allowed; split it into several policies")
    if isinstance(source, bytes):
        try:
            source = source.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _undecodable(f"not UTF-8: byte {error.start} is {error.object[error.start]:#04x}; save the policy as UTF-8") from error
    source = source.removeprefix("\ufeff")
    if source.lstrip()[:1] in ("{", "["):
        try:
            return _json(source)
        except json.JSONDecodeError as error:
            try:
                return _yaml(source)
            except NotYaml:
                raise _undecodable(f"not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error
    return _yaml(source)


def _json(source: str) -> object:
    problems: list[Problem] = []

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = sorted({key for key in keys if keys.count(key) > 1}) if len(keys) < 1000 else ["…"]
            problems.extend(Problem("", f"key `{key}` is there twice in one object; keep one") for key in twice)
        return found

    try:
        value = json.loads(source, object_pairs_hook=unique, parse_constant=_no_constant, parse_int=_integer)
    except RecursionError as error:
        raise _undecodable(f"nests deeper than {POLICY_DEPTH_MAX} levels; a policy needs six") from error
    if problems:
        raise Undecodable(*problems)
    return value


def _integer(digits: str) -> int:
    if len(digits) > INT_CHARS_MAX:
        raise _undecodable(f"a number of {len(digits):,} digits; no double holds more than {INT_CHARS_MAX}")
    return int(digits)


def _no_constant(name: str) -> NoReturn:
    raise _undecodable(f"`{name}` is not a JSON number; give a finite one")


def _yaml(source: str) -> object:
    try:
        events = iter(list(_bounded(yaml.parse(source, Loader=_LOADER))))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise NotYaml(Problem("", f"not YAML: {getattr(error, 'problem', None) or error}{where}")) from error
    except RecursionError as error:
        raise _undecodable(f"nests deeper than {POLICY_DEPTH_MAX} levels; a policy needs six") from error
    problems: list[Problem] = []
    value: object = None
    for event in events:
        if not isinstance(event, (yaml.StreamStartEvent, yaml.StreamEndEvent, yaml.DocumentStartEvent, yaml.DocumentEndEvent)):
            value = _node(event, events, "", problems)
    if problems:
        raise Undecodable(*problems)
    return value


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C parser where PyYAML was built with it


def _bounded(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    depth = documents = 0
    for number, event in enumerate(events):
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _undecodable(f"an anchor or alias (`&`, `*`) in {line}; write the value out, and quote a pattern that starts with `*`")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise _undecodable(f"the tag `{tag}` in {line}; a policy is text, numbers, lists and objects")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > POLICY_DEPTH_MAX:
            raise _undecodable(f"nests deeper than {POLICY_DEPTH_MAX} levels in {line}; a policy needs six")
        if number > POLICY_NODES_MAX * 2:
            raise _undecodable(f"more than {POLICY_NODES_MAX:,} values; split it into several policies")
        if documents > 1:
            raise _undecodable(f"a second YAML document starts in {line}; one file is one policy")
        yield event


def _node(event: yaml.Event, events: Iterator[yaml.Event], path: str, problems: list[Problem]) -> object:
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event)
    if isinstance(event, yaml.SequenceStartEvent):
        listed: list[object] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            listed.append(_node(event, events, f"{path}[{len(listed)}]", problems))
        return listed
    found: dict[str, object] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        key = event.value if isinstance(event, yaml.ScalarEvent) else None
        if key is None:
            _node(event, events, path, problems)
            problems.append(Problem(path, f"a list or object as a key in {_line(event)}; keys are text"))
        elif key in found:
            problems.append(Problem(path, f"key `{key}` is there twice (again in {_line(event)}); keep one"))
        value = _node(next(events), events, f"{path}.{key}" if path else f"{key}", problems)
        found[key or ""] = value
    return found


def _line(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}" if event.start_mark else "an unknown line"


def _scalar(event: yaml.ScalarEvent) -> object:
    """Read a plain scalar as JSON would (the core schema): no dates, no `yes` and `off`, no base 60."""
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return _integer(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def _undecodable(message: str) -> Undecodable:
    return Undecodable(Problem("", message))
