"""Locked normalisation of one column: log2 with an offset, scaling, min-max. Elementwise, so no row sees another.

A transform takes a column or one number of it, and gives a number the bits it would have in the column: IEEE 754 fixes
those of the four operations, and a logarithm is numpy's in both cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.registry.manifest_estimator import DeltaCq, Log2, MinMax, Ratio, Scale, Step

Floats = NDArray[np.float64]
Values = TypeVar("Values", float, Floats)


class Transform(Protocol):
    """The same function of every number of a column, or of one number."""

    def __call__(self, values: Values, /) -> Values:
        """The numbers after the transform."""
        ...


def identity(values: Values) -> Values:
    """The values themselves."""
    return values


def column_transforms(codes: Sequence[str], steps: Sequence[Step]) -> tuple[Transform, ...]:
    """One transform per column of `codes`, each applying the steps that name it in the order they are listed.

    Raises ValueError for a step over several analytes, which is not a transform of one column.
    """
    return tuple(_compose([_single(step) for step in steps if code in step.inputs]) for code in codes)


def transform_matrix(matrix: Floats, transforms: Sequence[Transform]) -> Floats:
    """A copy of `matrix` (n, k), row after row in memory, with a transform applied to each column; a number that has no
    value becomes NaN or infinite."""
    used = np.empty(matrix.shape, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for column, transform in enumerate(transforms):
            used[:, column] = transform(np.ascontiguousarray(matrix[:, column]))
    return used


def _single(step: Step) -> Transform:
    match step:
        case Log2():
            return _log2(step.offset)
        case Scale():
            return _scale(step.centre, step.spread)
        case MinMax():
            return _scale(step.minimum, step.maximum - step.minimum)
        case DeltaCq() | Ratio():
            raise ValueError("a step over several analytes is not a transform of one column")


def _scale(centre: float, spread: float) -> Transform:
    def scaled(values: Values) -> Values:
        return (values - centre) / spread

    return scaled


def _log2(offset: float) -> Transform:
    def logarithm(values: Values) -> Values:
        shifted = values + offset
        if isinstance(shifted, float):
            # numpy warns of a number without a logarithm, Python's scalars have no `errstate` that is as cheap.
            return float(np.log2(shifted)) if shifted > 0 else math.nan
        return np.log2(shifted)

    return logarithm


def _compose(parts: Sequence[Transform]) -> Transform:
    if not parts:
        return identity
    if len(parts) == 1:
        return parts[0]

    def chain(values: Values) -> Values:
        for part in parts:
            values = part(values)
        return values

    return chain
