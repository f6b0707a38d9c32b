"""One way of writing a policy: keys in one order, one indentation; comments and blank lines between rules stay."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import yaml
from msgspec import Struct

from controlplane.wording import policy_text, readable_policy
from controlzero.errors import PolicyError, Problem
from controlzero.policy import parse
from controlzero.policy.decode import decode, line_at, lines


class Comment(Struct, frozen=True):
    """A comment of a text, or a blank line (`text` empty); `is_trailing` behind something in its line."""

    line: int
    text: str
    is_trailing: bool = False


def formatted(text: str, *, name: str) -> str:
    """Return a policy's text as it is written here: JSON stays JSON, YAML keeps its comments. Raises `PolicyError`."""
    before = parse(text, name=name)
    value = decode(text)
    document: dict[str, Any] = {"rules": value} if isinstance(value, list) else value  # type: ignore[assignment]  # `parse` took it
    if text.lstrip("\ufeff \t\r\n")[:1] in ("{", "["):
        return json.dumps(readable_policy(document), indent=2, ensure_ascii=False) + "\n"
    written = _with_comments(policy_text([document]), text, list(_comments(text, name)))
    if parse(written, name=name) != before:
        raise PolicyError(name, [Problem("", "cannot be formatted without changing what it says; it is left as it is")])
    return written


def _comments(text: str, name: str) -> Iterator[Comment]:
    """Yield comments and blank lines: what lies between the tokens."""
    tokens = list(yaml.scan(text, Loader=yaml.SafeLoader))
    for token, following in pairwise(tokens):
        if getattr(token, "style", None) in ("|", ">") and "#" in text[token.start_mark.index :].partition("\n")[0]:
            raise PolicyError(
                name, [Problem("", "a comment behind `|` or `>` would be lost; put it in a line of its own", token.start_mark.line + 1)]
            )
        start, end = token.end_mark.index, following.start_mark.index
        line = token.end_mark.line + 1
        for number, part in enumerate(text[start:end].split("\n")):
            is_trailing = number == 0 and token.end_mark.column > 0
            if "#" in part:
                yield Comment(line + number, part[part.index("#") :].rstrip(), is_trailing)
            elif number and not part.strip() and line + number < following.start_mark.line + 1:
                yield Comment(line + number, "")


def _with_comments(written: str, text: str, comments: Sequence[Comment]) -> str:
    """Put comments beside what they were beside: each belongs to the value in its line, else to the next one below."""
    old, new = lines(text), lines(written)
    by_line: dict[int, list[str]] = defaultdict(list)
    for path, line in old.items():
        by_line[line].append(path)
    first, last = min(by_line, default=0), max(by_line, default=0)
    above: dict[int, list[str]] = defaultdict(list)
    behind: dict[int, list[str]] = defaultdict(list)
    top: list[str] = []
    end: list[str] = []
    for comment in comments:
        if comment.is_trailing and comment.line in by_line:
            behind[line_at(new, _leaf(by_line[comment.line])) or 1].append(comment.text)
        elif comment.line < first:
            top.append(comment.text)
        elif comment.line > last:
            end.append(comment.text)
        else:
            path = min(
                by_line[min(line for line in by_line if line > comment.line or (comment.is_trailing and line >= comment.line))], key=len
            )
            if comment.text or path.count(".") == 0:  # a blank line is kept between rules, and not within one
                above[line_at(new, path) or 1].append(comment.text)
    return "\n".join(_lines_of(written, top, above, behind, end)) + "\n"


def _lines_of(
    written: str, top: list[str], above: Mapping[int, list[str]], behind: Mapping[int, list[str]], end: list[str]
) -> Iterator[str]:
    yield from _spaced(top, "", is_start=True)
    for number, line in enumerate(written.splitlines(), 1):
        indent = line[: len(line) - len(line.lstrip())]
        yield from _spaced(above.get(number, []), indent, is_start=number == 1 and not top)
        yield "  ".join([line, *behind.get(number, [])])
    yield from _spaced(_without_tail(end), "", is_start=False)


def _spaced(told: Sequence[str], indent: str, *, is_start: bool) -> Iterator[str]:
    """Yield comments under an indentation; several blank lines are one, and none begins a file."""
    before = "" if is_start else None
    for each in told:
        if each or before != "":
            yield f"{indent}{each}" if each else ""
        before = each


def _without_tail(told: Sequence[str]) -> list[str]:
    kept = list(told)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _leaf(paths: Sequence[str]) -> str:
    """Return the one value in a line, else what holds them all."""
    leaves = [path for path in paths if not any(other != path and other.startswith(path) for other in paths)]
    return leaves[0] if len(leaves) == 1 else min(paths, key=len)
