"""A cohort table as it is fitted: read strictly, refused with every reason found, never repaired.

Messages name line numbers and column names of the expected layout, never a value or an identifier of the file.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.errors import InputRejected, Problem

MIN_PER_CLASS = 10
"""Fewest people of each class in each split: five stratified folds with two of each class are the least that fits."""

_MAX_PROBLEMS = 20

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class CohortRejected(InputRejected):
    """The cohort file cannot be fitted on; `problems` says why, line by line."""

    code = "cohort_rejected"
    title = "The cohort was refused"


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns a cohort file must have: analyte columns in panel order, the two groups, the id and split columns."""

    columns: tuple[str, ...]
    positive: str
    negative: str
    id_column: str = "sample_id"
    group_column: str = "group"
    split_column: str = "split"

    @property
    def header(self) -> tuple[str, ...]:
        """All columns, in any order."""
        return (self.id_column, self.group_column, self.split_column, *self.columns)


@dataclass(frozen=True, slots=True)
class Cohort:
    """n people: `values` (n, k) in panel order, `positive` (n,) bool, `train` (n,) bool, and the file's digest."""

    values: Floats
    positive: Flags
    train: Flags
    digest: str


def read_cohort(path: Path, layout: Layout) -> Cohort:
    """The cohort in the CSV file `path`. Raises CohortRejected with the problems found (at most the first 20)."""
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8")
    except OSError as error:
        raise CohortRejected(f"The cohort file cannot be read: {error.strerror}.", "Name an existing file.") from None
    except UnicodeDecodeError:
        raise CohortRejected("The cohort file is not UTF-8.", "Save it as UTF-8.") from None
    rows = _rows(text, layout)
    problems = tuple(_problems(rows, layout))
    if problems:
        raise CohortRejected(
            f"The cohort has {len(problems)} problem(s); the first: {problems[0].message}",
            "Correct the file at its source.",
            problems[:_MAX_PROBLEMS],
        )
    return _cohort(rows, layout, "sha256:" + hashlib.sha256(raw).hexdigest())


def _rows(text: str, layout: Layout) -> list[dict[str, str]]:
    lines = list(csv.reader(io.StringIO(text, newline="")))
    header = lines[0] if lines else []
    if sorted(header) != sorted(layout.header):
        raise CohortRejected(f"The header is not exactly: {', '.join(layout.header)}.", "Name each column once.")
    if any(len(line) != len(header) for line in lines[1:]):
        raise CohortRejected("A line has more or fewer cells than the header.", "Correct the file at its source.")
    return [dict(zip(header, line, strict=True)) for line in lines[1:]]


def _problems(rows: Sequence[Mapping[str, str]], layout: Layout) -> Iterator[Problem]:
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        if not row[layout.id_column] or row[layout.id_column] in seen:
            yield _problem(line, layout.id_column, "is empty or was used before")
        seen.add(row[layout.id_column])
        if row[layout.group_column] not in {layout.positive, layout.negative}:
            yield _problem(line, layout.group_column, f"is neither {layout.positive} nor {layout.negative}")
        if row[layout.split_column] not in {"train", "test"}:
            yield _problem(line, layout.split_column, "is neither train nor test")
        for column in layout.columns:
            if _find_number(row[column]) is None:
                yield _problem(line, column, "is not a finite number")
    yield from _too_few(rows, layout)


def _too_few(rows: Sequence[Mapping[str, str]], layout: Layout) -> Iterator[Problem]:
    for split in ("train", "test"):
        for group in (layout.positive, layout.negative):
            count = sum(r[layout.split_column] == split and r[layout.group_column] == group for r in rows)
            if count < MIN_PER_CLASS:
                yield Problem("", "too_few", f"{split} has fewer than {MIN_PER_CLASS} of {group}.", "Add people.")


def _problem(line: int, column: str, what: str) -> Problem:
    return Problem(f"/{line}/{column}", "cell", f"Line {line}: {column} {what}.", "Correct the file at its source.")


def _find_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _cohort(rows: Sequence[Mapping[str, str]], layout: Layout, digest: str) -> Cohort:
    return Cohort(
        values=np.array([[float(row[column]) for column in layout.columns] for row in rows], dtype=np.float64),
        positive=np.array([row[layout.group_column] == layout.positive for row in rows]),
        train=np.array([row[layout.split_column] == "train" for row in rows]),
        digest=digest,
    )
