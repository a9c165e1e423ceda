"""Calibration as a step: its curves, its manifest, and a version that is served with one."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from service.errors import ArtifactRejected
from service.registry.build import build_scorer, proven_scorer
from service.registry.calibration import CalibrationStep, Isotonic, Sigmoid, calibration_step
from service.registry.lower import lower
from service.registry.manifest import Manifest
from service.registry.manifest_estimator import Calibration
from service.registry.proving import prove_lowered
from service.registry.scorer import LinearScorer
from tests.registry.fitted import LABELS, MATRIX, digest, lowered_files, manifest_of, vectors_of

Document = dict[str, Any]
Parse = Callable[[Document], Manifest]

CURVES = (
    Isotonic((-1.0, 0.0, 0.5), (0.1, 0.1, 0.9)),
    Isotonic((0.25,), (0.4,)),
    Sigmoid(2.0, -0.5),
    Sigmoid(-1e308, 0.0),
)


def calibrated(method: str, *, ensemble: bool) -> CalibratedClassifierCV:
    base = FrozenEstimator(make_pipeline(StandardScaler(), LogisticRegression()).fit(MATRIX, LABELS))
    return CalibratedClassifierCV(base, method=method, ensemble=ensemble, cv=3).fit(MATRIX, LABELS)


def test_a_curve_is_linear_between_its_points_and_flat_outside() -> None:
    values = CURVES[0].of_many(np.array([-5.0, -1.0, -0.5, 0.0, 0.25, 0.5, 7.0]))
    assert values.tolist() == [0.1, 0.1, 0.1, 0.1, 0.5, 0.9, 0.9]
    assert CURVES[1].of_many(np.array([-1.0, 0.25, 9.0])).tolist() == [0.4] * 3


def test_a_curve_is_scikit_learns() -> None:
    generator = np.random.default_rng(2)
    x = generator.normal(size=400)
    fitted = IsotonicRegression(out_of_bounds="clip").fit(x, (x + generator.normal(size=400) > 0).astype(float))
    curve = Isotonic(tuple(fitted.X_thresholds_.tolist()), tuple(fitted.y_thresholds_.tolist()))
    raw = np.concatenate([generator.normal(scale=3, size=5000), x])
    assert np.abs(curve.of_many(raw) - fitted.predict(raw)).max() <= 1e-15


@pytest.mark.parametrize("curves", [CURVES[:1], CURVES[:2], CURVES[2:], CURVES], ids=["one", "two", "sigmoids", "all"])
@pytest.mark.parametrize("rows", [1, 7, 8193])
def test_one_number_has_the_bits_it_has_among_many(curves: tuple[Any, ...], rows: int) -> None:
    step = CalibrationStep("fold_averaged", curves)
    raw = np.concatenate([np.random.default_rng(rows).normal(size=rows), [-1.0, 0.0, 0.5, 1e300, -1e300]])
    together = step.of_many(raw)
    assert [repr(step.of_one(z)) for z in raw.tolist()] == [repr(p) for p in together.tolist()]
    assert ((together >= 0) & (together <= 1)).all()
    low, high = step.bounds(raw, 1e-12)
    assert ((low <= together) & (together <= high)).all()


def test_a_negative_zero_does_not_survive() -> None:
    curve = Isotonic((0.0, 1.0), (-0.0, -0.0))
    assert repr(curve.of_one(0.5)) == repr(float(curve.of_many(np.array([0.5]))[0])) == "0.0"


@pytest.mark.parametrize(
    "step",
    [
        CalibrationStep("isotonic", CURVES[:1]),
        CalibrationStep("fold_averaged", CURVES[:2]),
        CalibrationStep("fold_averaged", CURVES[2:]),
    ],
    ids=["isotonic", "averaged curves", "averaged sigmoids"],
)
def test_a_step_goes_into_a_manifest_and_out_again(step: CalibrationStep) -> None:
    text = json.dumps({"method": step.method, "parameters": step.parameters()})
    assert calibration_step(Calibration.model_validate_json(text)) == step


@pytest.mark.parametrize("method", ["none", "sigmoid_folded"])
def test_what_is_no_step_has_none(method: Any) -> None:
    assert calibration_step(Calibration(method=method, parameters={})) is None


@pytest.mark.parametrize("link", ["logit", "identity"])
def test_the_terms_add_up_to_the_raw_value(link: str) -> None:
    step = CalibrationStep("isotonic", CURVES[:1])
    scorer = LinearScorer([0.5, -0.25], intercept=0.1, link=link, calibration=step)
    plain = LinearScorer([0.5, -0.25], intercept=0.1, link=link)
    rows = np.random.default_rng(3).normal(size=(40, 2))
    scored, before = scorer.score(rows), plain.score(rows)
    assert scored.raw is not None
    assert scored.raw.tobytes() == before.value.tobytes()
    assert scored.value.tobytes() == step.of_many(before.value).tobytes()
    assert scored.terms is not None
    assert before.terms is not None
    assert scored.terms.tobytes() == before.terms.tobytes()
    alone = scorer.score_one(rows[0].tolist())
    assert (alone.raw, alone.value) == (scored.raw[0], scored.value[0])


@pytest.mark.parametrize(
    ("method", "ensemble"), [("isotonic", False), ("isotonic", True), ("sigmoid", True), ("sigmoid", False)]
)
def test_a_calibrated_version_is_proved_and_served_from_its_manifest(method: str, ensemble: bool) -> None:
    estimator = calibrated(method, ensemble=ensemble)
    files = lowered_files(estimator, lower(estimator, width=6))
    manifest = manifest_of(files)
    scorer = proven_scorer(manifest, files, vectors_of(files))
    assert isinstance(scorer, LinearScorer)
    proof = prove_lowered(files)
    assert (proof.rows, proof.max_abs_difference <= 1e-12) == (40, True)
    assert set(proof.versions) == {"numpy", "python", "scikit-learn", "scipy"}
    assert (scorer.score(MATRIX).raw is None) == (method == "sigmoid" and not ensemble)


def test_coefficients_that_are_not_the_estimators_are_not_proved() -> None:
    estimator = calibrated("isotonic", ensemble=False)
    files = lowered_files(estimator, lower(estimator, width=6))
    document = json.loads(files["manifest.json"])
    document["estimator"]["lowered"]["intercept"] += 1e-6
    with pytest.raises(ArtifactRejected, match="estimator's probabilities"):
        prove_lowered(files | {"manifest.json": json.dumps(document).encode()})
    document["estimator"] |= {"lowered": None, "calibration": {"method": "none", "parameters": {}}}
    document["output"]["link"] = "logit"
    with pytest.raises(ArtifactRejected, match="not lowered"):
        prove_lowered(files | {"manifest.json": json.dumps(document).encode()})


def test_an_equation_has_no_estimator_to_prove(pgd_document: Document, bundled: Any) -> None:
    folder = bundled / "pgd-klkb1-inotrope" / "1.0.0"
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "signature"}
    assert pgd_document["files"]["golden.json"] == digest(files["golden.json"])
    with pytest.raises(ArtifactRejected, match="no estimator"):
        prove_lowered(files)


def given(document: Document, method: str, parameters: Any, link: str = "identity") -> Document:
    document["estimator"]["calibration"] = {"method": method, "parameters": parameters}
    document["output"]["link"] = link
    return document


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("isotonic", {"x": [0.0, 1.0], "y": [0.0, 1.0]}),
        ("isotonic", {"x": [0], "y": [1]}),
        ("fold_averaged", {"x": [[0.0, 1.0], [0.5]], "y": [[0.0, 1.0], [0.25]]}),
        ("fold_averaged", {"slope": [1.0, 2.0], "intercept": [0.0, -1.0]}),
    ],
)
def test_a_manifest_may_name_a_step(parse: Parse, tb_document: Document, method: str, parameters: Any) -> None:
    scorer = build_scorer(parse(given(tb_document, method, parameters)), {})
    assert scorer.score(np.zeros((1, 6))).raw is not None


P = "/estimator/calibration/parameters"


@pytest.mark.parametrize(
    ("method", "parameters", "found"),
    [
        ("none", {"x": [0.0]}, [P]),
        ("isotonic", {}, [P]),
        ("isotonic", {"x": [0.0, 1.0], "y": [0.0, 1.0], "z": [1.0]}, [P]),
        ("isotonic", {"x": 0.0, "y": 1.0}, [P]),
        ("isotonic", {"x": [[0.0, 1.0]], "y": [[0.0, 1.0]]}, [P]),
        ("isotonic", {"x": [], "y": []}, [f"{P}/x"]),
        ("isotonic", {"x": [0.0, 1.0], "y": [0.0]}, [f"{P}/x"]),
        ("isotonic", {"x": [0.0, 0.0], "y": [0.0, 1.0]}, [f"{P}/x"]),
        ("isotonic", {"x": [-1.7e308, 1.7e308], "y": [0.0, 1.0]}, [f"{P}/x"]),
        ("isotonic", {"x": [1.0, 0.0, 2.0], "y": [1.5, -0.5]}, [f"{P}/x", f"{P}/x", f"{P}/y", f"{P}/y"]),
        ("fold_averaged", {}, [P]),
        ("fold_averaged", {"x": [[0.0]], "slope": [1.0]}, [P]),
        ("fold_averaged", {"x": [0.0, 1.0], "y": [0.0, 1.0]}, [P]),
        ("fold_averaged", {"x": [[0.0, 1.0]], "y": [[0.0, 1.0]]}, [P]),
        ("fold_averaged", {"x": [[0.0], [1.0, 0.0]], "y": [[2.0], [0.5, 0.5]]}, [f"{P}/y/0", f"{P}/x/1"]),
        ("fold_averaged", {"x": [[0.0], [1.0]], "y": [[0.5]]}, [P, P]),
        ("fold_averaged", {"slope": [1.0], "intercept": [0.0]}, [P]),
        ("fold_averaged", {"slope": [1.0, 2.0], "intercept": [0.0, 1.0, 2.0]}, [P]),
        ("fold_averaged", {"slope": [[1.0], [2.0]], "intercept": [0.0, 1.0]}, [P]),
        ("fold_averaged", {"slope": 1.0, "intercept": 0.0}, [P]),
    ],
)
def test_parameters_that_are_no_curves_are_all_named(
    parse: Parse, tb_document: Document, method: str, parameters: Any, found: list[str]
) -> None:
    link = "logit" if method == "none" else "identity"
    with pytest.raises(ArtifactRejected) as caught:
        parse(given(tb_document, method, parameters, link))
    assert [(p.pointer, p.code) for p in caught.value.problems] == [(pointer, "parameters") for pointer in found]
    assert all(p.remedy for p in caught.value.problems)


def test_a_step_takes_the_linear_score_itself(parse: Parse, tb_document: Document) -> None:
    with pytest.raises(ArtifactRejected) as caught:
        parse(given(tb_document, "isotonic", {"x": [0.0], "y": [0.5]}, "logit"))
    assert [p.pointer for p in caught.value.problems] == ["/output/link"]


def test_an_estimator_that_is_run_as_it_is_calibrates_itself(parse: Parse, tb_document: Document) -> None:
    given(tb_document, "isotonic", {"x": [0.0], "y": [0.5]})["estimator"]["lowered"] = None
    with pytest.raises(ArtifactRejected) as caught:
        parse(tb_document)
    assert [p.pointer for p in caught.value.problems] == ["/estimator/calibration/method"]


def test_cut_points_of_a_calibrated_version_lie_between_0_and_1(parse: Parse, tb_document: Document) -> None:
    given(tb_document, "isotonic", {"x": [0.0], "y": [0.5]})
    tb_document["output"]["categories"][0]["cut_point"] = 1.5
    tb_document["output"]["categories"][1]["cut_point"] = 1.5
    tb_document["output"]["cut_points"][0]["value"] = 1.5
    with pytest.raises(ArtifactRejected) as caught:
        parse(tb_document)
    assert "cut_point" in {p.code for p in caught.value.problems}
