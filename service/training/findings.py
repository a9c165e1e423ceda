"""Warnings with teeth: what a person has to acknowledge by name before a version is put to work.

Each rule is a fixed threshold with its reason. None of them proves anything; each says in plain words what was seen and
what it may mean.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from service.training.dataset import Dataset
from service.training.evaluate import Figure
from service.training.evaluation import COVARIATES, TECHNICAL, UNGROUPED
from service.training.evidence import Control, Evidence
from service.training.spec import Spec

CHANCE = 0.5

WITHIN_REACH = 0.05
"""A control whose AUC is this near the model's explains it, and so does one that lies in the model's interval."""

LEAK = 0.02
"""How far above chance the mean AUC on permuted outcomes may lie, beside three standard errors, until it is a leak."""

SEPARATION = 0.98
"""An AUC that is too good for blood biomarkers: no panel of exosomes is known to keep it in a second cohort."""

SINGLE = 0.95
"""An AUC no single analyte reaches in honest cohorts of this kind, unless chance lets the best of all reach it."""

RARE = 0.001
"""The p below which values count as missing by class, corrected for the number of analytes."""

INFLATED = 0.05
"""How much better a figure may be when samples of one person are spread over the folds."""

Finding = tuple[str, str]


def find_warnings(spec: Spec, dataset: Dataset, evidence: Evidence) -> tuple[Finding, ...]:
    """Code and text of every warning, in a fixed order."""
    auc = evidence.figures["AUC"]
    assert auc is not None  # noqa: S101 - an area exists wherever both classes do
    parts = (
        _permutations(auc, evidence),
        _too_good(auc, dataset, evidence),
        _controls(auc, evidence),
        _table(evidence),
        _held_out(spec, auc, evidence),
        _choice(spec),
    )
    return tuple(finding for part in parts for finding in part)


def _permutations(auc: Figure, evidence: Evidence) -> Iterator[Finding]:
    permuted = evidence.permuted
    mean, error = float(permuted.mean()), float(permuted.std(ddof=1) / np.sqrt(len(permuted)))
    if mean > CHANCE + max(LEAK, 3.0 * error):
        yield (
            "procedure_leaks",
            f"On outcomes dealt out at random the procedure still finds an AUC of {mean:.2f}: it sees what it must "
            "not, and its other figures cannot be trusted.",
        )
    bound = float(np.quantile(permuted, 0.95))
    if auc.value <= bound:
        yield (
            "not_better_than_chance",
            f"The AUC of {_shown(auc)} is not shown to be better than chance: on outcomes dealt out at random one "
            f"run in twenty reaches {bound:.2f}.",
        )


def _too_good(auc: Figure, dataset: Dataset, evidence: Evidence) -> Iterator[Finding]:
    if auc.value >= SEPARATION:
        yield (
            "perfect_separation",
            f"The classes are told apart almost perfectly (AUC {_shown(auc)}). With samples of patients that is "
            "more likely a difference in how the classes were collected or measured, or the outcome itself among the "
            "inputs, than biology.",
        )
    strongest = evidence.strongest
    if strongest.auc >= max(SINGLE, strongest.by_chance):
        analyte = dataset.analytes[strongest.column]
        yield (
            "single_analyte_too_good",
            f"{analyte.name} ({analyte.accession}) alone tells the classes apart with an AUC of {strongest.auc:.2f}; "
            f"by chance the best of all reaches {strongest.by_chance:.2f}. Check that it is not derived from the "
            "diagnosis, and that both classes were measured together.",
        )


def _controls(auc: Figure, evidence: Evidence) -> Iterator[Finding]:
    covariates = evidence.controls.get(COVARIATES)
    if covariates is not None and _explains(covariates, auc):
        yield (
            "covariates_explain",
            f"Age, sex or the other covariates alone reach an AUC of {_shown(covariates.auc)}, the model "
            f"{_shown(auc)}: it may tell who people are, not whether they are ill.",
        )
    technical = evidence.controls.get(TECHNICAL)
    if technical is not None and _explains(technical, auc):
        yield (
            "technical_explains",
            f"What describes the measurement alone reaches an AUC of {_shown(technical.auc)}, the model {_shown(auc)}: "
            "it may tell how samples were handled, not whether people are ill.",
        )
    ungrouped = evidence.controls.get(UNGROUPED)
    if ungrouped is not None and ungrouped.auc.value > auc.value + INFLATED:
        yield (
            "repeated_samples_inflate",
            f"With samples of one person in different folds the AUC is {ungrouped.auc.value:.2f} instead of "
            f"{auc.value:.2f}: the model recognises people. Only the lower figure counts.",
        )


def _explains(control: Control, auc: Figure) -> bool:
    return control.auc.low > CHANCE and control.auc.value >= min(auc.value - WITHIN_REACH, auc.low)


def _table(evidence: Evidence) -> Iterator[Finding]:
    found = evidence.duplicates
    if found.equal or found.near:
        yield (
            "duplicated_rows",
            f"{found.equal} pairs of samples of different people have equal values and {found.near} pairs are closer "
            "than chance allows: the same specimen may stand in the table twice, and then its copy is judged by a "
            "model that saw it.",
        )
    missing = evidence.missing
    if min(missing.analyte_p, missing.sample_p) < RARE:
        yield (
            "missing_by_class",
            "Values are missing more often in one class than in the other: the model may learn what was not measured.",
        )


def _held_out(spec: Spec, auc: Figure, evidence: Evidence) -> Iterator[Finding]:
    across = evidence.duplicates.across
    if across:
        yield (
            "held_out_copies",
            f"{across} of the held-out samples have the values of a sample that was fitted on, or are closer to one "
            "than chance allows: the same specimens may stand on both sides, and then nothing was held out.",
        )
    judged = evidence.judged.figures["AUC"] if evidence.judged is not None else None
    if judged is not None and judged.value < auc.low:
        title = spec.cohort.held_out.title if spec.cohort.held_out is not None else ""
        yield (
            "held_out_below_internal",
            f"On people held out ({title}) the AUC is {_shown(judged)}, below the interval found inside the training "
            f"cohort, {_shown(auc)}: expect the lower figure elsewhere, or less.",
        )


def _choice(spec: Spec) -> Iterator[Finding]:
    if any(group.chosen_on == "these_people" for group in spec.analytes):
        yield (
            "analytes_chosen_on_these_people",
            "The analytes were chosen on the people the model is judged on, before the folds were drawn: every figure "
            "is too good, and by how much cannot be computed.",
        )


def _shown(figure: Figure) -> str:
    return f"{figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]"
