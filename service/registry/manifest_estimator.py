"""Manifest groups that say how the number is made: normalisation, estimator, calibration, output.

Normalisation is a list of steps that are taken in order; each reads what those before it left and changes the column it
names as `analytes`, `analyte` or `numerator`, in its place. A column that others are only subtracted or divided by (a
reference gene, a library total) is an input like any other but needs no term: it may be left out of `terms`, and its
contribution is then 0, shown with the value that was used.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.registry.manifest_base import Code, Day, Group, Interval, Maybe, NonNegative, Positive, Text, Version


class DeltaCq(Group):
    """Cq of each analyte minus the mean Cq of the reference analytes, all in one unit.

    An analyte may be among its own references, as in a difference from the mean of the whole panel.
    """

    step: Literal["delta_cq"]
    analytes: Annotated[tuple[Text, ...], Field(min_length=1)]
    references: Annotated[tuple[Text, ...], Field(min_length=1)]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The analytes the step reads."""
        return self.analytes + self.references

    @property
    def changed(self) -> tuple[str, ...]:
        """The columns that are set against others."""
        return self.analytes

    @property
    def others(self) -> tuple[str, ...]:
        """The columns they are set against."""
        return self.references


class Ratio(Group):
    """One analyte divided by another, or by a covariate: by a library total, which has no accession.

    The units may differ, and the quotient is in none. A count goes through as its share of the total, followed by log2
    with an offset that is a share too (1e-6 for one in a million), or by `scale` with centre 0 and spread 1e-6 for
    counts per million.
    """

    step: Literal["ratio"]
    numerator: Text
    denominator: Text

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns the step reads."""
        return (self.numerator, self.denominator)

    @property
    def changed(self) -> tuple[str, ...]:
        """The column that is set against another."""
        return (self.numerator,)

    @property
    def others(self) -> tuple[str, ...]:
        """The column it is set against."""
        return (self.denominator,)


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


JointStep = DeltaCq | Ratio
"""The steps that set a column against others of the same row."""

Step = Annotated[DeltaCq | Ratio | Log2 | Scale | MinMax, Field(discriminator="step")]


Matrix = tuple[tuple[float, ...], ...]
"""Rows of numbers, all of the same length."""


class ReferenceDistribution(Group):
    """What the applicability check needs: the distribution of those the version was fitted on.

    `location` (k,), `spread` (k,) and the lower-triangular `correlation_factor` (k, k), whose product with its
    transpose is the correlation, are over the columns with a term, in panel order, covariates last, and on the scale of
    the values after normalisation, just before they are multiplied by their coefficients. A squared Mahalanobis
    distance above `flag_limit` flags, one above `fail_limit` fails.
    """

    location: tuple[float, ...]
    spread: tuple[Positive, ...]
    correlation_factor: Matrix
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
    """Coefficients and intercept on the scale of the normalised values, any calibration by one sigmoid folded in."""

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
    """A fitted scikit-learn estimator in `file`, and its lowered form where it is linear.

    `coefficient_covariance` (k + 1, k + 1) is that of the lowered intercept and coefficients, in this order and on
    their scale: of the score before the inverse link.
    """

    format: Literal["joblib", "skops"]
    file: Text
    sklearn_version: Text
    numpy_version: Text
    classes: Annotated[tuple[Text, ...], Field(min_length=2, max_length=2)]
    positive_class: Text
    lowered: Lowered | None
    calibration: Calibration
    coefficient_covariance: Maybe[Matrix]


class Equation(Group):
    """A published equation: as printed, and in the canonical form baseline + sum of terms. No file, no pickle.

    `coefficient_covariance` as for a fitted estimator; its first row and column are 0 where there is no intercept.
    """

    format: Literal["equation"]
    intercept: float | None
    terms: Annotated[tuple[Term, ...], Field(min_length=1)]
    printed: Text
    canonical: Text
    sign_convention: Text
    calibration: Calibration
    coefficient_covariance: Maybe[Matrix]


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
