"""The figures of a model card, each from one or more curves of the manifest or from its coefficients.

Every cohort has figures of its own: curves of different people never share one. Findings are read off the curves as
they stand; nothing is smoothed or fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from math import inf

from service.domain.score import display
from service.registry.card_coefficients import coefficient_figure
from service.registry.figure import Figure, Point, Series, Table, number_axis, share_axis
from service.registry.manifest import Manifest
from service.registry.manifest_base import NOT_AVAILABLE
from service.registry.manifest_curves import EVERYBODY
from service.registry.manifest_evidence import Curve

MOST = 12
"""Curves of one kind on a card; a manifest with more of them has the rest for programs alone."""

_READ_AT = (0.05, 0.1, 0.2, 0.3, 0.5)
_MOST_ROWS = 10
_DIAGONAL = ((0.0, 0.0), (1.0, 1.0))


def roc_figures(manifest: Manifest) -> tuple[Figure, ...]:
    """Sensitivity against 1 - specificity, with its band and the diagonal of chance."""
    return tuple(_roc(curve) for curve in _of_kind(manifest, "roc"))


def _roc(curve: Curve) -> Figure:
    rows = tuple((f"{x:g}", *_read_at(curve, x)) for x in _READ_AT)
    _, sensitivity, span = rows[1]
    finding = f"At a specificity of 0.9 the sensitivity is {sensitivity}{_within(span)}. {_people(curve)}"
    return Figure(
        f"ROC curve: {curve.cohort}.",
        finding,
        share_axis("1 - specificity (share of those without the condition)"),
        share_axis("sensitivity (share of those with it)"),
        (
            _line("this version", curve, f"with its interval of {_level(curve)} at each point"),
            Series("chance", _DIAGONAL, "dotted"),
        ),
        Table(("1 - specificity", "Sensitivity", _level(curve)), rows),
    )


def _line(name: str, curve: Curve, band: str) -> Series:
    ends = _ends(curve)
    return Series(f"{name}, {band}" if ends else f"{name}; no interval", curve.points, "solid", ends)


def _ends(curve: Curve) -> tuple[Point, ...]:
    """The band point by point; empty where there is none, or not one for each point."""
    if curve.band is None or not len(curve.band.low) == len(curve.band.high) == len(curve.points):
        return ()
    return tuple(zip(curve.band.low, curve.band.high, strict=True))


def _level(curve: Curve) -> str:
    return f"{curve.band.level:.0%}" if curve.band else "Interval"


def _read_at(curve: Curve, x: float) -> tuple[str, str]:
    """y and its interval at `x`, between points by straight lines."""
    value = display(_between(curve.points, x))
    ends = _ends(curve)
    if not ends:
        return value, NOT_AVAILABLE
    xs = [point[0] for point in curve.points]
    low, high = (_between(list(zip(xs, side, strict=True)), x) for side in zip(*ends, strict=True))
    return value, f"{display(low)} to {display(high)}"


def _between(points: Sequence[Point], x: float) -> float:
    # The last of several points with one x: a ROC curve rises there.
    value = points[0][1]
    for (left, below), (right, above) in pairwise(points):
        if right <= x:
            value = above
        elif left <= x:
            return below + (above - below) * (x - left) / (right - left)
    return value


def _within(span: str) -> str:
    return "" if span == NOT_AVAILABLE else f" ({span})"


def _people(curve: Curve) -> str:
    return _counted(curve.people)


def _counted(people: Mapping[str, int] | None) -> str:
    if not people:
        return "Number of people: not stated with the curve."
    return "People: " + ", ".join(f"{count} {name}" for name, count in people.items()) + "."


def calibration_figures(manifest: Manifest) -> tuple[Figure, ...]:
    """Share of positives against mean prediction, by groups of people, with the diagonal of perfect calibration."""
    return tuple(_calibration(curve) for curve in _of_kind(manifest, "calibration"))


def _calibration(curve: Curve) -> Figure:
    ends = _ends(curve)
    rows = [
        (display(x), display(y), f"{display(ends[i][0])} to {display(ends[i][1])}" if ends else NOT_AVAILABLE)
        for i, (x, y) in enumerate(curve.points)
    ]
    lowest, highest = rows[0], rows[-1]
    finding = (
        f"{len(rows)} groups of people by score. Where the mean score is {lowest[0]}, the share of positives is "
        f"{lowest[1]}{_within(lowest[2])}; where it is {highest[0]}, {highest[1]}{_within(highest[2])}. "
        f"{_people(curve)}"
    )
    name = f"groups of people, interval of {_level(curve)}" if ends else "groups of people; no interval"
    return Figure(
        f"Calibration: {curve.cohort}.",
        finding,
        share_axis("mean score of the group"),
        share_axis("share of positives in the group"),
        (Series(name, curve.points, "dots", ends), Series("perfect calibration", _DIAGONAL, "dotted")),
        Table(("Mean score", "Share of positives", _level(curve)), tuple(_few(rows))),
    )


def decision_figures(manifest: Manifest) -> tuple[Figure, ...]:
    """Net benefit over thresholds, of the version, of acting on everybody and on nobody."""
    curves = _of_kind(manifest, "decision")
    all_alike = {curve.cohort: curve for curve in reversed(curves) if curve.of == EVERYBODY}
    return tuple(_decision(curve, all_alike.get(curve.cohort)) for curve in curves if curve.of is None)


def _decision(curve: Curve, everybody: Curve | None) -> Figure:
    others = dict(everybody.points) if everybody else {}
    low, high = curve.points[0][0], curve.points[-1][0]
    heights = [y for _, y in curve.points]
    # Acting on everybody falls without end: what lies far below the version and nobody is not worth the room.
    least, most = min(0.0, *heights), max(0.0, *heights, *others.values())
    least = min(least, -0.25 * (most - least))
    nobody = ((low, 0.0), (high, 0.0))
    shown = [Series("this version", curve.points, "solid"), Series("acting on nobody", nobody, "dotted")]
    if everybody:
        kept = tuple(point for point in everybody.points if low <= point[0] <= high and point[1] >= least)
        shown.append(Series("acting on everybody", kept, "dashed"))
    rows = [(f"{x:g}", display(y), display(others[x]) if x in others else NOT_AVAILABLE) for x, y in curve.points]
    return Figure(
        f"Decision curve: {curve.cohort}.",
        f"{_gains(curve, others)} Net benefit is that of these people's own share of positives. {_people(curve)}",
        number_axis("threshold: the chance from which on one would act", low, high),
        number_axis("net benefit per person", least, most),
        tuple(shown),
        Table(("Threshold", "This version", "Acting on everybody"), tuple(_few(rows))),
    )


def _gains(curve: Curve, others: dict[float, float]) -> str:
    """Where acting on the version is worth more than treating all alike, as ranges of thresholds."""
    ranges: list[list[float]] = []
    was = False
    # Where only acting on everybody is not known, nothing is said to be better than it.
    unknown = inf if others else 0.0
    for x, y in curve.points:
        better = y > max(0.0, others.get(x, unknown)) + 1e-9
        if better and was:
            ranges[-1][1] = x
        elif better:
            ranges.append([x, x])
        was = better
    against = "acting on everybody or on nobody" if others else "acting on nobody"
    if not ranges:
        return f"At no threshold does acting on the score gain more than {against}."
    said = ", ".join(f"{low:g} to {high:g}" if low < high else f"{low:g}" for low, high in ranges[:3])
    more = f" and {len(ranges) - 3} further ranges" if len(ranges) > 3 else ""  # noqa: PLR2004 - as many as shown
    chance = " No interval is known of it: a small gain may be chance." if curve.band is None else ""
    return f"Acting on the score gains more than {against} at thresholds of {said}{more}.{chance}"


def score_figures(manifest: Manifest) -> tuple[Figure, ...]:
    """How the scores of each class lie, as shares per bin, with the cut-points."""
    curves = _of_kind(manifest, "scores")
    cohorts = dict.fromkeys(curve.cohort for curve in curves)
    return tuple(_scores(manifest, cohort, [c for c in curves if c.cohort == cohort]) for cohort in cohorts)


def _scores(manifest: Manifest, cohort: str, curves: Sequence[Curve]) -> Figure:
    tallest = max(y for curve in curves for _, y in curve.points)
    low, high = min(c.points[0][0] for c in curves), max(c.points[-1][0] for c in curves)
    cuts = [cut.value for cut in manifest.output.cut_points if low <= cut.value <= high]
    shown = [
        Series(f"{curve.of}", curve.points, "steps" if place == 0 else "open steps")
        for place, curve in enumerate(curves)
    ]
    shown += [Series(f"cut-point {display(cut)}", ((cut, 0.0), (cut, tallest)), "dotted") for cut in cuts]
    middles = "; ".join(f"half of {curve.of} at or below {display(_median(curve.points))}" for curve in curves)
    people = {name: count for curve in curves for name, count in (curve.people or {}).items()}
    return Figure(
        f"Distribution of scores: {cohort}.",
        f"By bins, about {middles}.{_overlap(curves)} {_counted(people)}",
        number_axis(f"score ({manifest.output.kind}, no unit)", low, high),
        number_axis("share of the class in the bin", 0.0, tallest),
        tuple(shown),
        _bins(curves),
    )


def _median(points: Sequence[Point]) -> float:
    """The end of the bin in which half of the class is reached."""
    total = 0.0
    for (_, share), (end, _) in pairwise(points):
        total += share
        if total >= 0.5 - 1e-9:
            return end
    return points[-1][0]


def _overlap(curves: Sequence[Curve]) -> str:
    """The overlapping coefficient (doi 10.1080/03610928908830127), by bins: the sum of the smaller shares."""
    bins = {tuple(x for x, _ in curve.points) for curve in curves}
    if len(curves) != 2 or len(bins) != 1:  # noqa: PLR2004 - two classes
        return ""
    shared = sum(min(a, b) for (_, a), (_, b) in zip(curves[0].points, curves[1].points, strict=True))
    return f" The two distributions overlap by {min(shared, 1.0):.0%}."


def _bins(curves: Sequence[Curve]) -> Table:
    rows = [
        (f"{curve.of}", f"{display(start)} to {display(end)}", f"{share:.1%}")
        for curve in curves
        for (start, share), (end, _) in pairwise(curve.points)
        if share > 0.0
    ]
    return Table(("Class", "Score", "Share of the class"), tuple(rows))


def learning_figures(manifest: Manifest) -> tuple[Figure, ...]:
    """AUC on others against the number of people learned on, with the range of the draws."""
    return tuple(_learning(curve) for curve in _of_kind(manifest, "learning"))


def _learning(curve: Curve) -> Figure:
    ends = _ends(curve)
    rows = [
        (f"{x:g}", display(y), f"{display(ends[i][0])} to {display(ends[i][1])}" if ends else NOT_AVAILABLE)
        for i, (x, y) in enumerate(curve.points)
    ]
    (people, first, _), (more, last, span) = rows[0], rows[-1]
    step = curve.points[-1][1] - curve.points[-2][1]
    finding = (
        f"Learned on {people} people the AUC on others is {first}, on {more} people {last}; "
        f"the last step, from {rows[-2][0]} people on, changed it by {step:+.3f}"
        + (f", where the draws on {more} people lie at {span} ({_level(curve)} of them)." if ends else ".")
    )
    least = min([y for _, y in curve.points] + [low for low, _ in ends] + [0.5])
    low, high = curve.points[0][0], curve.points[-1][0]
    return Figure(
        f"Learning curve: {curve.cohort}.",
        finding,
        number_axis("people learned on", low, high),
        number_axis("AUC on people left out", least, 1.0),
        (
            _line("mean over draws", curve, f"with the range of {_level(curve)} of them"),
            Series("chance", ((low, 0.5), (high, 0.5)), "dotted"),
        ),
        Table(("People", "AUC", f"{_level(curve)} of the draws" if ends else _level(curve)), tuple(_few(rows))),
    )


def coefficient_figures(manifest: Manifest) -> tuple[Figure, ...]:
    """The coefficients with their intervals; none for an estimator that has no coefficients."""
    found = coefficient_figure(manifest)
    return () if found is None else (found,)


def _of_kind(manifest: Manifest, kind: str) -> list[Curve]:
    return list(islice((curve for curve in manifest.curves if curve.kind == kind), MOST))


def _few(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """At most ten rows, evenly spread, first and last among them."""
    if len(rows) <= _MOST_ROWS:
        return list(rows)
    last = len(rows) - 1
    return [rows[round(place * last / (_MOST_ROWS - 1))] for place in range(_MOST_ROWS)]
