"""Locked normalisation of a panel's columns: log2, scaling, min-max, and a column relative to others of the same row.

The steps are taken in the order in which the manifest lists them, and each reads what those before it left. A step
changes the columns it names as `analytes` (or `analyte`, or `numerator`) and no other: what is subtracted or divided by
stays as it is. Everything is elementwise, so no row sees another. A step takes columns or single numbers, and gives a
number the bits it would have in its column: IEEE 754 fixes those of the four operations, and a logarithm is numpy's in
both cases.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.registry.manifest_estimator import DeltaCq, Log2, MinMax, Ratio, Scale, Step

Floats = NDArray[np.float64]
Values = TypeVar("Values", float, Floats)


class Transform(Protocol):
    """The same function of every number of a column, or of one number; it never falls as its argument rises."""

    def __call__(self, values: Values, /) -> Values:
        """The numbers after the transform."""
        ...


class _Stage(Protocol):
    """One step, applied in place to the columns of many rows, or to the numbers of one."""

    def __call__(self, columns: list[Values], /) -> None: ...


class ColumnTransforms:
    """The normalisation of `width` columns; `changes` is False where every value is used as it was sent."""

    def __init__(self, stages: Sequence[_Stage], width: int) -> None:
        self._stages = tuple(stages)
        self.width = width
        self.changes = bool(stages)

    def of_one(self, row: Sequence[float]) -> tuple[float, ...]:
        """The normalised values of one row (k,); NaN or infinite where there is none."""
        columns = list(row)
        for stage in self._stages:
            stage(columns)
        return tuple(columns)

    def of_many(self, rows: Floats) -> Iterable[Floats]:
        """The normalised columns of `rows` (n, k), each contiguous; NaN or infinite where there is no value.

        numpy may take another code path, and give other last bits, for strided than for contiguous data.
        """
        copies = (np.ascontiguousarray(rows[:, column]) for column in range(self.width))
        if not self._stages:
            return copies
        columns = list(copies)
        for stage in self._stages:
            stage(columns)
        return columns


def column_transforms(codes: Sequence[str], steps: Sequence[Step]) -> ColumnTransforms:
    """The normalisation of columns `codes` by `steps`, which must have passed the manifest's cross-checks."""
    place = {code: index for index, code in enumerate(codes)}
    return ColumnTransforms([_stage(step, place) for step in steps], len(codes))


def transform_matrix(matrix: Floats, transforms: ColumnTransforms) -> Floats:
    """A normalised copy of `matrix` (n, k), row after row in memory; a number that has no value becomes NaN or
    infinite."""
    used = np.empty(matrix.shape, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for column, values in enumerate(transforms.of_many(matrix)):
            used[:, column] = values
    return used


def transform_of(step: Log2 | Scale | MinMax) -> Transform:
    """What a step does to each column it names by itself."""
    match step:
        case Log2():
            return _log2(step.offset)
        case Scale():
            return _scale(step.centre, step.spread)
        case MinMax():
            return _scale(step.minimum, step.maximum - step.minimum)


def mean_of(values: Sequence[Values]) -> Values:
    """The mean of columns or numbers, added in the order given."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total / len(values)


def _stage(step: Step, place: dict[str, int]) -> _Stage:
    match step:
        case DeltaCq():
            return _delta([place[code] for code in step.analytes], [place[code] for code in step.references])
        case Ratio():
            return _ratio(place[step.numerator], place[step.denominator])
        case _:
            return _each([place[code] for code in step.inputs], transform_of(step))


def _each(places: Sequence[int], transform: Transform) -> _Stage:
    def each(columns: list[Values]) -> None:
        for place in places:
            columns[place] = transform(columns[place])

    return each


def _delta(places: Sequence[int], references: Sequence[int]) -> _Stage:
    def delta(columns: list[Values]) -> None:
        # Taken before any column changes: an analyte may be one of its own references.
        mean = mean_of([columns[reference] for reference in references])
        for place in places:
            columns[place] = columns[place] - mean

    return delta


def _ratio(numerator: int, denominator: int) -> _Stage:
    def ratio(columns: list[Values]) -> None:
        columns[numerator] = _divided(columns[numerator], columns[denominator])

    return ratio


def _divided(value: Values, by: Values) -> Values:
    if isinstance(by, float) and by == 0.0:
        # Python raises where numpy gives what is found out to be no number.
        return math.nan
    return value / by


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
