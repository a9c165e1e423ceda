"""Places in a log as ranges: which rows are missing, and which an erasure accounts for.

A log of millions of entries has few gaps or long ones, so ranges keep memory bounded where sets would not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter

Range = tuple[int, int]
"""First and last place, both included."""


class Gaps:
    """Places, added in any order."""

    def __init__(self) -> None:
        self._ranges: list[Range] = []
        self._merged = True

    def add(self, first: int, last: int) -> None:
        """Add the places `first` to `last`; cheap where they follow the ones before."""
        if self._ranges and self._ranges[-1][1] == first - 1:
            self._ranges[-1] = (self._ranges[-1][0], last)
        else:
            self._ranges.append((first, last))
            self._merged = False

    def ranges(self) -> list[Range]:
        """The places as disjoint ranges in order."""
        if not self._merged:
            self._ranges, self._merged = _merged(self._ranges), True
        return self._ranges

    def covers(self, place: int) -> bool:
        """Whether the place was added."""
        ranges = self.ranges()
        below = bisect_right(ranges, place, key=itemgetter(0)) - 1
        return below >= 0 and place <= ranges[below][1]


def _merged(ranges: Iterable[Range]) -> list[Range]:
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def without(ranges: Iterable[Range], others: Iterable[Range]) -> Iterator[Range]:
    """What is in `ranges` and not in `others`; both are disjoint and in order."""
    remaining = iter(others)
    other = next(remaining, None)
    for first, last in ranges:
        start = first
        while other is not None and other[1] < start:
            other = next(remaining, None)
        while other is not None and other[0] <= last:
            if start < other[0]:
                yield start, other[0] - 1
            start = other[1] + 1
            if other[1] > last:
                break
            other = next(remaining, None)
        if start <= last:
            yield start, last
