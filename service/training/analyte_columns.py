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
from service.training.joined import SOURCE, UNUSABLE, Joined
from service.training.library_totals import LibraryTotals, free_columns, read_totals
from service.training.spec import AnalyteGroup, Spec

MILLION = 1e6

Chosen = Sequence[tuple[str, Analyte]]
"""Columns of a table and the analytes they name."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Candidates (p,) with `values` (n, p) normalised, NaN where missing, and `detected` (n, p).

    `signal` (n, groups) is the total amount of a group in each sample and `found` (n, groups) how many of its analytes
    were detected: over all columns of the kind, for the technical control. `widths` counts those columns. `totals` are
    what counts are divided by.
    """

    analytes: tuple[AnalyteColumn, ...]
    values: Floats
    detected: Flags
    signal: Floats
    found: Floats
    widths: tuple[int, ...]
    totals: LibraryTotals
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
    totals = read_totals(spec, joined)
    parts = [_group(spec, index, joined, totals) for index in range(len(spec.analytes))]
    _verify_distinct(parts, joined)
    return Measured(
        analytes=tuple(a for part in parts for a in part.analytes),
        values=np.concatenate([part.values for part in parts], axis=1),
        detected=np.concatenate([part.detected for part in parts], axis=1),
        signal=np.concatenate([part.signal for part in parts], axis=1),
        found=np.concatenate([part.found for part in parts], axis=1),
        widths=tuple(width for part in parts for width in part.widths),
        totals=totals,
        notes=(*totals.notes, *(note for part in parts for note in part.notes)),
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


def _group(spec: Spec, index: int, joined: Joined, totals: LibraryTotals) -> Measured:
    group = spec.analytes[index]
    chosen, unknown = _chosen(spec, group, joined)
    raw = joined.matrix([column for column, _ in chosen], group.table)
    total = totals.by_group.get(index)
    values = raw
    if total is not None and group.total is None:
        values = raw / total[:, np.newaxis] * MILLION
    _verify_cells(group, joined, chosen, values)
    if total is not None and group.total is not None:
        _tell(joined, group.table, chosen, raw > total[:, np.newaxis], "is above its library total")
        values = raw / total[:, np.newaxis]
    above = group.detected_above
    detected = ~np.isnan(raw) if above is None else raw > above
    offset, name = group.offset, None if group.total is None else group.total.name
    if offset is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            values = np.log2(values + offset)
    columns = tuple(
        AnalyteColumn(a.accession, a.name if a.symbol is None else a.symbol, a.kind, index, offset, name)
        for _, a in chosen
    )
    notes = (f"{unknown} columns of table {group.table} name no {group.kind} of the catalogue",) if unknown else ()
    return Measured(
        analytes=columns,
        values=values,
        detected=detected,
        signal=_signal(raw, logarithmic=offset is None and name is None)[:, np.newaxis],
        found=detected.sum(axis=1).astype(np.float64)[:, np.newaxis],
        widths=(len(columns),),
        totals=totals,
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
    columns = free_columns(spec, group.table, joined)
    found = [(column, catalogue().find(column)) for column in columns]
    known = [(column, analyte) for column, analyte in found if analyte is not None and analyte.kind == group.kind]
    return known, len(columns) - len(known)


def _accession(text: str) -> str:
    known = catalogue().find(text)
    return text if known is None else known.accession


def _verify_cells(group: AnalyteGroup, joined: Joined, chosen: Chosen, values: Floats) -> None:
    outside = (values < group.range.low) | (values > group.range.high)
    absent = np.isnan(values) if group.missing == "refuse" else np.zeros(values.shape, dtype=bool)
    for flags, what in ((outside, "is outside the plausible range"), (absent, "is missing")):
        _tell(joined, group.table, chosen, flags, what)


def _tell(joined: Joined, table: str, chosen: Chosen, flags: Flags, what: str) -> None:
    told = {problem.message for problem in joined.problems}
    for line, place in np.argwhere(flags).tolist():
        column = chosen[place][0]
        if not any(joined.problem(table, line, column, unusable).message in told for unusable in UNUSABLE):
            joined.problems.append(joined.problem(table, line, column, what))


def _verify_distinct(parts: Sequence[Measured], joined: Joined) -> None:
    seen: set[str] = set()
    for analyte in (a for part in parts for a in part.analytes):
        if analyte.accession in seen:
            message = f"Two columns name {analyte.accession}."
            joined.problems.append(Problem("/analytes", "repeated", message, SOURCE, analyte.accession))
        seen.add(analyte.accession)
