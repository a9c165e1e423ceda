"""What an evaluation found, as plain values; made by `evaluation`, read by findings, manifest and report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.training.calibration_groups import CalibrationGroups
from service.training.cohort import Floats
from service.training.evaluate import Figure
from service.training.figures import FigurePlan
from service.training.nested import HeldOutPredictions
from service.training.recipe import Model
from service.training.roc import RocBand
from service.training.suspicious import Duplicates, MissingByClass, Strongest


@dataclass(frozen=True, slots=True)
class Control:
    """A model that must find little: its AUC with an interval, cross-validated as the model itself."""

    name: str
    auc: Figure


@dataclass(frozen=True, slots=True)
class LearningPoint:
    """Mean AUC on people left out, and its spread, of models learned on `people`."""

    people: int
    auc: Figure


@dataclass(frozen=True, slots=True)
class Judged:
    """Figures of the one final model on people it never saw: `figures` by name."""

    figures: Mapping[str, Figure | None]
    roc: RocBand
    calibration: CalibrationGroups


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything measured. `held` are the runs on everybody, `refits` the models of the bootstrap samples."""

    plan: FigurePlan
    figures: Mapping[str, Figure | None]
    roc: RocBand
    held: tuple[HeldOutPredictions, ...]
    refits: tuple[Model, ...]
    permuted: Floats
    controls: Mapping[str, Control]
    learning: tuple[LearningPoint, ...]
    judged: Judged | None
    apparent_auc: float
    duplicates: Duplicates
    missing: MissingByClass
    strongest: Strongest
