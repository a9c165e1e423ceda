"""Manifest groups that say what the model rests on: training, performance, warnings, references and the card's texts.

The card's fields gather what ONC HTI-1's source attributes (45 CFR 170.315(b)(11)), the CHAI applied model card and
TRIPOD+AI (BMJ 2024;385:e078378) ask for beyond what the other groups hold.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.registry.manifest_base import Code, Day, Group, Interval, Maybe, Sha256, Text


class Coding(Group):
    """One code of a terminology."""

    system: Text
    code: Text
    display: Text


class Condition(Group):
    """The condition the model speaks of."""

    text: Text
    coding: tuple[Coding, ...]


class Training(Group):
    """Where the model comes from: cohort, licence, how it was fitted, and the digest of the data it was fitted on."""

    cohort: Text
    source: Text
    licence: Text
    classes: Maybe[dict[Text, Annotated[int, Field(ge=0)]]]
    dates: Text
    exclusions: Text
    missing_data: Text
    procedure: Text
    seed: Maybe[int]
    data_digest: Maybe[Sha256]
    code_version: Text


class Performance(Group):
    """One figure, with the people it was measured on and how."""

    metric: Text
    value: float
    interval: Maybe[Interval]
    cohort: Text
    method: Text
    date: Maybe[Day]


class Band(Group):
    """Where y lies at each point of a curve, `low` to `high` at `level` (0.95 for 95 %), each point for itself; of a
    learning curve, where that share of the draws lies."""

    level: Annotated[float, Field(gt=0, lt=1)]
    low: tuple[float, ...]
    high: tuple[float, ...]


class Curve(Group):
    """Points (x, y) of a curve the card draws, measured on `cohort`.

    - `roc`: 1 - specificity and sensitivity, both ascending;
    - `calibration`: mean prediction and share of positives of groups of people, by prediction;
    - `decision`: threshold and net benefit per person of acting on the version, or with `of` set to `everybody` of
      acting on all alike; acting on nobody gains nothing at any threshold and is not listed;
    - `scores`: where a bin of the score begins, and the share of the class `of` in it; the last point closes the last
      bin, with share 0;
    - `learning`: people learned on, and the AUC on others.

    `people` counts those measured, by class.
    """

    kind: Literal["roc", "calibration", "decision", "scores", "learning"]
    cohort: Text
    points: Annotated[tuple[tuple[float, float], ...], Field(min_length=2)]
    of: Text | None = None
    people: dict[Text, Annotated[int, Field(ge=0)]] | None = None
    band: Band | None = None


class NegativeControl(Group):
    """A run that must find nothing, and what it found."""

    name: Text
    metric: Text
    value: float
    interval: Maybe[Interval]
    expected: Text
    method: Text


class ModelWarning(Group):
    """Something a person has to acknowledge before the version is put to work."""

    code: Code
    text: Text


class Reference(Group):
    """A citation; `doi` is the bare DOI or "not available"."""

    citation: Text
    doi: Annotated[str, Field(pattern=r"^(?:10\.[0-9]{4,9}/\S+|not available)$")]
    url: Text


class Contact(Group):
    """Who answers for the model."""

    role: Text
    name: Text
    address: Text


class CardTexts(Group):
    """Texts only people read; each is prose or "not available"."""

    developer: Text
    funding: Text
    release_stage: Text
    regulatory_approval: Text
    clinical_risk_level: Text
    how_to_use: Text
    participants: Text
    treatments: Text
    outcome_definition: Text
    measurement: Text
    input_data_source: Text
    missing_input_handling: Text
    analysis_methods: Text
    interpretation: Text
    fairness: Text
    bias_and_ethics: Text
    external_validation: Text
    net_benefit: Text
    usefulness: Text
    safety: Text
    monitoring: Text
    update_schedule: Text
    security: Text
    stakeholders: Text
    third_party_information: Text
    protocol: Text
    data_availability: Text
    code_availability: Text
    patient_consent: Text
    clinical_trial: Text
    reimbursement: Text
