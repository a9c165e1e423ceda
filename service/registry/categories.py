"""Which category a value falls into."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from service.domain.score import Category

_HOLDS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">=": operator.ge,
    ">": operator.gt,
}


def choose(categories: Sequence[Category], value: float) -> Category | None:
    """The first category that holds for `value`, or None where none does (a version without categories)."""
    return next((c for c in categories if _HOLDS[c.comparator](value, c.cut_point)), None)
