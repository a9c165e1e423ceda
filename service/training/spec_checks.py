"""What a spec must satisfy beyond its schema. Each check yields problems and none stops the others."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from service.domain.analytes import catalogue
from service.domain.units import parse_unit
from service.errors import Problem
from service.registry.semver import find_version, is_name
from service.training.spec import AnalyteGroup, Spec, TwoSided
from service.training.spec_step_checks import check_group_steps, check_totals, distinct


def check(spec: Spec) -> tuple[Problem, ...]:
    """Every problem of meaning in a spec that fits the schema."""
    groups = (_group(f"/analytes/{index}", group, spec) for index, group in enumerate(spec.analytes))
    found = chain(
        _identity(spec), _cohort(spec), *groups, check_totals(spec), _columns(spec), _estimator(spec), _output(spec)
    )
    return tuple(found)


def _identity(spec: Spec) -> Iterator[Problem]:
    if not is_name(spec.name):
        yield Problem("/name", "name", "The name is not lower-case words with hyphens.", "Use a-z, 0-9 and hyphens.")
    if find_version(spec.version) is None:
        yield Problem("/version", "version", "The version is not SemVer 2.0.0.", "Use MAJOR.MINOR.PATCH.")


def _cohort(spec: Spec) -> Iterator[Problem]:
    cohort = spec.cohort
    outcome = cohort.outcome
    yield from distinct("/cohort/tables", cohort.tables)
    if set(outcome.positive) & set(outcome.negative):
        yield Problem("/cohort/outcome", "overlap", "A value is both positive and negative.", "List it once.")
    if outcome.positive_class == outcome.negative_class:
        yield Problem("/cohort/outcome", "classes", "Both classes have one name.", "Give them different names.")
    split = cohort.held_out
    if split is not None and set(split.fit_on) & set(split.judge_on):
        yield Problem("/cohort/held_out", "overlap", "A value is fitted on and judged on.", "List it once.")


def _group(pointer: str, group: AnalyteGroup, spec: Spec) -> Iterator[Problem]:
    if group.table not in spec.cohort.tables:
        yield Problem(f"{pointer}/table", "table", "No such table.", "Name one of /cohort/tables.")
    try:
        parse_unit(group.unit)
    except ValueError:
        yield Problem(f"{pointer}/unit", "unit", "Not a unit the product accepts.", "Use UCUM or an annotated code.")
    if not group.range.low < group.range.high:
        yield Problem(f"{pointer}/range", "range", "The range is empty or reversed.", "Low must be below high.")
    yield from check_group_steps(f"{pointer}/normalisation", group)
    yield from _choice(pointer, group, spec)


def _choice(pointer: str, group: AnalyteGroup, spec: Spec) -> Iterator[Problem]:
    if group.choose == "all":
        if group.limit is None:
            yield Problem(f"{pointer}/limit", "missing", "How many may enter is not said.", "Give a limit.")
        if group.chosen_on != "inside_each_fold":
            text = "Analytes of `all` are chosen inside each fold."
            yield Problem(f"{pointer}/chosen_on", "choice", text, "Write inside_each_fold.")
        if not spec.estimator.sizes:
            yield Problem("/estimator/sizes", "missing", "How many analytes to try is not said.", "List sizes.")
        return
    if group.chosen_on == "inside_each_fold":
        text = "A list is fixed before the folds are drawn."
        yield Problem(f"{pointer}/chosen_on", "choice", text, "Write elsewhere or these_people.")
    if group.limit is not None:
        yield Problem(f"{pointer}/limit", "unused", "All analytes of a list enter the model.", "Leave it out.")
    for index, named in enumerate(group.choose):
        known = catalogue().find(named.analyte)
        if known is None or known.kind != group.kind:
            text = "Not the accession or the exact name of an analyte of this kind."
            yield Problem(f"{pointer}/choose/{index}/analyte", "analyte", text, "Look it up in the catalogue.")
    yield from distinct(f"{pointer}/choose", [named.column for named in group.choose])


def _columns(spec: Spec) -> Iterator[Problem]:
    yield from distinct("/covariates", [c.name for c in spec.covariates])
    for index, covariate in enumerate(spec.covariates):
        pointer = f"/covariates/{index}"
        try:
            parse_unit(covariate.unit)
        except ValueError:
            yield Problem(f"{pointer}/unit", "unit", "Not a unit the product accepts.", "Use a UCUM code.")
        bounds = (covariate.range.low, covariate.range.high)
        if covariate.type == "binary" and bounds != (0, 1):
            yield Problem(f"{pointer}/range", "range", "A binary covariate has the range 0 to 1.", "Correct it.")
        if any(not bounds[0] <= value <= bounds[1] for value in covariate.coding.values()):
            yield Problem(f"{pointer}/coding", "range", "A coded value is outside the range.", "Correct it.")


def _estimator(spec: Spec) -> Iterator[Problem]:
    for name, values in (("penalties", spec.estimator.penalties), ("sizes", spec.estimator.sizes)):
        if list(values) != sorted(set(values)):
            yield Problem(f"/estimator/{name}", "order", "The values do not ascend.", "Sort them, each once.")
    limits = [group.limit for group in spec.analytes if group.limit is not None]
    if limits and spec.estimator.sizes and max(spec.estimator.sizes) > max(limits):
        yield Problem("/estimator/sizes", "range", "A size is above every limit.", "Lower the size or raise a limit.")


def _output(spec: Spec) -> Iterator[Problem]:
    words = spec.categories
    if isinstance(spec.cut_point, TwoSided) != (words.between is not None):
        text = "A two-sided rule and the category between belong together."
        yield Problem("/categories/between", "zone", text, "Give both or neither.")
    given = [words.at_or_above.code, words.below.code] + ([words.between.code] if words.between else [])
    yield from distinct("/categories", given)
    # As the figures are named: two that are shown alike would be one.
    yield from distinct("/prevalences", [f"{prevalence.value:g}" for prevalence in spec.prevalences])
    yield from distinct("/thresholds", [f"{threshold:g}" for threshold in spec.thresholds])
