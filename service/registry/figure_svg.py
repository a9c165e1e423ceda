"""A figure as SVG that stands inside an HTML page: no script, no font, nothing fetched, readable in print and in grey.

`<title>` and `<desc>` say what it shows to whoever cannot see it. Every text is escaped. Whatever lies outside the axes
is drawn at their end, and what is not a finite number is not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from service.registry.figure import Axis, Figure, Look, Point, Series
from service.registry.visible import escaped

WIDTH: Final = 520
LEFT, RIGHT, TOP, FOOT, LINE = 70, 14, 12, 48, 18
NAMES_LEFT: Final = 150
PLOT: Final = 300
ROW: Final = 22
LONGEST_NAME: Final = 20
LONGEST: Final = 60

_STROKES: Final[dict[Look, str]] = {
    "solid": 'stroke="#000" stroke-width="2"',
    "dashed": 'stroke="#444" stroke-width="1.5" stroke-dasharray="7 4"',
    "dotted": 'stroke="#444" stroke-width="1.5" stroke-dasharray="1.5 3"',
    "steps": 'stroke="#000" stroke-width="2"',
    "open steps": 'stroke="#555" stroke-width="1.5" stroke-dasharray="7 4"',
    "dots": 'stroke="#000" stroke-width="1.5"',
}
_BAND = 'fill="#d4d4d4" stroke="none"'


class _Frame:
    """Where the plot lies, and from values to places in it."""

    def __init__(self, figure: Figure) -> None:
        self._x, self._y = figure.x, figure.y
        self.left = NAMES_LEFT if figure.y.names else LEFT
        self.right = WIDTH - RIGHT
        self.top = TOP
        self.bottom = TOP + (max(3, len(figure.y.names)) * ROW if figure.y.names else PLOT)

    def x(self, value: float) -> float:
        return self.left + (self.right - self.left) * _share(value, self._x)

    def y(self, value: float) -> float:
        return self.bottom - (self.bottom - self.top) * _share(value, self._y)

    def at(self, point: Point) -> str:
        return f"{self.x(point[0]):.2f},{self.y(point[1]):.2f}"


def _share(value: float, axis: Axis) -> float:
    return min(max((value - axis.low) / (axis.high - axis.low), 0.0), 1.0)


def figure_svg(figure: Figure, number: int) -> str:
    """The figure; `number` tells it apart from the others of the page."""
    frame = _Frame(figure)
    named = [series for series in figure.series if series.name]
    height = frame.bottom + FOOT + LINE * len(named)
    names = f"figure-{number}-title figure-{number}-desc"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{names}" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12" fill="#111">',
        f'<title id="figure-{number}-title">{escaped(figure.title)}</title>',
        f'<desc id="figure-{number}-desc">{escaped(figure.finding)}</desc>',
        *(band for series in figure.series for band in _area(series, frame)),
        *_axes(figure, frame),
        *(mark for series in figure.series for mark in _marks(series, frame)),
        *_legend(named, frame),
        "</svg>",
    ]
    return "\n".join(parts)


def _axes(figure: Figure, frame: _Frame) -> Iterator[str]:
    left, right, top, bottom = frame.left, frame.right, frame.top, frame.bottom
    yield f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="#111"/>'
    for tick in figure.x.ticks:
        x = frame.x(tick)
        yield f'<path d="M{x:.2f} {bottom}v5" stroke="#111"/>'
        yield _text(x, bottom + 18, f"{tick:g}", "middle")
    names = [(float(place), shortened(name, LONGEST_NAME)) for place, name in enumerate(figure.y.names)]
    for tick, name in names or [(tick, f"{tick:g}") for tick in figure.y.ticks]:
        y = frame.y(tick)
        yield f'<path d="M{left} {y:.2f}h-5" stroke="#111"/>'
        yield _text(left - 8, y + 4, name, "end")
    yield _text((left + right) / 2, bottom + 38, shortened(figure.x.label, LONGEST), "middle")
    middle = (top + bottom) / 2
    label = escaped(shortened(figure.y.label, LONGEST))
    yield f'<text transform="translate(16 {middle:.2f}) rotate(-90)" text-anchor="middle">{label}</text>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}">{escaped(text)}</text>'


def shortened(text: str, longest: int) -> str:
    """`text` in one line that fits its place: a picture's line does not break."""
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 3] + "..."


def _area(series: Series, frame: _Frame) -> Iterator[str]:
    """The band of a line; that of single dots is drawn as bars, with the dots."""
    drawn = [(point[0], ends) for point, ends in _finite(series) if ends is not None]
    if series.look == "dots" or not drawn:
        return
    there = [frame.at((x, low)) for x, (low, _) in drawn]
    back = [frame.at((x, high)) for x, (_, high) in reversed(drawn)]
    yield f'<polygon class="band" points="{" ".join([*there, *back])}" {_BAND}/>'


def _marks(series: Series, frame: _Frame) -> Iterator[str]:
    drawn = _finite(series)
    stroke = _STROKES[series.look]
    if series.look != "dots":
        points = [point for point, _ in drawn]
        shown = _stairs(points) if series.look.endswith("steps") else points
        yield f'<polyline class="line" points="{" ".join(map(frame.at, shown))}" fill="none" {stroke}/>'
        return
    for (x, y), ends in drawn:
        if ends is not None:
            low, high = (((end, y) if series.across else (x, end)) for end in ends)
            yield f'<polyline class="bar" points="{frame.at(low)} {frame.at(high)}" fill="none" {stroke}/>'
        yield f'<circle class="point" cx="{frame.x(x):.2f}" cy="{frame.y(y):.2f}" r="3.5" fill="#000"/>'


def _stairs(points: Sequence[Point]) -> list[Point]:
    found: list[Point] = []
    level = 0.0
    for x, y in points:
        found += [(x, level), (x, y)]
        level = y
    return found


def _finite(series: Series) -> list[tuple[Point, Point | None]]:
    ends: Sequence[Point | None] = series.band or [None] * len(series.points)
    return [
        (point, band if band is not None and all(map(math.isfinite, band)) else None)
        for point, band in zip(series.points, ends, strict=False)
        if all(map(math.isfinite, point))
    ]


def _legend(named: Sequence[Series], frame: _Frame) -> Iterator[str]:
    for place, series in enumerate(named):
        y = frame.bottom + FOOT + LINE * place + 6
        x = frame.left
        if series.band and series.look != "dots":
            yield f'<rect x="{x}" y="{y - 5}" width="34" height="10" {_BAND}/>'
        if series.look == "dots":
            yield f'<circle cx="{x + 17}" cy="{y}" r="3.5" fill="#000"/>'
        if series.look != "dots" or series.band:
            yield f'<path d="M{x} {y}h34" fill="none" {_STROKES[series.look]}/>'
        yield _text(x + 42, y + 4, shortened(series.name, LONGEST), "start")
