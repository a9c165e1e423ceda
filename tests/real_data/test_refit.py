"""The bundled TB model is what its command makes from the cohort, and holds no person of it."""

import csv
import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from service.registry.bundled import load_bundled
from service.training.cohort import Cohort, read_cohort
from service.training.evaluate import auc
from service.training.fit import Effort, choose_cut_point, out_of_fold
from service.training.tb_exosomal_mirna import LAYOUT, SEED

pytestmark = pytest.mark.real_data
NAME = "tb-exosomal-mirna"


@pytest.fixture(scope="module")
def data(shared_data: Path) -> Path:
    return shared_data / "tb_blood_exosome_mirna.csv"


@pytest.fixture(scope="module")
def cohort(data: Path) -> Cohort:
    return read_cohort(data, LAYOUT)


@pytest.fixture(scope="module")
def folder(pytestconfig: pytest.Config) -> Path:
    return pytestconfig.rootpath / "model_artifacts" / NAME / "1.0.0"


@pytest.fixture(scope="module")
def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_bytes())


@pytest.fixture(scope="module")
def rebuilt(data: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> dict[str, Any]:
    """The manifest the documented command makes. Less effort changes figures and intervals, no coefficient."""
    out = tmp_path_factory.mktemp("rebuilt")
    effort = ["--repeats", "1", "--resamples", "20", "--permutations", "1", "--date", "2026-11-23"]
    command = [sys.executable, "-m", "service.training", NAME, "--data", str(data), "--out", str(out), *effort]
    done = subprocess.run(command, cwd=pytestconfig.rootpath, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out / NAME / '1.0.0'}\n"
    return json.loads((out / NAME / "1.0.0" / "manifest.json").read_bytes())


def test_the_documented_command_gives_the_bundled_coefficients(
    rebuilt: dict[str, Any], manifest: dict[str, Any]
) -> None:
    fresh, bundled = rebuilt["estimator"]["lowered"], manifest["estimator"]["lowered"]
    assert [t["input"] for t in fresh["terms"]] == [t["input"] for t in bundled["terms"]]
    weights = [t["coefficient"] for t in bundled["terms"]]
    assert [t["coefficient"] for t in fresh["terms"]] == pytest.approx(weights, abs=1e-9, rel=0)
    assert fresh["intercept"] == pytest.approx(bundled["intercept"], abs=1e-9, rel=0)


def test_the_documented_command_writes_the_bundled_texts(rebuilt: dict[str, Any], manifest: dict[str, Any]) -> None:
    measured = {"files", "estimator", "output", "performance", "curves", "negative_controls"}
    for key in manifest.keys() - measured:
        assert rebuilt[key] == manifest[key], key


def test_the_bundled_cut_point_is_what_full_effort_chooses(cohort: Cohort, manifest: dict[str, Any]) -> None:
    values, positive = cohort.values[cohort.train], cohort.positive[cohort.train]
    effort = Effort()
    held_out = out_of_fold(values, positive, repeats=effort.repeats, seed=SEED)
    chosen = choose_cut_point(held_out, positive, resamples=effort.resamples, seed=SEED)
    (stated,) = manifest["output"]["cut_points"]
    assert chosen.value == stated["value"]
    assert (chosen.low, chosen.high) == (stated["interval"]["low"], stated["interval"]["high"])
    assert cohort.digest == manifest["training"]["data_digest"]


def test_the_card_states_the_auc_of_the_test_split(
    cohort: Cohort, manifest: dict[str, Any], pytestconfig: pytest.Config
) -> None:
    models = load_bundled(pytestconfig.rootpath / "model_artifacts", in_force=True)
    held_out = ~cohort.train
    scored = models.get(NAME, "1.0.0").scorer.score(cohort.values[held_out]).value
    stated = manifest["performance"][0]
    assert (stated["metric"], stated["cohort"]) == ("AUC", "test split")
    assert stated["value"] == pytest.approx(roc_auc_score(cohort.positive[held_out], scored), abs=1e-9)
    found = auc(scored, cohort.positive[held_out], resamples=2000, seed=SEED)
    assert (found.low, found.high) == pytest.approx((stated["interval"]["low"], stated["interval"]["high"]), abs=1e-9)


def test_the_signal_is_modest_and_vanishes_without_labels(manifest: dict[str, Any]) -> None:
    nested = manifest["performance"][1]
    assert 0.74 < nested["value"] < 0.83
    assert nested["interval"]["low"] < 0.79 < nested["interval"]["high"]
    assert 0.45 < manifest["negative_controls"][0]["value"] < 0.55


def test_no_person_of_the_cohort_is_in_the_artifact(data: Path, cohort: Cohort, folder: Path) -> None:
    vectors = json.loads((folder / "golden.json").read_bytes())["vectors"]
    golden = np.array([list(v["inputs"].values()) for v in vectors])
    for columns in combinations(range(6), 3):
        # Three values of one person, even rounded as the vectors are, would tell who it is.
        people = {tuple(row) for row in cohort.values[:, columns].round(3).tolist()}
        assert not people & {tuple(row) for row in golden[:, columns].round(3).tolist()}
    shipped = b"".join(p.read_bytes() for p in folder.iterdir())
    with data.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            assert row["sample_id"].encode() not in shipped
            for column in LAYOUT.columns:
                digits = re.sub(r"^-?0?\.?", "", row[column])
                assert digits.encode() not in shipped
    for column in range(6):
        values = cohort.values[:, column]
        assert not any(value.tobytes() in shipped for value in values)
