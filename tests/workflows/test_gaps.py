"""Ranges against sets, which they stand in for."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from service.workflows.gaps import Gaps, Range, without

PLACES = st.integers(0, 30)
RANGES = st.lists(st.tuples(PLACES, PLACES).map(lambda pair: (min(pair), max(pair))), max_size=8)


def gaps_of(ranges: list[Range]) -> Gaps:
    gaps = Gaps()
    for first, last in ranges:
        gaps.add(first, last)
    return gaps


def places(ranges: list[Range]) -> set[int]:
    return {place for first, last in ranges for place in range(first, last + 1)}


@given(RANGES)
def test_ranges_are_disjoint_in_order_and_hold_what_was_added(ranges: list[Range]) -> None:
    gaps = gaps_of(ranges)
    merged = gaps.ranges()
    assert places(merged) == places(ranges)
    assert all(later[0] > earlier[1] + 1 for earlier, later in pairwise(merged))
    assert {place for place in range(32) if gaps.covers(place)} == places(ranges)


@given(RANGES, RANGES)
def test_a_difference_is_that_of_the_sets(ranges: list[Range], others: list[Range]) -> None:
    left = list(without(gaps_of(ranges).ranges(), gaps_of(others).ranges()))
    assert places(left) == places(ranges) - places(others)
    assert left == sorted(left)


@given(RANGES, RANGES)
def test_what_is_added_after_reading_counts(first: list[Range], second: list[Range]) -> None:
    gaps = gaps_of(first)
    gaps.ranges()
    for pair in second:
        gaps.add(*pair)
    assert places(gaps.ranges()) == places(first) | places(second)
