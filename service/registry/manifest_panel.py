"""Manifest groups that say what goes in: intended use, panel, covariates and quality gates."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from service.domain.fields import ANTICOAGULANTS, ISOLATION_METHODS, SEXES, SPECIMEN_TYPES
from service.domain.quality import GATES
from service.registry.manifest_base import Code, Group, Maybe, NonNegative, Positive, Text, one_of

SpecimenType = one_of(SPECIMEN_TYPES)
Anticoagulant = one_of(ANTICOAGULANTS)
Isolation = one_of(ISOLATION_METHODS)
Sex = one_of(SEXES)
GateCode = one_of(GATES)


class Population(Group):
    """Who the model is for. Ages in years, both bounds included."""

    age_min_years: NonNegative
    age_max_years: Annotated[float, Field(gt=0, le=130)]
    sexes: Annotated[tuple[Annotated[str, Sex], ...], Field(min_length=1)]
    notes: Text


class Anticoagulants(Group):
    """Tubes that are accepted and tubes that are refused; together they name each the contract knows once."""

    accepted: Annotated[tuple[Annotated[str, Anticoagulant], ...], Field(min_length=1)]
    refused: tuple[Annotated[str, Anticoagulant], ...]


class IntendedUseSpec(Group):
    """What the model is for, on whom and on which material."""

    purpose: Text
    population: Population
    specimen_types: Annotated[tuple[Annotated[str, SpecimenType], ...], Field(min_length=1)]
    anticoagulants: Anticoagulants
    isolation_methods: Annotated[tuple[Annotated[str, Isolation], ...], Field(min_length=1)]
    cautioned_uses: Annotated[tuple[Text, ...], Field(min_length=1)]
    users: Text


class RuleSpec(Group):
    """What to do with a result that is no plain number in range; `value` is the locked value, in the panel's unit."""

    action: Literal["refuse", "substitute", "impute"]
    value: float | None = None


REFUSE = RuleSpec(action="refuse")


class Range(Group):
    """The plausible range, both bounds included."""

    low: float
    high: float


class AnalyteSpec(Group):
    """One analyte of the panel; every limit is in `unit`. LoB, LoD and LoQ follow CLSI EP17-A2.

    They are limits of the amount. A Cq falls as the amount rises, so in cycles LoQ is the highest Cq that counts, LoD
    and LoB lie at or above it, and the upper limit below.
    """

    analyte: Text
    name: Text
    kind: Literal["mirna", "protein"]
    unit: Text
    range: Range
    required: bool
    molar_mass: Annotated[Decimal, Field(gt=0)] | None = None
    lob: float | None = None
    lod: float | None = None
    loq: float | None = None
    upper_limit: float | None = None
    nondetect_codes: tuple[float, ...] = ()
    below_loq: RuleSpec = REFUSE
    above_upper: RuleSpec = REFUSE
    not_detected: RuleSpec = REFUSE
    absent: RuleSpec = REFUSE
    analytical_cv: Maybe[Positive]

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are given, by field name, in the order in which they must ascend (descend in cycles)."""
        given = {"lob": self.lob, "lod": self.lod, "loq": self.loq, "upper_limit": self.upper_limit}
        return {name: value for name, value in given.items() if value is not None}


class CovariateSpec(Group):
    """One covariate: a number in `unit`, or a binary 0/1 whose range is exactly that."""

    name: Code
    title: Text
    unit: Text
    type: Literal["number", "binary"]
    range: Range
    required: bool


class GateSpec(Group):
    """Limits of one quality gate; a null limit never triggers. `expected` and `analyte` serve window gates."""

    requirement: Literal["required", "optional"]
    flag: float | None
    fail: float | None
    source: Text
    expected: float | None = None
    analyte: Text | None = None
