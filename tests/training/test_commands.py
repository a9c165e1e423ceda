import copy
import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest

from service.errors import ArtifactRejected
from service.registry.signing import sign_folder
from service.training.__main__ import main
from service.training.publish import publish
from tests.registry.artifacts import KEY_NAME, PUBLISHER, load

Rows = list[dict[str, str]]
Write = Callable[[Rows], Path]
QUICK = ["--repeats", "1", "--resamples", "50", "--permutations", "2", "--date", "2026-01-02"]


def fit(data: Path, out: Path) -> Path:
    assert main(["tb-exosomal-mirna", "--data", str(data), "--out", str(out), *QUICK]) == 0
    return out / "tb-exosomal-mirna" / "1.0.0"


@pytest.fixture(scope="module")
def fitted(cohort_rows: Rows, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitted")
    with (folder / "cohort.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(cohort_rows[0]))
        writer.writeheader()
        writer.writerows(cohort_rows)
    return fit(folder / "cohort.csv", folder / "out")


def test_a_fitted_and_signed_artifact_serves_what_its_estimator_predicts(fitted: Path, tmp_path: Path) -> None:
    assert not (fitted / "signature").exists()
    shutil.copytree(fitted, tmp_path / "tb-exosomal-mirna" / "1.0.0")
    sign_folder(tmp_path / "tb-exosomal-mirna" / "1.0.0", pem=PUBLISHER.pem(), key_name=KEY_NAME)
    version = load(tmp_path).resolve("tb-exosomal-mirna")
    estimator = joblib.load(fitted / "estimator.joblib")
    rows = np.random.default_rng(2).uniform(-10, 10, size=(500, 6))
    assert np.abs(version.scorer.score(rows).value - estimator.predict_proba(rows)[:, 1]).max() <= 1e-12


def test_the_same_data_give_the_same_bytes(
    fitted: Path, cohort_rows: Rows, write_cohort: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = fitted, fit(write_cohort(cohort_rows), tmp_path / "b")
    said = capsys.readouterr()
    assert said.out == f"{second}\n"
    assert "AUC" in said.err
    for name in ("manifest.json", "golden.json", "estimator.joblib"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert sorted(path.name for path in second.iterdir()) == ["estimator.joblib", "golden.json", "manifest.json"]


def test_the_test_split_changes_nothing_that_was_learned(
    fitted: Path, cohort_rows: Rows, write_cohort: Write, tmp_path: Path
) -> None:
    first = json.loads((fitted / "manifest.json").read_bytes())
    rows = copy.deepcopy(cohort_rows)
    for row in rows:
        if row["split"] == "test":
            row["miR-191"] = str(-float(row["miR-191"]))
    second = json.loads((fit(write_cohort(rows), tmp_path / "b") / "manifest.json").read_bytes())
    assert first["estimator"] == second["estimator"]
    assert first["output"] == second["output"]
    assert first["performance"][0] != second["performance"][0]


def test_the_manifest_tells_what_was_measured(fitted: Path) -> None:
    manifest = json.loads((fitted / "manifest.json").read_bytes())
    metrics = [(p["metric"], p["cohort"]) for p in manifest["performance"]]
    assert metrics[:2] == [("AUC", "test split"), ("AUC", "all people, cross-validated")]
    assert {"sensitivity", "specificity", "calibration slope", "Brier score"} <= {metric for metric, _ in metrics}
    assert manifest["training"]["classes"]["healthy_train"] == 56
    assert manifest["estimator"]["lowered"]["proof"]["max_abs_difference"] <= 1e-12
    control = manifest["negative_controls"][0]
    assert 0.3 < control["value"] < 0.7
    assert {p["date"] for p in manifest["performance"]} == {"2026-01-02"}


def test_the_golden_file_stands_on_both_sides_of_the_cut_point(fitted: Path) -> None:
    vectors = json.loads((fitted / "golden.json").read_bytes())["vectors"]
    cut = json.loads((fitted / "manifest.json").read_bytes())["output"]["cut_points"][0]["value"]
    near = [v for v in vectors if v["role"] == "cut-point"]
    assert {v["category"] for v in near} == {"elevated", "not_elevated"}
    assert all(0 < abs(v["value"] - cut) < 1e-8 for v in near)
    corners = [v for v in vectors if v["role"] == "range boundary"]
    assert len(corners) == 14
    assert sum(v["role"] == "typical" for v in vectors) == 24
    assert vectors[0]["role"] == "typical"
    assert len(vectors) >= 32


def test_bad_data_are_refused_with_the_reason(
    cohort_rows: Rows, write_cohort: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = copy.deepcopy(cohort_rows)
    rows[0]["miR-20a"] = "high"
    data = write_cohort(rows)
    assert main(["tb-exosomal-mirna", "--data", str(data), "--out", str(tmp_path / "out"), *QUICK]) == 1
    said = capsys.readouterr()
    assert "Line 2: miR-20a is not a finite number" in said.err
    assert "what to do" in said.err
    assert said.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unknown"],
        ["tb-exosomal-mirna", "--out", "x"],
        ["pgd-klkb1-inotrope", "--out", "x", "--date", "today"],
        ["tb-exosomal-mirna", "--data", "x", "--out", "x", "--repeats", "0"],
    ],
    ids=["nothing", "unknown model", "no data", "no date", "no repeats"],
)
def test_wrong_usage_ends_with_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_the_published_equation_is_written_as_it_is_bundled(tmp_path: Path) -> None:
    bundled = Path(__file__).parents[2] / "model_artifacts" / "pgd-klkb1-inotrope" / "1.0.0"
    # The bundled manifest is dated; the golden file depends on the equation alone.
    assert main(["pgd-klkb1-inotrope", "--out", str(tmp_path), "--date", "2026-11-23"]) == 0
    built = tmp_path / "pgd-klkb1-inotrope" / "1.0.0"
    for name in ("manifest.json", "golden.json"):
        assert (built / name).read_bytes() == (bundled / name).read_bytes()


def test_what_does_not_read_back_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactRejected):
        publish(tmp_path, {"name": "a", "version": "1.0.0"}, {"golden.json": b"{}"})


def test_a_signature_stays_with_the_bytes_it_was_made_for(tmp_path: Path) -> None:
    bundled = Path(__file__).parents[2] / "model_artifacts"
    folder = Path(shutil.copytree(bundled, tmp_path / "out")) / "pgd-klkb1-inotrope" / "1.0.0"
    build = ["pgd-klkb1-inotrope", "--out", str(tmp_path / "out"), "--date"]
    assert main([*build, "2026-11-23"]) == 0
    assert load(tmp_path / "out").resolve("pgd-klkb1-inotrope")
    assert main([*build, "2026-11-24"]) == 0
    assert not (folder / "signature").exists()


def test_a_link_in_the_output_is_not_written_through(tmp_path: Path) -> None:
    folder = tmp_path / "out/pgd-klkb1-inotrope/1.0.0"
    folder.mkdir(parents=True)
    (tmp_path / "target").write_text("precious")
    (folder / "golden.json").symlink_to(tmp_path / "target")
    assert main(["pgd-klkb1-inotrope", "--out", str(tmp_path / "out")]) == 1
    assert (tmp_path / "target").read_text() == "precious"
