"""Find personal data and secrets: one pass of a set of patterns, then the checks of those that hit."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

import re2
from msgspec import Struct

from controlzero.pii.checks import APART
from controlzero.pii.patterns import BESIDE, DETECTORS, HIDDEN_IN_JSON, Family

_AUTOMATON_BYTES_MAX = 16 << 20  # each; recorded traffic needs 2 MiB, text made to resist is searched twice as fast as with RE2's 8
_WINDOW_PARTS = 512  # parts searched together: enough to hide the cost of a call, few enough to stay in the cache


class Span(Struct, frozen=True, order=True):
    """Where a value stands (in characters, end excluded), what it is, and the one form its spellings share."""

    start: int
    end: int
    type: str
    family: Family
    value: str


Hit = tuple[int, int, int, str]  # start and end in bytes, place in DETECTORS, value


def _options(*, never_capture: bool = False) -> re2.Options:
    options = re2.Options()
    options.max_mem = _AUTOMATON_BYTES_MAX
    options.never_capture = never_capture
    return options


def _set_of(patterns: Sequence[str]) -> re2.Set:
    compiled = re2.Set.SearchSet(_options())
    for pattern in patterns:
        compiled.Add(pattern)
    compiled.Compile()
    return compiled


_PATTERNS = [re2.compile(d.pattern, _options()) for d in DETECTORS]
_GROUPS = [p.groups for p in _PATTERNS]
_ALL = _set_of([d.pattern for d in DETECTORS])
_ANY = "|".join((*(d.pattern for d in DETECTORS), HIDDEN_IN_JSON))
_GATE = _set_of([_ANY])
_GATE_PLACES = re2.compile(_ANY, _options(never_capture=True))  # a group would keep it off the fast path


def might_hold(encoded: bytes) -> bool:
    """Say whether JSON (or a text) could hold anything `find` would find in its strings. Errs only towards True."""
    return bool(_GATE.Match(encoded))


def which_might_hold(parts: Sequence[bytes]) -> Iterator[int]:
    """Name the parts `might_hold` would say True of, searched together: per part a fraction of its cost."""
    for first in range(0, len(parts), _WINDOW_PARTS):
        window = parts[first : first + _WINDOW_PARTS]
        data = APART.encode().join(window)
        ends = list(accumulate(len(part) + 1 for part in window))
        position = 0
        while position < len(data) and (match := _GATE_PLACES.search(data, position)):
            place = bisect_right(ends, match.start())
            yield first + place
            position = ends[place]


def find(text: str, beside: str = "") -> list[Span]:
    """Find every value in a text, in order, without overlaps; `beside` is the name of the field it stands in."""
    data = (f"{beside}{BESIDE}{text}" if beside else text).encode("utf-8", "surrogatepass")
    origin = len(data) - len(text.encode("utf-8", "surrogatepass"))
    hits = [hit for hit in scan(data) if hit[0] >= origin]
    return [
        Span(start, end, DETECTORS[place].type, DETECTORS[place].family, value)
        for start, end, place, value in _in_characters(data, hits, origin)
    ]


def find_many(texts: Sequence[str]) -> list[list[Span]]:
    """Find in many texts; those with nothing in them cost next to nothing."""
    found: list[list[Span]] = [[] for _ in texts]
    for place in which_might_hold([text.encode("utf-8", "replace") for text in texts]):
        found[place] = find(texts[place])
    return found


def scan(data: bytes) -> list[Hit]:
    """Find every value in UTF-8 bytes, in order; where two overlap, the detector that comes first has it."""
    places = _ALL.Match(data)
    if not places:
        return []
    return _hits(data, places[0]) if len(places) == 1 else _apart(data, sorted(places))


def _apart(data: bytes, places: list[int]) -> list[Hit]:
    hits: list[Hit] = []
    taken = bytearray(len(data))
    for place in places:
        for hit in _hits(data, place):
            start, end = hit[:2]
            if taken.find(1, start, end) < 0:
                taken[start:end] = b"\1" * (end - start)
                hits.append(hit)
    hits.sort()
    return hits


def _hits(data: bytes, place: int) -> list[Hit]:
    if find_all := DETECTORS[place].find:
        return [(start, end, place, value) for start, end, value in find_all(data)]
    pattern, check, group = _PATTERNS[place], DETECTORS[place].check, _GROUPS[place]
    hits: list[Hit] = []
    position = 0
    # Each search begins at the value's end, not the match's: the next may need what stands between them.
    while match := pattern.search(data, position):
        start, position = match.span(group)
        if found := check(data, start, position):
            hits.append((found[0], found[1], place, found[2]))
            position = found[1]
    return hits


def _in_characters(data: bytes, hits: list[Hit], origin: int) -> list[Hit]:
    counted, bytes_counted = 0, origin
    moved: list[Hit] = []
    for start, end, place, value in hits:
        first = counted + len(data[bytes_counted:start].decode("utf-8", "surrogatepass"))
        counted, bytes_counted = first + len(data[start:end].decode("utf-8", "surrogatepass")), end
        moved.append((first, counted, place, value))
    return moved
