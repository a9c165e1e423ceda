"""The analyte columns of a dataset: which columns name an analyte, read, checked and put on the normalised scale.

Every step works within one sample, so that one patient's sample can go through it alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from service.domain.analytes import Analyte, catalogue
from service.errors import Problem
from service.training.cohort import Flags, Floats
from service.training.dataset import AnalyteColumn
from service.training.folds import Indices
from service.training.joined import SOURCE, Joined
from service.training.spec import AnalyteGroup, Log2Step, PerMillion, Spec

MILLION = 1e6


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Candidates (p,) with `values` (n, p) normalised, NaN where missing, and `detected` (n, p).

    `signal` (n, groups) is the total amount of a group in each sample and `found` (n, groups) how many of its analytes
    were detected: over all columns of the kind, for the technical control. `widths` counts those columns.
    """

    analytes: tuple[AnalyteColumn, ...]
    values: Floats
    detected: Flags
    signal: Floats
    found: Floats
    widths: tuple[int, ...]
    notes: tuple[str, ...]

    def varying(self, rows: Indices) -> Measured:
        """Without the analytes that have one value only, or none, in `rows`."""
        keep = varies(self.values[rows])
        dropped = int((~keep).sum())
        notes = (*self.notes, f"{dropped} analytes never vary and are left out") if dropped else self.notes
        kept = tuple(a for a, use in zip(self.analytes, keep, strict=True) if use)
        return replace(self, analytes=kept, values=self.values[:, keep], detected=self.detected[:, keep], notes=notes)


def measure(spec: Spec, joined: Joined) -> Measured:
    """All groups of the spec, side by side; cells found wrong are added to the problems of `joined`."""
    parts = [_group(spec, index, group, joined) for index, group in enumerate(spec.analytes)]
    _verify_distinct(parts, joined)
    return Measured(
        analytes=tuple(a for part in parts for a in part.analytes),
        values=np.concatenate([part.values for part in parts], axis=1),
        detected=np.concatenate([part.detected for part in parts], axis=1),
        signal=np.concatenate([part.signal for part in parts], axis=1),
        found=np.concatenate([part.found for part in parts], axis=1),
        widths=tuple(width for part in parts for width in part.widths),
        notes=tuple(note for part in parts for note in part.notes),
    )


def constant_problems(spec: Spec, measured: Measured, rows: Indices) -> list[Problem]:
    """Listed analytes that have one value only in `rows`, and groups of which nothing varies."""
    keep = varies(measured.values[rows])
    problems = []
    for index, group in enumerate(spec.analytes):
        members = [place for place, a in enumerate(measured.analytes) if a.group == index]
        constant = [measured.analytes[place].accession for place in members if not keep[place]]
        if group.choose != "all":
            for accession in constant:
                message = f"{accession} has one value for everybody."
                problems.append(Problem(f"/analytes/{index}", "constant", message, "Leave it out.", accession))
        elif len(constant) == len(members):
            message = "No column of the table is an analyte of the catalogue that varies."
            problems.append(
                Problem(f"/analytes/{index}", "constant", message, "Name the columns as the catalogue does.")
            )
    return problems


def varies(values: Floats) -> Flags:
    """Which columns of `values` (n, p) have more than one value; a missing one is none."""
    high, low = np.where(np.isnan(values), -np.inf, values), np.where(np.isnan(values), np.inf, values)
    return np.asarray(high.max(axis=0) > low.min(axis=0))


def _group(spec: Spec, index: int, group: AnalyteGroup, joined: Joined) -> Measured:
    chosen, unknown = _chosen(spec, group, joined)
    raw = _matrix(joined, group.table, [column for column, _ in chosen])
    others = _all_columns(spec, group, joined)
    total = _totals(group, joined, others)
    values = raw if total is None else raw / total[:, np.newaxis] * MILLION
    _verify_cells(group, joined, chosen, values)
    above = group.detected_above
    detected = ~np.isnan(raw) if above is None else raw > above
    offsets = [step.offset for step in group.normalisation if isinstance(step, Log2Step)]
    offset = offsets[0] if offsets else None
    if offset is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.log2(values + offset)
    columns = tuple(
        AnalyteColumn(a.accession, a.name if a.symbol is None else a.symbol, a.kind, index, offset) for _, a in chosen
    )
    notes = (f"{unknown} columns of table {group.table} name no {group.kind} of the catalogue",) if unknown else ()
    return Measured(
        analytes=columns,
        values=values,
        detected=detected,
        signal=_signal(raw, logarithmic=offset is None)[:, np.newaxis],
        found=detected.sum(axis=1).astype(np.float64)[:, np.newaxis],
        widths=(len(columns),),
        notes=notes,
    )


def _signal(raw: Floats, *, logarithmic: bool) -> Floats:
    if not raw.shape[1]:
        return np.zeros(len(raw))
    filled = np.nan_to_num(raw)
    if logarithmic:
        given = np.maximum((~np.isnan(raw)).sum(axis=1), 1)
        return np.asarray(filled.sum(axis=1) / given, dtype=np.float64)
    return np.asarray(np.log2(1.0 + np.maximum(filled.sum(axis=1), 0.0)), dtype=np.float64)


def _chosen(spec: Spec, group: AnalyteGroup, joined: Joined) -> tuple[list[tuple[str, Analyte]], int]:
    if group.choose != "all":
        return [(named.column, catalogue().get(_accession(named.analyte))) for named in group.choose], 0
    columns = _all_columns(spec, group, joined)
    found = [(column, catalogue().find(column)) for column in columns]
    known = [(column, analyte) for column, analyte in found if analyte is not None and analyte.kind == group.kind]
    return known, len(columns) - len(known)


def _accession(text: str) -> str:
    known = catalogue().find(text)
    return text if known is None else known.accession


def _all_columns(spec: Spec, group: AnalyteGroup, joined: Joined) -> list[str]:
    """The columns of the group's table that the spec gives no other meaning."""
    cohort = spec.cohort
    other = {cohort.sample_id, cohort.person, cohort.outcome.column, *(e.column for e in cohort.exclude)}
    other |= {cohort.held_out.column} if cohort.held_out is not None else set()
    other |= {c.column for c in spec.covariates} | {t.column for t in spec.technical}
    other |= {step.total for step in group.normalisation if isinstance(step, PerMillion)}
    return [column for column in joined.tables[group.table].columns if column not in other]


def _totals(group: AnalyteGroup, joined: Joined, columns: Sequence[str]) -> Floats | None:
    steps = [step for step in group.normalisation if isinstance(step, PerMillion)]
    if not steps:
        return None
    given = steps[0].total
    if given is not None:
        total = joined.numbers(given, group.table)
    else:
        total = np.nansum(_matrix(joined, group.table, columns), axis=1)
    for line in np.flatnonzero(~(total > 0)).tolist():
        joined.problems.append(joined.problem(group.table, line, given or "total", "is not a library total above 0"))
    return np.where(total > 0, total, 1.0)


def _matrix(joined: Joined, table: str, columns: Sequence[str]) -> Floats:
    if not columns:
        return np.zeros((joined.count, 0))
    return np.column_stack([joined.numbers(column, table) for column in columns])


def _verify_cells(group: AnalyteGroup, joined: Joined, chosen: Sequence[tuple[str, Analyte]], values: Floats) -> None:
    outside = (values < group.range.low) | (values > group.range.high)
    absent = np.isnan(values) if group.missing == "refuse" else np.zeros(values.shape, dtype=bool)
    wrong = {(problem.pointer, problem.message) for problem in joined.problems}
    for flags, what in ((outside, "is outside the plausible range"), (absent, "is missing")):
        for line, place in np.argwhere(flags).tolist():
            problem = joined.problem(group.table, line, chosen[place][0], what)
            said = joined.problem(group.table, line, chosen[place][0], "is not a finite number")
            if (said.pointer, said.message) not in wrong:
                joined.problems.append(problem)


def _verify_distinct(parts: Sequence[Measured], joined: Joined) -> None:
    seen: set[str] = set()
    for analyte in (a for part in parts for a in part.analytes):
        if analyte.accession in seen:
            message = f"Two columns name {analyte.accession}."
            joined.problems.append(Problem("/analytes", "repeated", message, SOURCE, analyte.accession))
        seen.add(analyte.accession)
