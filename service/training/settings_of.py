"""From the words of a spec to what the engine is given."""

from __future__ import annotations

from service.training.cut_points import CutRule
from service.training.dataset import Dataset
from service.training.figures import FigurePlan
from service.training.recipe import Settings
from service.training.spec import SensitivityAtLeast, Spec, SpecificityAtLeast, TwoSided

FINAL_RUNS = 20
"""How often the inner cross-validation of the one final model is repeated: its choices should not hang on one deal."""


def settings_of(spec: Spec, dataset: Dataset) -> Settings:
    """What is tried; a listed group enters whole, whatever the size."""
    counts = [sum(a.group == index for a in dataset.analytes) for index in range(len(spec.analytes))]
    limits = tuple(
        count if group.limit is None else min(group.limit, count)
        for group, count in zip(spec.analytes, counts, strict=True)
    )
    # Sizes above every limit would only repeat the largest panel.
    sizes = tuple(size for size in spec.estimator.sizes if size <= max(limits)) or (max(limits),)
    return Settings(
        sizes=sizes,
        limits=limits,
        whole=tuple(group.choose != "all" for group in spec.analytes),
        penalties=spec.estimator.penalties,
        inner_folds=spec.evaluation.inner_folds,
        min_detected=tuple(group.min_detected for group in spec.analytes),
        rule=rule_of(spec),
    )


def rule_of(spec: Spec) -> CutRule:
    """The rule of the spec's cut-points."""
    rule = spec.cut_point
    if isinstance(rule, TwoSided):
        return CutRule("two_sided", rule.sensitivity, rule.specificity)
    if isinstance(rule, SensitivityAtLeast):
        return CutRule("sensitivity_at_least", sensitivity=rule.sensitivity)
    if isinstance(rule, SpecificityAtLeast):
        return CutRule("specificity_at_least", specificity=rule.specificity)
    return CutRule("youden")


def plan_of(spec: Spec) -> FigurePlan:
    """The figures the spec asks for."""
    return FigurePlan(rule_of(spec).count, tuple(p.value for p in spec.prevalences), spec.thresholds)
