"""The library total of each sample: read from a column or summed over the table, and checked.

What is wrong with a total is told once, however many groups divide by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from service.errors import Problem
from service.training.cohort import Flags, Floats
from service.training.joined import SOURCE, Joined
from service.training.spec import Spec
from service.training.spec_steps import ShareOfTotal


@dataclass(frozen=True, slots=True, eq=False)
class LibraryTotals:
    """`by_group`: the totals (n,) of each group, by its place in the spec, that divides by one; infinite where a
    problem was told, so that no count of that sample is told to be above it. `inputs` (n, t) those of `Spec.totals`.
    `notes` say what was summed: a column that is no count would go in unseen."""

    by_group: Mapping[int, Floats]
    inputs: Floats
    notes: tuple[str, ...]


def read_totals(spec: Spec, joined: Joined) -> LibraryTotals:
    """The totals the spec divides by; one that is missing, not above 0 or outside its range becomes a problem."""
    read: dict[tuple[str, str | None], Floats] = {}
    by_group: dict[int, Floats] = {}
    inputs: dict[str, Floats] = {}
    for index, group in enumerate(spec.analytes):
        step = group.divided_by
        if step is None:
            continue
        key = (group.table, step.total)
        if key not in read:
            read[key] = _read(spec, joined, *key)
        by_group[index] = read[key]
        if isinstance(step, ShareOfTotal) and step.covariate.name not in inputs:
            bounds, total = step.covariate.range, read[key]
            outside = np.isfinite(total) & ((total < bounds.low) | (total > bounds.high))
            joined.problems.extend(_told(joined, *key, outside, "is outside the range of library totals"))
            inputs[step.covariate.name] = total
    notes = tuple(
        f"the library total of table {table} is the sum of its {len(free_columns(spec, table, joined))} columns that "
        "have no other meaning in the spec"
        for table, column in read
        if column is None
    )
    summed = np.column_stack(list(inputs.values())) if inputs else np.zeros((joined.count, 0))
    return LibraryTotals(by_group, summed, notes)


def free_columns(spec: Spec, table: str, joined: Joined) -> list[str]:
    """The columns of a table that the spec gives no other meaning: its analytes and their neighbours."""
    cohort = spec.cohort
    other = {cohort.sample_id, cohort.person, cohort.outcome.column, *(e.column for e in cohort.exclude)}
    other |= {cohort.held_out.column} if cohort.held_out is not None else set()
    other |= {c.column for c in spec.covariates} | {t.column for t in spec.technical}
    steps = [group.divided_by for group in spec.analytes if group.table == table]
    other |= {step.total for step in steps if step is not None}
    return [column for column in joined.tables[table].columns if column not in other]


def _read(spec: Spec, joined: Joined, table: str, column: str | None) -> Floats:
    if column is not None:
        total = joined.numbers(column, table)
    else:
        total = np.nansum(joined.matrix(free_columns(spec, table, joined), table), axis=1)
    missing = np.isnan(total)
    joined.problems.extend(_told(joined, table, column, missing, "holds no library total"))
    joined.problems.extend(_told(joined, table, column, total <= 0, "is not a library total above 0"))
    return np.where(total > 0, total, np.inf)


def _told(joined: Joined, table: str, column: str | None, flags: Flags, what: str) -> Iterator[Problem]:
    known = {(problem.pointer, problem.message) for problem in joined.problems}
    for line in np.flatnonzero(flags).tolist():
        if column is None:
            number = int(joined.rows[table][line]) + 2
            message = f"Table {table}, line {number}: the sum of all its counts {what}."
            yield Problem(f"/{table}/{number}", "cell", message, SOURCE)
            continue
        said = joined.problem(table, line, column, "is not a finite number")
        if (said.pointer, said.message) not in known:
            yield joined.problem(table, line, column, what)
