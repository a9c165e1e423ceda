"""Artifacts around any estimator, made of the bundled manifest: files whose digests and golden vectors are right."""

import copy
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from service.domain.analytes import catalogue
from service.domain.score import find_category
from service.registry.golden import example_values, parse_golden
from service.registry.lower import LoweredModel, prove
from service.registry.manifest import Manifest, parse_manifest
from tests.registry.artifacts import digest, signature_of

BUNDLED = Path(__file__).parents[2] / "model_artifacts" / "tb-exosomal-mirna" / "1.0.0"
WIDTH = 6
GENERATOR = np.random.default_rng(11)
MATRIX = GENERATOR.normal(scale=2.0, size=(150, WIDTH)).clip(-9.9, 9.9)
LABELS = (MATRIX[:, 0] - MATRIX[:, 3] + GENERATOR.normal(size=150) > 0).astype(int)


def pickled(estimator: Any) -> bytes:
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    return buffer.getvalue()


def document_of(lowered: LoweredModel | None = None, proof: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The bundled version's manifest with the estimator's part exchanged; not lowered where nothing is given."""
    document = copy.deepcopy(json.loads((BUNDLED / "manifest.json").read_bytes()))
    document |= {"name": "odd-model", "version": "2.0.0", "golden": {"count": 40, "tolerance": 1e-9}}
    estimator = document["estimator"]
    if lowered is None:
        estimator["lowered"] = None
        return document
    terms = zip(estimator["lowered"]["terms"], lowered.coefficients, strict=True)
    estimator["lowered"] |= {
        "intercept": lowered.intercept,
        "terms": [{"input": term["input"], "coefficient": weight} for term, weight in terms],
        "proof": proof or estimator["lowered"]["proof"],
    }
    if lowered.calibration is not None:
        document["output"]["link"] = lowered.link
        step = lowered.calibration
        estimator["calibration"] = {"method": step.method, "parameters": step.parameters()}
    return document


def widened(document: dict[str, Any], width: int, bound: float = 1e6) -> dict[str, Any]:
    """The manifest with a panel of `width` analytes that take any number within `bound`."""
    entry = document["panel"][0] | {"range": {"low": -bound, "high": bound}}
    known = [analyte for analyte in catalogue() if analyte.kind == "mirna"]
    document["panel"] = [entry | {"analyte": one.accession, "name": one.name} for one in known[:width]]
    return document


def golden_of(document: dict[str, Any], matrix: np.ndarray, values: np.ndarray) -> bytes:
    """`golden.json` that says `values` for the first rows of `matrix`, which are in the panel's units."""
    codes = [entry["analyte"] for entry in document["panel"]] + [entry["name"] for entry in document["covariates"]]
    draft = parse_manifest(json.dumps(document).encode())
    vectors = []
    for row, value in zip(matrix.tolist(), values.tolist(), strict=True):
        category = find_category(value, draft.categories())
        inputs = dict(zip(codes, row, strict=True))
        vectors.append({"role": "typical", "inputs": inputs, "value": value, "category": category and category.code})
    return json.dumps({"schema_version": 1, "vectors": vectors}).encode()


def files_of(
    estimator: Any,
    document: dict[str, Any] | None = None,
    values: np.ndarray | None = None,
    matrix: np.ndarray = MATRIX,
) -> dict[str, bytes]:
    """The signed artifact of a fitted estimator; the golden vectors say what it answers, or `values`."""
    document = document or document_of()
    matrix = matrix[: document["golden"]["count"]]
    values = estimator.predict_proba(matrix)[:, 1] if values is None else values
    files = {document["estimator"]["file"]: pickled(estimator), "golden.json": golden_of(document, matrix, values)}
    document["files"] = {name: digest(data) for name, data in files.items()}
    manifest = json.dumps(document).encode()
    return {"manifest.json": manifest, **files, "signature": signature_of(manifest)}


def lowered_files(estimator: Any, lowered: LoweredModel) -> dict[str, bytes]:
    """The artifact of a lowered estimator, proof included."""
    proof = prove(estimator, lowered, MATRIX)
    found = {"rows": proof.rows, "max_abs_difference": proof.max_abs_difference, "versions": proof.versions}
    return files_of(estimator, document_of(lowered, found), lowered.scorer().score(MATRIX[:40]).value)


def manifest_of(files: Mapping[str, bytes]) -> Manifest:
    return parse_manifest(files["manifest.json"])


def vectors_of(files: Mapping[str, bytes]) -> Any:
    return parse_golden(files["golden.json"], manifest_of(files))


def example_of(files: Mapping[str, bytes]) -> Mapping[str, float]:
    return example_values(vectors_of(files))
