"""Whole builds on simulated people: what is written, that it serves, and that it does not depend on the machine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from service.errors import ArtifactRejected, ServiceError
from service.registry.artifact import verify_artifact
from service.registry.card import card_html, card_json
from service.registry.golden import golden_matrix
from service.training.applicability import squared_distances
from service.training.build import Built, Order, build
from service.training.card_numbers import INSIDE
from service.training.cohort import CohortRejected
from service.training.workers import Silent
from tests.training.simulated import AGE, NAMES, SEX, Cohort, all_proteins, simulate, spec_document, write_spec

FIGURES = (
    "ROC curve",
    "Calibration",
    "Decision curve",
    "Distribution of scores",
    "Learning curve",
    "Coefficients and their intervals",
)

Make = Callable[..., Built]


def make_in(folder: Path, people: Cohort, *, jobs: int = 1, **changes: Any) -> Built:
    data = people.write(folder / "cohort.csv")
    spec = write_spec(folder / "spec.yaml", spec_document(**changes))
    order = Order((data,), spec, folder / "out", jobs=jobs)
    return build(order, progress=Silent(), say=lambda _: None)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda people, **changes: make_in(tmp_path, people, **changes)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return make_in(tmp_path_factory.mktemp("built"), simulate(1))


def manifest_of(built: Built) -> dict[str, Any]:
    return built.verified.artifact.document


def test_the_artifact_serves_what_its_estimator_predicts(built: Built) -> None:
    folder = built.evidence_file.parent / "1.0.0"
    estimator = joblib.load(folder / "estimator.joblib")
    rows = np.random.default_rng(2).uniform(10, 30, size=(300, len(built.verified.artifact.manifest.codes)))
    assert np.abs(built.verified.scorer.score(rows).value - estimator.predict_proba(rows)[:, 1]).max() <= 1e-12
    assert verify_artifact(built.verified.artifact).golden == built.verified.golden


def test_what_was_related_is_found_and_a_clean_cohort_raises_no_warning(built: Built) -> None:
    chosen = [a["analyte"] for a in manifest_of(built)["panel"]]
    assert len(set(chosen) & set(NAMES["protein"][:6])) >= 5
    assert built.findings == ()
    auc = built.evidence.figures["AUC"]
    assert auc is not None
    assert 0.7 < auc.value < 0.95
    assert auc.low < auc.value < auc.high
    assert built.evidence.apparent_auc > auc.value
    assert abs(built.evidence.permuted.mean() - 0.5) < 0.08


def test_the_manifest_tells_everything_that_was_measured(built: Built) -> None:
    manifest = manifest_of(built)
    metrics = [p["metric"] for p in manifest["performance"]]
    for metric in ("AUC", "sensitivity", "specificity", "PPV at 0.1", "NPV at 0.1", "Brier score"):
        assert metric in metrics
    for metric in ("calibration slope", "calibration intercept", "net benefit at 0.2"):
        assert metric in metrics
    assert sum(m.startswith("AUC of models learned on") for m in metrics) == 5
    kinds = ["roc", "calibration", "decision", "decision", "scores", "scores", "learning"]
    assert [c["kind"] for c in manifest["curves"]] == kinds
    controls = [c["name"] for c in manifest["negative_controls"]]
    assert controls == ["permuted outcomes", "covariates alone", "technical measures alone"]
    assert manifest["output"]["cut_points"][0]["interval"]["low"] <= manifest["output"]["cut_points"][0]["value"]
    assert manifest["training"]["classes"] == {"case": 40, "control": 40}
    assert "sha256:" in manifest["training"]["code_version"]
    assert manifest["estimator"]["lowered"]["proof"]["rows"] == 10_080


def test_the_curves_say_what_was_measured(built: Built) -> None:
    named = {(c["kind"], c.get("of")): c for c in manifest_of(built)["curves"]}
    roc, auc = named["roc", None], built.evidence.figures["AUC"]
    assert auc is not None
    points = np.array(roc["points"])
    assert float(np.trapezoid(points[:, 1], points[:, 0])) == pytest.approx(auc.value, abs=0.02)
    low, high = np.array(roc["band"]["low"]), np.array(roc["band"]["high"])
    assert ((low <= points[:, 1]) & (points[:, 1] <= high)).all()
    # Halfway, the band is about as wide as an interval from 80 people must be.
    assert 0.1 < float((high - low)[10:60].mean()) < 0.8
    for name in ("case", "control"):
        shares = named["scores", name]["points"]
        assert sum(y for _, y in shares) == pytest.approx(1.0, abs=0.002)
        assert named["scores", name]["people"] == {name: 40}
    middles = [sum(x * y for x, y in named["scores", name]["points"]) for name in ("case", "control")]
    assert middles[0] > middles[1]
    learning = named["learning", None]
    assert learning["points"] == [[p.people, round(p.auc.value, 6)] for p in built.evidence.learning]
    acting = dict(map(tuple, named["decision", "everybody"]["points"]))
    assert acting[0.5] == pytest.approx(0.0, abs=1e-6)
    assert len(named["calibration", None]["band"]["low"]) == 5


def test_the_card_of_a_build_is_drawn_from_its_manifest_alone(built: Built) -> None:
    manifest = built.verified.artifact.manifest
    card = card_json(manifest, built.verified.artifact.digest)
    sections = {section["title"]: section for section in card["sections"]}
    for title in FIGURES:
        assert len(sections[title]["figures"]) == 1, title
    said = " ".join(sections["How good it is, and on whom"]["paragraphs"])
    assert "Of 1000 people tested, 100 of whom have the condition (a clinic)" in said
    assert "/card/developer" in card["missing_fields"]
    assert "INCOMPLETE CARD" in sections["Status"]["paragraphs"][1]
    assert card_html(manifest, built.verified.artifact.digest).count("<svg") == len(FIGURES)


def test_no_persons_row_is_in_the_artifact(built: Built) -> None:
    golden = json.loads(built.verified.artifact.files["golden.json"])
    codes = built.verified.artifact.manifest.codes
    drawn = np.array([[v["inputs"][code] for code in codes] for v in golden["vectors"]])
    people = simulate(1).values[:, [NAMES["protein"].index(code) for code in codes]]
    nearest = np.abs(drawn[:, np.newaxis, :] - people[np.newaxis]).max(axis=2).min()
    assert nearest > 0.01
    roles = [v["role"] for v in golden["vectors"]]
    assert roles.count("typical") == 32
    assert roles.count("cut-point") >= 4


def test_the_same_order_gives_the_same_bytes_on_any_number_of_processes(built: Built, make: Make) -> None:
    again = make(simulate(1), jobs=2)
    assert again.verified.artifact.digest == built.verified.artifact.digest
    assert again.evidence_file.read_bytes() == built.evidence_file.read_bytes()
    other = make(simulate(1), seed=8)
    assert other.verified.artifact.digest != built.verified.artifact.digest


def test_the_artifact_knows_its_uncertainty_and_whom_it_was_fitted_on(built: Built) -> None:
    manifest, scorer = built.verified.artifact.manifest, built.verified.scorer
    width = len(manifest.codes)
    evidence = json.loads(built.evidence_file.read_bytes())
    covariance = np.array(evidence["coefficient_covariance"])
    assert covariance.shape == (width + 1, width + 1)
    assert manifest_of(built)["estimator"]["coefficient_covariance"] == covariance.tolist()
    assert np.linalg.eigvalsh(covariance).min() > -1e-9
    reference = manifest.reference_distribution
    distance = manifest.distance()
    assert not isinstance(reference, str)
    assert distance is not None
    rows = golden_matrix(manifest, built.verified.golden)
    scored = scorer.score(rows)
    assert scored.interval is not None
    low, high = scored.interval
    assert ((low <= scored.value) & (scored.value <= high)).all()
    assert ((high - low)[:10] > 0.001).all()
    # Served as it was measured when the limits were set.
    parts = (np.array(reference.location), np.array(reference.spread), np.array(reference.correlation_factor))
    assert distance.of_many(rows) == pytest.approx(squared_distances(scored.used, *parts), rel=1e-9)
    typical = np.array([vector.role == "typical" for vector in built.verified.golden])
    assert np.mean(distance.of_many(rows[typical]) <= reference.fail_limit) > 0.9


def test_covariates_of_the_model_and_a_two_sided_rule(make: Make) -> None:
    words = {
        "at_or_above": {"code": "likely", "label": "Likely"},
        "between": {"code": "unclear", "label": "No answer"},
        "below": {"code": "unlikely", "label": "Unlikely"},
    }
    rule = {"rule": "two_sided", "sensitivity": 0.9, "specificity": 0.9}
    covariates = [AGE | {"in_model": True}, SEX | {"in_model": True}]
    built = make(simulate(1), covariates=covariates, cut_point=rule, categories=words)
    manifest = manifest_of(built)
    assert [c["name"] for c in manifest["covariates"]] == ["age_years", "sex_male"]
    low, high = (c["value"] for c in manifest["output"]["cut_points"])
    assert manifest["output"]["indeterminate_zone"] == {"low": low, "high": high, "meaning": "No answer"}
    assert [c["code"] for c in manifest["output"]["categories"]] == ["likely", "unclear", "unlikely"]
    golden = json.loads(built.verified.artifact.files["golden.json"])["vectors"]
    assert {v["category"] for v in golden} == {"likely", "unclear", "unlikely"}
    assert all(v["inputs"]["sex_male"] in {0.0, 0.5, 1.0} for v in golden)
    share = built.evidence.figures["indeterminate share"]
    assert share is not None
    assert 0.1 < share.value < 0.9


def test_two_kinds_of_analyte_of_the_same_people(tmp_path: Path) -> None:
    proteins, mirnas = simulate(3, analytes=20, related=2, effect=1.2), simulate(4, analytes=20, related=2, effect=1.2)
    mirnas.names = NAMES["mirna"][:20]
    mirnas.values = np.round(np.exp2(mirnas.values - 12.0))
    mirnas.columns = {}
    counts = {"kind": "mirna", "table": "mirna", "unit": "{CPM}", "range": {"low": 0, "high": 1e6}, "limit": 2}
    steps = [{"step": "per_million", "total": None}, {"step": "log2", "offset": 1}]
    document = spec_document(
        cohort=spec_document()["cohort"] | {"tables": ["protein", "mirna"]},
        analytes=[all_proteins(limit=2), all_proteins(**counts, normalisation=steps)],
        estimator={"kind": "ridge_logistic", "penalties": [1], "sizes": [2]},
    )
    data = (proteins.write(tmp_path / "protein.csv"), mirnas.write(tmp_path / "mirna.csv"))
    order = Order(data, write_spec(tmp_path / "spec.yaml", document), tmp_path / "out")
    manifest = manifest_of(build(order, progress=Silent(), say=lambda _: None))
    assert [a["kind"] for a in manifest["panel"]] == ["protein", "protein", "mirna", "mirna"]
    assert [a["unit"] for a in manifest["panel"]] == ["{log2}", "{log2}", "{CPM}", "{CPM}"]
    accessions = [a["analyte"] for a in manifest["panel"]]
    assert manifest["normalisation"] == [{"step": "log2", "analytes": accessions[2:], "offset": 1.0}]


def test_a_missing_value_becomes_a_locked_one(make: Make) -> None:
    cohort = simulate(1, analytes=6)
    cohort.values[np.random.default_rng(1).random(cohort.values.shape) < 0.05] = np.nan
    built = make(cohort, analytes=[all_proteins(missing="mean")], max_substitutions=2)
    for entry in manifest_of(built)["panel"]:
        column = cohort.values[:, NAMES["protein"].index(entry["analyte"])]
        assert entry["absent"] == {"action": "impute", "value": pytest.approx(np.nanmean(column), abs=1e-4)}


def test_bad_words_are_found_before_the_evaluation(make: Make, tmp_path: Path) -> None:
    use = spec_document()["intended_use"] | {"anticoagulants": {"accepted": ["edta"], "refused": []}}
    with pytest.raises(ServiceError) as caught:
        make(simulate(1), intended_use=use, evaluation={"refits": 100_000})
    assert caught.value.problems[0].pointer == "/intended_use/anticoagulants"
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_through_a_link_or_beside_strange_files(make: Make, tmp_path: Path) -> None:
    """Found before the cohort is looked at: this one would be refused otherwise."""
    elsewhere, model = tmp_path / "elsewhere", tmp_path / "out" / "simulated-panel"
    elsewhere.mkdir()
    (elsewhere / "file").write_bytes(b"kept")

    def said() -> str:
        with pytest.raises(ArtifactRejected) as caught:
            make(simulate(1, people=4))
        assert [(path.name, path.read_bytes()) for path in elsewhere.iterdir()] == [("file", b"kept")]
        return str(caught.value)

    model.mkdir(parents=True)
    for name in ("1.0.0", "1.0.0.evidence.json"):
        (model / name).symlink_to(elsewhere)
        assert name in said()
        (model / name).unlink()
    folder = model / "1.0.0"
    folder.mkdir()
    for name in ("manifest.json", "golden.json.part"):
        (folder / name).symlink_to(elsewhere / "file")
        assert name in said()
        (folder / name).unlink()
    (folder / "notes.txt").touch()
    assert "notes.txt" in said()
    (folder / "notes.txt").unlink()
    (model / "1.0.0.evidence.json").mkdir()
    assert "evidence" in said()


def test_a_panel_without_a_usable_analyte_is_refused(make: Make) -> None:
    rare = all_proteins(detected_above=50, min_detected=0.5)
    with pytest.raises(ArtifactRejected, match="No analyte may be used"):
        make(simulate(1), analytes=[rare])


def test_a_file_too_many_is_refused(tmp_path: Path) -> None:
    data = simulate(1).write(tmp_path / "cohort.csv")
    spec = write_spec(tmp_path / "spec.yaml", spec_document())
    with pytest.raises(CohortRejected, match="not as many files"):
        build(Order((data, data), spec, tmp_path), progress=Silent(), say=lambda _: None)


def test_held_out_people_are_judged_once_and_shown_first(make: Make) -> None:
    people = simulate(5, people=120, effect=1.0)
    people.columns["site"] = ["second" if row % 3 == 0 else "first" for row in range(120)]
    people.columns["run"] = [str(row) for row in range(120)]
    people.columns["plate"] = [f"plate {row // 2 % 3}" for row in range(120)]
    split = {"column": "site", "fit_on": ["first"], "judge_on": ["second"], "title": "second site", "external": True}
    technical = [
        {"column": "run", "title": "run order", "type": "number"},
        {"column": "plate", "title": "plate", "type": "category"},
    ]
    rule = {"rule": "specificity_at_least", "specificity": 0.9}
    cohort = spec_document()["cohort"] | {"held_out": split}
    built = make(people, cohort=cohort, technical=technical, cut_point=rule)
    manifest = manifest_of(built)
    first = manifest["performance"][0]
    assert (first["metric"], first["cohort"]) == ("AUC", "second site")
    held, inside = (c for c in manifest["curves"] if c["kind"] == "roc")
    assert (held["cohort"], inside["cohort"]) == (first["cohort"], INSIDE)
    assert (held["people"], inside["people"]) == ({"case": 20, "control": 20}, {"case": 40, "control": 40})
    apart = next(c for c in manifest["curves"] if c["kind"] == "calibration")
    assert (apart["cohort"], len(apart["points"]), apart["people"]) == ("second site", 5, {"case": 20, "control": 20})
    bounds = zip(held["band"]["low"], held["points"], held["band"]["high"], strict=True)
    assert all(low <= y <= high for low, (_, y), high in bounds)
    (cut_point,) = manifest["output"]["cut_points"]
    assert cut_point["locked"]
    assert cut_point["method"].startswith("Lowest value that keeps a specificity of at least 0.9")
    assert manifest["training"]["classes"] == {
        "case_fit": 40,
        "control_fit": 40,
        "case_held_out": 20,
        "control_held_out": 20,
    }
    judged = built.evidence.judged
    assert judged is not None
    specificity = judged.figures["specificity"]
    assert specificity is not None
    assert specificity.value > 0.7


def test_a_list_enters_whole_and_says_where_it_comes_from(make: Make) -> None:
    columns = [{"column": c, "analyte": c} for c in NAMES["protein"][:5]]
    listed = all_proteins(choose=columns, limit=None, chosen_on="elsewhere")
    rule = {"rule": "sensitivity_at_least", "sensitivity": 0.9}
    built = make(
        simulate(1), analytes=[listed], estimator={"kind": "ridge_logistic", "penalties": [0.1]}, cut_point=rule
    )
    manifest = manifest_of(built)
    assert [a["analyte"] for a in manifest["panel"]] == NAMES["protein"][:5]
    assert "5 analytes fixed beforehand" in manifest["training"]["procedure"]
    assert [c["name"] for c in manifest["negative_controls"]] == ["permuted outcomes", "covariates alone"]
