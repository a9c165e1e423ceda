"""Write `pgd-klkb1-inotrope`: a published equation for primary graft dysfunction, as printed, without a fit."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from service import __version__
from service.registry.artifact import Verified
from service.registry.manifest_base import NOT_AVAILABLE
from service.registry.scorer import LinearScorer
from service.training.golden_vectors import golden_document
from service.training.pgd_texts import CARD, LIMITATIONS, SUMMARY, TEXTS, WARNINGS
from service.training.publish import panel_analyte, publish, to_bytes

KLKB1 = "P03952"
INOTROPE = "pretransplant_inotrope_therapy"
TERMS = ((KLKB1, -2.14), (INOTROPE, -0.9946))
"""Coefficients as printed in US20230273210A1, in panel order."""

_TYPICAL = (0.42, 1.0)
_STEPS = 21


def build(out: Path, *, day: str, say: Callable[[str], None]) -> Verified:
    """Writes the artifact under `out`; `day` dates the entry of the published figures."""
    golden = golden_for()
    say(f"wrote out {len(golden['vectors'])} golden vectors of the published equation")
    return publish(out, document(day, golden_count=len(golden["vectors"])), {"golden.json": to_bytes(golden)})


def golden_for() -> dict[str, Any]:
    """A typical vector, then the grid of both inotrope values and KLKB1 from 0 to 1 in steps of 0.05."""
    scorer = LinearScorer([weight for _, weight in TERMS], intercept=None, link="logit")
    grid = product((0.0, 1.0), np.linspace(0.0, 1.0, _STEPS).round(2).tolist())
    rows = [("typical", np.array(_TYPICAL))]
    rows += [("grid", np.array([klkb1, inotrope])) for inotrope, klkb1 in grid]
    return golden_document([code for code, _ in TERMS], rows, scorer=scorer, categories=())


def document(day: str, *, golden_count: int) -> dict[str, Any]:
    """The manifest without `files`."""
    return {
        "schema_version": 1,
        "name": "pgd-klkb1-inotrope",
        "version": "1.0.0",
        "title": "KLKB1 and inotrope index for severe primary graft dysfunction (published equation)",
        "summary": SUMMARY,
        "condition": {"text": "Severe primary graft dysfunction after heart transplantation", "coding": []},
        "status_claim": "research_use_only",
        "golden": {"count": golden_count, "tolerance": 1e-12},
        "intended_use": _intended_use(),
        "panel": [panel_analyte(KLKB1, "KLKB1", "protein", "{minmax}", (0.0, 1.0))],
        "max_substitutions": 0,
        "covariates": [_inotrope()],
        "gates": {},
        "normalisation": [],
        "reference_distribution": NOT_AVAILABLE,
        "estimator": _equation(),
        "output": {
            "kind": "index",
            "event": "severe primary graft dysfunction, as the source orders its patients",
            "time_horizon": "after the transplantation the specimen was drawn before",
            "link": "logit",
            "categories": [],
            "indeterminate_zone": None,
            "cut_points": [],
        },
        "training": _training(),
        "performance": _performance(day),
        "curves": [],
        "negative_controls": [],
        "warnings": WARNINGS,
        "card": CARD,
        "limitations": LIMITATIONS,
        "references": _references(),
        "parent": None,
        "contacts": [{"role": "maintainer", "name": "The ExoScore engineers", "address": NOT_AVAILABLE}],
    }


def _intended_use() -> dict[str, Any]:
    methods = [
        "ultracentrifugation",
        "size_exclusion",
        "immunoaffinity",
        "magnetic_beads",
        "ultrafiltration",
        "microfluidic",
    ]
    return {
        "purpose": TEXTS["purpose"],
        "population": {
            "age_min_years": 18.0,
            "age_max_years": 120.0,
            "sexes": ["female", "male", "other", "unknown"],
            "notes": TEXTS["population"],
        },
        "specimen_types": ["serum"],
        "anticoagulants": {"accepted": ["none"], "refused": ["edta", "citrate", "acd_a", "heparin"]},
        "isolation_methods": ["precipitation"],
        "cautioned_uses": [
            "Any decision about a transplantation or a patient.",
            "KLKB1 that was normalised over another set of specimens, or not normalised at all.",
            "Re-transplantation, which the source excluded, and specimens drawn after the transplantation.",
            f"Vesicles isolated by another method ({', '.join(methods)}).",
        ],
        "users": "Engineers and laboratory scientists who evaluate the service; not for clinicians at work.",
    }


def _inotrope() -> dict[str, Any]:
    return {
        "name": INOTROPE,
        "title": "Inotrope therapy before the transplantation (1 yes, 0 no)",
        "unit": "1",
        "type": "binary",
        "range": {"low": 0.0, "high": 1.0},
        "required": True,
    }


def _equation() -> dict[str, Any]:
    return {
        "format": "equation",
        "intercept": None,
        "terms": [{"input": code, "coefficient": weight} for code, weight in TERMS],
        "printed": "s = -0.9946*inotrope + (-2.140)*KLKB1_norm ; p = 1/(1+exp(-s))",
        "canonical": f"value = 1/(1+exp(-(-2.14*{KLKB1} + -0.9946*{INOTROPE})))",
        "sign_convention": TEXTS["sign"],
        "calibration": {"method": "none", "parameters": {}},
        "coefficient_covariance": NOT_AVAILABLE,
    }


def _training() -> dict[str, Any]:
    return {
        "cohort": "88 heart-transplant patients: Cedars-Sinai 43, Pitie-Salpetriere 29, Columbia 16",
        "source": "US20230273210A1; repository ngiangre/clinical_klkb1_analysis",
        "licence": NOT_AVAILABLE,
        "classes": NOT_AVAILABLE,
        "dates": NOT_AVAILABLE,
        "exclusions": "Re-transplantation; the cohort was matched for primary graft dysfunction",
        "missing_data": NOT_AVAILABLE,
        "procedure": TEXTS["procedure"],
        "seed": NOT_AVAILABLE,
        "data_digest": NOT_AVAILABLE,
        "code_version": f"exoscore {__version__} (equation transcribed, not fitted)",
    }


def _performance(day: str) -> list[dict[str, Any]]:
    rows = (
        ("KLKB1 and inotrope therapy, this equation", 0.7181, (0.7020, 0.7372)),
        ("KLKB1 alone, not this equation", 0.6444, (0.6293, 0.6655)),
        ("inotrope therapy alone, not this equation", 0.5618, (0.5387, 0.5800)),
    )
    development = [_auc(what, value, interval, day) for what, value, interval in rows]
    elisa = {
        "metric": "AUC (KLKB1 by ELISA of whole serum: another assay, not this equation's input)",
        "value": 0.7143,
        "interval": NOT_AVAILABLE,
        "cohort": "65 consecutive patients of Columbia: 3 severe and 4 moderate graft dysfunction",
        "method": f"as published; entered {day}",
        "date": NOT_AVAILABLE,
    }
    return [*development, elisa]


def _auc(what: str, value: float, interval: tuple[float, float], day: str) -> dict[str, Any]:
    return {
        "metric": f"AUC ({what})",
        "value": value,
        "interval": {"level": 0.95, "low": interval[0], "high": interval[1]},
        "cohort": "development cohort, 88 patients",
        "method": f"Monte Carlo cross-validation as published, interval taken to be at 95 %; entered {day}",
        "date": NOT_AVAILABLE,
    }


def _references() -> list[dict[str, Any]]:
    return [
        {
            "citation": "Giangreco NP et al. Plasma kallikrein predicts primary graft dysfunction after heart "
            "transplant",
            "doi": NOT_AVAILABLE,
            "url": "https://github.com/ngiangre/clinical_klkb1_analysis",
        },
        {
            "citation": "Fine B, Tatonetti N, Giangreco N (Columbia University). Systems and methods for predicting "
            "graft dysfunction with exosome proteins. US20230273210A1, WO2022060842A1",
            "doi": NOT_AVAILABLE,
            "url": "https://patents.google.com/patent/WO2022060842A1/en",
        },
    ]
