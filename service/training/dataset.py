"""What the engine fits on: the rows of a cohort on the normalised scale, with what stands beside them.

Made by `assemble`; nothing here reads a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from service.training.cohort import Flags, Floats
from service.training.recipe import Design


@dataclass(frozen=True, slots=True)
class AnalyteColumn:
    """One candidate analyte. `group` is its place in the spec's list; `offset` of its log2 step, None without one;
    `total` the library total that goes into the score with it, None where it is no count.

    `by` is a sample's own total, and 1 for what is divided by nothing.
    """

    accession: str
    name: str
    kind: str
    group: int
    offset: float | None
    total: str | None = None

    def normalised(self, value: float, by: float = 1.0) -> float:
        """A value in the unit of the panel on the normalised scale."""
        return value / by if self.offset is None else float(np.log2(value / by + self.offset))

    def to_panel_unit(self, value: float, by: float = 1.0) -> float:
        """A normalised value back in the unit of the panel."""
        return (value if self.offset is None else float(np.exp2(value)) - self.offset) * by


@dataclass(frozen=True, slots=True)
class LibraryTotal:
    """A library total that goes into the score: the `name` of its covariate, and mean and standard deviation of its
    log2 over the rows to fit on, which is what made-up samples are drawn from."""

    name: str
    centre: float
    spread: float


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The rows of one cohort: the design, and columns for the controls.

    `covariates` (n, c) every covariate of the spec; `technical` (n, t) what describes the measurement alone;
    `detected` (n, p) and `missing` (n, p) as measured. NaN where a covariate is missing.
    """

    design: Design
    covariates: Floats
    technical: Floats
    missing: Flags

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.design.positive)

    @property
    def people(self) -> int:
        """How many people there are."""
        return len(set(self.design.person.tolist()))


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A cohort ready to fit on: `fit` rows, the `held_out` rows if the spec has some, the candidates (p,), and the
    library totals that go into the score.

    `centre` (p,) was taken off the normalised values of both. `notes` says what was left out and how many, for people.
    """

    fit: Rows
    held_out: Rows | None
    analytes: tuple[AnalyteColumn, ...]
    totals: tuple[LibraryTotal, ...]
    centre: Floats
    technical_names: tuple[str, ...]
    digest: str
    classes: Mapping[str, int]
    notes: tuple[str, ...]
