"""Properties of intervals, distances and normalisation over generated versions."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from service.registry.calibration import CalibrationStep, Isotonic, Sigmoid
from service.registry.distance import Distance
from service.registry.interval import ScoreVariance
from service.registry.manifest_estimator import DeltaCq, Log2, Matrix, Ratio, ReferenceDistribution, Scale, Step
from service.registry.scorer import BLOCK, LinearScorer
from service.registry.transforms import ColumnTransforms, column_transforms

WIDTHS = (2, 6, 8, 12, 24)
LOW, HIGH = 0.01, 60.0
CURVES = st.sampled_from(
    [None, (Isotonic((-1.0, 0.0, 0.5), (0.1, 0.1, 0.9)),), (Sigmoid(2.0, -0.5), Sigmoid(-0.5, 0.1), Sigmoid(0.0, 1.0))]
)


@st.composite
def steps_of(draw: st.DrawFn, codes: list[str]) -> list[Step]:
    """Steps in any order that have a value for all inputs from LOW to HIGH."""
    several: list[Step] = []
    shuffled = draw(st.permutations(codes))
    some, others = shuffled[: len(codes) // 2], shuffled[len(codes) // 2 :]
    if draw(st.booleans()):
        references = draw(st.lists(st.sampled_from(codes), min_size=1, max_size=5, unique=True))
        several.append(DeltaCq(step="delta_cq", analytes=tuple(some), references=tuple(references)))
    else:
        several += [Ratio(step="ratio", numerator=code, denominator=draw(st.sampled_from(others))) for code in some]
    spread = st.floats(1e-2, 1e2)
    several += [
        Scale(step="scale", analyte=code, centre=draw(st.floats(-10, 10)), spread=draw(spread)) for code in some[:2]
    ]
    logs: list[Step] = [Log2(step="log2", analytes=tuple(others), offset=draw(st.floats(0, 10)))]
    return [*several, *logs] if draw(st.booleans()) else [*logs, *several]


@st.composite
def covariances(draw: st.DrawFn, width: int) -> Matrix:
    """Positive semi-definite, of any rank."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = generator.normal(size=(draw(st.integers(1, 40)), width)) * 10.0 ** generator.uniform(-3, 1, size=width)
    return tuple(map(tuple, (rows.T @ rows / len(rows)).tolist()))


@st.composite
def scorers(draw: st.DrawFn) -> tuple[LinearScorer, Matrix, list[int]]:
    """A scorer with an interval over normalised columns, some of which may have no term."""
    width = draw(st.sampled_from(WIDTHS))
    codes = [f"c{index}" for index in range(width)]
    transforms = column_transforms(codes, draw(steps_of(codes)))
    silent = draw(st.lists(st.integers(0, width - 1), max_size=width // 2, unique=True))
    places = [place for place in range(width) if place not in silent]
    found = draw(covariances(len(places) + 1))
    weights = draw(st.lists(st.floats(-5, 5), min_size=width, max_size=width))
    curves = draw(CURVES)
    scorer = LinearScorer(
        [0.0 if place in silent else weight for place, weight in enumerate(weights)],
        intercept=draw(st.floats(-3, 3)),
        link=draw(st.sampled_from(["logit", "identity"])),
        transforms=transforms,
        calibration=None if curves is None else CalibrationStep("fold_averaged", curves),
        variance=ScoreVariance(found, places if silent or draw(st.booleans()) else None),
        silent=silent,
    )
    return scorer, found, places


def rows_of(data: st.DataObject, rows: int, width: int) -> np.ndarray:
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    order = data.draw(st.sampled_from("CF"))
    return np.asarray(generator.uniform(LOW, HIGH, size=(rows, width)), order=order)


@given(model=scorers(), rows=st.sampled_from([1, 7, BLOCK + 1]), data=st.data())
@settings(max_examples=120, deadline=None)
def test_an_interval_has_the_same_bits_alone_and_among_many(
    model: tuple[LinearScorer, Matrix, list[int]], rows: int, data: st.DataObject
) -> None:
    scorer, found, places = model
    matrix = rows_of(data, rows, len(scorer.coefficients))
    together = scorer.score(matrix)
    assert together.interval is not None
    assert together.terms is not None
    low, high = together.interval
    assert ((low <= together.value) & (together.value <= high)).all()
    for row in {0, rows // 2, rows - 1}:
        alone = scorer.score_one(matrix[row].tolist())
        assert repr(alone.interval) == repr((float(low[row]), float(high[row])))
        assert repr((alone.value, alone.used)) == repr((float(together.value[row]), tuple(together.used[row].tolist())))
        assert repr(alone.terms) == repr(tuple(together.terms[row].tolist()))
        one = scorer.score(matrix[row : row + 1])
        assert one.interval is not None
        assert (one.interval[0].tobytes(), one.interval[1].tobytes()) == (
            low[row : row + 1].tobytes(),
            high[row : row + 1].tobytes(),
        )
        g = np.array([1.0, *(alone.used[place] for place in places)])
        expected = g @ np.array(found) @ g
        size = np.abs(g) @ np.abs(np.array(found)) @ np.abs(g)
        assert math.isclose(ScoreVariance(found).of_one(g[1:].tolist()), expected, abs_tol=1e-12 * size)


@given(
    width=st.sampled_from(WIDTHS),
    rows=st.sampled_from([1, 7, BLOCK + 1]),
    seed=st.integers(0, 2**32 - 1),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_a_distance_has_the_same_bits_alone_and_among_many(
    width: int, rows: int, seed: int, data: st.DataObject
) -> None:
    generator = np.random.default_rng(seed)
    mixed = generator.normal(size=(3 * width, width)) @ generator.normal(size=(width, width))
    correlation = 0.99 * np.corrcoef(mixed.T) + 0.01 * np.eye(width)
    reference = ReferenceDistribution(
        location=tuple(generator.uniform(LOW, HIGH, size=width).tolist()),
        spread=tuple(generator.uniform(0.1, 10.0, size=width).tolist()),
        correlation_factor=tuple(map(tuple, np.linalg.cholesky(correlation).tolist())),
        flag_limit=1.0,
        fail_limit=2.0,
        limits_source="x",
    )
    codes = [f"c{index}" for index in range(width)]
    transforms = column_transforms(codes, data.draw(steps_of(codes)) if data.draw(st.booleans()) else [])
    distance = Distance(reference, transforms, range(width))
    matrix = rows_of(data, rows, width)
    together = distance.of_many(matrix)
    assert (together >= 0).all()
    for row in {0, rows // 2, rows - 1}:
        assert repr(distance(matrix[row].tolist())) == repr(float(together[row]))
    used = np.array([transforms.of_one(matrix[0].tolist())])
    whitened = np.linalg.solve(np.linalg.cholesky(correlation), (used[0] - reference.location) / reference.spread)
    assert math.isclose(together[0], float(whitened @ whitened), rel_tol=1e-8)
    plain = Distance(reference, ColumnTransforms((), width), range(width))
    assert plain(used[0].tolist()) == together[0]
    assert together[0] <= distance.bound(np.abs(used[0]).tolist())
