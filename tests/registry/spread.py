"""A version that knows its own uncertainty, over inputs that are set against each other.

Two miRNAs in cycles less the mean of two reference miRNAs; two counts as shares of a library total, which is a
covariate; and the age. Nothing in it was measured on anybody.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from service.registry.build import build_scorer
from service.registry.lower import library_versions, lower
from service.registry.manifest import parse_manifest
from service.registry.manifest_estimator import Matrix, ReferenceDistribution
from service.registry.transforms import transform_matrix
from tests.registry.fitted import document_of, files_of, widened

Document = dict[str, Any]
ROWS = 300


def _panel() -> Document:
    document = widened(document_of(), 6)
    accessions = [entry["analyte"] for entry in document["panel"]]
    for place, entry in enumerate(document["panel"]):
        counted = place >= 4
        entry["unit"] = "{counts}" if counted else "{Cq}"
        entry["range"] = {"low": 0.0, "high": 1e6} if counted else {"low": 10.0, "high": 40.0}
    document["covariates"] = [
        _covariate("library_total", "{counts}", 1e4, 1e8),
        _covariate("age_at_sampling", "a", 18.0, 100.0),
    ]
    first, second, reference, other, count, another = accessions
    document["normalisation"] = [
        {"step": "delta_cq", "analytes": [first, second], "references": [reference, other]},
        {"step": "ratio", "numerator": count, "denominator": "library_total"},
        {"step": "ratio", "numerator": another, "denominator": "library_total"},
        {"step": "log2", "analytes": [count, another], "offset": 1e-6},
    ]
    return document


def _covariate(name: str, unit: str, low: float, high: float) -> Document:
    named = {"name": name, "title": name.replace("_", " "), "unit": unit, "type": "number"}
    return {**named, "range": {"low": low, "high": high}, "required": True}


def _people(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows in the panel's units, and which of them are cases."""
    case = generator.random(ROWS) < 0.5
    loading = generator.normal(size=ROWS)
    cycles = 25.0 + loading[:, np.newaxis] + generator.normal(size=(ROWS, 4))
    cycles[:, 0] -= case
    total = np.round(10.0 ** generator.normal(6.0, 0.2, size=ROWS))
    shares = 10.0 ** generator.normal(-4.0, 0.3, size=(ROWS, 2))
    shares[:, 1] *= np.where(case, 1.5, 1.0)
    counts = np.floor(shares * total[:, np.newaxis])
    age = np.round(generator.uniform(20.0, 90.0, size=ROWS))
    return np.column_stack([cycles, counts, total, age]), case


@cache
def _made() -> tuple[str, dict[str, bytes], np.ndarray]:
    document = _panel()
    generator = np.random.default_rng(29)
    matrix, case = _people(generator)
    draft = parse_manifest(json.dumps(document).encode())
    used = transform_matrix(matrix, draft.transforms())[:, draft.places_with_terms]
    estimator = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky")).fit(used, case)
    lowered = lower(estimator, width=used.shape[1])
    terms = zip(draft.with_terms, lowered.coefficients, strict=True)
    document["estimator"]["lowered"] = {
        "intercept": lowered.intercept,
        "terms": [{"input": code, "coefficient": weight} for code, weight in terms],
        "proof": {"rows": 1, "max_abs_difference": 0.0, "versions": library_versions()},
    }
    document["estimator"]["coefficient_covariance"] = covariance_of(generator, used, lowered.coefficients)
    document["reference_distribution"] = reference_of(used).model_dump(mode="json")
    scorer = build_scorer(parse_manifest(json.dumps(document).encode()), {})
    files = files_of(estimator, document, scorer.score(matrix[:40]).value, matrix)
    return json.dumps(document), files, matrix


def covariance_of(generator: np.random.Generator, used: np.ndarray, weights: tuple[float, ...]) -> Matrix:
    """Of coefficients that are unsure by a tenth, and of the intercept that goes with them."""
    unsure = 0.1 * np.abs(np.array(weights)) * generator.normal(size=(200, len(weights)))
    rows = np.column_stack([-(unsure * used.mean(axis=0)).sum(axis=1), unsure])
    return tuple(map(tuple, np.cov(rows.T).tolist()))


def reference_of(used: np.ndarray) -> ReferenceDistribution:
    """The distribution of normalised rows, with limits that a few in a hundred and next to nobody exceed."""
    correlation = np.atleast_2d(np.corrcoef(used.T))
    return ReferenceDistribution(
        location=tuple(used.mean(axis=0).tolist()),
        spread=tuple(used.std(axis=0).tolist()),
        correlation_factor=tuple(map(tuple, np.linalg.cholesky(correlation).tolist())),
        flag_limit=11.0,
        fail_limit=30.0,
        limits_source="Simulated people.",
    )


def spread_document() -> Document:
    """The manifest's document, to be changed at will."""
    document: Document = json.loads(_made()[0])
    return document


def spread_files() -> dict[str, bytes]:
    """The signed artifact."""
    return dict(_made()[1])


def spread_matrix() -> np.ndarray:
    """Simulated people in the panel's units."""
    return _made()[2].copy()
