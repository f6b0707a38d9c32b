"""JSON and YAML text as plain values, strictly: no key twice, no alias, no tag, nothing without a bound."""

import json
import re
from collections.abc import Mapping
from typing import NoReturn

from controlzero.errors import Problem
from controlzero.policy.model import POLICY_BYTES_MAX, POLICY_DEPTH_MAX
from controlzero.policy.undecodable import NotYaml, Undecodable, integer, undecodable

_LAST_STEP = re.compile(r"(\.[^.\[]*|\[\d+\])$")


def decode(source: str | bytes) -> object:
    """Return what a JSON or YAML text says. Raises `Undecodable`."""
    text = _text(source)
    if not _looks_like_json(text):
        return _yaml(text)
    try:
        return _json(text)
    except json.JSONDecodeError as error:
        try:
            return _yaml(text)
        except NotYaml:
            raise undecodable(f"not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from error


def lines(source: str | bytes) -> Mapping[str, int]:
    """Return the line of each value of a text by its path (`rules[2].effect`), as far as the text can be read."""
    from controlzero.policy.yaml_text import read

    try:
        return read(_text(source)).lines  # JSON is YAML too, but for tabs
    except Undecodable:
        return {}


def line_at(lines: Mapping[str, int], path: str) -> int | None:
    """Return the line of what is at `path`, or where that is not there of what it should be in."""
    while path and path not in lines:
        path = _LAST_STEP.sub("", path) if _LAST_STEP.search(path) else ""
    return lines.get(path)


def _text(source: str | bytes) -> str:
    size = len(source) if isinstance(source, bytes) else len(source.encode("utf-8", "surrogatepass"))
    if size > POLICY_BYTES_MAX:
        raise undecodable(f"{size:,} bytes of policy, of which {POLICY_BYTES_MAX:,} are allowed; split it into several policies")
    if isinstance(source, bytes):
        try:
            source = source.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise undecodable(f"not UTF-8: byte {error.start} is {error.object[error.start]:#04x}; save the policy as UTF-8") from error
    return source.removeprefix("\ufeff")


def _looks_like_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")


def _yaml(text: str) -> object:
    from controlzero.policy.yaml_text import read  # PyYAML takes 30 ms to import, which an agent with a bundle never needs

    return read(text).value


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
        value = json.loads(source, object_pairs_hook=unique, parse_constant=_no_constant, parse_int=integer)
    except RecursionError as error:
        raise undecodable(f"nests deeper than {POLICY_DEPTH_MAX} levels; a policy needs six") from error
    if problems:
        raise Undecodable(*problems)
    return value


def _no_constant(name: str) -> NoReturn:
    raise undecodable(f"`{name}` is not a JSON number; give a finite one")
