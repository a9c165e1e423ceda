"""What a manifest may say of its coefficients' covariance and of those it was fitted on."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from service.errors import ArtifactRejected
from service.registry.manifest import Manifest
from tests.registry.spread import spread_document

Document = dict[str, Any]
Parse = Callable[[Document], Manifest]
COVARIANCE, REFERENCE = "/estimator/coefficient_covariance", "/reference_distribution"


def refused(parse: Parse, document: Document) -> list[tuple[str, str]]:
    with pytest.raises(ArtifactRejected) as caught:
        parse(document)
    assert all(problem.message and problem.remedy for problem in caught.value.problems)
    return [(problem.pointer, problem.code) for problem in caught.value.problems]


def with_covariance(matrix: Any) -> Document:
    document = spread_document()
    document["estimator"]["coefficient_covariance"] = matrix
    return document


def with_reference(**changes: Any) -> Document:
    document = spread_document()
    document["reference_distribution"] |= changes
    return document


def spoilt(change: Callable[[np.ndarray], object], place: str) -> Any:
    document = spread_document()
    part = document["estimator"] if place == "coefficient_covariance" else document["reference_distribution"]
    matrix = np.array(part[place])
    change(matrix)
    return matrix.tolist()


def swap(row: int, column: int, by: float) -> Callable[[np.ndarray], object]:
    def change(matrix: np.ndarray) -> None:
        matrix[row, column] += by

    return change


def both(matrix: np.ndarray) -> None:
    """A correlation of 1.01, which no coefficients have."""
    matrix[1, 2] = matrix[2, 1] = 1.01 * np.sqrt(matrix[1, 1] * matrix[2, 2])


@pytest.mark.parametrize(
    ("matrix", "code"),
    [
        ([[1.0]], "shape"),
        ([[0.0] * 9] * 9, "shape"),
        ([[0.0] * 6] * 5 + [[0.0]], "shape"),
        (spoilt(swap(1, 2, 1e-3), "coefficient_covariance"), "symmetry"),
        (spoilt(both, "coefficient_covariance"), "definiteness"),
        (spoilt(swap(3, 3, -10.0), "coefficient_covariance"), "definiteness"),
        (np.diag([1.0, 1.0, -1.0, 1.0, 1.0, 1.0]).tolist(), "definiteness"),
        (spoilt(lambda m: m.__setitem__((0, 0), 0.0), "coefficient_covariance"), "definiteness"),
    ],
    ids=["one", "panel", "ragged", "asymmetric", "correlation above 1", "less variance", "negative", "no variance"],
)
def test_a_covariance_that_is_none_is_named(parse: Parse, matrix: Any, code: str) -> None:
    found = refused(parse, with_covariance(matrix))
    assert found == [(COVARIANCE, code)]


def singular(matrix: np.ndarray) -> None:
    """Two coefficients that are always equal."""
    matrix[2], matrix[:, 2] = matrix[1], matrix[:, 1]
    matrix[2, 2] = matrix[1, 1]


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.0] * 6] * 6,
        spoilt(singular, "coefficient_covariance"),
        spoilt(swap(1, 2, 1e-18), "coefficient_covariance"),
        np.diag([1e-300, 1e300, 1.0, 0.0, 1.0, 1.0]).tolist(),
    ],
    ids=["zeros", "singular", "rounded", "of every size"],
)
def test_a_covariance_may_be_singular(parse: Parse, matrix: Any) -> None:
    parse(with_covariance(matrix))


def test_an_estimator_without_coefficients_has_no_covariance(parse: Parse) -> None:
    document = spread_document()
    document["estimator"]["lowered"] = None
    assert refused(parse, document) == [(COVARIANCE, "covariance")]


def test_no_intercept_has_no_variance(parse: Parse, pgd_document: Document) -> None:
    pgd_document["estimator"]["coefficient_covariance"] = np.diag([0.1, 1.0, 1.0]).tolist()
    assert refused(parse, pgd_document) == [(COVARIANCE, "covariance")]
    pgd_document["estimator"]["coefficient_covariance"] = np.diag([0.0, 1.0, 1.0]).tolist()
    parse(pgd_document)


FACTOR = f"{REFERENCE}/correlation_factor"


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"location": [0.0] * 8}, REFERENCE, "shape"),
        ({"spread": [1.0] * 4}, REFERENCE, "shape"),
        ({"correlation_factor": np.eye(8).tolist()}, REFERENCE, "shape"),
        ({"spread": [1.0, 1.0, 0.0, 1.0, 1.0]}, f"{REFERENCE}/spread/2", "greater_than"),
        ({"correlation_factor": spoilt(swap(0, 1, 0.1), "correlation_factor")}, FACTOR, "triangle"),
        ({"correlation_factor": np.diag([1.0, 1.0, -1.0, 1.0, 1.0]).tolist()}, FACTOR, "diagonal"),
        ({"correlation_factor": np.diag([1.0, 1.0, 0.0, 1.0, 1.0]).tolist()}, FACTOR, "diagonal"),
        ({"correlation_factor": np.diag([1.0, 1.0, 1.1, 1.0, 1.0]).tolist()}, FACTOR, "unit_rows"),
        ({"flag_limit": 31.0}, REFERENCE, "limits"),
        ({"flag_limit": 0.0}, f"{REFERENCE}/flag_limit", "greater_than"),
    ],
    ids=[
        "location of all columns",
        "spread too short",
        "factor of all columns",
        "no spread",
        "above the diagonal",
        "negative diagonal",
        "singular",
        "covariance factored",
        "fails before it flags",
        "no limit",
    ],
)
def test_a_reference_that_is_none_is_named(parse: Parse, changes: Document, pointer: str, code: str) -> None:
    assert refused(parse, with_reference(**changes)) == [(pointer, code)]


def test_the_panel_carries_limits_and_distance(parse: Parse) -> None:
    manifest = parse(spread_document())
    known = manifest.panel().applicability
    assert known is not None
    assert (known.limits.flag, known.limits.fail, known.limits.source) == (11.0, 30.0, "Simulated people.")
    assert known.limits.required
    assert parse(with_covariance("not available")).panel().applicability is not None
    document = spread_document() | {"reference_distribution": "not available"}
    assert parse(document).panel().applicability is None
