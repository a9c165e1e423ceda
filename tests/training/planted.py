"""Cohorts with a planted defect, and the assessment a build would give them, without writing an artifact."""

from pathlib import Path
from typing import Any

import numpy as np

from service.training.assemble import assemble
from service.training.evaluation import evaluate
from service.training.evidence import Evidence
from service.training.findings import find_warnings
from service.training.read_spec import parse_spec
from service.training.recipe import learn
from service.training.settings_of import plan_of, settings_of
from service.training.tables import read_table
from service.training.workers import Silent, Workers
from tests.training.simulated import Cohort, all_proteins, directions, simulate, spec_document

EFFORT = {"folds": 5, "repeats": 4, "inner_folds": 3, "refits": 20, "permutations": 30, "learning_repeats": 1}


def assess(folder: Path, people: Cohort, **changes: Any) -> tuple[Evidence, set[str]]:
    """The evidence on a cohort and the codes of its warnings."""
    spec = parse_spec(spec_document(**{"evaluation": EFFORT, **changes}))
    dataset = assemble(spec, [read_table(people.write(folder / "planted.csv"))])
    settings = settings_of(spec, dataset)
    workers = Workers(1, spec.seed, Silent())
    model = learn(dataset.fit.design, np.ones(dataset.fit.count), settings, workers.generator("final"))
    evidence = evaluate(dataset, settings, model, plan_of(spec), spec.evaluation, workers)
    return evidence, {code for code, _ in find_warnings(spec, dataset, evidence)}


def clean(seed: int) -> tuple[Cohort, dict[str, Any]]:
    """Six of sixty analytes are related to the outcome, nothing else is."""
    return simulate(seed, people=100), {}


def outcome_among_inputs(seed: int) -> tuple[Cohort, dict[str, Any]]:
    """Leakage: one analyte was computed from the diagnosis."""
    cohort = simulate(seed, people=100, related=0)
    noise = np.random.default_rng([seed, 1]).normal(size=100)
    cohort.values[:, 30] = 20.0 + 4.0 * cohort.positive + 0.5 * noise
    return cohort, {}


def batch(seed: int) -> tuple[Cohort, dict[str, Any]]:
    """Nine of ten cases were measured on one plate, nine of ten controls on another, and plates differ."""
    cohort = simulate(seed, people=100, related=0)
    generator = np.random.default_rng([seed, 2])
    plate = np.where(generator.random(100) < 0.9, cohort.positive, ~cohort.positive)
    cohort.values += plate[:, np.newaxis] * generator.normal(0.0, 1.0, size=60)
    cohort.columns["plate"] = [f"plate {int(p)}" for p in plate]
    return cohort, {"technical": [{"column": "plate", "title": "plate", "type": "category"}]}


def amount(seed: int) -> tuple[Cohort, dict[str, Any]]:
    """Less material was loaded for controls; nobody wrote it down."""
    cohort = simulate(seed, people=100, related=0)
    cohort.values += 0.8 * cohort.positive[:, np.newaxis]
    return cohort, {}


def twice(seed: int) -> tuple[Cohort, dict[str, Any]]:
    """Ten specimens stand in the table a second time, under other names and measured anew."""
    cohort = simulate(seed, people=100)
    noise = np.random.default_rng([seed, 3]).normal(size=(10, 60))
    cohort.values[90:] = cohort.values[:10] + 0.2 * noise
    cohort.positive[90:] = cohort.positive[:10]
    return cohort, {}


def age(seed: int) -> tuple[Cohort, dict[str, Any]]:
    """Cases are fifteen years older, and ten analytes follow age, none the disease."""
    cohort = simulate(seed, people=100, related=0)
    generator = np.random.default_rng([seed, 4])
    years = 60.0 + 15.0 * cohort.positive + 8.0 * generator.normal(size=100)
    cohort.values[:, :10] += 0.08 * (years - 60.0)[:, np.newaxis]
    cohort.columns["age"] = [f"{y:.1f}" for y in years]
    return cohort, {}


def missing(seed: int) -> tuple[Cohort, dict[str, Any]]:
    """A third of one analyte's values is missing in cases, none in controls."""
    cohort = simulate(seed, people=100)
    lost = cohort.positive & (np.random.default_rng([seed, 5]).random(100) < 0.6)
    cohort.values[lost, 20] = np.nan
    return cohort, {"analytes": [all_proteins(missing="mean")]}


def repeated(seed: int) -> tuple[Cohort, dict[str, Any]]:
    """Four samples each of thirty people who differ from each other, whatever their outcome."""
    cohort = simulate(seed, people=120, related=0)
    person = np.arange(120) // 4
    own = 2.0 * np.random.default_rng([seed, 6]).normal(size=(30, 60))
    cohort.values += own[person]
    cohort.positive = person % 2 == 0
    cohort.columns["person"] = [f"P{p}" for p in person]
    return cohort, {"cohort": spec_document()["cohort"] | {"person": "person"}}


def elsewhere(seed: int) -> tuple[Cohort, dict[str, Any]]:
    """A second cohort in which nothing is related to the outcome."""
    cohort = simulate(seed, people=300, effect=0.9)
    second = np.arange(300) >= 140
    cohort.values[np.ix_(second & cohort.positive, np.arange(6))] -= 0.9 * directions(6)
    cohort.columns["site"] = ["second" if s else "first" for s in second]
    split = {"column": "site", "fit_on": ["first"], "judge_on": ["second"], "title": "second site", "external": True}
    return cohort, {"cohort": spec_document()["cohort"] | {"held_out": split}}


def nothing(seed: int) -> tuple[Cohort, dict[str, Any]]:
    """Nothing is related to the outcome."""
    return simulate(seed, people=100, related=0), {}


PLANTED = {
    "single_analyte_too_good": outcome_among_inputs,
    "perfect_separation": outcome_among_inputs,
    "technical_explains": batch,
    "technical_explains (unrecorded)": amount,
    "duplicated_rows": twice,
    "covariates_explain": age,
    "missing_by_class": missing,
    "repeated_samples_inflate": repeated,
    "held_out_below_internal": elsewhere,
    "not_better_than_chance": nothing,
}
