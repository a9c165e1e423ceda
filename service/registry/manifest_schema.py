"""The schema of a manifest, version 1: what the model is, needs, claims and where it came from."""

from __future__ import annotations

from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field

from service.domain.panel import (
    Action,
    Applicability,
    GateLimits,
    IntendedUse,
    Panel,
    PanelAnalyte,
    PanelCovariate,
    Rule,
)
from service.domain.score import Category
from service.registry.distance import Distance
from service.registry.manifest_base import Group, Maybe, Positive, Sha256, Text, Version
from service.registry.manifest_estimator import (
    Equation,
    Estimator,
    JointStep,
    Lowered,
    Output,
    Parent,
    ReferenceDistribution,
    Step,
)
from service.registry.manifest_evidence import (
    CardTexts,
    Condition,
    Contact,
    Curve,
    ModelWarning,
    NegativeControl,
    Performance,
    Reference,
    Training,
)
from service.registry.manifest_panel import AnalyteSpec, CovariateSpec, GateCode, GateSpec, IntendedUseSpec, RuleSpec
from service.registry.transforms import ColumnTransforms, column_transforms


class Golden(Group):
    """How many vectors `golden.json` holds and how far a value may be from the stored one."""

    count: Annotated[int, Field(ge=32)]
    tolerance: Annotated[Positive, Field(le=1e-9)]


class Manifest(Group):
    """One model version, complete. Build it with `parse_manifest`, which also runs the cross-checks."""

    schema_version: Literal[1]
    name: Text
    version: Version
    title: Text
    summary: Text
    condition: Condition
    status_claim: Literal["research_use_only", "laboratory_developed", "ivd"]
    files: dict[Text, Sha256]
    golden: Golden
    intended_use: IntendedUseSpec
    analytes: Annotated[tuple[AnalyteSpec, ...], Field(alias="panel", min_length=1, max_length=4096)]
    max_substitutions: Annotated[int, Field(ge=0)]
    covariates: tuple[CovariateSpec, ...]
    gates: dict[Annotated[str, GateCode], GateSpec]
    normalisation: tuple[Step, ...]
    reference_distribution: Maybe[ReferenceDistribution]
    estimator: Estimator
    output: Output
    training: Training
    performance: tuple[Performance, ...]
    curves: tuple[Curve, ...]
    negative_controls: tuple[NegativeControl, ...]
    warnings: tuple[ModelWarning, ...]
    card: CardTexts
    limitations: Annotated[tuple[Text, ...], Field(min_length=1)]
    references: Annotated[tuple[Reference, ...], Field(min_length=1)]
    parent: Parent | None
    contacts: Annotated[tuple[Contact, ...], Field(min_length=1)]

    @property
    def codes(self) -> tuple[str, ...]:
        """Column codes of every matrix: accessions in panel order, then covariate names."""
        return tuple(a.analyte for a in self.analytes) + tuple(c.name for c in self.covariates)

    @property
    def linear(self) -> Equation | Lowered | None:
        """Where the version's coefficients stand; None for an estimator that is not lowered."""
        return self.estimator if isinstance(self.estimator, Equation) else self.estimator.lowered

    @property
    def needing_terms(self) -> tuple[str, ...]:
        """The columns that must have a term: all but those that only serve to set others against them."""
        joint = [step for step in self.normalisation if isinstance(step, JointStep)]
        serving = {code for step in joint for code in step.others} - {code for step in joint for code in step.changed}
        return tuple(code for code in self.codes if code not in serving)

    @property
    def with_terms(self) -> tuple[str, ...]:
        """The columns that have a term, and the only ones that the estimator, the covariance and the reference
        distribution know."""
        linear = self.linear
        return self.needing_terms if linear is None else tuple(term.input for term in linear.terms)

    @property
    def places_with_terms(self) -> tuple[int, ...]:
        """Their places in `codes`."""
        codes = self.codes
        return tuple(codes.index(code) for code in self.with_terms)

    def transforms(self) -> ColumnTransforms:
        """The normalisation of a row over `codes`."""
        return column_transforms(self.codes, self.normalisation)

    def panel(self) -> Panel:
        """All the domain needs of this version."""
        use = self.intended_use
        return Panel(
            model_name=self.name,
            model_version=self.version,
            analytes=tuple(_analyte(spec) for spec in self.analytes),
            covariates=tuple(_covariate(spec) for spec in self.covariates),
            max_substitutions=self.max_substitutions,
            gates=MappingProxyType({code: _gate(spec) for code, spec in self.gates.items()}),
            intended_use=IntendedUse(
                specimen_types=use.specimen_types,
                anticoagulants=use.anticoagulants.accepted,
                isolation_methods=use.isolation_methods,
                sexes=use.population.sexes,
                age_min_years=use.population.age_min_years,
                age_max_years=use.population.age_max_years,
            ),
            applicability=self._applicability(),
        )

    def distance(self) -> Distance | None:
        """What tells how far a sample is from those the version was fitted on; None without a reference."""
        reference = self.reference_distribution
        return None if isinstance(reference, str) else Distance(reference, self.transforms(), self.places_with_terms)

    def _applicability(self) -> Applicability | None:
        reference, distance = self.reference_distribution, self.distance()
        if isinstance(reference, str) or distance is None:
            return None
        limits = GateLimits(True, reference.flag_limit, reference.fail_limit, reference.limits_source)
        return Applicability(distance, limits)

    def categories(self) -> tuple[Category, ...]:
        """The answer's categories, in the order they are tried."""
        return self._categories

    @cached_property
    def _categories(self) -> tuple[Category, ...]:
        return tuple(
            Category(c.code, c.label, c.cut_point, c.comparator, c.indeterminate) for c in self.output.categories
        )


def _analyte(spec: AnalyteSpec) -> PanelAnalyte:
    return PanelAnalyte(
        accession=spec.analyte,
        name=spec.name,
        kind=spec.kind,
        unit=spec.unit,
        low=spec.range.low,
        high=spec.range.high,
        required=spec.required,
        molar_mass=spec.molar_mass,
        lob=spec.lob,
        lod=spec.lod,
        loq=spec.loq,
        upper_limit=spec.upper_limit,
        nondetect_codes=spec.nondetect_codes,
        below_loq=_rule(spec.below_loq),
        above_upper=_rule(spec.above_upper),
        not_detected=_rule(spec.not_detected),
        absent=_rule(spec.absent),
    )


def _rule(spec: RuleSpec) -> Rule:
    return Rule(Action(spec.action), spec.value)


def _covariate(spec: CovariateSpec) -> PanelCovariate:
    return PanelCovariate(
        name=spec.name,
        title=spec.title,
        unit=spec.unit,
        binary=spec.type == "binary",
        low=spec.range.low,
        high=spec.range.high,
        required=spec.required,
    )


def _gate(spec: GateSpec) -> GateLimits:
    return GateLimits(
        required=spec.requirement == "required",
        flag=spec.flag,
        fail=spec.fail,
        source=spec.source,
        expected=spec.expected,
        analyte=spec.analyte,
    )
