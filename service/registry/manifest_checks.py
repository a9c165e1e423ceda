"""What a manifest must satisfy beyond its schema: names, order, ranges, units, categories and files.

Each check yields problems and none stops the others. The checks on terms and output are in `manifest_terms.py`, those
on normalisation in `manifest_normalisation.py`, on covariance and reference distribution in `manifest_spread.py`, on
calibration in `manifest_calibration.py`, on quality gates in `manifest_gates.py`, on curves in `manifest_curves.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import chain

from service.domain.analytes import catalogue
from service.domain.fields import ANTICOAGULANTS
from service.domain.units import counts_cycles, parse_unit
from service.errors import Problem
from service.registry.manifest_base import NOT_AVAILABLE, Interval
from service.registry.manifest_calibration import check_calibration
from service.registry.manifest_curves import check_curves
from service.registry.manifest_estimator import Fitted
from service.registry.manifest_gates import check_gates
from service.registry.manifest_normalisation import check_normalisation
from service.registry.manifest_panel import AnalyteSpec
from service.registry.manifest_schema import Manifest
from service.registry.manifest_spread import check_spread
from service.registry.manifest_terms import check_category, check_terms
from service.registry.semver import find_version, is_name

_RESERVED_FILES = frozenset({"manifest.json", "signature"})
_SHARE = re.compile(
    r"(?:AUC|AUROC|sensitivity|specificity|accuracy|PPV|NPV|Brier score|indeterminate share)(?: at | of | \(|$)", re.I
)
"""Metrics that lie between 0 and 1 whatever they were measured on."""

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)


def check(manifest: Manifest) -> tuple[Problem, ...]:
    """Every problem of meaning in a manifest that fits the schema; empty where there is none."""
    checks = (
        _identity(manifest),
        _files(manifest),
        _intended_use(manifest),
        _panel(manifest),
        _covariates(manifest),
        check_gates(manifest),
        _codes_unique(manifest),
        _dates(manifest),
        _intervals(manifest),
        _shares(manifest),
        check_normalisation(manifest),
        check_terms(manifest),
        check_spread(manifest),
        check_calibration(manifest),
        check_category(manifest),
        check_curves(manifest),
    )
    return tuple(chain.from_iterable(checks))


def _identity(manifest: Manifest) -> Iterator[Problem]:
    if not is_name(manifest.name):
        yield Problem("/name", "name", "The name is not lower-case words with hyphens.", "Use a-z, 0-9 and hyphens.")
    if find_version(manifest.version) is None:
        yield Problem("/version", "version", "The version is not SemVer 2.0.0.", "Use MAJOR.MINOR.PATCH.")
    if manifest.parent is not None and find_version(manifest.parent.version) is None:
        yield Problem("/parent/version", "version", "The parent is not SemVer 2.0.0.", "Use MAJOR.MINOR.PATCH.")


def _files(manifest: Manifest) -> Iterator[Problem]:
    if any(_unsafe(path) for path in manifest.files):
        yield Problem(
            "/files", "file_name", "A file name is not a plain, unreserved name.", "Keep files in one folder."
        )
    if "golden.json" not in manifest.files:
        yield Problem("/files", "file_missing", "golden.json is not listed.", "List it with its digest.")
    expected = {"golden.json"}
    if isinstance(manifest.estimator, Fitted):
        expected.add(manifest.estimator.file)
        if manifest.estimator.file not in manifest.files:
            yield Problem("/estimator/file", "file_missing", "The estimator's file is not listed.", "List its digest.")
    if set(manifest.files) - expected:
        yield Problem("/files", "file_unused", "A listed file has no use in this schema.", "Remove it.")


def _unsafe(path: str) -> bool:
    return _FILE_NAME.fullmatch(path) is None or path in _RESERVED_FILES


def _intended_use(manifest: Manifest) -> Iterator[Problem]:
    use = manifest.intended_use
    population = use.population
    if population.age_min_years > population.age_max_years:
        yield Problem("/intended_use/population", "range", "The youngest age is above the oldest.", "Swap the bounds.")
    lists: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("/intended_use/population/sexes", population.sexes),
        ("/intended_use/specimen_types", use.specimen_types),
        ("/intended_use/isolation_methods", use.isolation_methods),
    )
    for pointer, values in lists:
        if len(set(values)) != len(values):
            yield Problem(pointer, "repeated", "A value is listed twice.", "List each value once.")
    tubes = use.anticoagulants.accepted + use.anticoagulants.refused
    if len(tubes) != len(ANTICOAGULANTS) or set(tubes) != set(ANTICOAGULANTS):
        yield Problem(
            "/intended_use/anticoagulants",
            "incomplete",
            "Accepted and refused do not name every anticoagulant exactly once.",
            f"Sort each of {', '.join(ANTICOAGULANTS)} into one of the two.",
        )


def _panel(manifest: Manifest) -> Iterator[Problem]:
    for index, spec in enumerate(manifest.analytes):
        yield from _analyte(f"/panel/{index}", spec)
    if manifest.max_substitutions > len(manifest.analytes):
        yield Problem("/max_substitutions", "range", "More substitutions than analytes.", "Lower it.")


def _analyte(pointer: str, spec: AnalyteSpec) -> Iterator[Problem]:
    known = catalogue().find(spec.analyte)
    if known is None or known.accession != spec.analyte:
        yield Problem(f"{pointer}/analyte", "analyte", "Not an accession of the catalogue.", "Use MIMAT or UniProt.")
    elif known.kind != spec.kind:
        yield Problem(f"{pointer}/kind", "kind", "The catalogue knows the analyte as another kind.", "Correct it.")
    yield from _unit(f"{pointer}/unit", spec.unit)
    yield from _range(f"{pointer}/range", spec.range.low, spec.range.high)
    yield from _limits(pointer, spec)
    for name in ("below_loq", "above_upper", "not_detected", "absent"):
        yield from _rule(pointer, name, spec)


def _limits(pointer: str, spec: AnalyteSpec) -> Iterator[Problem]:
    limits, falls = spec.limits, counts_cycles(spec.unit)
    if list(limits.values()) != sorted(limits.values(), reverse=falls):
        way = "descend, as limits in cycles do" if falls else "ascend"
        yield Problem(pointer, "limits", f"LoB, LoD, LoQ and upper limit do not {way}.", "Correct the limits.")
    for name, value in limits.items():
        if not spec.range.low <= value <= spec.range.high:
            yield Problem(f"{pointer}/{name}", "limits", "The limit is outside the plausible range.", "Correct it.")


def _rule(pointer: str, name: str, spec: AnalyteSpec) -> Iterator[Problem]:
    rule = getattr(spec, name)
    if (rule.action == "refuse") != (rule.value is None):
        yield Problem(
            f"{pointer}/{name}", "rule", "A value is given without need, or missing.", "Refuse has none, others one."
        )
    elif rule.value is not None and not spec.range.low <= rule.value <= spec.range.high:
        yield Problem(f"{pointer}/{name}/value", "rule", "The locked value is outside the range.", "Correct it.")


def _unit(pointer: str, code: str) -> Iterator[Problem]:
    try:
        parse_unit(code)
    except ValueError:
        yield Problem(pointer, "unit", "Not a unit the product accepts.", "Use a UCUM or an annotated code.")


def _range(pointer: str, low: float, high: float) -> Iterator[Problem]:
    if not low < high:
        yield Problem(pointer, "range", "The range is empty or reversed.", "Low must be below high.")


def _covariates(manifest: Manifest) -> Iterator[Problem]:
    for index, spec in enumerate(manifest.covariates):
        pointer = f"/covariates/{index}"
        yield from _unit(f"{pointer}/unit", spec.unit)
        yield from _range(f"{pointer}/range", spec.range.low, spec.range.high)
        if spec.type == "binary" and (spec.range.low, spec.range.high, spec.unit) != (0, 1, "1"):
            yield Problem(pointer, "binary", "A binary covariate has range 0 to 1 and unit 1.", "Correct it.")
        if not spec.required:
            yield Problem(
                f"{pointer}/required", "rule", "Nothing can stand in for an absent covariate.", "Make it required."
            )


def _codes_unique(manifest: Manifest) -> Iterator[Problem]:
    if _repeats(manifest.codes):
        yield Problem("/panel", "repeated", "An analyte or covariate is listed twice.", "List each once.")
    if _repeats(c.code for c in manifest.output.categories):
        yield Problem("/output/categories", "repeated", "A category code is used twice.", "Name each once.")


def _repeats(values: Iterable[str]) -> bool:
    found = list(values)
    return len(set(found)) != len(found)


def _dates(manifest: Manifest) -> Iterator[Problem]:
    days = [(f"/performance/{i}/date", p.date) for i, p in enumerate(manifest.performance)]
    days += [(f"/output/cut_points/{i}/date", c.date) for i, c in enumerate(manifest.output.cut_points)]
    for pointer, day in days:
        if day != NOT_AVAILABLE and not _is_day(day):
            yield Problem(pointer, "date", "No such day.", "Use a day of the calendar.")


def _intervals(manifest: Manifest) -> Iterator[Problem]:
    given = [(f"/performance/{i}/interval", p.interval) for i, p in enumerate(manifest.performance)]
    given += [(f"/negative_controls/{i}/interval", c.interval) for i, c in enumerate(manifest.negative_controls)]
    given += [(f"/output/cut_points/{i}/interval", c.interval) for i, c in enumerate(manifest.output.cut_points)]
    for pointer, interval in given:
        if isinstance(interval, Interval) and interval.low > interval.high:
            yield Problem(pointer, "range", "The interval is reversed.", "Swap its ends.")


def _shares(manifest: Manifest) -> Iterator[Problem]:
    given = [(f"/performance/{i}", p.metric, p.value, p.interval) for i, p in enumerate(manifest.performance)]
    given += [
        (f"/negative_controls/{i}", c.metric, c.value, c.interval) for i, c in enumerate(manifest.negative_controls)
    ]
    for pointer, metric, value, interval in given:
        ends = (interval.low, interval.high) if isinstance(interval, Interval) else ()
        if _SHARE.match(metric) and not all(0 <= one <= 1 for one in (value, *ends)):
            message = "The figure or an end of its interval is not between 0 and 1."
            yield Problem(pointer, "share", message, "Correct it, or name the metric otherwise.")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
