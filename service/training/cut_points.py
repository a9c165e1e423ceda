"""Cut-points on the probability scale, chosen by a stated rule on predictions for people a model has not seen.

Three decimals, because a cohort cannot tell finer cut-points apart and people must be able to read one. A value at or
above a cut-point counts as positive. Several runs of a cross-validation are averaged as curves of sensitivity and
specificity, never as predictions: an average prediction is less spread than that of the one model that will be served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from service.training.cohort import Flags, Floats

GRID = np.arange(1, 1000) / 1000.0

RuleKind = Literal["youden", "sensitivity_at_least", "specificity_at_least", "two_sided"]


@dataclass(frozen=True, slots=True)
class CutRule:
    """`youden`: the greatest sum of sensitivity and specificity, the lowest cut-point of equals.

    `sensitivity_at_least`: the highest cut-point that keeps `sensitivity`; `specificity_at_least`: the lowest that
    keeps `specificity`; `two_sided`: both, with the zone between them indeterminate.
    """

    kind: RuleKind
    sensitivity: float = 0.0
    specificity: float = 0.0

    @property
    def count(self) -> int:
        """How many cut-points the rule gives."""
        return 2 if self.kind == "two_sided" else 1


def choose(rule: CutRule, predicted: Floats, positive: Flags, weights: Floats) -> tuple[float, ...]:
    """The rule's cut-points, ascending, for probabilities `predicted` (runs, n) and `weights` (n,) of the rows.

    Where no cut-point of the grid keeps what is asked, the end of the grid that comes nearest is taken. Where both
    sides of `two_sided` are kept by the same values there is no zone: the middle of those values is answered twice.
    """
    sensitivity = _share_at_or_above(predicted, weights * positive)
    specificity = 1.0 - _share_at_or_above(predicted, weights * ~positive)
    if rule.kind == "youden":
        # Rounded, so that sums that are equal on paper are equal here and the lowest is taken.
        return (float(GRID[int(np.round(sensitivity + specificity, 9).argmax())]),)
    low = _highest(sensitivity >= rule.sensitivity - 1e-9)
    high = _lowest(specificity >= rule.specificity - 1e-9)
    if rule.kind == "sensitivity_at_least":
        return (float(GRID[low]),)
    if rule.kind == "specificity_at_least":
        return (float(GRID[high]),)
    if low >= high:
        low = high = (low + high) // 2
    return float(GRID[low]), float(GRID[high])


def _share_at_or_above(predicted: Floats, weights: Floats) -> Floats:
    # Row r of `predicted` falls into the bin of the highest grid value it reaches; shares are sums from the top.
    runs, bins = len(predicted), len(GRID) + 1
    place = np.searchsorted(GRID, predicted, side="right") + bins * np.arange(runs)[:, np.newaxis]
    counted = np.bincount(place.ravel(), weights=np.tile(weights, runs), minlength=runs * bins).reshape(runs, bins)
    from_top = np.cumsum(counted[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return np.asarray(from_top.mean(axis=0) / weights.sum(), dtype=np.float64)


def _highest(kept: Flags) -> int:
    found = np.flatnonzero(kept)
    return int(found[-1]) if len(found) else 0


def _lowest(kept: Flags) -> int:
    found = np.flatnonzero(kept)
    return int(found[0]) if len(found) else len(GRID) - 1
