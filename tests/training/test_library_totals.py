"""Counts whose library total is an input of the score: what is read, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.training.assemble import assemble
from service.training.cohort import CohortRejected
from service.training.dataset import Dataset
from service.training.read_spec import parse_spec
from service.training.tables import read_table
from service.training.yaml_strict import SpecRejected
from tests.training.simulated import (
    AGE,
    Cohort,
    all_counts,
    counts_document,
    share_of_total,
    simulate_counts,
)

LOG2 = {"step": "log2", "offset": 1e-5}


def assembled(tmp_path: Path, people: Cohort, *groups: dict[str, Any]) -> Dataset:
    return assemble(parse_spec(counts_document(*groups)), [read_table(people.write(tmp_path / "cohort.csv"))])


def refused(tmp_path: Path, people: Cohort, *groups: dict[str, Any]) -> list[str]:
    with pytest.raises(CohortRejected) as caught:
        assembled(tmp_path, people, *groups)
    return [problem.message for problem in caught.value.problems]


def with_reads(people: Cohort) -> Cohort:
    """The cohort with the depth of its libraries in a column of its own, and not in the sum of the others."""
    people.columns["reads"] = [f"{total:.0f}" for total in people.values.sum(axis=1) + 100]
    return people


@pytest.mark.parametrize("column", ["reads", None])
def test_a_count_becomes_a_share_of_its_own_library(tmp_path: Path, column: str | None) -> None:
    people = with_reads(simulate_counts(1, analytes=60))
    total = people.values.sum(axis=1) + (100 if column else 0)
    if column is None:
        people.columns.clear()
    dataset = assembled(tmp_path, people, all_counts(share_of_total(column), LOG2))
    expected = np.log2(people.values[:, :60] / total[:, np.newaxis] + 1e-5)
    assert np.abs(dataset.fit.design.values + dataset.centre - expected).max() < 1e-9
    assert {analyte.total for analyte in dataset.analytes} == {"library_total"}
    (known,) = dataset.totals
    assert (known.name, known.centre) == ("library_total", pytest.approx(np.log2(total).mean()))
    # The depth is no input of the model, and what it tells of the classes is a control.
    assert dataset.fit.covariates.shape == (80, 0)
    assert dataset.technical_names[-1] == "library total (library_total)"
    assert dataset.fit.technical[:, -1] == pytest.approx(np.log2(total))


def test_the_total_of_others_is_no_part_of_a_sum(tmp_path: Path) -> None:
    people = with_reads(simulate_counts(1, analytes=4))
    listed = [[{"column": name, "analyte": name} for name in people.names[start : start + 2]] for start in (0, 2)]
    fixed = {"limit": None, "chosen_on": "elsewhere"}
    read = all_counts(share_of_total("reads", name="reads"), choose=listed[0], **fixed)
    summed = all_counts(choose=listed[1], **fixed)
    dataset = assembled(tmp_path, people, read, summed)
    total = people.values.sum(axis=1)[:, np.newaxis]
    expected = [people.values[:, :2] / (total + 100), np.log2(people.values[:, 2:4] / total + 1e-5)]
    assert dataset.fit.design.values + dataset.centre == pytest.approx(np.concatenate(expected, axis=1))
    assert [total.name for total in dataset.totals] == ["reads", "library_total"]


def test_every_bad_total_and_count_is_told_at_once(tmp_path: Path) -> None:
    people = with_reads(simulate_counts(1, analytes=4))
    for row, reads in ((0, "0"), (1, ""), (2, "999"), (3, "x"), (4, "-5"), (5, "20000001")):
        people.columns["reads"][row] = reads
    people.values[6, 1] = 900_000
    people.values[7, 2] = 2_000_000
    people.values[8, 3] = np.nan
    assert refused(tmp_path, people, all_counts(share_of_total("reads"), LOG2)) == [
        "Table mirna, line 5: column reads is not a finite number.",
        "Table mirna, line 3: column reads holds no library total.",
        "Table mirna, line 2: column reads is not a library total above 0.",
        "Table mirna, line 6: column reads is not a library total above 0.",
        "Table mirna, line 4: column reads is outside the range of library totals.",
        "Table mirna, line 7: column reads is outside the range of library totals.",
        f"Table mirna, line 9: column {people.names[2]} is outside the plausible range.",
        f"Table mirna, line 10: column {people.names[3]} is missing.",
        f"Table mirna, line 8: column {people.names[1]} is above its library total.",
        f"Table mirna, line 9: column {people.names[2]} is above its library total.",
    ]


def test_a_sum_that_is_no_total_is_told(tmp_path: Path) -> None:
    people = simulate_counts(1, analytes=4)
    people.values[0] = 0.0
    people.values[1] = 10.0
    assert refused(tmp_path, people) == [
        "Table mirna, line 2: the sum of all its counts is not a library total above 0.",
        "Table mirna, line 3: the sum of all its counts is outside the range of library totals.",
    ]
    missing = refused(tmp_path, people, all_counts(share_of_total("depth"), LOG2))
    assert missing == ["Table mirna has no column depth."]


STEPS = "/analytes/0/normalisation"
COVARIATE = f"{STEPS}/0/covariate"


@pytest.mark.parametrize(
    ("group", "pointer", "code"),
    [
        (all_counts(share_of_total(), {"step": "per_million"}), STEPS, "combined"),
        (all_counts(LOG2, share_of_total()), STEPS, "order"),
        (all_counts(share_of_total(), share_of_total()), STEPS, "repeated"),
        (all_counts(share_of_total(), {"step": "log2", "offset": 10}), STEPS, "offset"),
        (all_counts(share_of_total(), {"step": "log2", "offset": 0}), STEPS, "range"),
        (all_counts(range={"low": -1, "high": 1e6}), STEPS, "range"),
        (all_counts(unit="{CPM}"), f"{COVARIATE}/unit", "unit"),
        (all_counts(share_of_total(unit="{reads}")), f"{COVARIATE}/unit", "unit"),
        (all_counts(share_of_total(unit="ng/mL"), unit="ng/mL"), f"{COVARIATE}/unit", "unit"),
        (all_counts(share_of_total(range={"low": 0, "high": 1e6})), f"{COVARIATE}/range/low", "range"),
        (all_counts(share_of_total(range={"low": 9, "high": 9})), f"{COVARIATE}/range", "range"),
        (all_counts(share_of_total(name="age_years")), f"{COVARIATE}/name", "repeated"),
        (all_counts(share_of_total(name="Total")), f"{COVARIATE}/name", "string_pattern_mismatch"),
        (all_counts(missing="mean"), "/analytes/0/missing", "missing"),
    ],
)
def test_a_total_that_makes_no_sense_is_refused(group: dict[str, Any], pointer: str, code: str) -> None:
    assert (pointer, code) in _problems(counts_document(group, covariates=[AGE]))


def _problems(spec: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(SpecRejected) as caught:
        parse_spec(spec)
    return [(problem.pointer, problem.code) for problem in caught.value.problems]


def test_one_name_is_one_total_in_the_same_words() -> None:
    other = all_counts(share_of_total("reads"), LOG2)
    spec = counts_document(all_counts(missing="mean", unit="{CPM}"), other)
    assert _problems(spec) == [
        (f"{COVARIATE}/unit", "unit"),
        ("/analytes/0/missing", "missing"),
        ("/analytes/1/normalisation/0/covariate/name", "repeated"),
    ]
    assert len(parse_spec(counts_document(all_counts(), all_counts())).totals) == 1
