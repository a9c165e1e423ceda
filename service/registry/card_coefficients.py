"""The figure of a version's coefficients with their intervals (95 %, normal, from the covariance)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.registry.figure import LARGEST, Axis, Figure, Point, Series, Table, number_axis
from service.registry.interval import LEVEL, QUANTILE
from service.registry.manifest import Manifest
from service.registry.manifest_base import NOT_AVAILABLE
from service.registry.manifest_estimator import Matrix

MOST = 40
"""Coefficients in the figure, the largest first; the table of the model holds all."""


@dataclass(frozen=True, slots=True)
class _Row:
    code: str
    name: str
    value: float
    error: float | None

    @property
    def ends(self) -> Point:
        """Low and high of the interval; NaN where there is none, which is not drawn."""
        half = math.nan if self.error is None else QUANTILE * self.error
        return self.value - half, self.value + half

    @property
    def excludes_zero(self) -> bool:
        low, high = self.ends
        return low > 0.0 or high < 0.0


def coefficient_figure(manifest: Manifest) -> Figure | None:
    """The coefficients, per spread of the people fitted on where it is known: only then can they be compared.

    None where the version has no coefficients, or none that can be drawn.
    """
    rows = _rows(manifest)
    if not rows:
        return None
    shown = sorted(rows, key=lambda row: -abs(row.value))[:MOST][::-1]
    known = shown[0].error is not None
    per = isinstance(manifest.reference_distribution, str)
    unit = "per unit of the normalised value" if per else "per spread of the people it was fitted on"
    ends = [end for row in shown for end in row.ends if math.isfinite(end)]
    points = tuple((row.value, float(place)) for place, row in enumerate(shown))
    reach = [0.0, *ends, *(row.value for row in shown)]
    top = len(shown) - 0.5
    with_interval = f"coefficient, interval of {LEVEL:.0%} over refits" if known else "coefficient; no interval"
    return Figure(
        "Coefficients.",
        _finding(rows, shown, known=known, unit=unit) + _people(manifest),
        number_axis(f"coefficient, {unit}", min(reach), max(reach)),
        Axis("", -0.5, top, (), tuple(row.name for row in shown)),
        (
            Series(with_interval, points, "dots", tuple(row.ends for row in shown) if known else (), across=True),
            Series("no effect", ((0.0, -0.5), (0.0, top)), "dotted"),
        ),
        Table(("Term", "Name", "Coefficient", f"{LEVEL:.0%}"), tuple(_told(row) for row in reversed(shown))),
    )


def _rows(manifest: Manifest) -> list[_Row]:
    linear = manifest.linear
    if linear is None:
        return []
    covariance, reference = manifest.estimator.coefficient_covariance, manifest.reference_distribution
    terms = len(linear.terms)
    spreads = (1.0,) * terms if isinstance(reference, str) else reference.spread
    names = {a.analyte: a.name for a in manifest.analytes} | {c.name: c.title for c in manifest.covariates}
    found = []
    for term, spread, variance in zip(linear.terms, spreads, _variances(covariance, terms), strict=False):
        error = None if variance is None else math.sqrt(max(variance, 0.0)) * spread
        row = _Row(term.input, names.get(term.input, term.input), term.coefficient * spread, error)
        if all(abs(number) <= LARGEST for number in (row.value, row.error or 0.0)):
            found.append(row)
    return found


def _variances(covariance: Matrix | str, terms: int) -> Sequence[float | None]:
    if isinstance(covariance, str):
        return [None] * terms
    return [row[place] for place, row in enumerate(covariance) if place < len(row)][1:]


def _finding(rows: list[_Row], shown: list[_Row], *, known: bool, unit: str) -> str:
    largest = shown[-1]
    said = f"The largest, {unit}, is that of {largest.name}: {_short(largest.value)}."
    if len(shown) < len(rows):
        said += f" The {len(shown)} largest of {len(rows)} are shown."
    if not known:
        return f"{said} Intervals: {NOT_AVAILABLE}."
    clear = sum(row.excludes_zero for row in rows)
    return f"{said} Of {len(rows)} intervals {clear} do not hold 0."


def _people(manifest: Manifest) -> str:
    classes = manifest.training.classes
    if isinstance(classes, str):
        return ""
    return " Fitted on a cohort of " + ", ".join(f"{count} {name}" for name, count in classes.items()) + "."


def _told(row: _Row) -> tuple[str, ...]:
    low, high = row.ends
    span = NOT_AVAILABLE if row.error is None else f"{_short(low)} to {_short(high)}"
    return row.code, row.name, _short(row.value), span


def _short(value: float) -> str:
    return f"{value:.3g}"
