"""What was measured, as the curves of the manifest: all that the card's figures are drawn from.

Shares and means over people and runs alone: from none of the curves can anybody's score be read off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.registry.manifest_curves import EVERYBODY
from service.training.calibration_groups import CalibrationGroups, calibration_groups
from service.training.card_numbers import DECIMALS, INSIDE
from service.training.cohort import Flags, Floats
from service.training.dataset import Dataset, Rows
from service.training.evaluate import LEVEL
from service.training.evidence import Evidence, LearningPoint
from service.training.figures import net_benefit
from service.training.logistic import sigmoid
from service.training.roc import GRID, RocBand
from service.training.spec import Spec

SCORE_EDGES = np.linspace(0.0, 1.0, 21)
"""Ends of the bins of a score, 0.05 wide."""

Points = Sequence[tuple[float, float]]

_THRESHOLDS = np.arange(1, 50) / 50.0
"""Where net benefit is given: from 0.02 to 0.98, for at 1 it does not exist."""


def curves(spec: Spec, dataset: Dataset, evidence: Evidence) -> list[dict[str, Any]]:
    """Of people held out, where there are some: ROC and calibration. Of the others, cross-validated: everything."""
    positive = dataset.fit.design.positive
    people = _people(spec, dataset.fit)
    logits = [held.logit for held in evidence.held]
    found = []
    if evidence.judged is not None and spec.cohort.held_out is not None and dataset.held_out is not None:
        cohort = spec.cohort.held_out.title
        judged = _people(spec, dataset.held_out)
        found.append(_roc(cohort, evidence.judged.roc, judged))
        found.append(_calibration(cohort, evidence.judged.calibration, judged))
    found.append(_roc(INSIDE, evidence.roc, people))
    # Of one run: a mean over runs would be calibrated better than the one model that is served.
    found.append(_calibration(f"{INSIDE} (first run)", calibration_groups(logits[0], positive), people))
    found.append(_curve("decision", INSIDE, _decisions(logits, positive), people=people))
    found.append(_curve("decision", INSIDE, _acting(positive), of=EVERYBODY, people=people))
    for name, shares in zip(_classes(spec), score_shares(dataset, evidence), strict=True):
        points = list(zip(SCORE_EDGES.tolist(), [*shares, 0.0], strict=True))
        found.append(_curve("scores", INSIDE, points, of=name, people={name: people[name]}))
    return found + _learning(evidence.learning)


def _curve(kind: str, cohort: str, points: Points, **further: Any) -> dict[str, Any]:
    rounded = [[round(float(x), DECIMALS), round(float(y), DECIMALS) + 0.0] for x, y in points]
    return {"kind": kind, "cohort": cohort, "points": rounded, **further}


def _band(low: Sequence[float], high: Sequence[float]) -> dict[str, Any]:
    ends = ([round(float(end), DECIMALS) + 0.0 for end in side] for side in (low, high))
    return {"level": LEVEL, **dict(zip(("low", "high"), ends, strict=True))}


def _classes(spec: Spec) -> tuple[str, str]:
    return spec.cohort.outcome.positive_class, spec.cohort.outcome.negative_class


def _people(spec: Spec, rows: Rows) -> dict[str, int]:
    design = rows.design
    sides = (design.positive, ~design.positive)
    return {name: len(np.unique(design.person[side])) for name, side in zip(_classes(spec), sides, strict=True)}


def _roc(cohort: str, roc: RocBand, people: dict[str, int]) -> dict[str, Any]:
    # From the corner on: at the first point of the grid the curve has left the axis already.
    points = [(0.0, 0.0), *zip(GRID.tolist(), roc.value.tolist(), strict=True)]
    band = _band([0.0, *roc.low], [0.0, *roc.high])
    return _curve("roc", cohort, points, people=people, band=band)


def _calibration(cohort: str, groups: CalibrationGroups, people: dict[str, int]) -> dict[str, Any]:
    band = _band([s.low for s in groups.shares], [s.high for s in groups.shares])
    return _curve("calibration", cohort, groups.points, people=people, band=band)


def _decisions(logits: Sequence[Floats], positive: Flags) -> Points:
    weights = np.ones(len(positive))
    runs = [sigmoid(logit) for logit in logits]
    return [
        (float(t), float(np.mean([net_benefit(run, positive, weights, float(t)) for run in runs]))) for t in _THRESHOLDS
    ]


def _acting(positive: Flags) -> Points:
    everybody = np.ones(len(positive))
    return [(float(t), net_benefit(everybody, positive, everybody, float(t))) for t in _THRESHOLDS]


def score_shares(dataset: Dataset, evidence: Evidence) -> list[list[float]]:
    """Of the positive and of the negative class: shares of all cross-validated scores by bin of SCORE_EDGES."""
    positive = dataset.fit.design.positive
    predicted = np.array([sigmoid(held.logit) for held in evidence.held])
    return [
        (np.histogram(predicted[:, side], SCORE_EDGES)[0] / predicted[:, side].size).round(4).tolist()
        for side in (positive, ~positive)
    ]


def _learning(found: Sequence[LearningPoint]) -> list[dict[str, Any]]:
    """One point for each number of people; a small cohort may give two shares the same number."""
    by_people = {point.people: point.auc for point in found}
    if len(by_people) < 2:  # noqa: PLR2004 - a curve has two points
        return []
    points = [(float(people), auc.value) for people, auc in by_people.items()]
    band = _band(
        [min(auc.low, auc.value) for auc in by_people.values()],
        [max(auc.high, auc.value) for auc in by_people.values()],
    )
    return [_curve("learning", INSIDE, points, band=band)]
