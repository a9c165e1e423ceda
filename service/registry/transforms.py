"""Locked normalisation of one column: log2 with an offset, scaling, min-max. Elementwise, so no row sees another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from service.registry.manifest_estimator import DeltaCq, Log2, MinMax, Ratio, Scale, Step

Floats = NDArray[np.float64]
Transform = Callable[[Floats], Floats]


def identity(values: Floats) -> Floats:
    """The values themselves."""
    return values


def column_transforms(codes: Sequence[str], steps: Sequence[Step]) -> tuple[Transform, ...]:
    """One transform per column of `codes`, each applying the steps that name it in the order they are listed.

    Raises ValueError for a step over several analytes, which is not a transform of one column.
    """
    return tuple(_compose([_single(step) for step in steps if code in step.inputs]) for code in codes)


def _single(step: Step) -> Transform:
    match step:
        case Log2():
            offset = step.offset
            return lambda values: np.log2(values + offset)
        case Scale():
            centre, spread = step.centre, step.spread
            return lambda values: (values - centre) / spread
        case MinMax():
            low, width = step.minimum, step.maximum - step.minimum
            return lambda values: (values - low) / width
        case DeltaCq() | Ratio():
            raise ValueError("a step over several analytes is not a transform of one column")


def _compose(parts: Sequence[Transform]) -> Transform:
    if not parts:
        return identity

    def chain(values: Floats) -> Floats:
        for part in parts:
            values = part(values)
        return values

    return chain
