from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import fisher_exact
from sklearn.metrics import roc_auc_score

from service.training.applicability import reference, squared_distances
from service.training.dataset import Rows
from service.training.recipe import Design
from service.training.suspicious import duplicates, missing_by_class, strongest_analyte


def rows(seed: int, *, people: int = 100, analytes: int = 60, factors: int = 3) -> Rows:
    generator = np.random.default_rng(seed)
    shared = generator.normal(size=(people, factors)) @ generator.normal(size=(factors, analytes))
    values = shared + generator.normal(size=(people, analytes))
    design = Design(
        values=values,
        detected=np.ones(values.shape, dtype=bool),
        kinds=np.zeros(analytes, dtype=np.int64),
        covariates=np.zeros((people, 0)),
        positive=np.arange(people) % 2 == 0,
        person=np.arange(people),
    )
    return Rows(design, np.zeros((people, 0)), np.zeros((people, 0)), np.zeros(values.shape, dtype=bool))


def with_values(given: Rows, values: np.ndarray) -> Rows:
    return replace(given, design=replace(given.design, values=values), missing=np.isnan(values))


@pytest.mark.parametrize("analytes", [4, 6, 60, 500])
def test_a_clean_cohort_has_no_near_duplicates(analytes: int) -> None:
    found = [duplicates(rows(seed, analytes=analytes, factors=2)) for seed in range(60)]
    assert sum(f.equal for f in found) == 0
    # One false pair in a hundred cohorts is what the limit allows on average.
    assert sum(f.near > 0 for f in found) <= 4


@pytest.mark.parametrize(("noise", "analytes"), [(0.0, 6), (0.0, 60), (0.1, 60), (0.3, 500)])
def test_a_specimen_that_stands_twice_in_the_table_is_found(noise: float, analytes: int) -> None:
    given = rows(1, analytes=analytes)
    values = given.design.values.copy()
    values[90:] = values[:10] + noise * np.random.default_rng(2).normal(size=(10, analytes))
    found = duplicates(with_values(given, values))
    assert (found.equal, found.near) == ((10, 0) if noise == 0.0 else (0, 10))


@pytest.mark.parametrize("copied", [22, 40, 60])
@pytest.mark.parametrize("noise", [0.0, 1e-4, 0.05])
def test_copies_are_found_however_many_there_are(copied: int, noise: float) -> None:
    given = rows(3, people=60)
    copies = given.design.values[:copied] + noise * np.random.default_rng(4).normal(size=(copied, 60))
    twice = rows(3, people=60 + copied)
    found = duplicates(with_values(twice, np.concatenate([given.design.values, copies])))
    assert (found.equal, found.near) == ((copied, 0) if noise == 0.0 else (0, copied))


def test_held_out_samples_that_were_fitted_on_are_found() -> None:
    given, others = rows(5), rows(6)
    values = others.design.values.copy()
    values[:7] = given.design.values[:7] + 0.01 * np.random.default_rng(7).normal(size=(7, 60))
    assert duplicates(given, with_values(others, values)).across == 7
    assert duplicates(given, rows(8)).across == 0


def test_samples_of_one_person_are_no_duplicates() -> None:
    given = rows(1)
    values = given.design.values.copy()
    values[50:] = values[:50]
    twice = with_values(given, values)
    same = replace(twice, design=replace(twice.design, person=np.tile(np.arange(50), 2)))
    assert duplicates(same).equal == 0
    assert duplicates(twice).equal == 50


def test_missing_by_class_is_fishers_test_and_ranks() -> None:
    given = rows(1)
    values = given.design.values.copy()
    values[:40:2, 0] = np.nan
    values[1:9:2, 0] = np.nan
    values[:5, 1] = np.nan
    found = missing_by_class(with_values(given, values))
    table = [[20, 30], [4, 46]]
    assert found.analyte_p == pytest.approx(2 * fisher_exact(table).pvalue, rel=0.25)
    assert found.sample_p < 0.01
    assert missing_by_class(given) == type(found)(1.0, 1.0)


def test_values_missing_at_random_raise_nothing() -> None:
    smallest = []
    for seed in range(60):
        given = rows(seed)
        values = np.where(np.random.default_rng(seed).random((100, 60)) < 0.2, np.nan, given.design.values)
        found = missing_by_class(with_values(given, values))
        smallest.append(min(found.analyte_p, found.sample_p))
    assert np.mean(np.array(smallest) < 0.05) < 0.2
    assert min(smallest) > 0.001


def test_the_strongest_analyte_is_found_in_either_direction() -> None:
    given = rows(1)
    values = given.design.values.copy()
    values[:, 7] -= 3.0 * given.design.positive
    found = strongest_analyte(values, given.design.positive, given.design.person, np.random.default_rng(1))
    assert found.column == 7
    assert found.by_chance < found.auc
    assert found.auc == pytest.approx(1.0 - roc_auc_score(given.design.positive, values[:, 7]), abs=1e-12)


def test_the_best_of_many_analytes_in_few_people_is_good_by_chance() -> None:
    given = rows(1, people=20, analytes=500)
    found = strongest_analyte(given.design.values, given.design.positive, np.arange(20), np.random.default_rng(1))
    assert found.auc < found.by_chance
    assert found.by_chance > 0.9


def test_the_reference_keeps_new_people_and_refuses_strangers() -> None:
    generator = np.random.default_rng(8)
    mixing = generator.normal(size=(8, 8))
    values = generator.normal(size=(200, 8)) @ mixing + 20.0
    found = reference(values, np.arange(200))
    assert np.allclose(found.factor, np.tril(found.factor))
    assert found.flag_limit <= found.fail_limit
    fresh = generator.normal(size=(2000, 8)) @ mixing + 20.0
    distances = squared_distances(fresh, found.location, found.spread, found.factor)
    assert (distances > found.flag_limit).mean() == pytest.approx(0.05, abs=0.03)
    assert (distances > found.fail_limit).mean() < 0.02
    # Within each analyte's own range, but in a combination nobody has.
    crossed = np.column_stack([generator.permutation(column) for column in values.T])
    strange = squared_distances(crossed, found.location, found.spread, found.factor)
    assert (strange > found.flag_limit).mean() > 0.5


def test_a_reference_of_few_people_or_of_copies_exists() -> None:
    generator = np.random.default_rng(8)
    column = generator.normal(size=(12, 1))
    for values in (generator.normal(size=(12, 20)), np.hstack([column, column]), column):
        found = reference(values, np.arange(12))
        assert np.isfinite(found.factor).all()
        assert (np.diag(found.factor) > 0).all()


def test_limits_come_from_people_left_out_whole() -> None:
    generator = np.random.default_rng(8)
    centres = 3.0 * generator.normal(size=(20, 4))
    values = np.repeat(centres, 5, axis=0) + 0.1 * generator.normal(size=(100, 4))
    by_person = reference(values, np.repeat(np.arange(20), 5))
    by_sample = reference(values, np.arange(100))
    assert by_person.flag_limit > by_sample.flag_limit
