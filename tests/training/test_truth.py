"""Simulated cohorts whose truth is known: what is not there is not found, what is there is covered, and every planted
defect raises its warning. A few cohorts of each in the suite; many with SOAK=1 (`make soak`), which also prints rates.
"""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from service.training.cut_points import CutRule
from service.training.evaluation import summarise
from service.training.figures import FigurePlan
from service.training.folds import deal
from service.training.recipe import Design, Settings, learn
from service.training.tasks import Resample, Run
from service.training.workers import Silent, Workers
from tests.training.planted import PLANTED, assess, clean

SOAK = bool(os.environ.get("SOAK"))
COHORTS = 25 if SOAK else 1
PLAN = FigurePlan(1, (), ())
FOLDS = 5


def people(seed: int, *, count: int, analytes: int, related: int, effect: float) -> Design:
    generator = np.random.default_rng(seed)
    positive = np.arange(count) % 2 == 0
    values = generator.normal(size=(count, analytes))
    values[np.ix_(positive, np.arange(related))] += effect
    return Design(
        values=values,
        detected=np.ones(values.shape, dtype=bool),
        kinds=np.zeros(analytes, dtype=np.int64),
        covariates=np.zeros((count, 0)),
        positive=positive,
        person=np.arange(count),
    )


SETTINGS = Settings((3, 10), (10,), (False,), (0.01, 0.1, 1.0), 3, (0.0,), CutRule("youden"))


def interval_of(design: Design, seed: int, *, resamples: int) -> tuple[float, float, float]:
    workers = Workers(1, seed, Silent())
    held = workers.run("", "run", Run(design, SETTINGS, FOLDS), 5)
    resample = Resample(design, SETTINGS, FOLDS, PLAN, refit=False)
    drawn = workers.run("", "resample", resample, resamples)
    found = summarise(design, PLAN, held, np.array([r.figures for r in drawn]), workers.generator("plain"))["AUC"]
    assert found is not None
    return found.low, found.value, found.high


def true_auc(design: Design, seed: int, related: int, effect: float) -> float:
    """The mean AUC, among endless new people, of the models a cross-validation of this cohort makes."""
    generator = np.random.default_rng(seed)
    found = []
    fold = deal(design.person, design.positive, FOLDS, generator)
    for held in range(FOLDS):
        model = learn(design, (fold != held).astype(np.float64), SETTINGS, generator)
        shift = effect * model.coefficients[model.columns < related].sum()
        found.append(norm.cdf(shift / np.sqrt(2.0 * (model.coefficients**2).sum())))
    return float(np.mean(found))


def test_nothing_is_found_where_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    cohorts, analytes = (100, 2000) if SOAK else (5, 500)
    designs = (people(seed, count=80, analytes=analytes, related=0, effect=0.0) for seed in range(cohorts))
    ends = np.array([interval_of(d, seed, resamples=40 if SOAK else 20) for seed, d in enumerate(designs)])
    held = int(((ends[:, 0] <= 0.5) & (ends[:, 2] >= 0.5)).sum())
    with capsys.disabled():
        if SOAK:
            print(f"\n0.5 in {held} of {cohorts} intervals of null cohorts, mean AUC {ends[:, 1].mean():.3f}")
    assert held >= (93 if SOAK else 4)
    assert abs(ends[:, 1].mean() - 0.5) < (0.02 if SOAK else 0.08)


def test_intervals_hold_the_true_auc(capsys: pytest.CaptureFixture[str]) -> None:
    cohorts = 100 if SOAK else 4
    held = 0
    for seed in range(cohorts):
        design = people(seed, count=100, analytes=100, related=8, effect=0.6)
        low, _, high = interval_of(design, seed, resamples=60 if SOAK else 20)
        held += low <= true_auc(design, seed, 8, 0.6) <= high
    with capsys.disabled():
        if SOAK:
            print(f"\nthe true AUC in {held} of {cohorts} intervals")
    assert held >= (91 if SOAK else 3)


def test_a_clean_cohort_raises_no_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cohorts = 4 * COHORTS if SOAK else 2
    raised = Counter(code for seed in range(cohorts) for code in assess(tmp_path, clean(seed)[0])[1])
    with capsys.disabled():
        if SOAK:
            print(f"\nwarnings on {cohorts} clean cohorts: {dict(raised)}")
    assert raised.total() <= (0.05 * cohorts if SOAK else 0)


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_defect_raises_its_warning(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = name.partition(" ")[0]
    found = 0
    for seed in range(COHORTS):
        cohort, changes = PLANTED[name](seed)
        found += code in assess(tmp_path, cohort, **changes)[1]
    with capsys.disabled():
        if SOAK:
            print(f"\n{name}: raised on {found} of {COHORTS} cohorts with the defect")
    assert found >= 0.9 * COHORTS
