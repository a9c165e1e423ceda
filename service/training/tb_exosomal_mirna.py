"""Fit, evaluate and write `tb-exosomal-mirna`: pulmonary tuberculosis v healthy from six exosomal miRNAs.

Penalty, coefficients and cut-point come from the train split alone; a test holds that changing the test split changes
none of them. The figure for the procedure as a whole is nested cross-validation over all people.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.pipeline import Pipeline

from service.domain.score import Category
from service.registry.artifact import Verified
from service.registry.lower import lower, prove
from service.training import tb_manifest
from service.training.cohort import Cohort, Floats, Layout, read_cohort
from service.training.evaluate import Figure, auc, spread
from service.training.fit import Effort, FittedModel, choose_cut_point, choose_penalty, fit, out_of_fold
from service.training.golden_vectors import boundary_rows, cut_point_rows, golden_document, typical_rows
from service.training.publish import publish, to_bytes

SEED = 2019
LAYOUT = Layout(tuple(a.column for a in tb_manifest.ANALYTES), "pulmonary_tuberculosis", "healthy")
RANGE = tb_manifest.PLAUSIBLE_Z

Say = Callable[[str], None]


def build(data: Path, out: Path, *, day: str, effort: Effort, say: Say) -> Verified:
    """Reads the cohort in `data` and writes the artifact under `out`. Raises CohortRejected or ArtifactRejected."""
    cohort = read_cohort(data, LAYOUT)
    say(f"read {len(cohort.values)} people, {int(cohort.train.sum())} to fit on")
    model = fit_model(cohort, effort)
    say(f"fitted on the train split with C = {model.penalty:g}; cut-point {model.cut_point.value:.3f}")
    procedure = out_of_fold(cohort.values, cohort.positive, repeats=effort.repeats, seed=SEED)
    nested = auc(procedure, cohort.positive, resamples=effort.resamples, seed=SEED)
    say(f"nested cross-validation over all people: AUC {nested.value:.3f} [{nested.low:.3f}, {nested.high:.3f}]")
    control = permuted_control(cohort, effort)
    say(f"control with permuted labels: AUC {control.value:.3f} [{control.low:.3f}, {control.high:.3f}]")
    evidence = tb_manifest.Evidence(cohort, model, nested, control, effort, SEED, day)
    golden = golden_for(cohort, model)
    document = tb_manifest.document(evidence, golden_count=len(golden["vectors"]))
    files = {"estimator.joblib": dump(model.estimator), "golden.json": to_bytes(golden)}
    return publish(out, document, files)


def fit_model(cohort: Cohort, effort: Effort) -> FittedModel:
    """Everything that is learned, from the train split alone. Raises ArtifactRejected if the lowering is not exact."""
    values, positive = cohort.values[cohort.train], cohort.positive[cohort.train]
    penalty = choose_penalty(values, positive, SEED)
    estimator = fit(values, positive, penalty)
    lowered = lower(estimator, width=values.shape[1])
    proof = prove(estimator, lowered, _proof_rows(values))
    held_out = out_of_fold(values, positive, repeats=effort.repeats, seed=SEED)
    cut_point = choose_cut_point(held_out, positive, resamples=effort.resamples, seed=SEED)
    return FittedModel(estimator, lowered, proof, penalty, cut_point, held_out)


def permuted_control(cohort: Cohort, effort: Effort) -> Figure:
    """AUC of the whole procedure on labels dealt out at random, once per permutation: 0.5 unless something leaks."""
    generator = np.random.default_rng(SEED)
    found = []
    for number in range(effort.permutations):
        labels = generator.permutation(cohort.positive)
        predicted = out_of_fold(cohort.values, labels, repeats=1, seed=SEED + number)
        found.append(auc(predicted, labels, resamples=1, seed=SEED).value)
    return spread(np.array(found))


def golden_for(cohort: Cohort, model: FittedModel) -> dict[str, Any]:
    """The golden file: 24 typical draws, the boundaries of the range, and both sides of the cut-point."""
    width = cohort.values.shape[1]
    low, high = np.full(width, RANGE[0]), np.full(width, RANGE[1])
    typical = list(typical_rows(cohort.values[cohort.train], count=24, seed=SEED))
    edges = cut_point_rows(model.scorer, [model.cut_point.value], np.zeros(width))
    near = [(role, row) for role, row in edges if ((row >= low) & (row <= high)).all()]
    rows = [*typical, *boundary_rows(low, high), *near]
    categories = tuple(Category(**category) for category in tb_manifest.categories(model.cut_point.value))
    return golden_document(tb_manifest.CODES, rows, scorer=model.scorer, categories=categories)


def dump(estimator: Pipeline) -> bytes:
    """The estimator as an uncompressed joblib file, which scanners for unsafe pickles can read."""
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    return buffer.getvalue()


def _proof_rows(values: Floats) -> Floats:
    # The train rows, and a wider cloud that reaches the ends of the plausible range.
    generator = np.random.default_rng(SEED)
    cloud = generator.uniform(RANGE[0], RANGE[1], size=(10_000, values.shape[1]))
    return np.concatenate([values, cloud])
