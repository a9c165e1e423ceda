"""Cross-checks on calibration: where a step may stand, and that its parameters are curves.

Every problem of every curve is found: a curve that descends or leaves [0, 1] would turn a higher score into a lower
probability, or into none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise

from service.errors import Problem
from service.registry.calibration import FOLD_AVERAGED, ISOTONIC, STEPS, lists, numbers
from service.registry.manifest_estimator import Equation, Parameters
from service.registry.manifest_schema import Manifest

_PLACE = "/estimator/calibration"
_PARAMETERS = f"{_PLACE}/parameters"
MIN_FOLDS = 2


def check_calibration(manifest: Manifest) -> Iterator[Problem]:
    """Problems of the calibration and of its parameters' shapes."""
    estimator = manifest.estimator
    method, parameters = estimator.calibration.method, estimator.calibration.parameters
    if isinstance(estimator, Equation):
        if method != "none":
            yield Problem(_PLACE, "calibration", "An equation is not recalibrated.", "Use none.")
    elif estimator.lowered is None and method != "none":
        # An estimator that is run as it is answers with its own calibration inside.
        message = "Nothing is lowered that it could act on."
        yield Problem(f"{_PLACE}/method", "calibration", message, "Use none, or lower the estimator.")
    if method in STEPS and manifest.output.link != "identity":
        message = "A calibration step takes the linear score itself."
        yield Problem("/output/link", "link", message, "Use the link identity; the step makes a probability of it.")
    if method == "none" and parameters:
        yield Problem(_PARAMETERS, "parameters", "Without calibration there are no parameters.", "Remove them.")
    elif method == ISOTONIC:
        yield from _isotonic(parameters)
    elif method == FOLD_AVERAGED:
        yield from _fold_averaged(parameters)


def _isotonic(parameters: Mapping[str, Parameters]) -> Iterator[Problem]:
    if set(parameters) != {"x", "y"}:
        yield _shape("An isotonic curve has x and y and nothing else.", "Give the two lists.")
        return
    try:
        x, y = numbers(parameters["x"]), numbers(parameters["y"])
    except TypeError:
        yield _shape("x and y are not lists of numbers.", "Give one number for each point.")
    else:
        yield from _curve("", x, y)


def _fold_averaged(parameters: Mapping[str, Parameters]) -> Iterator[Problem]:
    if set(parameters) == {"slope", "intercept"}:
        yield from _sigmoids(parameters)
    elif set(parameters) == {"x", "y"}:
        yield from _curves(parameters)
    else:
        yield _shape("Curves have x and y, sigmoids slope and intercept, and nothing else.", "Give one of the pairs.")


def _sigmoids(parameters: Mapping[str, Parameters]) -> Iterator[Problem]:
    try:
        slope, intercept = numbers(parameters["slope"]), numbers(parameters["intercept"])
    except TypeError:
        yield _shape("slope and intercept are not lists of numbers.", "Give one number for each fold.")
        return
    yield from _folds(len(slope), len(intercept), "slope and intercept")


def _curves(parameters: Mapping[str, Parameters]) -> Iterator[Problem]:
    try:
        x, y = lists(parameters["x"]), lists(parameters["y"])
    except TypeError:
        yield _shape("x and y are not lists of lists of numbers.", "Give one list for each fold.")
        return
    yield from _folds(len(x), len(y), "x and y")
    for index, points in enumerate(zip(x, y, strict=False)):
        yield from _curve(f"/{index}", *points)


def _folds(one: int, other: int, names: str) -> Iterator[Problem]:
    if one != other:
        yield _shape(f"{names} do not have the same length.", "Give both for each fold.")
    if min(one, other) < MIN_FOLDS:
        yield _shape("A mean over folds needs at least two.", "Use isotonic, or fold a single sigmoid.")


def _curve(place: str, x: tuple[float, ...], y: tuple[float, ...]) -> Iterator[Problem]:
    if not x or len(x) != len(y):
        yield _shape("x and y are empty or do not have the same length.", "Give both for each point.", f"/x{place}")
    if not all(low < high for low, high in pairwise(x)):
        yield _shape("x does not ascend.", "Give each place once, in ascending order.", f"/x{place}")
    elif x and not math.isfinite(x[-1] - x[0]):
        yield _shape("x spans more than a number can hold.", "Correct its ends.", f"/x{place}")
    if not all(low <= high for low, high in pairwise(y)):
        yield _shape("y descends.", "An isotonic curve never does.", f"/y{place}")
    if not all(0.0 <= value <= 1.0 for value in y):
        yield _shape("y leaves the range of a probability.", "Keep it within 0 and 1.", f"/y{place}")


def _shape(message: str, remedy: str, place: str = "") -> Problem:
    return Problem(_PARAMETERS + place, "parameters", message, remedy)
