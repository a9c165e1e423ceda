"""The manifest of a build: what the spec says, what the fit gave, what the evaluation found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn

from service import __version__
from service.registry.manifest_base import NOT_AVAILABLE
from service.training.card_curves import curves
from service.training.card_numbers import interval_of, negative_controls, performance
from service.training.dataset import Dataset
from service.training.evaluate import Figure
from service.training.evidence import Evidence
from service.training.final_model import FinalModel
from service.training.findings import Finding
from service.training.intervals import middle
from service.training.procedure import procedure
from service.training.publish import panel_analyte
from service.training.settings_of import FINAL_RUNS
from service.training.spec import CovariateColumn, Spec


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What an evaluation adds to a manifest: None where a manifest is only drafted, to find problems early."""

    evidence: Evidence
    findings: tuple[Finding, ...]


def document(
    spec: Spec, spec_digest: str, dataset: Dataset, final: FinalModel, outcome: Outcome | None
) -> dict[str, Any]:
    """The manifest without `files` and `golden`."""
    plain = spec.model_dump(mode="json")
    warnings = [dict(w) for w in plain["warnings"]]
    warnings += [{"code": code, "text": text} for code, text in (outcome.findings if outcome else ())]
    return {
        "schema_version": 1,
        **{name: plain[name] for name in ("name", "version", "title", "summary", "condition", "status_claim")},
        "intended_use": plain["intended_use"],
        "panel": _panel(spec, final),
        "max_substitutions": spec.max_substitutions,
        "covariates": [*(_covariate(c) for c in spec.covariates if c.in_model), *_totals(spec, final)],
        "gates": plain["gates"],
        "normalisation": _normalisation(final),
        "reference_distribution": _reference(final),
        "estimator": _estimator(spec, final),
        "output": _output(spec, final, outcome),
        "training": _training(spec, spec_digest, dataset, final),
        "performance": performance(spec, outcome.evidence) if outcome else [],
        "curves": curves(spec, dataset, outcome.evidence) if outcome else [],
        "negative_controls": negative_controls(spec, outcome.evidence) if outcome else [],
        "warnings": warnings,
        **{name: plain[name] for name in ("card", "limitations", "references", "parent", "contacts")},
    }


def codes(spec: Spec, final: FinalModel) -> tuple[str, ...]:
    """The manifest's columns: those with a term, then the library totals, which are only divided by."""
    return _with_terms(spec, final) + tuple(total.name for total in final.totals)


def _with_terms(spec: Spec, final: FinalModel) -> tuple[str, ...]:
    """Accessions, then the model's covariates."""
    return tuple(a.accession for a in final.analytes) + tuple(c.name for c in spec.covariates if c.in_model)


def _panel(spec: Spec, final: FinalModel) -> list[dict[str, Any]]:
    found = []
    for place, analyte in enumerate(final.analytes):
        group = spec.analytes[analyte.group]
        bounds = (group.range.low, group.range.high)
        entry = panel_analyte(analyte.accession, analyte.name, analyte.kind, group.unit, bounds)
        if group.missing == "mean":
            locked = analyte.to_panel_unit(float(final.imputed[place]))
            entry["absent"] = {"action": "impute", "value": min(max(locked, bounds[0]), bounds[1])}
        found.append(entry)
    return found


def _covariate(covariate: CovariateColumn) -> dict[str, Any]:
    bounds = {"low": covariate.range.low, "high": covariate.range.high}
    named = {"name": covariate.name, "title": covariate.title, "unit": covariate.unit, "type": covariate.type}
    return {**named, "range": bounds, "required": True}


def _totals(spec: Spec, final: FinalModel) -> list[dict[str, Any]]:
    named = {total.name: total for total in spec.totals}
    given = [named[total.name].model_dump(mode="json") for total in final.totals]
    return [{**total, "type": "number", "required": True} for total in given]


def _normalisation(final: FinalModel) -> list[dict[str, Any]]:
    ratios = [
        {"step": "ratio", "numerator": a.accession, "denominator": a.total}
        for a in final.analytes
        if a.total is not None
    ]
    offsets = sorted({a.offset for a in final.analytes if a.offset is not None})
    return ratios + [
        {"step": "log2", "analytes": [a.accession for a in final.analytes if a.offset == offset], "offset": offset}
        for offset in offsets
    ]


def _reference(final: FinalModel) -> dict[str, Any]:
    known = final.reference
    return {
        "location": known.location.tolist(),
        "spread": known.spread.tolist(),
        "correlation_factor": np.tril(known.factor).tolist(),
        "flag_limit": known.flag_limit,
        "fail_limit": known.fail_limit,
        "limits_source": known.limits_source,
    }


def _estimator(spec: Spec, final: FinalModel) -> dict[str, Any]:
    outcome = spec.cohort.outcome
    terms = zip(_with_terms(spec, final), final.lowered.coefficients, strict=True)
    proof = final.proof
    return {
        "format": "joblib",
        "file": "estimator.joblib",
        "sklearn_version": sklearn.__version__,
        "numpy_version": np.__version__,
        "classes": [outcome.negative_class, outcome.positive_class],
        "positive_class": outcome.positive_class,
        "lowered": {
            "intercept": final.lowered.intercept,
            "terms": [{"input": code, "coefficient": weight} for code, weight in terms],
            "proof": {
                "rows": proof.rows,
                "max_abs_difference": proof.max_abs_difference,
                "versions": proof.versions,
            },
        },
        "calibration": {"method": "none", "parameters": {}},
        "coefficient_covariance": final.covariance.tolist(),
    }


def categories(spec: Spec, final: FinalModel) -> list[dict[str, Any]]:
    """The answer's categories in the order they are tried; a value at a cut-point belongs above it."""
    points = final.model.cut_points
    words = spec.categories
    found = [{**words.at_or_above.model_dump(), "cut_point": points[-1], "comparator": ">="}]
    if words.between is not None and points[0] < points[-1]:
        found.append({**words.between.model_dump(), "cut_point": points[0], "comparator": ">=", "indeterminate": True})
    return [*found, {**words.below.model_dump(), "cut_point": points[0], "comparator": "<"}]


def _output(spec: Spec, final: FinalModel, outcome: Outcome | None) -> dict[str, Any]:
    points = final.model.cut_points
    zone = None
    if spec.categories.between is not None and points[0] < points[-1]:
        zone = {"low": points[0], "high": points[-1], "meaning": spec.categories.between.label}
    return {
        "kind": "probability",
        "event": spec.event,
        "time_horizon": spec.time_horizon,
        "link": "logit",
        "categories": categories(spec, final),
        "indeterminate_zone": zone,
        "cut_points": [_cut_point(spec, place, point, outcome) for place, point in _distinct(points)],
    }


def _distinct(points: tuple[float, ...]) -> list[tuple[int, float]]:
    return list(enumerate(points))[: len(set(points))]


def _cut_point(spec: Spec, place: int, value: float, outcome: Outcome | None) -> dict[str, Any]:
    interval: dict[str, float] | str = NOT_AVAILABLE
    if outcome is not None:
        chosen = np.array([refit.cut_points[place] for refit in outcome.evidence.refits])
        interval = interval_of(Figure(value, *middle(chosen)))
    return {
        "value": value,
        "cohort": "the people it was fitted on (predictions for people a fold's model had not seen)",
        "method": f"{_rule(spec, place)}, to three decimals, on {FINAL_RUNS} inner cross-validations of "
        f"{spec.evaluation.inner_folds} folds; interval over refits on bootstrap samples of people",
        # Whoever is held out had no part in the choice.
        "locked": spec.cohort.held_out is not None,
        "interval": interval,
        "date": spec.date,
    }


def _rule(spec: Spec, place: int) -> str:
    rule = spec.cut_point.model_dump()
    kept = [name for name in ("sensitivity", "specificity") if name in rule]
    if not kept:
        return "Greatest sum of sensitivity and specificity, the lowest of equals"
    name = kept[min(place, len(kept) - 1)]
    side = "Highest" if name == "sensitivity" else "Lowest"
    return f"{side} value that keeps a {name} of at least {rule[name]:g}"


def _training(spec: Spec, spec_digest: str, dataset: Dataset, final: FinalModel) -> dict[str, Any]:
    texts = spec.source
    exclusions = " ".join([texts.exclusions, *(f"{note[0].upper()}{note[1:]}." for note in dataset.notes)])
    return {
        "cohort": texts.cohort,
        "source": texts.source,
        "licence": texts.licence,
        "classes": dict(dataset.classes),
        "dates": texts.dates,
        "exclusions": exclusions,
        "missing_data": texts.missing_data,
        "procedure": procedure(spec, dataset, final),
        "seed": spec.seed,
        "data_digest": dataset.digest,
        "code_version": f"exoscore {__version__}; spec {spec_digest}",
    }
