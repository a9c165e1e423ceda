"""Cross-checks on how the number is made: terms, categories and their cut-points.

Those on normalisation are in `manifest_normalisation.py`, on covariance and reference distribution in
`manifest_spread.py`, on calibration in `manifest_calibration.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from service.domain.score import Category, find_category
from service.errors import Problem
from service.registry.calibration import STEPS
from service.registry.manifest_estimator import Equation, Fitted, Term, Zone
from service.registry.manifest_schema import Manifest


def check_terms(manifest: Manifest) -> Iterator[Problem]:
    """Problems of the estimator: which columns have a term and in what order, classes."""
    estimator = manifest.estimator
    if isinstance(estimator, Equation):
        yield from _order("/estimator/terms", estimator.terms, manifest)
    else:
        yield from _fitted(estimator, manifest)


def _fitted(estimator: Fitted, manifest: Manifest) -> Iterator[Problem]:
    if estimator.positive_class not in estimator.classes:
        yield Problem("/estimator/positive_class", "classes", "Not one of the classes.", "Name one of the classes.")
    elif estimator.lowered is not None and estimator.positive_class != estimator.classes[1]:
        # Lowering and its proof speak of column 1 of `predict_proba`, which is the second class.
        yield Problem("/estimator/positive_class", "classes", "Not the second class.", "Name the second class.")
    if len(set(estimator.classes)) != len(estimator.classes):
        yield Problem("/estimator/classes", "classes", "The classes are not different.", "Name each once.")
    if estimator.lowered is not None:
        yield from _order("/estimator/lowered/terms", estimator.lowered.terms, manifest)


def _order(pointer: str, terms: tuple[Term, ...], manifest: Manifest) -> Iterator[Problem]:
    named, needed = {term.input for term in terms}, set(manifest.needing_terms)
    if tuple(term.input for term in terms) != tuple(c for c in manifest.codes if c in named | needed):
        yield Problem(pointer, "order", "The terms are not the panel and covariates in their order.", "Reorder them.")


def check_category(manifest: Manifest) -> Iterator[Problem]:
    """Problems of the output: kind and link, dead or missing categories, cut-points without provenance."""
    output = manifest.output
    categories = manifest.categories()
    bounded = output.link == "logit" or manifest.estimator.calibration.method in STEPS
    if output.kind == "probability" and not bounded:
        yield Problem("/output/link", "link", "A probability needs the logit link.", "Correct the link.")
    if output.kind == "probability" and _intercept(manifest) is None:
        yield Problem("/output/kind", "kind", "Without an intercept the number is an index.", "Use index.")
    known = {c.value for c in output.cut_points}
    used = {c.cut_point for c in categories}
    if known != used or len(output.cut_points) != len(known):
        yield Problem("/output/cut_points", "provenance", "Cut-points and provenance do not match.", "One entry each.")
    if categories:
        yield from _coverage(categories, bounded=bounded)
    yield from _zone(manifest, used)


def _intercept(manifest: Manifest) -> float | None:
    estimator = manifest.estimator
    if isinstance(estimator, Equation):
        return estimator.intercept
    # A fitted estimator that is not lowered answers probabilities of its own.
    return 0.0 if estimator.lowered is None else estimator.lowered.intercept


def _coverage(categories: tuple[Category, ...], *, bounded: bool) -> Iterator[Problem]:
    points = {c.cut_point for c in categories}
    values = _representatives(points)
    if bounded:
        values = {v for v in values if 0.0 <= v <= 1.0} | {0.0, 1.0}
        if not all(0.0 < p < 1.0 for p in points):
            yield Problem("/output/categories", "cut_point", "A cut-point is not between 0 and 1.", "Correct it.")
    chosen = {find_category(value, categories) for value in values}
    if None in chosen:
        yield Problem("/output/categories", "not_exhaustive", "Some values have no category.", "Close the gap.")
    if set(categories) - chosen:
        yield Problem("/output/categories", "unreachable", "A category can never be the answer.", "Reorder them.")


def _representatives(points: Iterable[float]) -> set[float]:
    # A category changes only at a cut-point, so each cut-point and its two neighbours stand for all values.
    return {v for p in points for v in (math.nextafter(p, -math.inf), p, math.nextafter(p, math.inf))}


def _zone(manifest: Manifest, used: set[float]) -> Iterator[Problem]:
    zone = manifest.output.indeterminate_zone
    flagged = any(c.indeterminate for c in manifest.output.categories)
    if flagged != (zone is not None):
        yield Problem("/output/indeterminate_zone", "zone", "Zone and indeterminate category differ.", "Give both.")
    if zone is not None and not (zone.low < zone.high and {zone.low, zone.high} <= used):
        yield Problem(
            "/output/indeterminate_zone", "zone", "The zone does not lie between two cut-points.", "Correct it."
        )
    elif zone is not None:
        yield from _zone_categories(zone, manifest.categories())


def _zone_categories(zone: Zone, categories: tuple[Category, ...]) -> Iterator[Problem]:
    # Which side a value exactly at an end of the zone belongs to is the comparators' business.
    values = _representatives(c.cut_point for c in categories)
    inside = {v for v in values if zone.low < v < zone.high} | {(zone.low + zone.high) / 2.0}
    outside = {v for v in values if v < zone.low or v > zone.high}
    pointer = "/output/indeterminate_zone"
    if not all(_is_indeterminate(v, categories) for v in inside):
        yield Problem(pointer, "zone", "A value inside the zone is not indeterminate.", "Mark its category.")
    if any(_is_indeterminate(v, categories) for v in outside):
        yield Problem(pointer, "zone", "A value outside the zone is indeterminate.", "Move the zone or the mark.")


def _is_indeterminate(value: float, categories: tuple[Category, ...]) -> bool:
    category = find_category(value, categories)
    return category is not None and category.indeterminate
