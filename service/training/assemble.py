"""From tables and a spec to a dataset: who takes part, who is a case, who is whose sample.

Refused with every reason found: a class without enough people (the message names the number that would do), a person
in both classes or on both sides of a split, a diagnosis nobody decided about, cells that are no numbers, values outside
the plausible range, analytes that never vary. Nothing is repaired.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np

from service.errors import Problem
from service.training.analyte_columns import constant_problems, measure
from service.training.cohort import Flags, Floats
from service.training.dataset import Dataset, LibraryTotal, Rows
from service.training.folds import Indices
from service.training.joined import Joined, join, refuse
from service.training.recipe import Design
from service.training.side_columns import covariate_matrix, technical_matrix
from service.training.spec import Spec
from service.training.tables import Table

PER_FOLD = 2
"""Fewest people of each class in each fold: with one, a fold's figure is a coin's."""

MIN_JUDGED = 10
"""Fewest people of each class in a held-out cohort; below, an interval of its AUC spans most of what is possible."""


def assemble(spec: Spec, tables: Sequence[Table]) -> Dataset:
    """The dataset of the spec. Raises CohortRejected with the problems of the first stage that has some."""
    joined = join(spec.cohort, tables)
    refuse(list(_missing_columns(spec, joined)))
    joined, excluded = _excluded(spec, joined)
    positive = _outcome(spec, joined)
    person = _people(spec, joined)
    judged = _judged(spec, joined)
    refuse(joined.problems)
    refuse([*_person_problems(positive, person, judged), *_too_few(spec, positive, person, judged)])
    measured = measure(spec, joined)
    covariates = covariate_matrix(spec, joined)
    names, technical = technical_matrix(spec, joined, measured)
    refuse(joined.problems)
    fit = np.flatnonzero(~judged)
    refuse(constant_problems(spec, measured, fit))
    measured = measured.varying(fit)
    centre = np.nan_to_num(np.nanmean(measured.values[fit], axis=0)) if measured.values.shape[1] else np.zeros(0)
    in_model = np.array([c.in_model for c in spec.covariates], dtype=bool)

    def rows(keep: Indices) -> Rows:
        design = Design(
            values=measured.values[keep] - centre,
            detected=measured.detected[keep],
            kinds=np.array([a.group for a in measured.analytes], dtype=np.int64),
            covariates=covariates[keep][:, in_model],
            positive=positive[keep],
            person=np.unique(person[keep], return_inverse=True)[1].astype(np.int64),
        )
        missing = np.isnan(measured.values[keep])
        return Rows(design, covariates[keep], technical[keep], missing)

    return Dataset(
        fit=rows(fit),
        held_out=rows(np.flatnonzero(judged)) if judged.any() else None,
        analytes=measured.analytes,
        totals=_totals(spec, measured.totals.inputs[fit]),
        centre=centre,
        technical_names=names,
        digest=_digest(tables),
        classes=_classes(spec, positive, judged),
        notes=(*joined.notes, *excluded, *measured.notes),
    )


def _totals(spec: Spec, values: Floats) -> tuple[LibraryTotal, ...]:
    logs = np.log2(values)
    return tuple(
        LibraryTotal(total.name, float(column.mean()), float(column.std()))
        for total, column in zip(spec.totals, logs.T, strict=True)
    )


def _digest(tables: Sequence[Table]) -> str:
    if len(tables) == 1:
        return tables[0].digest
    # Of several files: the digest of their digests, one a line, in the order of the spec's tables.
    return "sha256:" + hashlib.sha256("".join(f"{t.digest}\n" for t in tables).encode()).hexdigest()


def _missing_columns(spec: Spec, joined: Joined) -> Iterator[Problem]:
    cohort = spec.cohort
    wanted = [("/cohort/outcome/column", cohort.outcome.column)]
    wanted += [("/cohort/person", cohort.person)] if cohort.person is not None else []
    wanted += [(f"/cohort/exclude/{i}/column", e.column) for i, e in enumerate(cohort.exclude)]
    wanted += [("/cohort/held_out/column", cohort.held_out.column)] if cohort.held_out is not None else []
    wanted += [(f"/covariates/{i}/column", c.column) for i, c in enumerate(spec.covariates)]
    wanted += [(f"/technical/{i}/column", t.column) for i, t in enumerate(spec.technical)]
    for pointer, column in wanted:
        if not joined.has(column):
            yield Problem(pointer, "column", f"No table has the column {column}.", "Name a column of a table.")
    for index, group in enumerate(spec.analytes):
        columns = set(joined.tables[group.table].columns)
        listed = [] if group.choose == "all" else [n.column for n in group.choose]
        totals = [group.divided_by.total] if group.divided_by is not None and group.divided_by.total is not None else []
        for column in [*listed, *totals]:
            if column not in columns:
                message = f"Table {group.table} has no column {column}."
                yield Problem(f"/analytes/{index}", "column", message, "Name a column of the table.")


def _excluded(spec: Spec, joined: Joined) -> tuple[Joined, list[str]]:
    keep = np.ones(joined.count, dtype=bool)
    notes = []
    for exclusion in spec.cohort.exclude:
        out = np.isin(np.array(joined.texts(exclusion.column)), exclusion.values)
        notes.append(f"{int((out & keep).sum())} samples excluded: {exclusion.reason}")
        keep &= ~out
    return joined.only(np.flatnonzero(keep)), notes


def _outcome(spec: Spec, joined: Joined) -> Flags:
    outcome = spec.cohort.outcome
    cells = np.array(joined.texts(outcome.column))
    positive, negative = np.isin(cells, outcome.positive), np.isin(cells, outcome.negative)
    first = spec.cohort.tables[0]
    for line in np.flatnonzero(~(positive | negative)).tolist():
        what = "is neither a positive nor a negative value, and not excluded"
        joined.problems.append(joined.problem(first, line, outcome.column, what))
    return positive


def _people(spec: Spec, joined: Joined) -> Indices:
    if spec.cohort.person is None:
        return np.arange(joined.count)
    cells = joined.texts(spec.cohort.person)
    for line, cell in enumerate(cells):
        if not cell:
            joined.problems.append(joined.problem(spec.cohort.tables[0], line, spec.cohort.person, "is empty"))
    joined.problems.extend(_alike(cells))
    return np.unique(np.array(cells), return_inverse=True)[1].astype(np.int64)


def _alike(cells: Sequence[str]) -> Iterator[Problem]:
    """A problem where ids of people differ in case, blanks or the form of a letter only: they may be one person."""
    ids = set(cells)
    alike = len(ids) - len({unicodedata.normalize("NFKC", cell).casefold().strip() for cell in ids})
    if alike:
        message = f"{alike} ids of people differ from another one in case or blanks only."
        yield Problem("/cohort/person", "duplicated_person", message, "Write each person's id in one way.")


def _judged(spec: Spec, joined: Joined) -> Flags:
    split = spec.cohort.held_out
    if split is None:
        return np.zeros(joined.count, dtype=bool)
    cells = np.array(joined.texts(split.column))
    judged, fitted = np.isin(cells, split.judge_on), np.isin(cells, split.fit_on)
    for line in np.flatnonzero(~(judged | fitted)).tolist():
        joined.problems.append(
            joined.problem(spec.cohort.tables[0], line, split.column, "is on neither side of the split")
        )
    return judged


def _person_problems(positive: Flags, person: Indices, judged: Flags) -> Iterator[Problem]:
    for flags, what in ((positive, "in both classes"), (judged, "on both sides of the held-out split")):
        both = np.intersect1d(person[flags], person[~flags])
        if len(both):
            message = f"{len(both)} people are {what}."
            yield Problem("/cohort/person", "duplicated_person", message, "Decide which of their samples take part.")


def _too_few(spec: Spec, positive: Flags, person: Indices, judged: Flags) -> Iterator[Problem]:
    outcome = spec.cohort.outcome
    sides = [("to fit on", ~judged, PER_FOLD * spec.evaluation.folds)]
    sides += [("held out", judged, MIN_JUDGED)] if spec.cohort.held_out is not None else []
    for what, side, needed in sides:
        for name, flags in ((outcome.positive_class, positive), (outcome.negative_class, ~positive)):
            found = len(np.unique(person[side & flags]))
            if found == 0:
                yield Problem("/cohort/outcome", "single_class", f"Nobody {what} is {name}.", f"Add {needed} people.")
            elif found < needed:
                message = f"{found} people {what} are {name}; {needed} would do."
                yield Problem("/cohort/outcome", "too_few", message, f"Add {needed - found} people of that class.")


def _classes(spec: Spec, positive: Flags, judged: Flags) -> dict[str, int]:
    outcome = spec.cohort.outcome
    named = ((outcome.positive_class, positive), (outcome.negative_class, ~positive))
    if spec.cohort.held_out is None:
        return {name: int(flags.sum()) for name, flags in named}
    sides = (("fit", ~judged), ("held_out", judged))
    return {f"{name}_{side}": int((flags & on).sum()) for side, on in sides for name, flags in named}
