"""Several tables as one: rows with the same sample id side by side, columns looked up by name.

A column that several tables have, such as the diagnosis, must say the same in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from service.errors import Problem
from service.training.cohort import CohortRejected, Floats
from service.training.folds import Indices
from service.training.spec import CohortSpec
from service.training.tables import Table

SOURCE = "Correct the file at its source."
_SHOWN = 20

LARGEST = 1e100
"""Sums of squares and products of them have to stay below 1.8e308, where doubles end (IEEE 754); no analyte is measured
on such a scale."""


UNUSABLE = ("is not a finite number", "is too large or too near zero to reckon with")
"""What is said of a cell that is taken for missing."""


def refuse(problems: Sequence[Problem]) -> None:
    """Raises CohortRejected where there are problems; the first twenty are listed."""
    if problems:
        raise CohortRejected(
            f"The cohort has {len(problems)} problem(s); the first: {problems[0].message}", SOURCE, problems[:_SHOWN]
        )


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """n joined rows. `rows` gives, per table, the row of that table; `problems` gathers what cells are found wrong."""

    tables: Mapping[str, Table]
    rows: Mapping[str, Indices]
    notes: tuple[str, ...]
    problems: list[Problem] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many joined rows there are."""
        return len(next(iter(self.rows.values())))

    def has(self, column: str) -> bool:
        """Whether any table has the column."""
        return any(column in table.columns for table in self.tables.values())

    def texts(self, column: str) -> list[str]:
        """The cells of a column as text; where several tables have it they must agree."""
        found = [(name, table) for name, table in self.tables.items() if column in table.columns]
        name, table = found[0]
        cells = _taken(table.texts(column), self.rows[name])
        for other, also in found[1:]:
            for line, (mine, theirs) in enumerate(
                zip(cells, _taken(also.texts(column), self.rows[other]), strict=True)
            ):
                if mine != theirs:
                    self.problems.append(self.problem(name, line, column, "differs between the tables"))
        return cells

    def numbers(self, column: str, table: str | None = None) -> Floats:
        """The cells of a column as numbers, NaN where missing; a cell that is no number, or one that is too large or
        too near zero to reckon with, becomes a problem."""
        name = table or next(name for name, held in self.tables.items() if column in held.columns)
        values, bad = self.tables[name].numbers(column)
        taken = {int(row): line for line, row in enumerate(self.rows[name])}
        for row in bad:
            if row in taken:
                self.problems.append(self.problem(name, taken[row], column, UNUSABLE[0]))
        found = values[self.rows[name]]
        size = np.abs(found)
        extreme = (size > LARGEST) | ((size > 0) & (size < 1 / LARGEST))
        found[extreme] = np.nan
        for line in np.flatnonzero(extreme).tolist():
            self.problems.append(self.problem(name, line, column, UNUSABLE[1]))
        return found

    def matrix(self, columns: Sequence[str], table: str) -> Floats:
        """`numbers` of several columns of a table side by side (n, p)."""
        if not columns:
            return np.zeros((self.count, 0))
        return np.column_stack([self.numbers(column, table) for column in columns])

    def problem(self, table: str, line: int, column: str, what: str) -> Problem:
        """A problem of one cell; `line` counts joined rows, the message names the line of the table's file."""
        number = int(self.rows[table][line]) + 2
        message = f"Table {table}, line {number}: column {column} {what}."
        return Problem(f"/{table}/{number}", "cell", message, SOURCE)

    def only(self, keep: Indices) -> Joined:
        """The joined rows `keep`, in that order, sharing the list of problems."""
        return Joined(self.tables, {name: rows[keep] for name, rows in self.rows.items()}, self.notes, self.problems)


def join(spec: CohortSpec, tables: Sequence[Table]) -> Joined:
    """The tables of the spec as one. Raises CohortRejected for missing columns and sample ids that do not serve."""
    if len(tables) != len(spec.tables):
        raise CohortRejected("There are not as many files as the spec names tables.", "Give one file per table.")
    named = dict(zip(spec.tables, tables, strict=True))
    refuse([p for name, table in named.items() for p in _id_problems(name, table, spec.sample_id)])
    ids = {name: table.texts(spec.sample_id) for name, table in named.items()}
    first = ids[spec.tables[0]]
    common = set(first).intersection(*map(set, ids.values()))
    apart = {name: len(found) - len(common) for name, found in ids.items() if len(found) > len(common)}
    if apart and spec.join == "all":
        told = ", ".join(f"{name} {count}" for name, count in apart.items())
        message = f"Some samples are not in every table ({told})."
        raise CohortRejected(message, "Complete the tables, or write `join: common` in the spec.")
    order = [sample for sample in first if sample in common]
    rows = {}
    for name, found in ids.items():
        place = {sample: row for row, sample in enumerate(found)}
        rows[name] = np.array([place[sample] for sample in order], dtype=np.int64)
    notes = tuple(f"{count} samples of table {name} are in no other table" for name, count in apart.items())
    return Joined(named, rows, notes)


def _taken(cells: Sequence[str], rows: Indices) -> list[str]:
    return [cells[row] for row in rows]


def _id_problems(name: str, table: Table, column: str) -> list[Problem]:
    if column not in table.columns:
        return [Problem(f"/{name}", "column", f"Table {name} has no column of sample ids.", "Name the column.")]
    seen: set[str] = set()
    found = []
    for row, sample in enumerate(table.texts(column)):
        if not sample or sample in seen:
            message = f"Table {name}, line {row + 2}: the sample id is empty or was used before."
            found.append(Problem(f"/{name}/{row + 2}", "sample_id", message, "Give each row an id of its own."))
        seen.add(sample)
    return found
