"""The manifest of `tb-exosomal-mirna`: its fixed facts, and the figures one fit gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn

from service import __version__
from service.registry.manifest_base import NOT_AVAILABLE
from service.training.cohort import Cohort
from service.training.evaluate import (
    LEVEL,
    Figure,
    auc,
    calibration,
    calibration_points,
    roc_points,
    share,
)
from service.training.fit import FOLDS, PENALTIES, Effort, FittedModel
from service.training.publish import panel_analyte
from service.training.tb_texts import CARD, LIMITATIONS, SUMMARY, TEXTS, WARNINGS

PLAUSIBLE_Z = (-10.0, 10.0)
"""Plausible range of a z-score in this version: wide enough for any real one, and refuses a Cq or a raw signal."""


@dataclass(frozen=True, slots=True)
class PanelColumn:
    """One analyte: its column in the cohort file, its accession and its miRBase v22 name."""

    column: str
    accession: str
    name: str


ANALYTES = (
    PanelColumn("miR-20a", "MIMAT0000075", "hsa-miR-20a-5p"),
    PanelColumn("miR-20b", "MIMAT0001413", "hsa-miR-20b-5p"),
    PanelColumn("miR-26a", "MIMAT0000082", "hsa-miR-26a-5p"),
    PanelColumn("miR-106a", "MIMAT0000103", "hsa-miR-106a-5p"),
    PanelColumn("miR-191", "MIMAT0000440", "hsa-miR-191-5p"),
    PanelColumn("miR-486", "MIMAT0002177", "hsa-miR-486-5p"),
)
CODES = tuple(a.accession for a in ANALYTES)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that one run found out, and the day it is dated."""

    cohort: Cohort
    model: FittedModel
    nested: Figure
    control: Figure
    effort: Effort
    seed: int
    day: str


def categories(cut_point: float) -> list[dict[str, Any]]:
    """The two categories; equality counts as elevated."""
    return [
        {"code": "elevated", "label": _label("at or above"), "cut_point": cut_point, "comparator": ">="},
        {"code": "not_elevated", "label": _label("below"), "cut_point": cut_point, "comparator": "<"},
    ]


def _label(where: str) -> str:
    return f"Score {where} the cut-point (research use only; neither finding nor exclusion of tuberculosis)"


def document(evidence: Evidence, *, golden_count: int) -> dict[str, Any]:
    """The manifest without `files`."""
    return {
        "schema_version": 1,
        "name": "tb-exosomal-mirna",
        "version": "1.0.0",
        "title": "Exosomal six-miRNA score for pulmonary tuberculosis (demonstration)",
        "summary": SUMMARY,
        "condition": {"text": "Pulmonary tuberculosis", "coding": []},
        "status_claim": "research_use_only",
        "golden": {"count": golden_count, "tolerance": 1e-12},
        "intended_use": _intended_use(),
        "panel": [panel_analyte(a.accession, a.name, "mirna", "{zscore}", PLAUSIBLE_Z) for a in ANALYTES],
        "max_substitutions": 0,
        "covariates": [],
        "gates": _gates(),
        "normalisation": [],
        "reference_distribution": NOT_AVAILABLE,
        "estimator": _estimator(evidence.model),
        "output": _output(evidence),
        "training": _training(evidence),
        "performance": performance(evidence),
        "curves": _curves(evidence),
        "negative_controls": [_control(evidence)],
        "warnings": WARNINGS,
        "card": CARD,
        "limitations": LIMITATIONS,
        "references": _references(),
        "parent": None,
        "contacts": [{"role": "maintainer", "name": "The ExoScore engineers", "address": NOT_AVAILABLE}],
    }


def _intended_use() -> dict[str, Any]:
    return {
        "purpose": TEXTS["purpose"],
        "population": {
            "age_min_years": 18.0,
            "age_max_years": 120.0,
            "sexes": ["female", "male", "other", "unknown"],
            "notes": TEXTS["population"],
        },
        "specimen_types": ["plasma", "serum"],
        "anticoagulants": {"accepted": ["edta", "citrate", "acd_a", "none"], "refused": ["heparin"]},
        "isolation_methods": [
            "ultracentrifugation",
            "size_exclusion",
            "precipitation",
            "immunoaffinity",
            "magnetic_beads",
            "ultrafiltration",
            "microfluidic",
        ],
        "cautioned_uses": [
            "Any decision about a person: diagnosis, exclusion, triage, treatment or release from isolation.",
            "Input that is not a z-score of the source study's own scale, such as a Cq or a z-score of another cohort.",
            "Children, extrapulmonary or latent tuberculosis, and telling tuberculosis from other lung disease.",
            "RNA that was not isolated from extracellular vesicles.",
        ],
        "users": "Engineers and laboratory scientists who evaluate the service; not for clinicians at work.",
    }


def _gates() -> dict[str, Any]:
    return {
        "haemolysis": {"requirement": "optional", "flag": 5.0, "fail": 7.0, "source": TEXTS["haemolysis"]},
        "processing_delay": {"requirement": "optional", "flag": 120.0, "fail": None, "source": TEXTS["delay"]},
    }


def _estimator(model: FittedModel) -> dict[str, Any]:
    terms = zip(CODES, model.lowered.coefficients, strict=True)
    proof = model.proof
    return {
        "format": "joblib",
        "file": "estimator.joblib",
        "sklearn_version": sklearn.__version__,
        "numpy_version": np.__version__,
        "classes": ["healthy", "pulmonary_tuberculosis"],
        "positive_class": "pulmonary_tuberculosis",
        "lowered": {
            "intercept": model.lowered.intercept,
            "terms": [{"input": code, "coefficient": weight} for code, weight in terms],
            "proof": {
                "rows": proof.rows,
                "max_abs_difference": proof.max_abs_difference,
                "versions": proof.versions,
            },
        },
        "calibration": {"method": "none", "parameters": {}},
        "coefficient_covariance": NOT_AVAILABLE,
    }


def _output(evidence: Evidence) -> dict[str, Any]:
    cut = evidence.model.cut_point
    return {
        "kind": "probability",
        "event": "membership of the tuberculosis group of the source study rather than its healthy group",
        "time_horizon": "at the time of sampling",
        "link": "logit",
        "categories": categories(cut.value),
        "indeterminate_zone": None,
        "cut_points": [
            {
                "value": cut.value,
                "cohort": "train split of the source study (out-of-fold predictions)",
                "method": TEXTS["cut_point"].format(folds=FOLDS, repeats=evidence.effort.repeats),
                # The value saw only the train split; how folds are averaged was settled after test figures were seen.
                "locked": False,
                "interval": _interval(cut.low, cut.high),
                "date": evidence.day,
            }
        ],
    }


def _interval(low: float, high: float) -> dict[str, float]:
    return {"level": LEVEL, "low": low, "high": high}


def _training(evidence: Evidence) -> dict[str, Any]:
    cohort = evidence.cohort
    counts = {
        f"{group}_{split}": int((flags & part).sum())
        for split, part in (("train", cohort.train), ("test", ~cohort.train))
        for group, flags in (("pulmonary_tuberculosis", cohort.positive), ("healthy", ~cohort.positive))
    }
    procedure = TEXTS["procedure"].format(folds=FOLDS, grid=", ".join(f"{c:g}" for c in PENALTIES))
    return {
        "cohort": TEXTS["cohort"],
        "source": "repository shun1024/tb-exosomal-mirna at d6712d16",
        "licence": NOT_AVAILABLE,
        "classes": counts,
        "dates": NOT_AVAILABLE,
        "exclusions": NOT_AVAILABLE,
        "missing_data": "None: every person has all six values. The source study's own handling is not available.",
        "procedure": f"{procedure} C = {evidence.model.penalty:g} was chosen.",
        "seed": evidence.seed,
        "data_digest": cohort.digest,
        "code_version": f"exoscore {__version__}",
    }


def performance(evidence: Evidence) -> list[dict[str, Any]]:
    """Every figure of the card, test split first."""
    cohort, model, effort = evidence.cohort, evidence.model, evidence.effort
    truth = cohort.positive[~cohort.train]
    predicted = model.scorer.score(cohort.values[~cohort.train]).value
    test, held = "test split", "train split, out of fold"
    train_truth = cohort.positive[cohort.train]
    bootstrap = f"bootstrap over people by class, {effort.resamples} resamples"
    nested = f"nested stratified {FOLDS}-fold, {effort.repeats} repeats"
    first = f"first of {effort.repeats} repeats"
    rows = [
        ("AUC", auc(predicted, truth, resamples=effort.resamples, seed=evidence.seed), test, bootstrap),
        ("AUC", evidence.nested, "all people, cross-validated", f"{nested}, penalty chosen inside; {bootstrap}"),
        *_at_cut_point(predicted, truth, model.cut_point.value, test),
        *_at_cut_point(model.held_out[0], train_truth, model.cut_point.value, held, f"; {first}; {OPTIMISTIC}"),
        *_calibration(predicted, truth, test),
        *_calibration(model.held_out[0], train_truth, held, f"; {first}"),
    ]
    return [_figure(*row, evidence.day) for row in rows]


OPTIMISTIC = "optimistic, because the cut-point was chosen on the same predictions"
Row = tuple[str, Figure | float, str, str]


def _at_cut_point(predicted: Any, truth: Any, cut_point: float, cohort: str, more: str = "") -> list[Row]:
    called = predicted >= cut_point
    method = f"at the cut-point; Wilson score interval{more}"
    return [
        ("sensitivity", share(called[truth]), cohort, method),
        ("specificity", share(~called[~truth]), cohort, method),
    ]


def _calibration(predicted: Any, truth: Any, cohort: str, more: str = "") -> list[Row]:
    found = calibration(predicted, truth)
    method = f"logistic recalibration on the logit of the score{more}"
    return [
        ("calibration slope", found.slope, cohort, method),
        ("calibration intercept", found.intercept, cohort, method),
        ("Brier score", found.brier, cohort, f"mean squared difference from the outcome{more}"),
    ]


def _figure(metric: str, value: Figure | float, cohort: str, method: str, day: str) -> dict[str, Any]:
    figure = value if isinstance(value, Figure) else None
    return {
        "metric": metric,
        "value": figure.value if figure else value,
        "interval": _interval(figure.low, figure.high) if figure else NOT_AVAILABLE,
        "cohort": cohort,
        "method": method,
        "date": day,
    }


def _curves(evidence: Evidence) -> list[dict[str, Any]]:
    cohort = evidence.cohort
    truth = cohort.positive[~cohort.train]
    predicted = evidence.model.scorer.score(cohort.values[~cohort.train]).value
    return [
        {"kind": "roc", "cohort": "test split", "points": roc_points(predicted, truth)},
        {"kind": "calibration", "cohort": "test split", "points": calibration_points(predicted, truth, groups=5)},
    ]


def _control(evidence: Evidence) -> dict[str, Any]:
    found = evidence.control
    return {
        "name": "permuted labels",
        "metric": "AUC",
        "value": found.value,
        "interval": _interval(found.low, found.high),
        "expected": "about 0.5; a figure clearly above it would mean that the procedure leaks",
        "method": f"the whole nested procedure on shuffled labels, {evidence.effort.permutations} permutations; "
        "mean, and range of 95 % of the permutations",
    }


def _references() -> list[dict[str, Any]]:
    return [
        {
            "citation": "Hu X et al. EBioMedicine 2019;40:564-573",
            "doi": "10.1016/j.ebiom.2019.01.023",
            "url": NOT_AVAILABLE,
        }
    ]
