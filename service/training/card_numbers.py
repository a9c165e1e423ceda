"""What was measured, as the manifest's performance and negative controls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from service.registry.card_opening import FROM_SHARES
from service.registry.manifest_base import NOT_AVAILABLE
from service.training.evaluate import LEVEL, Figure
from service.training.evidence import Evidence
from service.training.intervals import middle
from service.training.spec import Spec

INSIDE = "the people it was fitted on, cross-validated"
DECIMALS = 6
"""Decimals of a figure: far finer than any interval, coarser than what two processors may differ in."""


def interval_of(figure: Figure) -> dict[str, float] | str:
    """The manifest's interval of a figure."""
    if not (np.isfinite(figure.low) and np.isfinite(figure.high)):
        return NOT_AVAILABLE
    return {"level": LEVEL, "low": round(figure.low, DECIMALS), "high": round(figure.high, DECIMALS)}


def performance(spec: Spec, evidence: Evidence) -> list[dict[str, Any]]:
    """Every figure: of held-out people first, where there are some, and never pooled; the learning curve last."""
    effort = spec.evaluation
    nested = (
        f"nested stratified {effort.folds}-fold, {effort.repeats} repeats, everything learned inside the fold; "
        f"interval from {effort.refits} bootstrap samples of people, the whole procedure repeated on each"
    )
    rows = []
    if evidence.judged is not None and spec.cohort.held_out is not None:
        once = f"the one model, unchanged; interval from {effort.refits} bootstrap samples of these people"
        rows += _rows(spec, evidence.judged.figures, spec.cohort.held_out.title, once)
    rows += _rows(spec, evidence.figures, INSIDE, nested)
    learning = f"mean over {effort.learning_repeats} draws, judged on the people left out; range of 95 % of the draws"
    rows += [
        _row(f"AUC of models learned on {point.people} people", point.auc, INSIDE, learning, spec.date)
        for point in evidence.learning
    ]
    return rows


def _rows(spec: Spec, found: Mapping[str, Figure | None], cohort: str, method: str) -> list[dict[str, Any]]:
    settings = {f"{p.value:g}": p.setting for p in spec.prevalences}
    rows = []
    for name, figure in found.items():
        if figure is None:
            continue
        told = method
        if name.startswith(("PPV", "NPV")):
            told = f"{settings[name.rpartition(' ')[2]]}{FROM_SHARES}; {method}"
        rows.append(_row(name, figure, cohort, told, spec.date))
    return rows


def _row(metric: str, figure: Figure, cohort: str, method: str, day: str) -> dict[str, Any]:
    value = round(figure.value, DECIMALS) + 0.0
    found = {"metric": metric, "value": value, "interval": interval_of(figure), "cohort": cohort}
    return {**found, "method": method, "date": day}


def negative_controls(spec: Spec, evidence: Evidence) -> list[dict[str, Any]]:
    """Outcomes dealt out at random, and models that must find little."""
    effort = spec.evaluation
    permuted = Figure(float(evidence.permuted.mean()), *middle(evidence.permuted))
    dealt = f"the whole nested procedure on outcomes dealt out at random among people, {effort.permutations} times"
    expected = "about 0.5; clearly above means that the procedure leaks"
    found = [_control("permuted outcomes", permuted, expected, f"{dealt}; mean, and range of 95 %")]
    expected = "well below the model's; a figure near it, or above, speaks against the model"
    method = f"nested stratified {effort.folds}-fold, {effort.repeats} repeats"
    return found + [_control(c.name, c.auc, expected, method) for c in evidence.controls.values()]


def _control(name: str, auc: Figure, expected: str, method: str) -> dict[str, Any]:
    value = {"name": name, "metric": "AUC", "value": round(auc.value, DECIMALS), "interval": interval_of(auc)}
    return {**value, "expected": expected, "method": method}
