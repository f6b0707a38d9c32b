"""Ranges against plain sets of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from processors.ranges import Range, add, missing, union, within

spans = st.tuples(st.integers(0, 30), st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def numbers(ranges: tuple[Range, ...] | list[Range]) -> set[int]:
    return {number for first, following in ranges for number in range(first, following)}


@given(st.lists(spans, max_size=12), spans)
def test_ranges_say_what_sets_of_numbers_say(many: list[Range], asked: Range) -> None:
    ranges = union(many)
    assert numbers(ranges) == numbers(many)
    assert numbers(add(ranges, asked)) == numbers([*many, asked])
    assert numbers(within(ranges, asked)) == numbers(many) & numbers([asked])
    assert numbers(missing(ranges, asked)) == numbers([asked]) - numbers(many)


@given(st.lists(spans, max_size=12))
def test_ranges_stay_ascending_and_never_touch(many: list[Range]) -> None:
    ranges: tuple[Range, ...] = ()
    for one in many:
        ranges = add(ranges, one)
    assert ranges == union(many)
    assert all(first < following for first, following in ranges)
    assert all(one[1] < two[0] for one, two in pairwise(ranges))
