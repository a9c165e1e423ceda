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
    """One candidate analyte. `group` is its place in the spec's list; `offset` of its log2 step, None without one."""

    accession: str
    name: str
    kind: str
    group: int
    offset: float | None

    def to_panel_unit(self, values: Floats) -> Floats:
        """Normalised values (n,) back in the unit of the panel."""
        return values if self.offset is None else np.asarray(np.exp2(values) - self.offset, dtype=np.float64)


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
    """A cohort ready to fit on: `fit` rows, the `held_out` rows if the spec has some, and the candidates (p,).

    `centre` (p,) was taken off the normalised values of both. `notes` says what was left out and how many, for people.
    """

    fit: Rows
    held_out: Rows | None
    analytes: tuple[AnalyteColumn, ...]
    centre: Floats
    technical_names: tuple[str, ...]
    digest: str
    classes: Mapping[str, int]
    notes: tuple[str, ...]
