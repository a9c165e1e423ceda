"""A figure as data: two axes, series of points, and what it shows in words and in a few numbers.

How it is drawn is in `figure_svg.py`; where no picture can be shown, the words and the small table stand for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

Point = tuple[float, float]
Look = Literal["solid", "dashed", "dotted", "steps", "open steps", "dots"]
"""How a series is drawn. They differ without colour; `steps` keep y from one x to the next."""

LARGEST = 1e9
"""Beyond it an axis does not reach; what is drawn there stands at its end. No share, threshold, net benefit, count of
people or coefficient comes near it."""

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Table:
    """A table; every cell is text, and every row is as long as the head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """What is on an axis, with its unit, from `low` to `high`; `names` stand at 0, 1, ... in place of numbers."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Series:
    """Points in one look. `band` is the low and high of y at each point; of x for a series `across`."""

    name: str
    points: tuple[Point, ...]
    look: Look
    band: tuple[Point, ...] = ()
    across: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: `finding` says in words what it shows, `table` in numbers."""

    title: str
    finding: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    table: Table


def share_axis(label: str) -> Axis:
    """An axis from 0 to 1."""
    return Axis(label, 0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))


def number_axis(label: str, low: float, high: float) -> Axis:
    """An axis with ticks at round numbers that holds `low` to `high`, as far as they can be drawn."""
    low, high = (min(max(end, -LARGEST), LARGEST) for end in (low, high))
    if not high - low > 1e-9 * max(1.0, abs(low), abs(high)):
        low, high = low - max(1.0, abs(low)), high + max(1.0, abs(high))
    step = _step((high - low) / 5.0)
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple(place * step for place in range(first, last + 1))
    return Axis(label, ticks[0], ticks[-1], ticks)


def _step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in _STEPS if power * factor >= least * (1.0 - 1e-9))


def figure_plain(figure: Figure) -> dict[str, Any]:
    """The figure as a plain document, for programs: axes, points and bands, without looks and ticks."""
    return {
        "title": figure.title,
        "finding": figure.finding,
        "x": _axis_plain(figure.x),
        "y": _axis_plain(figure.y),
        "series": [
            {
                "name": series.name,
                "points": [_numbers(point) for point in series.points],
                "band": [_numbers(ends) for ends in series.band] or None,
                "across": series.across,
            }
            for series in figure.series
        ],
    }


def _numbers(pair: Point) -> list[float | None]:
    # JSON knows no infinity.
    return [value if math.isfinite(value) else None for value in pair]


def _axis_plain(axis: Axis) -> dict[str, Any]:
    return {"label": axis.label, "low": axis.low, "high": axis.high, "names": list(axis.names) or None}
