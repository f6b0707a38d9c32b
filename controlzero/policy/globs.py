"""Globs whose only wildcard is `*`: matched in linear time, also against a text of which parts are unknown."""

from collections.abc import Callable, Sequence

from msgspec import Struct

HOLE = "\0"  # stands for an unknown part; no pattern may hold it (the parser refuses it)
_STAR = "\1"  # stands for a star that is text, where holes become the stars
Matcher = Callable[[str], bool]


class Glob(Struct, frozen=True):
    """A pattern taken apart: `head`, then `middle` pieces in order, then `tail`. A literal is all `head`."""

    pattern: str
    head: str
    middle: tuple[str, ...]
    tail: str
    is_literal: bool

    @property
    def is_prefix(self) -> bool:
        """Whether it is `head*` and nothing more."""
        return not self.is_literal and not self.middle and not self.tail

    @property
    def is_everything(self) -> bool:
        """Whether it matches every text."""
        return self.is_prefix and not self.head


def literal(text: str) -> Glob:
    """Return the pattern that matches this text alone, stars and all."""
    return Glob(text, text, (), "", is_literal=True)


def glob(pattern: str) -> Glob:
    """Take a pattern apart at its stars; several in a row are one."""
    head, *rest = pattern.split("*")
    if not rest:
        return literal(pattern)
    return Glob(pattern, head, tuple(piece for piece in rest[:-1] if piece), rest[-1], is_literal=False)


def matches(wanted: Glob, text: str) -> bool:
    """Tell whether the whole text matches.

    The leftmost place of each middle piece is always a right one, because a `*` follows it: no backtracking.
    """
    head, tail = wanted.head, wanted.tail
    if wanted.is_literal:
        return text == head
    if len(text) < len(head) + len(tail) or not text.startswith(head) or not text.endswith(tail):
        return False
    at, end = len(head), len(text) - len(tail)
    for piece in wanted.middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def matcher(wanted: Glob) -> Matcher:
    """Return the fastest function that tells whether a text matches."""
    head, tail = wanted.head, wanted.tail
    if wanted.is_literal:
        return lambda text: text == head
    if wanted.is_everything:
        return lambda _: True
    if wanted.is_prefix:
        return lambda text: text.startswith(head)
    if not wanted.middle and not head:
        return lambda text: text.endswith(tail)
    if len(wanted.middle) == 1 and not head and not tail:
        piece = wanted.middle[0]
        return lambda text: piece in text
    return lambda text: matches(wanted, text)


def any_matcher(wanted: Sequence[Glob]) -> Matcher:
    """Return the function that tells whether a text matches one of the globs: literals by look-up, the others in turn."""
    if len(wanted) == 1:
        return matcher(wanted[0])
    if any(each.is_everything for each in wanted):
        return lambda _: True
    literals = frozenset(each.head for each in wanted if each.is_literal)
    heads = tuple(each.head for each in wanted if each.is_prefix)  # startswith takes them all at once
    others = tuple(matcher(each) for each in wanted if not each.is_literal and not each.is_prefix)
    if not others:
        if not heads:
            return literals.__contains__
        return lambda text: text in literals or text.startswith(heads)
    return lambda text: text in literals or text.startswith(heads) or any(other(text) for other in others)


def matches_around(wanted: Glob, pieces: Sequence[str]) -> bool | None:
    """Match a text that is known only around its holes: `pieces` are what stands before, between and after them.

    True if every filling of the holes matches, False if none does, None if it depends.
    """
    if len(pieces) == 1:
        return matches(wanted, pieces[0])
    if matches(wanted, HOLE.join(pieces)):  # no pattern holds HOLE: only a star took it, and would take anything else
        return True
    if wanted.is_literal:
        around = glob("*".join(piece.replace("*", _STAR) for piece in pieces))
        return None if matches(around, wanted.head.replace("*", _STAR)) else False
    starts = wanted.head.startswith(pieces[0]) or pieces[0].startswith(wanted.head)
    ends = wanted.tail.endswith(pieces[-1]) or pieces[-1].endswith(wanted.tail)
    return None if starts and ends else False
