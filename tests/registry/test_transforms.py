"""Normalisation: what steps make of a row, in their order, and what is left of bits and of bounds."""

import math

import numpy as np
import pytest

from service.registry.manifest_estimator import DeltaCq, Log2, MinMax, Ratio, Scale, Step
from service.registry.scorer import BLOCK, LinearScorer
from service.registry.transforms import column_transforms, transform_matrix

DELTA = DeltaCq(step="delta_cq", analytes=("a", "b"), references=("c", "d"))
RATIO = Ratio(step="ratio", numerator="a", denominator="b")


def after(steps: list[Step], row: list[float]) -> list[float]:
    codes = "abcd"[: len(row)]
    return list(column_transforms(codes, steps).of_one(row))


@pytest.mark.parametrize(
    ("steps", "row", "expected"),
    [
        ([], [1.0, 2.0], [1.0, 2.0]),
        ([DELTA], [25.0, 27.0, 20.0, 23.0], [3.5, 5.5, 20.0, 23.0]),
        ([RATIO], [3.0, 4.0, 5.0], [0.75, 4.0, 5.0]),
        ([RATIO, Log2(step="log2", analytes=("a",), offset=0.25)], [3.0, 4.0], [0.0, 4.0]),
        (
            [
                Log2(step="log2", analytes=("a", "c"), offset=0.0),
                DeltaCq(step="delta_cq", analytes=("a",), references=("c",)),
            ],
            [8.0, 1.0, 2.0],
            [2.0, 1.0, 1.0],
        ),
        ([Ratio(step="ratio", numerator="b", denominator="c"), RATIO], [6.0, 4.0, 2.0], [3.0, 2.0, 2.0]),
        ([RATIO, Scale(step="scale", analyte="a", centre=0.0, spread=0.25)], [3.0, 4.0], [3.0, 4.0]),
        (
            [DELTA, MinMax(step="min_max", analyte="a", minimum=3.0, maximum=4.0)],
            [25.0, 0.0, 20.0, 23.0],
            [0.5, -21.5, 20.0, 23.0],
        ),
    ],
    ids=["none", "delta", "ratio", "ratio, log2", "log2, delta", "ratio of a ratio", "ratio, scale", "delta, min-max"],
)
def test_steps_are_taken_in_their_order(steps: list[Step], row: list[float], expected: list[float]) -> None:
    assert after(steps, row) == expected


def test_an_analyte_may_be_among_its_own_references() -> None:
    whole = DeltaCq(step="delta_cq", analytes=("a", "b", "c"), references=("a", "b", "c"))
    assert after([whole], [20.0, 24.0, 28.0]) == [-4.0, 0.0, 4.0]


def test_a_loading_that_is_common_to_all_falls_out() -> None:
    row = [25.25, 27.5, 20.125, 23.75]
    assert after([DELTA], [cq + 1.5 for cq in row])[:2] == after([DELTA], row)[:2]
    assert after([RATIO], [2 * value for value in row])[0] == after([RATIO], row)[0]


STEPS: list[Step] = [
    DeltaCq(step="delta_cq", analytes=("c0", "c1"), references=("c1", "c2", "c5")),
    Ratio(step="ratio", numerator="c3", denominator="c4"),
    Log2(step="log2", analytes=("c3",), offset=1e-6),
    Scale(step="scale", analyte="c1", centre=0.3, spread=1.7),
]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("rows", [1, 7, BLOCK + 1])
@pytest.mark.parametrize("width", [6, 8, 12, 24])
def test_a_row_has_the_same_bits_alone_and_among_many(width: int, rows: int, order: str) -> None:
    codes = [f"c{index}" for index in range(width)]
    transforms = column_transforms(codes, STEPS)
    matrix = np.asarray(np.random.default_rng(rows).uniform(0.1, 40.0, size=(rows, width)), order=order)
    used = transform_matrix(matrix, transforms)
    weights = np.random.default_rng(width).normal(size=width)
    weights[[2, 4]] = 0.0
    scorer = LinearScorer(weights, intercept=0.3, link="identity", transforms=transforms, silent=[2, 4])
    together = scorer.score(matrix)
    assert together.used.tobytes() == used.tobytes()
    assert together.terms is not None
    for index in sorted({0, rows // 2, rows - 1}):
        alone = scorer.score_one(matrix[index].tolist())
        assert repr(alone.used) == repr(tuple(used[index].tolist()))
        assert repr(alone.terms) == repr(tuple(together.terms[index].tolist()))
        assert repr(alone.value) == repr(float(together.value[index]))
        assert alone.terms is not None
        assert (repr(alone.terms[2]), repr(alone.terms[4])) == ("0.0", "0.0")
        total = alone.baseline
        for term in alone.terms:
            total += term
        assert total == alone.value


@pytest.mark.parametrize("row", [[1.0, 0.0], [0.0, 0.0], [1.0, -0.0], [-1.0, 1e-320]])
def test_a_ratio_that_is_no_number_is_refused(row: list[float]) -> None:
    scorer = LinearScorer([1.0, 0.0], intercept=0.0, link="identity", transforms=column_transforms("ab", [RATIO]))
    with pytest.raises(ValueError, match="finite"):
        scorer.score_one(row)
    with pytest.raises(ValueError, match="finite"):
        scorer.score(np.array([row]))
    assert not math.isfinite(transform_matrix(np.array([row]), column_transforms("ab", [RATIO]))[0, 0])
