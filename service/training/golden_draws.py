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
from service.training.cohort import Flags, Floats
from service.training.dataset import AnalyteColumn, LibraryTotal
from service.training.golden_vectors import CUT_POINT_MARGIN, Row, boundary_rows

TYPICAL = 32


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The panel's columns (k,): its analytes, the model's covariates, the library totals.

    `low` and `high` (k,) are their plausible range in panel units; `whole` (k,) marks what is sent as a whole number:
    binary covariates, counts and totals.
    """

    analytes: tuple[AnalyteColumn, ...]
    totals: tuple[LibraryTotal, ...]
    low: Floats
    high: Floats
    whole: Flags

    def to_panel_units(self, row: Floats) -> Floats:
        """A row (k,) of normalised values in panel units; the totals in it are as they are."""
        found = row.copy()
        for place, analyte in enumerate(self.analytes):
            found[place] = analyte.to_panel_unit(float(row[place]), self._by(analyte, row))
        return found

    def normalised(self, row: Floats) -> Floats:
        """A row (k,) in panel units on the normalised scale."""
        found = row.copy()
        for place, analyte in enumerate(self.analytes):
            found[place] = analyte.normalised(float(row[place]), self._by(analyte, row))
        return found

    def inside(self, row: Floats) -> bool:
        """Whether a row in panel units lies in the plausible range."""
        return bool(((row >= self.low) & (row <= self.high)).all())

    def clipped(self, row: Floats) -> Floats:
        """A row in panel units brought into the plausible range, and no count above its total."""
        found = np.clip(row, self.low, self.high)
        for place, analyte in enumerate(self.analytes):
            if analyte.total is not None:
                found[place] = min(found[place], self._by(analyte, found))
        return found

    def drawn_totals(self, generator: np.random.Generator) -> Floats:
        """The library totals (t,) of a made-up sample, whole and within their range."""
        logs = [total.centre + total.spread * generator.standard_normal() for total in self.totals]
        first = len(self.low) - len(self.totals)
        return np.clip(np.round(np.exp2(logs)), np.ceil(self.low[first:]), np.floor(self.high[first:]))

    def _by(self, analyte: AnalyteColumn, row: Floats) -> float:
        names = [total.name for total in self.totals]
        return 1.0 if analyte.total is None else float(row[names.index(analyte.total) - len(names)])


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
        row = columns.to_panel_units(np.concatenate([drawn, columns.drawn_totals(generator)]))
        row = np.where(columns.whole, np.round(row), _short(row))
        yield columns.clipped(row) + 0.0


def _short(row: Floats) -> Floats:
    # Four significant digits: what a laboratory would send.
    magnitude = 10.0 ** (np.floor(np.log10(np.maximum(np.abs(row), 1e-12))) - 3.0)
    return np.asarray([float(f"{np.round(v / m) * m:.4g}") for v, m in zip(row, magnitude, strict=True)])


def _near(columns: Columns, scorer: LinearScorer, cut_point: float, start: Floats) -> Iterator[Floats]:
    """Just below and just above a cut-point, by moving one analyte alone where its range allows that.

    A count that is moved is a plain number there: no whole one lies that near.
    """
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
