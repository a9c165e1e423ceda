"""Golden vectors of a version whose inputs are normalised: drawn and placed on the normalised scale, written in the
panel's units.

Typical vectors come from the fitted distribution, never from a person; the others lie at the ends of the plausible
range and on both sides of every cut-point.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from service.registry.scorer import LinearScorer
from service.training.applicability import Reference
from service.training.cohort import Floats
from service.training.dataset import AnalyteColumn
from service.training.golden_vectors import CUT_POINT_MARGIN, Row, boundary_rows

TYPICAL = 32


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The panel's columns: its analytes, then covariates; `low` and `high` (k,) are their plausible range in panel
    units, `whole` (k,) marks binary covariates."""

    analytes: tuple[AnalyteColumn, ...]
    low: Floats
    high: Floats
    whole: Floats

    def to_panel_units(self, row: Floats) -> Floats:
        """A row (k,) of normalised values in panel units."""
        found = row.copy()
        for place, analyte in enumerate(self.analytes):
            found[place] = analyte.to_panel_unit(row[place : place + 1])[0]
        return found

    def normalised(self, row: Floats) -> Floats:
        """A row (k,) in panel units on the normalised scale."""
        found = row.copy()
        for place, analyte in enumerate(self.analytes):
            if analyte.offset is not None:
                found[place] = np.log2(row[place] + analyte.offset)
        return found

    def inside(self, row: Floats) -> bool:
        """Whether a row in panel units lies in the plausible range."""
        return bool(((row >= self.low) & (row <= self.high)).all())


def golden_rows(
    columns: Columns,
    known: Reference,
    scorer: LinearScorer,
    cut_points: Sequence[float],
    generator: np.random.Generator,
) -> list[Row]:
    """Role and inputs (k,) in panel units of every vector."""
    rows = [("typical", row) for row in _typical(columns, known, generator)]
    rows += list(boundary_rows(columns.low, columns.high))
    start = rows[0][1]
    for cut_point in cut_points:
        rows += [("cut-point", row) for row in _near(columns, scorer, cut_point, start)]
    return rows


def _typical(columns: Columns, known: Reference, generator: np.random.Generator) -> Iterator[Floats]:
    for _ in range(TYPICAL):
        drawn = known.location + known.spread * (known.factor @ generator.standard_normal(len(known.location)))
        row = columns.to_panel_units(drawn)
        row = np.where(columns.whole > 0, np.round(row), _short(row))
        yield np.clip(row, columns.low, columns.high) + 0.0


def _short(row: Floats) -> Floats:
    # Four significant digits: what a laboratory would send.
    magnitude = 10.0 ** (np.floor(np.log10(np.maximum(np.abs(row), 1e-12))) - 3.0)
    return np.asarray([float(f"{np.round(v / m) * m:.4g}") for v, m in zip(row, magnitude, strict=True)])


def _near(columns: Columns, scorer: LinearScorer, cut_point: float, start: Floats) -> Iterator[Floats]:
    """Just below and just above a cut-point, by moving one analyte alone where its range allows that."""
    target = float(np.log(cut_point / (1.0 - cut_point)))
    used = columns.normalised(start)
    now = scorer.baseline + sum(w * v for w, v in zip(scorer.coefficients, used.tolist(), strict=True))
    for place, weight in enumerate(scorer.coefficients[: len(columns.analytes)]):
        if weight == 0.0:
            continue
        for side in (-CUT_POINT_MARGIN, CUT_POINT_MARGIN):
            moved = used.copy()
            moved[place] += (target + side - now) / weight
            with np.errstate(over="ignore"):
                row = columns.to_panel_units(moved)
            # What was not moved keeps its digits: there and back through a logarithm it would not.
            row = np.where(np.arange(len(row)) == place, row, start)
            if np.isfinite(row).all() and columns.inside(row):
                yield row
