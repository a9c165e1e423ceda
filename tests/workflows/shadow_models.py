"""Versions of the bundled tuberculosis model that could be its shadow, as files: one shifted, others around odd
estimators."""

import copy
import hashlib
import json
import time
from typing import Any

import joblib
import numpy as np

from service.registry.active import ActiveModels, ModelVersion
from service.registry.artifact import Expected
from service.registry.build import build_scorer
from service.registry.bundled import load_bundled
from service.registry.golden import golden_matrix, parse_golden
from service.registry.manifest import parse_manifest
from service.registry.opened import open_version
from tests.registry import odd_estimators as odd
from tests.registry.artifacts import TRUSTED, rebuilt
from tests.registry.fitted import BUNDLED, document_of, files_of, golden_of, pickled

NAME = "tb-exosomal-mirna"
Files = dict[str, bytes]


class Sleeper(odd.Odd):
    """Does not come back from one value."""

    def predict_proba(self, matrix: np.ndarray) -> np.ndarray:
        if (matrix[:, 0] == odd.SLEEPS).any():
            time.sleep(3600)
        return super().predict_proba(matrix)


def shifted(version: str = "2.0.0", by: float = 0.75, high: float | None = None) -> Files:
    """The bundled version with another intercept; its first analyte may be no larger than `high`."""
    document = copy.deepcopy(json.loads((BUNDLED / "manifest.json").read_bytes()))
    document["version"] = version
    document["estimator"]["lowered"]["intercept"] += by
    if high is not None:
        document["panel"][0]["range"]["high"] = high
    raw = json.dumps(document).encode()
    manifest, bundled = parse_manifest(raw), parse_manifest((BUNDLED / "manifest.json").read_bytes())
    inputs = golden_matrix(bundled, parse_golden((BUNDLED / "golden.json").read_bytes(), bundled))
    if high is not None:
        inputs[:, 0] = np.minimum(inputs[:, 0], high)
    values = build_scorer(manifest, {}).score(inputs).value
    estimator = joblib.load(BUNDLED / "estimator.joblib")
    estimator[-1].intercept_ += by
    files = {"estimator.joblib": pickled(estimator), "golden.json": golden_of(document, inputs, values)}
    return rebuilt(files, document)


def around(estimator: Any, version: str = "3.0.0", values: np.ndarray | None = None) -> Files:
    """A version that is not lowered, around any estimator."""
    return files_of(estimator, document_of() | {"name": NAME, "version": version}, values)


def unloaded(files: Files) -> ModelVersion:
    """The version in these files, as a snapshot holds one that is not loaded."""
    document = json.loads(files["manifest.json"])
    found = "sha256:" + hashlib.sha256(files["manifest.json"]).hexdigest()
    return ModelVersion(document["name"], document["version"], found, "approved")


def opened(files: Files) -> ModelVersion:
    """The version in these files, loaded here."""
    version = unloaded(files)
    return open_version(Expected(version.name, version.version, version.digest), files, TRUSTED)


def snapshot(*shadows: Files, alias: str | None = None) -> ActiveModels:
    """The bundled versions in production, and these beside them; the first of them, or `alias`, is the shadow."""
    bundled = load_bundled(BUNDLED.parents[1], in_force=True)
    versions = [unloaded(files) for files in shadows]
    aliases = {name: dict(targets) for name, targets in bundled.aliases.items()}
    if versions:
        aliases[NAME]["shadow"] = alias or versions[0].version
    return ActiveModels((*bundled.versions, *versions), aliases)
