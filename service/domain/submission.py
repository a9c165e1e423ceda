"""What a caller sent, once it is known to be valid: the types that the rest of the service works with.

What is made anew for every score is a named tuple: it is as immutable as a frozen dataclass and made in a third of its
time.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from service.domain.panel import Panel


class Subject(NamedTuple):
    """The person: the laboratory's id, age in (decimal) years, sex as in FHIR's administrative-gender."""

    id: str
    age_years: float
    sex: str


class Specimen(NamedTuple):
    """The specimen. Times are aware and in UTC; what is optional and was not sent is None."""

    id: str
    type: str
    collected_at: datetime
    received_at: datetime | None = None
    anticoagulant: str | None = None
    isolation: str | None = None
    processing_delay_minutes: float | None = None
    freeze_thaw_cycles: int | None = None
    volume_ul: float | None = None


class QualityMeasure(NamedTuple):
    """One quality measure, in the unit of its code; `analyte` is an accession where the measure belongs to one."""

    code: str
    analyte: str | None
    value: float
    unit: str


class PanelInput(NamedTuple):
    """One column of the matrix that is scored; `input` is "analyte" or "covariate".

    `value` in `unit` is what was submitted; where a rule of the model supplied the value, `substituted` is True and
    `value` is None, so that a censored result is never shown as a measured one. `unit` is the panel's where none was
    submitted. `used` is in the panel's unit, before normalisation.
    """

    input: str
    code: str
    name: str
    value: float | None
    unit: str
    used: float
    substituted: bool = False


class Submission(NamedTuple):
    """A valid request. `model` is the reference as sent; `inputs` are in the order of `panel.codes`."""

    model: str
    panel: Panel
    subject: Subject
    specimen: Specimen
    inputs: tuple[PanelInput, ...]
    quality: tuple[QualityMeasure, ...]
    replaces: str | None
    reason: str | None
    reason_text: str | None

    @property
    def substitutions(self) -> int:
        """How many inputs a rule of the model supplied."""
        return [item.substituted for item in self.inputs].count(True)
