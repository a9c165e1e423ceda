import numpy as np
import pytest

from service.registry.manifest_estimator import Log2, MinMax, Scale
from service.registry.scorer import BLOCK, LinearScorer
from service.registry.sigmoid import sigmoid
from service.registry.transforms import column_transforms

WIDTHS = (6, 8, 12, 24)
ROWS = (1, 7, BLOCK + 1)


def model(width: int, link: str = "logit") -> LinearScorer:
    generator = np.random.default_rng(width)
    codes = [f"c{i}" for i in range(width)]
    steps = [
        Log2(step="log2", analytes=(codes[0], codes[1]), offset=20.0),
        Scale(step="scale", analyte=codes[0], centre=3.0, spread=0.7),
        MinMax(step="min_max", analyte=codes[2], minimum=-9.0, maximum=7.0),
    ]
    weights = generator.normal(size=width)
    return LinearScorer(weights, intercept=0.3, link=link, transforms=column_transforms(codes, steps))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_row_scores_the_same_bits_alone_and_among_many(width: int, rows: int, order: str) -> None:
    scorer = model(width)
    matrix = np.asarray(np.random.default_rng(rows).normal(scale=3.0, size=(rows, width)), order=order)
    together = scorer.score(matrix)
    picked = sorted({0, 1, rows // 2, BLOCK - 1, BLOCK, rows - 1} & set(range(rows)))
    for index in picked:
        alone = scorer.score(matrix[index : index + 1])
        assert alone.value.tobytes() == together.value[index : index + 1].tobytes()
        assert alone.terms.tobytes() == np.ascontiguousarray(together.terms[index : index + 1]).tobytes()
        assert alone.used.tobytes() == np.ascontiguousarray(together.used[index : index + 1]).tobytes()
    assert together.value.tobytes() == scorer.score(np.asarray(matrix, order="C")).value.tobytes()
    assert together.value.tobytes() == scorer.score(np.repeat(matrix, 2, axis=0)[::2]).value.tobytes()


@pytest.mark.parametrize("link", ["logit", "identity"])
def test_baseline_and_terms_give_the_value(link: str) -> None:
    scored = model(8, link).score(np.random.default_rng(1).normal(size=(50, 8)))
    for row in range(50):
        total = scored.baseline
        for term in scored.terms[row].tolist():
            total += term
        expected = 1.0 / (1.0 + np.exp(-total)) if link == "logit" else total
        assert scored.value[row] == pytest.approx(expected, abs=1e-15)


def test_locked_transforms_are_applied_in_their_order() -> None:
    steps = [
        Log2(step="log2", analytes=("a",), offset=1.0),
        Scale(step="scale", analyte="a", centre=1.0, spread=2.0),
        MinMax(step="min_max", analyte="b", minimum=2.0, maximum=6.0),
    ]
    transforms = column_transforms(["a", "b", "c"], steps)
    used = LinearScorer([1.0, 1.0, 1.0], intercept=None, link="identity", transforms=transforms).score(
        np.array([[31.0, 3.0, 9.0]])
    )
    assert used.used.tolist() == [[2.0, 0.25, 9.0]]
    assert used.baseline == 0.0


def test_the_sigmoid_neither_overflows_nor_leaves_its_range() -> None:
    values = sigmoid(np.array([-1e308, -800.0, -0.0, 0.0, 800.0, 1e308]))
    assert values.tolist() == [0.0, 0.0, 0.5, 0.5, 1.0, 1.0]


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros(2),
        np.zeros((1, 3)),
        np.zeros((1, 2), dtype=np.float32),
        np.array([[0.0, np.nan]]),
        np.array([[np.inf, 0.0]]),
        np.array([[1e308, 1e308]]),
    ],
    ids=["one dimension", "width", "float32", "nan", "infinity", "overflow"],
)
def test_a_matrix_that_cannot_be_scored_is_refused(matrix: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"matrix|finite"):
        LinearScorer([10.0, 10.0], intercept=0.0, link="logit").score(matrix)


@pytest.mark.parametrize(
    "row",
    [[0.0], [0.0, 0.0, 0.0], [0.0, np.nan], [np.inf, 0.0], [1e308, 1e308], [-np.inf, np.inf]],
    ids=["short", "long", "nan", "infinity", "overflow", "infinities"],
)
def test_a_row_that_cannot_be_scored_is_refused(row: list[float]) -> None:
    with pytest.raises(ValueError, match=r"numbers|finite"):
        LinearScorer([10.0, 10.0], intercept=0.0, link="logit").score_one(row)


@pytest.mark.parametrize("value", [-1.0, -2.0, float("nan")], ids=["zero", "negative", "nan"])
def test_a_number_without_a_logarithm_is_refused(value: float) -> None:
    transforms = column_transforms(["a"], [Log2(step="log2", analytes=("a",), offset=1.0)])
    scorer = LinearScorer([0.0], intercept=0.0, link="identity", transforms=transforms)
    with pytest.raises(ValueError, match="finite"):
        scorer.score_one([value])


def test_a_scorer_refuses_a_link_or_transforms_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="link"):
        LinearScorer([1.0], intercept=0.0, link="probit")
    with pytest.raises(ValueError, match="transform"):
        LinearScorer([1.0], intercept=0.0, link="logit", transforms=column_transforms((), ()))


def test_no_rows_give_no_scores() -> None:
    assert LinearScorer([1.0], intercept=0.0, link="logit").score(np.empty((0, 1))).value.shape == (0,)
