"""The result of scoring one specimen: value, kind, category and the terms it is made of.

A score is re-derivable: `value` is the inverse `link` of `baseline` plus the sum of the `terms`, added in the order
shown; where a calibration step is named, that is `raw`, and `value` is what the step makes of it. Numbers are full
doubles; `display` is the only rounding, and only for people.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

_HOLDS = {"<": operator.lt, "<=": operator.le, ">=": operator.ge, ">": operator.gt}


@dataclass(frozen=True, slots=True)
class Category:
    """One answer category: it holds where `value COMPARATOR cut_point` is true."""

    code: str
    label: str
    cut_point: float
    comparator: str
    indeterminate: bool = False

    def holds(self, value: float) -> bool:
        """Whether `value` is in the category; at the cut-point the comparator decides."""
        return bool(_HOLDS[self.comparator](value, self.cut_point))


class Interval(NamedTuple):
    """Where the value lies at that level (0.95 for 95 %), as far as the coefficients are known: `low` to `high`."""

    level: float
    low: float
    high: float


class Score(NamedTuple):
    """One score. `kind` is `probability` or `index`; `link` is `logit` or `identity`; `interval` is None where the
    version locks no covariance; `raw` is the value before the calibration step named `calibration`, else both are None.

    `used` are the inputs after normalisation and `terms` what each adds on the link's scale, coefficient times `used`;
    both are in the order of the submission's inputs. An input that others are only set against (a reference gene, a
    library total) has the term 0. `terms` is None where the model does not add up terms.
    """

    value: float
    kind: str
    link: str
    baseline: float
    used: tuple[float, ...]
    terms: tuple[float, ...] | None
    category: Category | None
    interval: Interval | None = None
    raw: float | None = None
    calibration: str | None = None

    @property
    def explanation(self) -> str:
        """`additive` where the terms add up to the score, else `not_additive`."""
        return "not_additive" if self.terms is None else "additive"


def find_category(value: float, categories: Sequence[Category]) -> Category | None:
    """The first category that holds, in the order of the version; None where none does or the version has none."""
    for category in categories:
        if category.holds(value):
            return category
    return None


def display(value: float, digits: int = 3) -> str:
    """`value` rounded for people, in cards and on terminals; never for storage or for programs."""
    return f"{value:.{digits}f}"
