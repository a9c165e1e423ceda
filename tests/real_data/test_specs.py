"""The bundled models built again from their cohorts: coefficients, cut-points and figures are those that ship.

A reference figure is that of the cohort's notes: repeated stratified folds with everything fitted inside, and an
interval that keeps the models fixed. The intervals on the cards take the whole procedure a thousand times; they are
built again by `make soak` (`whole_builds.py`).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.training.assemble import assemble
from service.training.build import final_model_of
from service.training.dataset import Dataset
from service.training.figures import figures, reported
from service.training.final_model import finish
from service.training.read_spec import ReadSpec, read_spec
from service.training.settings_of import plan_of, settings_of
from service.training.spec import Spec
from service.training.tables import read_table
from service.training.tasks import Permuted, Run
from service.training.workers import Silent, Workers

pytestmark = pytest.mark.real_data

CASES = {
    "tb-exosomal-mirna/1.1.0": (["tb_blood_exosome_mirna.csv"], 220, (0.72, 0.84)),
    "crc-plasma-ev-mirna/1.0.0": (["cancer_plasma_ev_mirna.csv.gz"], 150, (0.60, 0.78)),
    "ad-plasma-ev-protein/1.0.0": (["dementia_plasma_ev_protein.csv.gz"], 40, (0.63, 0.93)),
    "brain-tumour-ev-multiomic/1.0.0": (
        ["brain_tumour_plasma_ev_protein.csv.gz", "brain_tumour_plasma_ev_mirna.csv.gz"],
        52,
        (0.70, 0.95),
    ),
}


class Case:
    """A shipped version, its spec, and the cohort it was built from."""

    def __init__(self, name: str, artifacts: Path, data: Path) -> None:
        self.tables, self.people, self.known = CASES[name]
        self.read: ReadSpec = read_spec(artifacts / f"{name}.yaml")
        self.spec: Spec = self.read.spec
        assert f"{self.spec.name}/{self.spec.version}" == name
        self.dataset: Dataset = assemble(self.spec, [read_table(data / table) for table in self.tables])
        self.manifest: dict[str, Any] = json.loads((artifacts / name / "manifest.json").read_bytes())


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest, shared_data: Path, artifacts: Path) -> Case:
    return Case(request.param, artifacts, shared_data)


def test_a_shipped_version_has_the_coefficients_its_spec_gives(case: Case) -> None:
    spec, shipped = case.spec, case.manifest
    workers = Workers(1, spec.seed, Silent())
    model = final_model_of(case.dataset, settings_of(spec, case.dataset), workers)
    final = finish(case.dataset, model, (), workers.generator("proof"))
    lowered = shipped["estimator"]["lowered"]
    assert [a["analyte"] for a in shipped["panel"]] == [a.accession for a in final.analytes]
    found = [final.lowered.intercept, *final.lowered.coefficients]
    expected = [lowered["intercept"], *(term["coefficient"] for term in lowered["terms"])]
    assert np.abs(np.array(found) - np.array(expected)).max() < 1e-9
    assert [c["value"] for c in shipped["output"]["cut_points"]] == sorted(set(model.cut_points))
    assert shipped["training"]["data_digest"] == case.dataset.digest
    assert shipped["training"]["code_version"].endswith(case.read.digest)


def test_a_shipped_version_has_the_figures_its_procedure_gives(case: Case) -> None:
    spec, design = case.spec, case.dataset.fit.design
    assert case.dataset.fit.people == case.people
    task = Run(design, settings_of(spec, case.dataset), spec.evaluation.folds)
    runs = Workers(1, spec.seed, Silent()).run("", "run", task, spec.evaluation.repeats)
    plan, weights = plan_of(spec), np.ones(len(design.positive))
    each = np.array([figures(run.logit, design.positive, weights, run.cut_points, plan) for run in runs])
    found = reported(each, design.positive, plan)
    shipped = {figure["metric"]: figure["value"] for figure in case.manifest["performance"]}
    assert set(plan.names) <= set(shipped)
    assert dict(zip(plan.names, found.tolist(), strict=True)) == pytest.approx(
        {name: shipped[name] for name in plan.names}, abs=1e-6
    )
    low, high = case.known
    assert low <= shipped["AUC"] <= high


def test_nothing_is_found_in_it_when_outcomes_are_dealt_out(case: Case) -> None:
    task = Permuted(case.dataset.fit.design, settings_of(case.spec, case.dataset), 5)
    found = Workers(1, case.spec.seed, Silent()).run("", "permuted", task, 12)
    assert np.mean(found) < 0.6
