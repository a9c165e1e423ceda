"""Cross-checks on curves: what is drawn on the card must be a curve of its kind.

A receiver operating characteristic that falls, a histogram whose shares do not add up or a band that leaves its line
would be drawn as it stands and believed. Every problem of every curve is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from service.errors import Problem
from service.registry.figure import LARGEST
from service.registry.manifest_evidence import Curve
from service.registry.manifest_schema import Manifest

EVERYBODY: Final = "everybody"
"""`of` of the decision curve of acting on all alike."""

SUM_TOLERANCE: Final = 0.01
"""How far shares may add up beside 1: each is rounded."""

_ROUNDING = 1e-9
_SHARES_Y = frozenset({"roc", "calibration", "scores", "learning"})
_SHARES_X = frozenset({"roc", "calibration", "decision"})
_EQUAL_X = frozenset({"roc", "calibration"})


def check_curves(manifest: Manifest) -> Iterator[Problem]:
    """Problems of the curves: a repeated one, and points, bands and names that do not go with the kind."""
    seen: set[tuple[str, str, str | None]] = set()
    for index, curve in enumerate(manifest.curves):
        pointer = f"/curves/{index}"
        if (curve.kind, curve.cohort, curve.of) in seen:
            yield Problem(pointer, "repeated", "A curve of this kind, cohort and name is listed twice.", "Remove one.")
        seen.add((curve.kind, curve.cohort, curve.of))
        yield from _points(f"{pointer}/points", curve)
        yield from _name(f"{pointer}/of", curve)
        yield from _band(f"{pointer}/band", curve)


def _points(pointer: str, curve: Curve) -> Iterator[Problem]:
    xs, ys = ([point[axis] for point in curve.points] for axis in (0, 1))
    equal = curve.kind in _EQUAL_X
    if any(b < a or (b == a and not equal) for a, b in pairwise(xs)):
        yield Problem(pointer, "order", "x does not ascend from point to point.", "Sort the points.")
    if curve.kind == "roc" and any(b < a for a, b in pairwise(ys)):
        yield Problem(pointer, "order", "The sensitivity of a ROC curve falls.", "Compute the curve anew.")
    if max(map(abs, (*xs, *ys))) > LARGEST:
        yield Problem(pointer, "range", "A number of the curve is too large to be drawn.", "Correct the points.")
    elif curve.kind in _SHARES_X and not _are_shares(xs):
        yield Problem(pointer, "range", "x is outside 0 to 1.", "Correct the points.")
    elif curve.kind == "learning" and min(xs) < 1:
        yield Problem(pointer, "range", "x is a number of people and below 1.", "Correct the points.")
    elif curve.kind in _SHARES_Y and not _are_shares(ys):
        yield Problem(pointer, "range", "y is outside 0 to 1.", "Correct the points.")
    if curve.kind == "scores":
        yield from _shares(pointer, ys)


def _shares(pointer: str, shares: Sequence[float]) -> Iterator[Problem]:
    if shares[-1] != 0.0:
        yield Problem(pointer, "shares", "The last point does not close the last bin.", "Give it the share 0.")
    if not abs(sum(shares) - 1.0) <= SUM_TOLERANCE:
        yield Problem(pointer, "shares", "The shares of the bins do not add up to 1.", "Divide by the whole class.")


def _name(pointer: str, curve: Curve) -> Iterator[Problem]:
    if curve.kind == "scores" and curve.of is None:
        yield Problem(pointer, "missing", "Whose scores they are is missing.", "Name the class.")
    elif curve.kind == "decision" and curve.of not in (None, EVERYBODY):
        message = "A decision curve is of the version, or of acting on everybody."
        yield Problem(pointer, "one_of", message, f"Leave it out, or write {EVERYBODY}.")


def _band(pointer: str, curve: Curve) -> Iterator[Problem]:
    band = curve.band
    if band is None:
        return
    if not len(band.low) == len(band.high) == len(curve.points):
        yield Problem(pointer, "shape", "The band has not one low and one high for each point.", "Correct the lists.")
        return
    rows = zip(band.low, curve.points, band.high, strict=True)
    if any(not low - _ROUNDING <= y <= high + _ROUNDING for low, (_, y), high in rows):
        yield Problem(pointer, "range", "The band does not hold its line.", "Correct the lists.")
    if max(map(abs, (*band.low, *band.high))) > LARGEST:
        yield Problem(pointer, "range", "A number of the band is too large to be drawn.", "Correct the lists.")
    elif curve.kind in _SHARES_Y and not (_are_shares(band.low) and _are_shares(band.high)):
        yield Problem(pointer, "range", "The band leaves 0 to 1.", "Correct the lists.")


def _are_shares(values: Sequence[float]) -> bool:
    return min(values) >= 0.0 and max(values) <= 1.0
