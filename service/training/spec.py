"""The spec of a build: which people, which analytes, which procedure, and every word the card needs.

A spec is the whole recipe. With the same tables and library versions it gives the same artifact, so everything that
could differ between two runs stands in it: the seed, the day, the number of repetitions. Unknown keys are refused, and
every problem is reported at once, with its place and what to write instead.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.registry.manifest_base import Code, Day, Group, Positive, Text, Version
from service.registry.manifest_estimator import Parent
from service.registry.manifest_evidence import CardTexts, Condition, Contact, ModelWarning, Reference
from service.registry.manifest_panel import GateCode, GateSpec, IntendedUseSpec, Range
from service.training.spec_steps import Log2Step, NormalisationStep, PerMillion, ShareOfTotal, TotalCovariate

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0, lt=2**63)]
Values = Annotated[tuple[Text, ...], Field(min_length=1)]


class Outcome(Group):
    """The column of the diagnosis, the values that count as positive and as negative, and what the classes are called.

    Every row has one of these values or is excluded by name: what nobody decided about is refused.
    """

    column: Text
    positive: Values
    negative: Values
    positive_class: Code
    negative_class: Code


class Exclusion(Group):
    """Rows with one of `values` in `column` take no part, for `reason`."""

    column: Text
    values: Values
    reason: Text


class HeldOut(Group):
    """A split that exists before the build: rows to fit on, rows to judge on, never pooled.

    `external` is true only for people of another place or time; a random split of one cohort is not external.
    """

    column: Text
    fit_on: Values
    judge_on: Values
    title: Text
    external: bool


class CohortSpec(Group):
    """The tables, in the order in which their files are given, and what their columns mean.

    Tables are joined on `sample_id`, which every table has once per row; `join` says whether all must have the same
    samples or the common ones are taken. `person` tells people apart where one gave several samples; without it each
    sample is a person.
    """

    tables: Annotated[tuple[Code, ...], Field(min_length=1, max_length=16)]
    sample_id: Text
    join: Literal["all", "common"] = "all"
    person: Text | None = None
    outcome: Outcome
    exclude: tuple[Exclusion, ...] = ()
    held_out: HeldOut | None = None


class Named(Group):
    """A column of the table and the analyte it measures, by accession or exact name."""

    column: Text
    analyte: Text


class AnalyteGroup(Group):
    """Analytes of one kind from one table, measured and treated alike.

    `choose` is `all` for every column that names an analyte of the kind, of which at most `limit` enter the model, or
    a list of columns that all enter it. `chosen_on` says where a list comes from: analytes chosen on the very people
    they are judged on make every figure too good, and no computation can find that out afterwards.
    `detected_above` and `min_detected`: an analyte is used where at least that share of the training people is above.
    """

    kind: Literal["mirna", "protein"]
    table: Code
    choose: Literal["all"] | Annotated[tuple[Named, ...], Field(min_length=1, max_length=4096)]
    limit: Annotated[int, Field(ge=1, le=512)] | None = None
    chosen_on: Literal["elsewhere", "these_people", "inside_each_fold"]
    unit: Text
    range: Range
    normalisation: tuple[NormalisationStep, ...] = ()
    detected_above: float | None = None
    min_detected: Annotated[float, Field(ge=0, le=1)] = 0.0
    missing: Literal["refuse", "mean"] = "refuse"

    @property
    def divided_by(self) -> PerMillion | ShareOfTotal | None:
        """The step that divides by a library total, if there is one."""
        return next((step for step in self.normalisation if isinstance(step, PerMillion | ShareOfTotal)), None)

    @property
    def offset(self) -> float | None:
        """The offset of its log2 step, None without one."""
        return next((step.offset for step in self.normalisation if isinstance(step, Log2Step)), None)

    @property
    def total(self) -> TotalCovariate | None:
        """The library total that goes into the score with its counts; None where no counts go in."""
        step = self.divided_by
        return step.covariate if isinstance(step, ShareOfTotal) else None


class CovariateColumn(Group):
    """A property of the person: part of the covariate-only control, and of the model where `in_model` is true.

    `coding` gives a text of the column its number; without it the column holds numbers.
    """

    column: Text
    name: Code
    title: Text
    type: Literal["number", "binary"]
    unit: Text
    range: Range
    coding: dict[Text, float] = Field(default_factory=dict)
    in_model: bool = False


class TechnicalColumn(Group):
    """Something about the measurement that must not tell the classes apart, such as the run order or the plate."""

    column: Text
    title: Text
    type: Literal["number", "category"]


class EstimatorSpec(Group):
    """Logistic regression with an L2 penalty; `penalties` are inverse strengths C, `sizes` analytes per group."""

    kind: Literal["ridge_logistic"]
    penalties: Annotated[tuple[Positive, ...], Field(min_length=1, max_length=32)]
    sizes: Annotated[tuple[Count, ...], Field(max_length=32)] = ()


class EvaluationSpec(Group):
    """How often each random procedure is repeated. The defaults are those of the shipped versions."""

    folds: Annotated[int, Field(ge=2, le=20)] = 5
    repeats: Annotated[int, Field(ge=1, le=1000)] = 20
    inner_folds: Annotated[int, Field(ge=2, le=20)] = 5
    refits: Annotated[int, Field(ge=20, le=100_000)] = 1000
    permutations: Annotated[int, Field(ge=20, le=100_000)] = 200
    learning_repeats: Annotated[int, Field(ge=1, le=1000)] = 20


class Youden(Group):
    """The greatest sum of sensitivity and specificity."""

    rule: Literal["youden"]


class SensitivityAtLeast(Group):
    """The highest cut-point that keeps the sensitivity."""

    rule: Literal["sensitivity_at_least"]
    sensitivity: Share


class SpecificityAtLeast(Group):
    """The lowest cut-point that keeps the specificity."""

    rule: Literal["specificity_at_least"]
    specificity: Share


class TwoSided(Group):
    """Two cut-points: below the lower few positives, at or above the upper few negatives, between them no answer."""

    rule: Literal["two_sided"]
    sensitivity: Share
    specificity: Share


CutPointSpec = Annotated[Youden | SensitivityAtLeast | SpecificityAtLeast | TwoSided, Field(discriminator="rule")]


class CategoryText(Group):
    """Code and label of an answer category."""

    code: Code
    label: Text


class Categories(Group):
    """The words of the answer; `between` is needed by a two-sided rule alone."""

    at_or_above: CategoryText
    below: CategoryText
    between: CategoryText | None = None


class Prevalence(Group):
    """A share of people with the condition, and the setting it stands for; predictive values are given for it."""

    value: Share
    setting: Text


class SourceTexts(Group):
    """Where the data come from, in words."""

    cohort: Text
    source: Text
    licence: Text
    dates: Text
    exclusions: Text
    missing_data: Text


class Spec(Group):
    """One build, complete. Read it with `read_spec`, which also runs the cross-checks."""

    schema_version: Literal[1]
    name: Text
    version: Version
    title: Text
    summary: Text
    date: Day
    status_claim: Literal["research_use_only", "laboratory_developed", "ivd"]
    condition: Condition
    seed: NonNegativeInt
    cohort: CohortSpec
    analytes: Annotated[tuple[AnalyteGroup, ...], Field(min_length=1, max_length=8)]
    covariates: tuple[CovariateColumn, ...] = ()
    technical: tuple[TechnicalColumn, ...] = ()
    estimator: EstimatorSpec
    evaluation: EvaluationSpec = EvaluationSpec()
    cut_point: CutPointSpec
    categories: Categories
    prevalences: tuple[Prevalence, ...] = ()
    thresholds: tuple[Share, ...] = (0.1, 0.2, 0.3, 0.5)
    event: Text
    time_horizon: Text
    intended_use: IntendedUseSpec
    max_substitutions: Annotated[int, Field(ge=0)] = 0
    gates: dict[Annotated[str, GateCode], GateSpec] = Field(default_factory=dict)
    source: SourceTexts
    warnings: tuple[ModelWarning, ...] = ()
    limitations: Annotated[tuple[Text, ...], Field(min_length=1)]
    references: Annotated[tuple[Reference, ...], Field(min_length=1)]
    parent: Parent | None = None
    contacts: Annotated[tuple[Contact, ...], Field(min_length=1)]
    card: CardTexts

    @property
    def totals(self) -> tuple[TotalCovariate, ...]:
        """The library totals that go into the score, each once, in the order of the groups."""
        return tuple(dict.fromkeys(group.total for group in self.analytes if group.total is not None))
