"""The columns beside the analytes: covariates of the person, and what describes the measurement alone."""

from __future__ import annotations

import numpy as np

from service.training.analyte_columns import Measured, varies
from service.training.cohort import Floats
from service.training.joined import Joined
from service.training.spec import CovariateColumn, Spec, TechnicalColumn
from service.training.spec_steps import ShareOfTotal

MIN_WIDTH = 50
"""Fewest analytes of a group for its total signal to speak of the measurement: the total of a small panel is the panel
itself, and telling the classes apart is what it is for."""


def covariate_matrix(spec: Spec, joined: Joined) -> Floats:
    """Every covariate of the spec (n, c), NaN where missing; one of the model must not be missing."""
    columns = [_covariate(covariate, joined) for covariate in spec.covariates]
    return np.column_stack(columns) if columns else np.zeros((joined.count, 0))


def _covariate(covariate: CovariateColumn, joined: Joined) -> Floats:
    table = next(name for name, held in joined.tables.items() if covariate.column in held.columns)
    if covariate.coding:
        cells = joined.texts(covariate.column)
        values = np.array([covariate.coding.get(cell, np.nan) for cell in cells], dtype=np.float64)
        wrong = [line for line, cell in enumerate(cells) if cell and cell not in covariate.coding]
        what = "has a value without a code"
    else:
        values = joined.numbers(covariate.column)
        outside = (values < covariate.range.low) | (values > covariate.range.high)
        wrong, what = np.flatnonzero(outside).tolist(), "is outside the plausible range"
    for line in wrong:
        joined.problems.append(joined.problem(table, line, covariate.column, what))
    if covariate.in_model:
        for line in sorted(set(np.flatnonzero(np.isnan(values)).tolist()) - set(wrong)):
            joined.problems.append(joined.problem(table, line, covariate.column, "is missing, and the model needs it"))
    return values


def technical_matrix(spec: Spec, joined: Joined, measured: Measured) -> tuple[tuple[str, ...], Floats]:
    """Names and columns (n, t): detected analytes and total signal of every wide group, the library total where it is
    not the sum of a small panel, and the spec's own columns."""
    names: list[str] = []
    columns: list[Floats] = []
    for index, width in enumerate(measured.widths):
        if width >= MIN_WIDTH:
            names += [f"number of detected analytes ({spec.analytes[index].table})"]
            names += [f"total signal ({spec.analytes[index].table})"]
            columns += [measured.found[:, index], measured.signal[:, index]]
        step = spec.analytes[index].divided_by
        if isinstance(step, ShareOfTotal) and (width >= MIN_WIDTH or step.total is not None):
            name = f"library total ({step.covariate.name})"
            if name not in names:
                names.append(name)
                columns.append(np.log2(measured.totals.by_group[index]))
    for technical in spec.technical:
        for name, column in _technical(technical, joined):
            names.append(name)
            columns.append(column)
    if not columns:
        return (), np.zeros((joined.count, 0))
    matrix = np.column_stack(columns)
    keep = varies(matrix)
    return tuple(name for name, use in zip(names, keep, strict=True) if use), matrix[:, keep]


def _technical(technical: TechnicalColumn, joined: Joined) -> list[tuple[str, Floats]]:
    if technical.type == "number":
        return [(technical.title, joined.numbers(technical.column))]
    cells = np.array(joined.texts(technical.column))
    # One column per value but the first: it is told by all the others being 0.
    values = np.unique(cells)[1:]
    return [(technical.title, (cells == value).astype(np.float64)) for value in values]
