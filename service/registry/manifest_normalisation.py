"""Cross-checks on normalisation: what a step may name, and that it has a value over the whole plausible range.

The range of each column is carried through the steps, so that a step is held against what those before it left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import NamedTuple

from service.errors import Problem
from service.registry.manifest_estimator import DeltaCq, JointStep, Log2, MinMax, Ratio, Step
from service.registry.manifest_schema import Manifest
from service.registry.transforms import mean_of, transform_of


class Ends(NamedTuple):
    """The least and the largest value of a column."""

    low: float
    high: float


def check_normalisation(manifest: Manifest) -> Iterator[Problem]:
    """Problems of every step: names, units, and values it is not defined for."""
    known = {a.analyte for a in manifest.analytes}
    numbers = {c.name for c in manifest.covariates if c.type == "number"}
    set_against_others: set[str] = set()
    ranges = _panel_ranges(manifest)
    for index, step in enumerate(manifest.normalisation):
        pointer = f"/normalisation/{index}"
        problems = list(_names(pointer, step, known, numbers)) + list(_values(pointer, step, manifest, ranges))
        if isinstance(step, JointStep):
            problems += _joint(pointer, step, set_against_others)
            set_against_others |= set(step.changed)
        yield from problems
        # One problem is told once, not again by every step behind it.
        if problems or not set(step.inputs) <= ranges.keys():
            ranges = {code: ends for code, ends in ranges.items() if code not in step.inputs}
        else:
            ranges |= ranges_after(step, ranges)


def normalised_ranges(manifest: Manifest) -> tuple[Ends, ...]:
    """Ends between which every column's value lies after normalisation, in the order of `manifest.codes`.

    They are as wide as if the columns a step reads moved independently of each other; infinite or NaN where a number
    overflows.
    """
    ranges = _panel_ranges(manifest)
    for step in manifest.normalisation:
        ranges |= ranges_after(step, ranges)
    return tuple(ranges[code] for code in manifest.codes)


def ranges_after(step: Step, ranges: Mapping[str, Ends]) -> dict[str, Ends]:
    """The ends of the columns a step changes."""
    match step:
        case DeltaCq():
            low, high = (mean_of([ranges[code][end] for code in step.references]) for end in (0, 1))
            return {code: Ends(ranges[code].low - high, ranges[code].high - low) for code in step.analytes}
        case Ratio():
            quotients = [value / by for value in ranges[step.numerator] for by in ranges[step.denominator]]
            return {step.numerator: Ends(min(quotients), max(quotients))}
        case _:
            transform = transform_of(step)
            return {code: Ends(transform(ranges[code].low), transform(ranges[code].high)) for code in step.inputs}


def _panel_ranges(manifest: Manifest) -> dict[str, Ends]:
    ranges = chain(((a.analyte, a.range) for a in manifest.analytes), ((c.name, c.range) for c in manifest.covariates))
    return {code: Ends(given.low, given.high) for code, given in ranges}


def _names(pointer: str, step: Step, analytes: set[str], numbers: set[str]) -> Iterator[Problem]:
    others = set(step.inputs) - analytes
    if isinstance(step, Ratio) and step.numerator in analytes and step.denominator in numbers:
        others = set()
    if others:
        message = "The step names an analyte outside the panel."
        yield Problem(pointer, "analyte", message, "Use the panel's accessions; a number among covariates may divide.")


def _values(pointer: str, step: Step, manifest: Manifest, ranges: Mapping[str, Ends]) -> Iterator[Problem]:
    match step:
        case MinMax() if not step.minimum < step.maximum:
            yield Problem(pointer, "range", "The bounds are empty or reversed.", "Minimum must be below maximum.")
        case Log2() if any(ranges[a].low + step.offset <= 0 for a in step.analytes if a in ranges):
            yield Problem(
                pointer, "range", "Log2 is not defined over the whole range.", "Raise the range or the offset."
            )
        case Ratio() if step.denominator in ranges and not ranges[step.denominator].low > 0:
            message = "The denominator is not above 0 over its whole range."
            yield Problem(pointer, "range", message, "Raise the low end of its range.")
        case DeltaCq():
            units = {a.unit for a in manifest.analytes if a.analyte in step.inputs}
            if len(units) > 1:
                message = "The analytes and their references are in different units."
                yield Problem(pointer, "unit", message, "State them in one unit.")


def _joint(pointer: str, step: JointStep, before: set[str]) -> Iterator[Problem]:
    for names in (step.changed, step.others):
        if len(set(names)) != len(names):
            yield Problem(pointer, "repeated", "The step names an analyte twice.", "Name each once.")
    if isinstance(step, Ratio) and step.numerator == step.denominator:
        yield Problem(pointer, "repeated", "An analyte divided by itself is always 1.", "Name another denominator.")
    if before & set(step.changed):
        # A second one would act on what the first left, and be read as another column beside it.
        message = "The step sets a column against others that was set against others before."
        yield Problem(pointer, "repeated", message, "Set each column against others once.")
