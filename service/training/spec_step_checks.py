"""What the normalisation steps of a spec must satisfy: an order that means something, units and ranges that agree, and
library totals that are each one input of the score."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from service.errors import Problem
from service.training.spec import AnalyteGroup, Spec
from service.training.spec_steps import COUNT_UNITS, PerMillion, ShareOfTotal

RELATIVE_STEPS = frozenset(
    {"z_score", "zscore", "scale", "min_max", "minmax", "quantile", "rank", "median", "tmm", "vst", "rle", "combat"}
)
"""Normalisations over a whole cohort, as they are commonly called: one patient has no cohort."""


def check_steps(document: dict[str, Any]) -> tuple[Problem, ...]:
    """Problems of steps that are known and refused, found before the schema calls them unknown."""
    groups = document.get("analytes")
    return tuple(
        Problem(
            f"/analytes/{index}/normalisation/{place}/step",
            "cohort_relative",
            "A step over the whole cohort cannot be applied to one patient's sample.",
            "Use share_of_total, per_million or log2, or a unit that the laboratory reports.",
        )
        for index, group in enumerate(groups if isinstance(groups, list) else [])
        if isinstance(group, dict) and isinstance(group.get("normalisation"), list)
        for place, step in enumerate(group["normalisation"])
        if isinstance(step, dict) and str(step.get("step")) in RELATIVE_STEPS
    )


def check_group_steps(pointer: str, group: AnalyteGroup) -> Iterator[Problem]:
    """Problems of the steps of one group, whose list stands at `pointer`."""
    names = [step.step for step in group.normalisation]
    yield from distinct(pointer, names)
    if {"per_million", "share_of_total"} <= set(names):
        text = "Counts are divided by their library total twice."
        yield Problem(pointer, "combined", text, "Use share_of_total for counts, per_million for what was divided.")
    if names[:1] == ["log2"] and len(names) > 1:
        yield Problem(pointer, "order", "A logarithm is not divided by a library total.", "Put log2 last.")
    for place, step in enumerate(group.normalisation):
        if isinstance(step, ShareOfTotal):
            yield from _share(f"{pointer}/{place}/covariate", pointer, step, group)
        if isinstance(step, PerMillion) and group.unit not in {"{CPM}", "{RPM}"}:
            yield Problem(pointer, "unit", "Counts per million are in {CPM} or {RPM}.", "Correct the unit.")
    offset, total = group.offset, group.total
    if offset is None:
        return
    # The lowest value of all: of what is not below 0 the smallest share is in the largest library.
    low = group.range.low if total is None else group.range.low / max(total.range.high, 1.0)
    if low + offset <= 0:
        yield Problem(pointer, "range", "log2 is not defined over the whole range.", "Raise range or offset.")
    if total is not None and offset >= 1:
        text = "Behind share_of_total an offset is a share, and below 1."
        yield Problem(pointer, "offset", text, "Write 0.00001 for ten in a million.")


def _share(pointer: str, steps: str, step: ShareOfTotal, group: AnalyteGroup) -> Iterator[Problem]:
    total = step.covariate
    if total.unit not in COUNT_UNITS or group.unit != total.unit:
        text = "Counts and their library total are not in one unit of counts."
        yield Problem(f"{pointer}/unit", "unit", text, f"Use {' or '.join(COUNT_UNITS)} for both.")
    if not total.range.low < total.range.high:
        yield Problem(f"{pointer}/range", "range", "The range is empty or reversed.", "Low must be below high.")
    if total.range.low < 1:
        text = "A library without a single count is in the range."
        yield Problem(f"{pointer}/range/low", "range", text, "Begin at the shallowest library that can be scored.")
    if group.range.low < 0:
        yield Problem(steps, "range", "A count below 0 is in the range.", "Begin at 0.")
    if group.missing == "mean":
        # A locked count would be another share of every library.
        text = "No one count stands in for a missing one in libraries of different depth."
        yield Problem(f"{steps.removesuffix('normalisation')}missing", "missing", text, "Write refuse.")


def check_totals(spec: Spec) -> Iterator[Problem]:
    """Problems of the library totals among each other and beside the covariates."""
    known: dict[str, tuple[str, ShareOfTotal]] = {}
    others = {covariate.name for covariate in spec.covariates}
    for index, group in enumerate(spec.analytes):
        for place, step in enumerate(group.normalisation):
            if not isinstance(step, ShareOfTotal):
                continue
            pointer = f"/analytes/{index}/normalisation/{place}/covariate/name"
            name = step.covariate.name
            if name in others:
                text = "A covariate has the name of the library total."
                yield Problem(pointer, "repeated", text, "Give the total a name of its own.")
            if known.setdefault(name, (group.table, step)) != (group.table, step):
                text = "Another library total has this name."
                yield Problem(pointer, "repeated", text, "Give it another name, or state both in the same words.")


def distinct(pointer: str, values: Iterable[str]) -> Iterator[Problem]:
    """A problem where something is listed twice."""
    found = list(values)
    if len(set(found)) != len(found):
        yield Problem(pointer, "repeated", "Something is listed twice.", "List each once.")
