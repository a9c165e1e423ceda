from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.training.assemble import assemble
from service.training.dataset import Dataset
from service.training.evaluate import Figure
from service.training.evidence import Control, Evidence
from service.training.figures import FigurePlan
from service.training.findings import find_warnings
from service.training.read_spec import parse_spec
from service.training.roc import RocBand
from service.training.spec import Spec
from service.training.suspicious import Duplicates, MissingByClass, Strongest
from service.training.tables import read_table
from tests.training.simulated import NAMES, all_proteins, simulate, spec_document

EVIDENCE = Evidence(
    plan=FigurePlan(1, (), ()),
    figures={"AUC": Figure(0.75, 0.65, 0.83)},
    roc=RocBand(np.zeros(101), np.zeros(101), np.zeros(101)),
    held=(),
    refits=(),
    permuted=np.linspace(0.38, 0.62, 50),
    controls={},
    learning=(),
    judged=None,
    apparent_auc=0.9,
    duplicates=Duplicates(0, 0, 0, 0.3),
    missing=MissingByClass(1.0, 1.0),
    strongest=Strongest(2, 0.7, 0.8),
)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return assemble(SPEC, [read_table(simulate(1).write(tmp_path / "cohort.csv"))])


SPEC = parse_spec(spec_document())


def codes(dataset: Dataset, evidence: Evidence = EVIDENCE, spec: Spec = SPEC) -> list[str]:
    return [code for code, _ in find_warnings(spec, dataset, evidence)]


def control(value: float, low: float) -> Control:
    return Control("control", Figure(value, low, 0.99))


def test_nothing_suspicious_raises_nothing(dataset: Dataset) -> None:
    assert codes(dataset) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"permuted": np.linspace(0.5, 0.64, 50)}, ["procedure_leaks"]),
        ({"permuted": np.linspace(0.5, 0.8, 50)}, ["procedure_leaks", "not_better_than_chance"]),
        ({"figures": {"AUC": Figure(0.985, 0.9, 1.0)}}, ["perfect_separation"]),
        ({"strongest": Strongest(2, 0.96, 0.9)}, ["single_analyte_too_good"]),
        ({"strongest": Strongest(2, 0.96, 0.97)}, []),
        ({"controls": {"covariates": control(0.71, 0.6)}}, ["covariates_explain"]),
        ({"controls": {"covariates": control(0.71, 0.49)}}, []),
        ({"controls": {"covariates": control(0.66, 0.6)}}, ["covariates_explain"]),
        ({"controls": {"covariates": control(0.64, 0.6)}}, []),
        ({"controls": {"technical": control(0.8, 0.6)}}, ["technical_explains"]),
        ({"controls": {"ungrouped": control(0.81, 0.6)}}, ["repeated_samples_inflate"]),
        ({"controls": {"ungrouped": control(0.79, 0.6)}}, []),
        ({"duplicates": Duplicates(1, 0, 0, 0.3)}, ["duplicated_rows"]),
        ({"duplicates": Duplicates(0, 1, 0, 0.3)}, ["duplicated_rows"]),
        ({"duplicates": Duplicates(0, 0, 1, 0.3)}, ["held_out_copies"]),
        ({"missing": MissingByClass(0.0009, 1.0)}, ["missing_by_class"]),
        ({"missing": MissingByClass(0.0011, 0.0011)}, []),
    ],
)
def test_each_rule_has_its_threshold(dataset: Dataset, changes: dict[str, object], expected: list[str]) -> None:
    assert codes(dataset, replace(EVIDENCE, **changes)) == expected


def test_a_list_chosen_on_the_same_people_is_said_so(dataset: Dataset) -> None:
    columns = [{"column": c, "analyte": c} for c in NAMES["protein"][:3]]
    for origin, expected in (("these_people", ["analytes_chosen_on_these_people"]), ("elsewhere", [])):
        listed = all_proteins(choose=columns, limit=None, chosen_on=origin)
        assert codes(dataset, spec=parse_spec(spec_document(analytes=[listed]))) == expected


def test_warnings_are_plain_sentences_with_the_figures(dataset: Dataset) -> None:
    found = find_warnings(SPEC, dataset, replace(EVIDENCE, controls={"technical": control(0.8, 0.6)}))
    assert found[0][1] == (
        "What describes the measurement alone reaches an AUC of 0.80 [0.60, 0.99], the model 0.75 [0.65, 0.83]: it may "
        "tell how samples were handled, not whether people are ill."
    )
