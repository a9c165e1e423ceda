"""What a model needs from a caller: its panel, its covariates, its gates and its intended use.

A `Panel` is built by the registry from one manifest and is all the domain ever sees of a model. It holds no number of
the model itself. Everything here is immutable and was checked when the manifest was read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from service.domain.units import counts_cycles


class Action(StrEnum):
    """What a model version wants done with a result that is not a plain number in range."""

    REFUSE = "refuse"
    SUBSTITUTE = "substitute"
    IMPUTE = "impute"


@dataclass(frozen=True, slots=True)
class Rule:
    """An action and, for `substitute` and `impute`, the locked value in the analyte's panel unit."""

    action: Action
    value: float | None = None


REFUSE = Rule(Action.REFUSE)


@dataclass(frozen=True, slots=True)
class PanelAnalyte:
    """One analyte of a panel; all values are in `unit`.

    `accession` is the catalogue's (MIMAT or UniProt); `name` is shown to people; `low` and `high` bound the plausible
    range, both included. `lob`, `lod` and `loq` follow CLSI EP17-A2; `upper_limit` ends the reportable range. Limits
    are limits of the amount: in cycles, which fall as it rises, a Cq above `loq` is below the limit of quantitation,
    and one below `upper_limit` is above the reportable range.
    `nondetect_codes` are values an instrument writes for "not detected" (a Cq of 35, say) and are never measurements.
    The four rules say what happens below LoQ, above the upper limit, when not detected, and when absent otherwise.
    `molar_mass` (g/mol) is given only where a mass and a molar unit may meet.
    """

    accession: str
    name: str
    kind: str
    unit: str
    low: float
    high: float
    required: bool = True
    molar_mass: Decimal | None = None
    lob: float | None = None
    lod: float | None = None
    loq: float | None = None
    upper_limit: float | None = None
    nondetect_codes: tuple[float, ...] = ()
    below_loq: Rule = REFUSE
    above_upper: Rule = REFUSE
    not_detected: Rule = REFUSE
    absent: Rule = REFUSE

    @property
    def falls(self) -> bool:
        """Whether the number falls as the amount rises, as a Cq does."""
        return counts_cycles(self.unit)

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """LoQ and upper limit as numbers: the lower bound, then the upper; None where none is given."""
        return (self.upper_limit, self.loq) if self.falls else (self.loq, self.upper_limit)

    @property
    def measuring_range(self) -> tuple[float, float]:
        """The bounds, both included, between which no rule has to decide on a number."""
        lower, upper = self.bounds
        return self.low if lower is None else max(self.low, lower), self.high if upper is None else min(
            self.high, upper
        )

    def measures(self, value: float) -> bool:
        """Whether `value` is a plain number in range, which no rule has to decide on."""
        low, high = self.measuring_range
        return low <= value <= high and value not in self.nondetect_codes


@dataclass(frozen=True, slots=True)
class PanelCovariate:
    """One covariate: a number in `unit` between `low` and `high` (both included), or a binary 0/1."""

    name: str
    title: str
    unit: str
    binary: bool
    low: float
    high: float
    required: bool = True


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Limits of one quality gate: where it flags, where it fails, whether the model requires it, and their source.

    `expected` is the centre of a window gate (the expected Cq of a spike-in), `analyte` the accession it looks at.
    A limit of None never triggers. Which side of a limit is bad belongs to the gate, see `quality.py`.
    """

    required: bool
    flag: float | None
    fail: float | None
    source: str
    expected: float | None = None
    analyte: str | None = None


@dataclass(frozen=True, slots=True)
class IntendedUse:
    """Who and what the model was made for. Ages are completed or decimal years, both bounds included.

    `specimen_types`, `anticoagulants`, `isolation_methods` and `sexes` list what is accepted; an input that is not
    listed is refused, and so is an omitted one unless everything the contract knows is accepted.
    """

    specimen_types: tuple[str, ...]
    anticoagulants: tuple[str, ...]
    isolation_methods: tuple[str, ...]
    sexes: tuple[str, ...]
    age_min_years: float
    age_max_years: float


@dataclass(frozen=True, slots=True)
class Applicability:
    """How far a submission may be from those the version was fitted on.

    `distance` of values in panel units, in the order of `Panel.codes`; no unit. `limits` flag and fail a distance above
    them.
    """

    distance: Callable[[Sequence[float]], float]
    limits: GateLimits


# Two panels are never compared; told apart by identity, one can be the key of what is worked out from it once.
@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """All that one model version needs: `analytes` then `covariates` is the column order of every matrix scored.

    `analyte_of` finds an analyte by its accession, `covariate_of` a covariate by its name, in that order as well.
    `applicability` is None where the version locks no reference distribution.
    """

    model_name: str
    model_version: str
    analytes: tuple[PanelAnalyte, ...]
    covariates: tuple[PanelCovariate, ...]
    max_substitutions: int
    gates: Mapping[str, GateLimits]
    intended_use: IntendedUse
    applicability: Applicability | None = None
    analyte_of: Mapping[str, PanelAnalyte] = field(init=False, repr=False)
    covariate_of: Mapping[str, PanelCovariate] = field(init=False, repr=False)
    codes: tuple[str, ...] = field(init=False, repr=False)
    """Column codes in panel order: accessions, then covariate names."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "analyte_of", MappingProxyType({a.accession: a for a in self.analytes}))
        object.__setattr__(self, "covariate_of", MappingProxyType({c.name: c for c in self.covariates}))
        object.__setattr__(self, "codes", (*self.analyte_of, *self.covariate_of))
