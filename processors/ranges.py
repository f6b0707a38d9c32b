"""Sets of sequence numbers as ranges: ascending, disjoint, never touching; `(first, next)`, `next` not in it."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

Range = tuple[int, int]
Ranges = tuple[Range, ...]


def add(ranges: Ranges, new: Range) -> Ranges:
    """Return the ranges with the numbers of `new` in them."""
    first, following = new
    if first >= following:
        return ranges
    if ranges and ranges[-1][1] == first:  # nearly always: a producer's next batch
        return (*ranges[:-1], (ranges[-1][0], following))
    begin = bisect_left(ranges, first, key=_next)  # the first one that touches or follows `first`
    end = bisect_right(ranges, following, key=_first)  # past the last one that touches or precedes `following`
    if begin < end:
        first, following = min(first, ranges[begin][0]), max(following, ranges[end - 1][1])
    return (*ranges[:begin], (first, following), *ranges[end:])


def union(many: Iterable[Range]) -> Ranges:
    """Return the numbers of all ranges, given in any order and overlapping."""
    merged: list[Range] = []
    for first, following in sorted(many):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], following))
        elif first < following:
            merged.append((first, following))
    return tuple(merged)


def within(ranges: Ranges, asked: Range) -> Ranges:
    """Return the part of `asked` that is in the ranges."""
    first, following = asked
    begin = bisect_right(ranges, first, key=_next)  # the first one that ends after `first`
    end = bisect_left(ranges, following, key=_first)
    return tuple((max(first, one), min(following, two)) for one, two in ranges[begin:end] if max(first, one) < min(following, two))


def missing(ranges: Ranges, asked: Range) -> Ranges:
    """Return the part of `asked` that is not in the ranges."""
    first, following = asked
    holes: list[Range] = []
    for one, two in within(ranges, asked):
        if first < one:
            holes.append((first, one))
        first = two
    if first < following:
        holes.append((first, following))
    return tuple(holes)


def _first(item: Range) -> int:
    return item[0]


def _next(item: Range) -> int:
    return item[1]
