"""The spec files of the bundled models fit their cohorts, and the procedure they state meets what is known of them.

A reference figure is that of the cohort's notes: repeated stratified folds with everything fitted inside, and an
interval that keeps the models fixed.
"""

from pathlib import Path

import numpy as np
import pytest

from service.training.assemble import assemble
from service.training.dataset import Dataset
from service.training.figures import area
from service.training.read_spec import read_spec
from service.training.settings_of import settings_of
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


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest, shared_data: Path, pytestconfig: pytest.Config) -> tuple[str, Spec, Dataset]:
    spec = read_spec(pytestconfig.rootpath / "model_artifacts" / f"{request.param}.yaml").spec
    return request.param, spec, assemble(spec, [read_table(shared_data / name) for name in CASES[request.param][0]])


def test_the_procedure_meets_what_is_known_of_the_cohort(case: tuple[str, Spec, Dataset]) -> None:
    name, spec, dataset = case
    _, people, (low, high) = CASES[name]
    assert f"{spec.name}/{spec.version}" == name
    assert dataset.fit.people == people
    design = dataset.fit.design
    runs = Workers(1, spec.seed, Silent()).run("", "run", Run(design, settings_of(spec, dataset), 5), 6)
    found = np.mean([area(run.logit, design.positive, np.ones(people)) for run in runs])
    assert low <= found <= high


def test_nothing_is_found_in_it_when_outcomes_are_dealt_out(case: tuple[str, Spec, Dataset]) -> None:
    _, spec, dataset = case
    task = Permuted(dataset.fit.design, settings_of(spec, dataset), 5)
    found = Workers(1, spec.seed, Silent()).run("", "permuted", task, 12)
    assert np.mean(found) < 0.6
