"""ePRAM as a manifest: a published equation that is printed with the opposite sign of its linear predictor."""

import json
from typing import Any

import pytest

from service.registry.manifest import Manifest, parse_manifest
from service.registry.manifest_base import NOT_AVAILABLE
from service.registry.manifest_evidence import CardTexts

# Murata K et al. PLoS ONE 2013;8(7):e69118, doi 10.1371/journal.pone.0069118 and US20150240307; total plasma RNA,
# absolute quantification in pmol/L. The range is an assumption: wide, and free of negative concentrations.
COLUMNS = [
    ("MIMAT0000080", "miR-24", 0.773),
    ("MIMAT0000087", "miR-30a-5p", -0.141),
    ("MIMAT0000443", "miR-125a-5p", 15.6),
]


@pytest.fixture(scope="session")
def epram() -> Manifest:
    return parse_manifest(json.dumps(_document()).encode())


def _document() -> dict[str, Any]:
    return {
        "schema_version": 1,
        "name": "epram",
        "version": "1.0.0",
        "title": "Estimated probability of rheumatoid arthritis by plasma miRNAs",
        "summary": "A published equation over three plasma miRNAs.",
        "condition": {"text": "Rheumatoid arthritis", "coding": []},
        "status_claim": "research_use_only",
        "files": {"golden.json": "sha256:" + "0" * 64},
        "golden": {"count": 32, "tolerance": 1e-12},
        "intended_use": _intended_use(),
        "panel": [_analyte(accession, name) for accession, name, _ in COLUMNS],
        "max_substitutions": 0,
        "covariates": [],
        "gates": {},
        "normalisation": [],
        "reference_distribution": NOT_AVAILABLE,
        "estimator": _equation(),
        "output": _output(),
        "training": _training(),
        "performance": [],
        "curves": [],
        "negative_controls": [],
        "warnings": [],
        "card": dict.fromkeys(CardTexts.model_fields, NOT_AVAILABLE),
        "limitations": ["The equation was made on total plasma RNA, not on vesicles."],
        "references": [
            {"citation": "Murata K et al. PLoS ONE 2013", "doi": "10.1371/journal.pone.0069118", "url": NOT_AVAILABLE}
        ],
        "parent": None,
        "contacts": [{"role": "maintainer", "name": NOT_AVAILABLE, "address": NOT_AVAILABLE}],
    }


def _intended_use() -> dict[str, Any]:
    return {
        "purpose": "To check the service against a published equation.",
        "population": {
            "age_min_years": 18.0,
            "age_max_years": 120.0,
            "sexes": ["female", "male", "other", "unknown"],
            "notes": NOT_AVAILABLE,
        },
        "specimen_types": ["plasma"],
        "anticoagulants": {"accepted": ["edta"], "refused": ["citrate", "acd_a", "heparin", "none"]},
        "isolation_methods": ["none"],
        "cautioned_uses": ["Any decision about a person."],
        "users": "Engineers.",
    }


def _analyte(accession: str, name: str) -> dict[str, Any]:
    return {
        "analyte": accession,
        "name": name,
        "kind": "mirna",
        "unit": "pmol/L",
        "range": {"low": 0.0, "high": 1000.0},
        "required": True,
        "analytical_cv": NOT_AVAILABLE,
    }


def _equation() -> dict[str, Any]:
    return {
        "format": "equation",
        "intercept": -1.797,
        "terms": [{"input": accession, "coefficient": weight} for accession, _, weight in COLUMNS],
        "printed": "x = 1.797 - 0.773*miR-24 + 0.141*miR-30a-5p - 15.6*miR-125a-5p ; exp(-x)/(1+exp(-x))",
        "canonical": "1/(1+exp(-(-1.797 + 0.773*miR-24 - 0.141*miR-30a-5p + 15.6*miR-125a-5p)))",
        "sign_convention": "The linear predictor is -x: intercept and terms carry the opposite sign of the print.",
        "calibration": {"method": "none", "parameters": {}},
        "coefficient_covariance": NOT_AVAILABLE,
    }


def _output() -> dict[str, Any]:
    # The paper names a cut-off of 0.50 without saying to which side 0.50 belongs, so there are no categories.
    return {
        "kind": "probability",
        "event": "rheumatoid arthritis rather than health, as in the source cohort",
        "time_horizon": "at the time of sampling",
        "link": "logit",
        "categories": [],
        "indeterminate_zone": None,
        "cut_points": [],
    }


def _training() -> dict[str, Any]:
    texts = ("source", "licence", "dates", "exclusions", "missing_data", "procedure", "code_version")
    return {
        "cohort": "102 people with rheumatoid arthritis, 104 healthy people",
        "classes": {"rheumatoid_arthritis": 102, "healthy": 104},
        "seed": NOT_AVAILABLE,
        "data_digest": NOT_AVAILABLE,
        **dict.fromkeys(texts, NOT_AVAILABLE),
    }
