"""The random tasks of an evaluation: one run, one bootstrap sample, one permutation, one smaller training set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.training.cohort import Flags, Floats
from service.training.figures import FigurePlan, area, figures
from service.training.folds import Indices, draw_people
from service.training.nested import HeldOutPredictions, out_of_fold
from service.training.recipe import Design, Model, Settings, learn
from service.training.roc import sensitivities

FEWEST_DRAWN = 3
"""Fewest different people of a class in a bootstrap sample; with fewer, a fold could be left without the class."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of nested cross-validation on everybody."""

    design: Design
    settings: Settings
    folds: int

    def __call__(self, generator: np.random.Generator) -> HeldOutPredictions:
        """The predictions."""
        weights = np.ones(len(self.design.positive))
        return out_of_fold(self.design, weights, self.settings, self.folds, generator)


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """Of one bootstrap sample of people: figures (2, m) and ROC (2, g) of two runs, and the model refitted on it."""

    figures: Floats
    roc: Floats
    model: Model | None


@dataclass(frozen=True, slots=True)
class Resample:
    """The whole procedure on people drawn anew: cross-validation twice, with other folds, and a refit."""

    design: Design
    settings: Settings
    folds: int
    plan: FigurePlan
    refit: bool

    def __call__(self, generator: np.random.Generator) -> Resampled:
        """Its figures and its model."""
        weights = drawn_weights(self.design, generator)
        found, roc = [], []
        for _ in range(2):
            held = out_of_fold(self.design, weights, self.settings, self.folds, generator)
            found.append(figures(held.logit, self.design.positive, weights, held.cut_points, self.plan))
            roc.append(sensitivities(held.logit, self.design.positive, weights))
        model = learn(self.design, weights, self.settings, generator) if self.refit else None
        return Resampled(np.array(found), np.array(roc), model)


def drawn_weights(design: Design, generator: np.random.Generator) -> Floats:
    """Weights (n,) of one bootstrap sample of people with at least three different ones of each class."""
    while True:
        weights = draw_people(design.person, design.positive, generator).astype(np.float64)
        drawn = weights > 0
        sides = (design.person[drawn & design.positive], design.person[drawn & ~design.positive])
        if min(len(np.unique(side)) for side in sides) >= FEWEST_DRAWN:
            return weights


@dataclass(frozen=True, slots=True)
class Permuted:
    """The whole procedure on outcomes dealt out at random among people."""

    design: Design
    settings: Settings
    folds: int

    def __call__(self, generator: np.random.Generator) -> float:
        """The AUC of one run."""
        design = self.design.relabelled(permuted_labels(self.design, generator))
        weights = np.ones(len(design.positive))
        held = out_of_fold(design, weights, self.settings, self.folds, generator)
        return area(held.logit, design.positive, weights)


def permuted_labels(design: Design, generator: np.random.Generator) -> Flags:
    """Outcomes (n,) shuffled among people; all samples of a person keep one outcome."""
    people = int(design.person.max()) + 1
    case = np.zeros(people, dtype=bool)
    case[design.person] = design.positive
    return np.asarray(generator.permutation(case)[design.person])


@dataclass(frozen=True, slots=True)
class SmallerTraining:
    """A model learned on a share of the people of each class, judged on all others."""

    design: Design
    settings: Settings
    share: float

    def __call__(self, generator: np.random.Generator) -> float:
        """The AUC on the people left out."""
        weights = np.zeros(len(self.design.positive))
        for group in _people_by_class(self.design):
            taken = generator.permutation(group)[: max(FEWEST_DRAWN, round(self.share * len(group)))]
            weights[np.isin(self.design.person, taken)] = 1.0
        model = learn(self.design, weights, self.settings, generator)
        return area(model.logit(self.design), self.design.positive, 1.0 - weights)


def _people_by_class(design: Design) -> tuple[Indices, Indices]:
    cases = np.unique(design.person[design.positive])
    return cases, np.setdiff1d(np.unique(design.person), cases)
