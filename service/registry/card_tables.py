"""The tables and lines of a model card, each from one part of the manifest. Every cell is text for people."""

from __future__ import annotations

from collections.abc import Sequence

from service.domain.quality import GATES
from service.domain.score import display
from service.domain.signature import Signature
from service.domain.units import counts_cycles
from service.registry.interval import LEVEL
from service.registry.manifest import Manifest
from service.registry.manifest_base import NOT_AVAILABLE, Interval
from service.registry.manifest_estimator import Equation

CYCLES = " (highest Cq)"
"""Behind limits in cycles, which are limits from above."""

SERVING = "none: others are set against it"
"""In place of a coefficient."""

Content = tuple[Sequence[str], Sequence[Sequence[str]]]


def number(value: float | None) -> str:
    """A limit or coefficient in full, or "none"."""
    return "none" if value is None else f"{value:g}" if float(f"{value:g}") == value else repr(value)


def interval(value: Interval | str) -> str:
    """` [low, high]` with its level, or that there is none; to be put behind a figure."""
    if isinstance(value, str):
        return " (interval not available)"
    return f" [{display(value.low)}, {display(value.high)}] ({value.level:.0%})"


def performance(manifest: Manifest) -> Content:
    """Every figure with its interval, people and method."""
    head = ("Metric", "Value", "On whom", "Method", "Date")
    rows = [
        (p.metric, display(p.value) + interval(p.interval), p.cohort, p.method, p.date) for p in manifest.performance
    ]
    return head, rows


def panel(manifest: Manifest) -> Content:
    """Analytes with unit, range, limits, and what happens without a plain number."""
    head = ("Analyte", "Name", "Unit", "Range", "LoD / LoQ", "Analytical CV", "Without a plain number")
    rows = []
    for a in manifest.analytes:
        rules = {"below LoQ": a.below_loq, "above": a.above_upper, "not detected": a.not_detected, "absent": a.absent}
        said = ", ".join(f"{name}: {rule.action}" for name, rule in rules.items())
        span = f"{number(a.range.low)} to {number(a.range.high)}"
        limits = f"{number(a.lod)} / {number(a.loq)}{CYCLES if counts_cycles(a.unit) and a.limits else ''}"
        cv = a.analytical_cv if isinstance(a.analytical_cv, str) else number(a.analytical_cv)
        rows.append((a.analyte, a.name, a.unit, span, limits, cv, said))
    return head, rows


def covariates(manifest: Manifest) -> Content:
    """Covariates with unit, type and range."""
    rows = [
        (c.name, c.title, c.unit, c.type, f"{number(c.range.low)} to {number(c.range.high)}")
        for c in manifest.covariates
    ]
    return ("Name", "Meaning", "Unit", "Type", "Range"), rows or [("none", "", "", "", "")]


def intended_use(manifest: Manifest) -> Content:
    """Whom and what the service accepts; everything else is refused."""
    use = manifest.intended_use
    population = use.population
    rows = [
        ("Condition", manifest.condition.text),
        ("Age", f"{number(population.age_min_years)} to {number(population.age_max_years)} years"),
        ("Sex", ", ".join(population.sexes)),
        ("Population", population.notes),
        ("Specimen", ", ".join(use.specimen_types)),
        ("Anticoagulant accepted", ", ".join(use.anticoagulants.accepted)),
        ("Anticoagulant refused", ", ".join(use.anticoagulants.refused) or "none"),
        ("EV isolation", ", ".join(use.isolation_methods)),
        ("Substitutions allowed", str(manifest.max_substitutions)),
    ]
    return ("Criterion", "Accepted"), rows


def normalisation(manifest: Manifest) -> Content:
    """The locked steps between a submitted value and its term, in the order they are taken."""
    rows = []
    for index, step in enumerate(manifest.normalisation, start=1):
        facts = step.model_dump(exclude={"step"}).items()
        said = "; ".join(f"{name}: {_list(value) if isinstance(value, tuple) else value}" for name, value in facts)
        rows.append((str(index), step.step, said))
    return ("Step", "Kind", "Of what, with which numbers"), rows or [("none", "Values are used as submitted", "")]


def _list(values: Sequence[str]) -> str:
    return ", ".join(values)


def signatures(signed: Sequence[Signature]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Who took the version where, when, as what and why."""
    head = ("Taken to", "Printed name", "Person", "Meaning", "Reason", "Date and time")
    return head, tuple((s.kind, s.printed_name, s.person_id, s.meaning, s.reason, s.at) for s in signed)


def equation(manifest: Manifest) -> tuple[str, ...]:
    """How the number is made, in sentences."""
    estimator = manifest.estimator
    if isinstance(estimator, Equation):
        return (
            f"Published equation, as printed: {estimator.printed}",
            f"As served: {estimator.canonical}",
            estimator.sign_convention,
        )
    proof = estimator.lowered.proof if estimator.lowered else None
    shown = f"at most {proof.max_abs_difference:.1e} over {proof.rows} rows" if proof else NOT_AVAILABLE
    return (
        f"Fitted with scikit-learn {estimator.sklearn_version}; positive class {estimator.positive_class}; "
        f"calibration: {estimator.calibration.method}.",
        f"Difference between the served coefficients and the estimator: {shown}.",
    )


def coefficients(manifest: Manifest) -> Content:
    """Intercept and coefficients in full, in panel order."""
    estimator = manifest.estimator
    linear = estimator if isinstance(estimator, Equation) else estimator.lowered
    head = ("Term", "Name", "Coefficient")
    if linear is None:
        return head, []
    names = {a.analyte: a.name for a in manifest.analytes} | {c.name: c.title for c in manifest.covariates}
    rows = [(term.input, names.get(term.input, ""), number(term.coefficient)) for term in linear.terms]
    rows += [(code, names[code], SERVING) for code in manifest.codes if code not in manifest.with_terms]
    return head, [("intercept", "", number(linear.intercept)), *rows]


def interval_basis(manifest: Manifest) -> str:
    """Whether an answer carries an interval, and what it is made of."""
    covariance = manifest.estimator.coefficient_covariance
    if isinstance(covariance, str):
        return f"Interval of a score: {NOT_AVAILABLE}."
    errors = ", ".join(number(max(row[place], 0.0) ** 0.5) for place, row in enumerate(covariance))
    return (
        f"Interval of a score: {LEVEL:.0%}, from the covariance of the coefficients; it speaks neither of the "
        f"measurement's error nor of other people. Standard errors, of the intercept first: {errors}."
    )


def applicability(manifest: Manifest) -> Content:
    """Location and spread of those the version was fitted on, on the scale of the normalised values."""
    reference = manifest.reference_distribution
    head = ("Column", "Location", "Spread")
    if isinstance(reference, str):
        return head, []
    # Lists of another length are refused where the manifest is read; here they never keep a card from being shown.
    numbers = zip(manifest.with_terms, reference.location, reference.spread, strict=False)
    return head, [(code, number(location), number(spread)) for code, location, spread in numbers]


def applicability_limits(manifest: Manifest) -> tuple[str, ...]:
    """From where on a sample is flagged, or gets no number, in sentences."""
    reference = manifest.reference_distribution
    if isinstance(reference, str):
        return (f"Whether a sample resembles those the version was fitted on: {NOT_AVAILABLE}.",)
    return (
        f"Squared Mahalanobis distance from those the version was fitted on: flagged above "
        f"{number(reference.flag_limit)}, no number above {number(reference.fail_limit)}.",
        f"How the limits were set: {reference.limits_source}",
    )


def categories(manifest: Manifest) -> Content:
    """Categories in the order they are tried."""
    rows = [(c.code, c.label, f"value {c.comparator} {number(c.cut_point)}") for c in manifest.output.categories]
    return ("Category", "Label", "Holds where"), rows or [("none", "The version gives no category", "")]


def cut_points(manifest: Manifest) -> Content:
    """Each cut-point with its provenance."""
    head = ("Cut-point", "Found on", "Method", "Locked before it was judged", "Date")
    rows = [
        (number(c.value) + interval(c.interval), c.cohort, c.method, "yes" if c.locked else "NO", c.date)
        for c in manifest.output.cut_points
    ]
    return head, rows or [("none", "", "", "", "")]


def gates(manifest: Manifest) -> Content:
    """Quality gates with their limits and sources."""
    head = ("Gate", "Assessment", "Looks at", "Flag", "Fail", "Unit", "Worse", "Source")
    rows = []
    for code, limits in manifest.gates.items():
        gate = GATES[code]
        bounds = (number(limits.flag), number(limits.fail), gate.unit, gate.direction.worse)
        rows.append((code, limits.requirement, gate.observation, *bounds, limits.source))
    return head, rows or [("none", *[""] * (len(head) - 1))]


def controls(manifest: Manifest) -> Content:
    """Runs that must find nothing."""
    rows = [
        (c.name, f"{c.metric} {display(c.value)}{interval(c.interval)}", c.expected, c.method)
        for c in manifest.negative_controls
    ]
    return ("Control", "Found", "Expected", "Method"), rows


def curves(manifest: Manifest) -> Content:
    """Which curves the manifest holds; the figures are drawn from their points."""
    rows = [(c.kind, c.cohort, c.of or "", f"{len(c.points)} points, in the manifest") for c in manifest.curves]
    return ("Curve", "On whom", "Of", "Points"), rows


def training(manifest: Manifest) -> Content:
    """Where the model comes from."""
    rows = []
    for name, value in manifest.training.model_dump().items():
        shown = "; ".join(f"{k}: {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        rows.append((name.replace("_", " ").capitalize(), shown))
    return ("Field", "Value"), rows


def lineage(manifest: Manifest) -> tuple[str, ...]:
    """The version this one derives from."""
    parent = manifest.parent
    if parent is None:
        return ("First version; derives from none.",)
    return (f"Derives from {parent.version}. Change: {parent.change} Reason: {parent.reason}",)


def references(manifest: Manifest) -> tuple[str, ...]:
    """Citations with DOI and address."""
    return tuple(f"{r.citation}. DOI: {r.doi}. {r.url}" for r in manifest.references)
