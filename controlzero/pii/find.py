"""Find personal data and secrets: one pass of a set of patterns, then the checks of those that hit."""

from collections.abc import Sequence

import re2
from msgspec import Struct

from controlzero.pii.patterns import BESIDE, DETECTORS, HIDDEN_IN_JSON, Family

_DFA_BYTES_MAX = 64 << 20  # RE2's default of 8 MiB makes it rebuild its automaton on texts of many kinds
_WINDOW_BYTES = 1 << 20  # texts scanned in one call by find_many


class Span(Struct, frozen=True, order=True):
    """Where a value stands (in characters, end excluded), what it is, and the one form its spellings share."""

    start: int
    end: int
    type: str
    family: Family
    value: str


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = _DFA_BYTES_MAX
    return options


def _set_of(patterns: Sequence[str]) -> re2.Set:
    compiled = re2.Set.SearchSet(_options())
    for pattern in patterns:
        compiled.Add(pattern)
    compiled.Compile()
    return compiled


_PATTERNS = [re2.compile(d.pattern, _options()) for d in DETECTORS]
_ALL = _set_of([d.pattern for d in DETECTORS])
_GATE = _set_of(["|".join((*(d.pattern for d in DETECTORS), HIDDEN_IN_JSON))])


def might_hold(encoded: bytes) -> bool:
    """Say whether JSON (or a text) could hold anything `find` would find in its strings. Errs only towards True."""
    return bool(_GATE.Match(encoded))


def find(text: str, beside: str = "") -> list[Span]:
    """Find every value in a text, in order, without overlaps; `beside` is the name of the field it stands in."""
    lead = f"{beside}{BESIDE}" if beside else ""
    data = (lead + text).encode("utf-8", "replace")
    hits = _ALL.Match(data)
    if not hits:
        return []
    taken: list[tuple[int, int, int, str]] = []
    start_min = len(lead.encode("utf-8", "replace"))
    for place in sorted(hits):
        check = DETECTORS[place].check
        for match in _PATTERNS[place].finditer(data):
            start, end = next(span for span in map(match.span, range(1, 3)) if span[0] >= 0)
            found = check(data, start, end)
            if found and found[0] >= start_min and all(found[1] <= s or e <= found[0] for s, e, _, _ in taken):
                taken.append((*found[:2], place, found[2]))
    return [_span(data, start_min, *one) for one in sorted(taken)]


def find_many(texts: Sequence[str]) -> list[list[Span]]:
    """Find in many texts; those with nothing in them cost next to nothing."""
    return [find(text) for text in texts]


def _span(data: bytes, origin: int, start: int, end: int, place: int, value: str) -> Span:
    detector = DETECTORS[place]
    first = len(data[origin:start].decode())
    return Span(first, first + len(data[start:end].decode()), detector.type, detector.family, value)
