"""Manifest groups that say how the number is made: normalisation, estimator, calibration, output."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.registry.manifest_base import Code, Day, Group, Interval, Maybe, NonNegative, Positive, Text, Version


class DeltaCq(Group):
    """Cq of each analyte minus the mean Cq of the reference analytes."""

    step: Literal["delta_cq"]
    analytes: Annotated[tuple[Text, ...], Field(min_length=1)]
    references: Annotated[tuple[Text, ...], Field(min_length=1)]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The analytes the step reads."""
        return self.analytes + self.references


class Ratio(Group):
    """One analyte divided by another."""

    step: Literal["ratio"]
    numerator: Text
    denominator: Text

    @property
    def inputs(self) -> tuple[str, ...]:
        """The analytes the step reads."""
        return (self.numerator, self.denominator)


class Log2(Group):
    """log2(value + offset) of each analyte named."""

    step: Literal["log2"]
    analytes: Annotated[tuple[Text, ...], Field(min_length=1)]
    offset: NonNegative

    @property
    def inputs(self) -> tuple[str, ...]:
        """The analytes the step reads."""
        return self.analytes


class Scale(Group):
    """(value - centre) / spread with stored numbers, one analyte per step."""

    step: Literal["scale"]
    analyte: Text
    centre: float
    spread: Positive

    @property
    def inputs(self) -> tuple[str, ...]:
        """The analytes the step reads."""
        return (self.analyte,)


class MinMax(Group):
    """(value - minimum) / (maximum - minimum) with stored bounds, one analyte per step; not clipped."""

    step: Literal["min_max"]
    analyte: Text
    minimum: float
    maximum: float

    @property
    def inputs(self) -> tuple[str, ...]:
        """The analytes the step reads."""
        return (self.analyte,)


Step = Annotated[DeltaCq | Ratio | Log2 | Scale | MinMax, Field(discriminator="step")]


class ReferenceDistribution(Group):
    """What the applicability check needs; `correlation_factor` is a lower-triangular factor of the correlation."""

    location: tuple[float, ...]
    spread: tuple[Positive, ...]
    correlation_factor: tuple[tuple[float, ...], ...]
    flag_limit: Positive
    fail_limit: Positive
    limits_source: Text


class Term(Group):
    """One additive term: `coefficient` times the normalised value of the panel column `input`."""

    input: Text
    coefficient: float


class Proof(Group):
    """Evidence that the lowered coefficients give what the estimator's own `predict_proba` gives.

    Before a calibration step a difference counts as far as rounding of the step's argument does not explain it.
    """

    rows: Annotated[int, Field(ge=1)]
    max_abs_difference: Annotated[float, Field(ge=0, le=1e-12)]
    versions: dict[Text, Text]


class Lowered(Group):
    """Coefficients and intercept on the panel's own scale, any calibration by one sigmoid folded in."""

    intercept: float
    terms: Annotated[tuple[Term, ...], Field(min_length=1)]
    proof: Proof


Parameters = float | tuple[float | tuple[float, ...], ...]


class Calibration(Group):
    """How raw scores become probabilities. `sigmoid_folded` is already inside the lowered coefficients.

    `isotonic` takes the points of its curve, `x` and `y`. `fold_averaged` takes one curve a fold: lists of `x` and of
    `y`, or `slope` and `intercept` of sigmoids. Both act on the linear score itself, scikit-learn's decision function,
    so they go with the link `identity`.
    """

    method: Literal["none", "sigmoid_folded", "isotonic", "fold_averaged"]
    parameters: dict[Text, Parameters]


class Fitted(Group):
    """A fitted scikit-learn estimator in `file`, and its lowered form where it is linear."""

    format: Literal["joblib", "skops"]
    file: Text
    sklearn_version: Text
    numpy_version: Text
    classes: Annotated[tuple[Text, ...], Field(min_length=2, max_length=2)]
    positive_class: Text
    lowered: Lowered | None
    calibration: Calibration
    coefficient_covariance: Maybe[tuple[tuple[float, ...], ...]]


class Equation(Group):
    """A published equation: as printed, and in the canonical form baseline + sum of terms. No file, no pickle."""

    format: Literal["equation"]
    intercept: float | None
    terms: Annotated[tuple[Term, ...], Field(min_length=1)]
    printed: Text
    canonical: Text
    sign_convention: Text
    calibration: Calibration
    coefficient_covariance: Maybe[tuple[tuple[float, ...], ...]]


Estimator = Annotated[Fitted | Equation, Field(discriminator="format")]


class CategorySpec(Group):
    """One answer category; categories are tried in order and the first that holds is the answer's."""

    code: Code
    label: Text
    cut_point: float
    comparator: Literal["<", "<=", ">=", ">"]
    indeterminate: bool = False


class CutPoint(Group):
    """Where a cut-point comes from. `locked` is true only where it was fixed before the cohort it is judged on."""

    value: float
    cohort: Text
    method: Text
    locked: bool
    interval: Maybe[Interval]
    date: Maybe[Day]


class Zone(Group):
    """The values between two cut-points that say neither yes nor no."""

    low: float
    high: float
    meaning: Text


class Output(Group):
    """What comes out: its kind, what event over what time it speaks of, and its categories."""

    kind: Literal["probability", "index"]
    event: Text
    time_horizon: Text
    link: Literal["logit", "identity"]
    categories: tuple[CategorySpec, ...]
    indeterminate_zone: Zone | None
    cut_points: tuple[CutPoint, ...]


class Parent(Group):
    """The version this one derives from, with what changed and why."""

    version: Version
    change: Text
    reason: Text
