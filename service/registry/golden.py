"""The golden vectors of an artifact: inputs and the outputs they must give, run through the scorer at every load."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Literal

import numpy as np
from pydantic import FailFast, Field, ValidationError

from service.domain.score import find_category
from service.errors import ArtifactRejected, EstimatorFailed
from service.registry.manifest import Manifest
from service.registry.manifest_base import Group, Text
from service.registry.manifest_decode import decode_object
from service.registry.manifest_estimator import Equation
from service.registry.manifest_problems import problems_of
from service.registry.scorer import Scorer
from service.registry.transforms import Floats

GOLDEN_MAX_BYTES = 8 << 20

_MAX_FIELDS = 64
_RELEASE = re.compile(r"[0-9A-Za-z.+!-]{1,32}", re.ASCII)
_LIBRARIES = ("numpy", "scikit-learn", "scipy")


class GoldenVector(Group):
    """One vector: `inputs` by panel code in the panel's units, the value and category they must give, and its role."""

    role: Text
    inputs: dict[Text, float]
    value: float
    category: Text | None


class GoldenFile(Group):
    """`golden.json`, schema version 1. The first vector is a typical one and serves as the printed example."""

    schema_version: Literal[1]
    # Of millions of wrong vectors the first tells enough.
    vectors: Annotated[tuple[GoldenVector, ...], Field(min_length=32), FailFast()]


@dataclass(frozen=True, slots=True)
class GoldenResult:
    """The outcome of a self-test: number of vectors and the largest difference found."""

    count: int
    max_abs_difference: float


def parse_golden(raw: bytes, manifest: Manifest) -> tuple[GoldenVector, ...]:
    """The vectors in `raw`. Raises ArtifactRejected where they do not fit the schema, the count or the panel."""
    if len(raw) > GOLDEN_MAX_BYTES:
        raise ArtifactRejected.because("too_large", "golden.json is larger than 8 MiB.", "Keep fewer vectors.")
    document = decode_object(raw, what="golden.json")
    _verify_modest(document.get("vectors"), manifest)
    try:
        vectors = GoldenFile.model_validate_json(raw).vectors
    except ValidationError as error:
        problems = problems_of(error, document)
        raise ArtifactRejected(
            f"golden.json does not fit its schema; the first problem: {problems[0].message}", problems=problems
        ) from None
    if len(vectors) != manifest.golden.count:
        raise _wrong_vectors("golden.json does not hold the number of vectors the manifest names.")
    if any(set(vector.inputs) != set(manifest.codes) for vector in vectors):
        raise _wrong_vectors("A golden vector does not name exactly the columns of the panel.")
    return vectors


def _verify_modest(vectors: object, manifest: Manifest) -> None:
    """Look at the sizes before the schema does, which would note each of a million needless names."""
    for vector in vectors if isinstance(vectors, list) else ():
        inputs = vector.get("inputs") if isinstance(vector, dict) else None
        too_wide = isinstance(inputs, dict) and len(inputs) > len(manifest.codes)
        if too_wide or (isinstance(vector, dict) and len(vector) > _MAX_FIELDS):
            raise _wrong_vectors("A golden vector does not name exactly the columns of the panel.")


def golden_matrix(manifest: Manifest, vectors: Sequence[GoldenVector]) -> Floats:
    """The inputs of the vectors, (n, k), in the order of `manifest.codes`."""
    return np.array([[v.inputs[code] for code in manifest.codes] for v in vectors], dtype=np.float64)


def verify_golden(manifest: Manifest, vectors: Sequence[GoldenVector], scorer: Scorer) -> GoldenResult:
    """Scores every vector. Raises ArtifactRejected (`golden_failed`) where a value is off by more than the tolerance,
    or a category.

    The number in the error is how many vectors failed, so that a reader sees a slip from a different model; behind it
    stand the numerical libraries that are others here than where the version was built.
    """
    try:
        scored = scorer.score(golden_matrix(manifest, vectors)).value
    except (ValueError, EstimatorFailed):
        raise _failed(manifest, "a value is not a finite number.") from None
    difference = np.abs(scored - np.array([v.value for v in vectors], dtype=np.float64))
    # Written so that a NaN fails: it is not within the tolerance.
    wrong = int(np.count_nonzero(~(difference <= manifest.golden.tolerance)))
    if wrong:
        raise _failed(manifest, f"{wrong} of {len(vectors)} values differ.")
    categories = manifest.categories()
    found = [find_category(float(value), categories) for value in scored]
    mismatched = sum((c.code if c else None) != v.category for c, v in zip(found, vectors, strict=True))
    if mismatched:
        raise _failed(manifest, f"{mismatched} of {len(vectors)} categories differ.")
    return GoldenResult(count=len(vectors), max_abs_difference=float(difference.max()))


def changed_libraries(manifest: Manifest) -> tuple[str, ...]:
    """The numerical libraries of another version here than where the estimator was fitted, each as a clause."""
    estimator = manifest.estimator
    if isinstance(estimator, Equation):
        return ()
    built = {"numpy": estimator.numpy_version, "scikit-learn": estimator.sklearn_version}
    if estimator.lowered is not None:
        built |= estimator.lowered.proof.versions
    return tuple(
        f"built with {name} {_shown(built[name])}, here {name} {_installed(name)}"
        for name in _LIBRARIES
        if name in built and built[name] != _installed(name)
    )


def _shown(release: str) -> str:
    # It is the publisher's text, and this goes to logs and terminals.
    return release if _RELEASE.fullmatch(release) else "of another release"


def _installed(library: str) -> str:
    # The metadata tell without importing: a serving process has no use for scikit-learn.
    try:
        return version(library)
    except PackageNotFoundError:
        return "is not installed"


def _wrong_vectors(message: str) -> ArtifactRejected:
    return ArtifactRejected.because("golden_vectors", message, "Write the vectors of this very manifest.")


def _failed(manifest: Manifest, what: str) -> ArtifactRejected:
    changed = changed_libraries(manifest)
    because = f" It was {'; '.join(changed)}." if changed else ""
    return ArtifactRejected.because(
        "golden_failed",
        f"The golden self-test failed: {what}{because}",
        "Serve it where it was built, or build the version anew with the libraries of here.",
    )


def example_values(vectors: Sequence[GoldenVector]) -> Mapping[str, float]:
    """The inputs of the typical vector, for an example request."""
    return dict(vectors[0].inputs)
