"""The whole evaluation of a procedure on a dataset: its figures, what they are to be compared with, its refits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from service.training.analyte_columns import varies
from service.training.calibration_groups import calibration_groups
from service.training.cohort import Floats
from service.training.cut_points import CutRule
from service.training.dataset import Dataset, Rows
from service.training.evaluate import Figure
from service.training.evidence import Control, Evidence, Judged, LearningPoint
from service.training.figures import FigurePlan, area, figures, reported
from service.training.intervals import Scale, interval, middle
from service.training.nested import HeldOutPredictions
from service.training.recipe import Design, Model, Settings
from service.training.roc import RocBand, cross_validated, judged_once, sensitivities
from service.training.spec import EvaluationSpec
from service.training.suspicious import duplicates, missing_by_class, strongest_analyte
from service.training.tasks import Permuted, Resample, Run, SmallerTraining, drawn_weights
from service.training.workers import Workers

LEARNING_SHARES = (0.3, 0.45, 0.6, 0.75, 0.9)
CONTROL_PENALTIES = (0.01, 0.1, 1.0, 10.0)
CONTROL_RESAMPLES = 200
_PLAIN = 500
_FEW = 5

COVARIATES, TECHNICAL, UNGROUPED = "covariates", "technical", "ungrouped"


def evaluate(
    dataset: Dataset, settings: Settings, model: Model, plan: FigurePlan, effort: EvaluationSpec, workers: Workers
) -> Evidence:
    """Runs everything; `model` is the final one, judged on held-out people where there are some."""
    rows = dataset.fit
    design = rows.design
    held = workers.run("cross-validation", "run", Run(design, settings, effort.folds), effort.repeats)
    resample = Resample(design, settings, effort.folds, plan, refit=True)
    resampled = workers.run("bootstrap over people", "resample", resample, effort.refits)
    permuted = workers.run(
        "permuted outcomes", "permuted", Permuted(design, settings, effort.folds), effort.permutations
    )
    found = summarise(design, plan, held, np.array([r.figures for r in resampled]), workers.generator("plain"))
    return Evidence(
        plan=plan,
        figures=found,
        roc=roc_band(design, held, np.array([r.roc for r in resampled]), workers.generator("roc")),
        held=tuple(held),
        refits=tuple(r.model for r in resampled if r.model is not None),
        permuted=np.array(permuted),
        controls=_controls(rows, settings, effort, workers),
        learning=_learning(design, settings, effort, workers),
        judged=None if dataset.held_out is None else judge(dataset.held_out, model, plan, effort, workers),
        apparent_auc=area(model.logit(design), design.positive, np.ones(len(design.positive))),
        duplicates=duplicates(rows, dataset.held_out),
        missing=missing_by_class(rows),
        strongest=strongest_analyte(design.values, design.positive, design.person, workers.generator("dealt")),
    )


def summarise(
    design: Design, plan: FigurePlan, held: list[HeldOutPredictions], resampled: Floats, generator: np.random.Generator
) -> Mapping[str, Figure | None]:
    """Each figure of the plan with its interval; `resampled` (b, 2, m)."""
    weights = np.ones(len(design.positive))
    runs = np.array([figures(h.logit, design.positive, weights, h.cut_points, plan) for h in held])
    floors = _plain_errors(design, held, plan, generator)
    values = reported(runs, design.positive, plan)
    return {
        name: interval(runs[:, place], resampled[:, :, place], floors[place], scale_of(name), float(values[place]))
        for place, name in enumerate(plan.names)
    }


def scale_of(name: str) -> Scale:
    """The scale on which a figure has its interval."""
    if name.startswith(("calibration", "net benefit")):
        return "free"
    return "odds" if name.startswith(("PPV", "NPV")) else "share"


def _plain_errors(
    design: Design, held: list[HeldOutPredictions], plan: FigurePlan, generator: np.random.Generator
) -> Floats:
    # Standard errors with the predictions as they are, each bootstrap sample averaged over a few runs.
    few = held[: min(_FEW, len(held))]
    samples = []
    for _ in range(_PLAIN):
        weights = drawn_weights(design, generator)
        runs = [figures(h.logit, design.positive, weights, h.cut_points, plan) for h in few]
        samples.append(np.mean(runs, axis=0))
    errors = np.std(np.array(samples), axis=0)
    return np.where(np.isfinite(errors), errors, 0.0)


def roc_band(
    design: Design, held: list[HeldOutPredictions], resampled: Floats, generator: np.random.Generator
) -> RocBand:
    """The ROC curve over all runs with its band; `resampled` (b, 2, g)."""
    runs = [sensitivities(h.logit, design.positive, np.ones(len(design.positive))) for h in held]
    few = held[: min(_FEW, len(held))]
    samples = []
    for _ in range(_PLAIN):
        weights = drawn_weights(design, generator)
        samples.append(np.mean([sensitivities(h.logit, design.positive, weights) for h in few], axis=0))
    return cross_validated(runs, resampled, np.std(np.array(samples), axis=0))


def _controls(rows: Rows, settings: Settings, effort: EvaluationSpec, workers: Workers) -> Mapping[str, Control]:
    found = {}
    sides = ((COVARIATES, "covariates alone", rows.covariates), (TECHNICAL, "technical measures alone", rows.technical))
    for code, name, columns in sides:
        varying = columns[:, varies(columns)]
        if varying.shape[1]:
            found[code] = _control(name, rows.design, varying, effort, workers)
    if rows.people < rows.count:
        alone = rows.design.relabelled(rows.design.positive, np.arange(rows.count))
        found[UNGROUPED] = _auc_of("samples of one person in different folds", alone, settings, effort, workers)
    return found


def _control(name: str, design: Design, columns: Floats, effort: EvaluationSpec, workers: Workers) -> Control:
    # A covariate that is missing becomes the mean: it tells nothing, and nobody is left out.
    filled = np.where(np.isnan(columns), np.nanmean(columns, axis=0), columns)
    bare = replace(
        design,
        values=np.zeros((len(columns), 0)),
        detected=np.ones((len(columns), 0), dtype=bool),
        kinds=np.zeros(0, dtype=np.int64),
        covariates=filled - filled.mean(axis=0),
    )
    settings = Settings((1,), (), (), CONTROL_PENALTIES, effort.inner_folds, (), CutRule("youden"))
    return _auc_of(name, bare, settings, effort, workers)


def _auc_of(name: str, design: Design, settings: Settings, effort: EvaluationSpec, workers: Workers) -> Control:
    plan = FigurePlan(settings.rule.count, (), ())
    held = workers.run(name, f"{name} run", Run(design, settings, effort.folds), effort.repeats)
    task = Resample(design, settings, effort.folds, plan, refit=False)
    count = min(effort.refits, CONTROL_RESAMPLES)
    resampled = workers.run(f"{name}, bootstrap", f"{name} resample", task, count)
    generator = workers.generator(f"{name} plain")
    found = summarise(design, plan, held, np.array([r.figures for r in resampled]), generator)
    figure = found["AUC"]
    assert figure is not None  # noqa: S101 - an area exists wherever both classes do
    return Control(name, figure)


def _learning(
    design: Design, settings: Settings, effort: EvaluationSpec, workers: Workers
) -> tuple[LearningPoint, ...]:
    people = len(np.unique(design.person))
    points = []
    for share in LEARNING_SHARES:
        task = SmallerTraining(design, settings, share)
        found = np.array(workers.run("learning curve", f"learning {share}", task, effort.learning_repeats))
        points.append(LearningPoint(round(share * people), Figure(float(found.mean()), *middle(found))))
    return tuple(points)


def judge(rows: Rows, model: Model, plan: FigurePlan, effort: EvaluationSpec, workers: Workers) -> Judged:
    """The final model on the held-out rows; the intervals resample these people, the model being given."""
    design = rows.design
    logit = model.logit(design)
    cut_points = np.tile(np.array(model.cut_points), (rows.count, 1))
    value = figures(logit, design.positive, np.ones(rows.count), cut_points, plan)
    generator = workers.generator("judged")
    drawn = [drawn_weights(design, generator) for _ in range(effort.refits)]
    samples = np.array([figures(logit, design.positive, weights, cut_points, plan) for weights in drawn])
    found: dict[str, Figure | None] = {}
    for place, name in enumerate(plan.names):
        column = samples[np.isfinite(samples[:, place]), place]
        ends = middle(column) if len(column) else (np.nan, np.nan)
        found[name] = Figure(float(value[place]), *ends) if np.isfinite(value[place]) else None
    resampled = np.array([sensitivities(logit, design.positive, weights) for weights in drawn])
    roc = judged_once(sensitivities(logit, design.positive, np.ones(rows.count)), resampled)
    return Judged(found, roc, calibration_groups(logit, design.positive))
