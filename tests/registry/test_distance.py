"""The distance of a sample from the reference distribution."""

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from service.registry.distance import Distance
from service.registry.manifest_estimator import Log2
from service.registry.scorer import BLOCK
from service.registry.transforms import ColumnTransforms, column_transforms
from tests.registry.spread import reference_of


def people(width: int, rows: int = 500) -> np.ndarray:
    generator = np.random.default_rng(width)
    mixing = generator.normal(size=(width, width))
    return generator.normal(size=(rows, width)) @ mixing + generator.normal(size=width) * 5.0


def as_sent(width: int) -> ColumnTransforms:
    return ColumnTransforms((), width)


@pytest.mark.parametrize("width", [1, 2, 6, 24])
def test_it_is_the_squared_mahalanobis_distance(width: int) -> None:
    matrix = people(width)
    distance = Distance(reference_of(matrix), as_sent(width), range(width))
    inverse = np.linalg.inv(np.atleast_2d(np.cov(matrix.T, bias=True)))
    centre = matrix.mean(axis=0)
    expected = [mahalanobis(row, centre, inverse) ** 2 for row in matrix[:50]]
    assert distance.of_many(matrix[:50]) == pytest.approx(expected, rel=1e-8)
    # Over those it was made of, the mean is the number of columns.
    assert distance.of_many(matrix).mean() == pytest.approx(width, rel=1e-9)
    assert distance(centre.tolist()) == 0.0


def test_it_is_taken_after_normalisation_and_over_columns_with_a_term() -> None:
    matrix = np.exp2(people(2))
    used = np.log2(matrix)
    codes = ["a", "between", "b"]
    transforms = column_transforms(codes, [Log2(step="log2", analytes=("a", "b"), offset=0.0)])
    distance = Distance(reference_of(used), transforms, [0, 2])
    sent = np.column_stack([matrix[:, 0], np.full(len(matrix), 1e6), matrix[:, 1]])
    plain = Distance(reference_of(used), as_sent(2), range(2)).of_many(used)
    assert distance.of_many(sent).tobytes() == plain.tobytes()
    assert distance(sent[7].tolist()) == plain[7]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("rows", [1, 7, BLOCK + 1])
@pytest.mark.parametrize("width", [6, 8, 12, 24])
def test_a_row_has_the_same_bits_alone_and_among_many(width: int, rows: int, order: str) -> None:
    distance = Distance(reference_of(people(width)), as_sent(width), range(width))
    matrix = np.asarray(people(width, rows) * 1.5, order=order)
    together = distance.of_many(matrix)
    for index in sorted({0, rows // 2, rows - 1}):
        assert repr(distance(matrix[index].tolist())) == repr(float(together[index]))
        assert distance.of_many(matrix[index : index + 1]).tobytes() == together[index : index + 1].tobytes()


def test_its_bound_holds_and_tells_of_overflow() -> None:
    matrix = people(6)
    distance = Distance(reference_of(matrix), as_sent(6), range(6))
    largest = np.abs(matrix).max(axis=0).tolist()
    assert distance.of_many(matrix).max() <= distance.bound(largest) < np.inf
    assert distance.bound([1e200] * 6) == np.inf


@pytest.mark.parametrize("broken", [np.zeros((1, 3)), np.array([[0.0, np.nan]])], ids=["width", "nan"])
def test_a_matrix_without_a_distance_is_refused(broken: np.ndarray) -> None:
    distance = Distance(reference_of(people(2)), as_sent(2), range(2))
    with pytest.raises(ValueError, match="matrix"):
        distance.of_many(broken)
