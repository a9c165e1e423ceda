"""The normalisation steps of a spec: each works within one sample, so that one patient's sample can go through alone.

A count says nothing without the depth of its library. Either the laboratory divides before it sends (`per_million`), or
the score takes the count and the library total and divides itself (`share_of_total`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from service.registry.manifest_base import Code, Group, NonNegative, Text
from service.registry.manifest_panel import Range

COUNT_UNITS = ("{counts}", "{reads}")
"""Units of a number of molecules or reads; a count and its total have one of them in common."""


class PerMillion(Group):
    """Each value divided by its own sample's library total, times a million.

    `total` is a column of the same table, or null for the sum of all columns the spec gives no other meaning. A
    laboratory can do the same for one patient, and sends the quotient: the panel's unit is the unit after this step.
    """

    step: Literal["per_million"]
    total: Text | None = None


class TotalCovariate(Group):
    """The library total as the score's input: a required number. A library outside `range` is refused, so that its low
    end is the shallowest that is scored."""

    name: Code
    title: Text
    unit: Text
    range: Range


class ShareOfTotal(Group):
    """Each count divided by its own sample's library total; both are inputs of the score.

    `total` as in `per_million`. The panel's unit is that of the counts, and an offset of log2 behind this step is a
    share too: 0.00001 for ten in a million. Groups of one table may share one total, in the same words.
    """

    step: Literal["share_of_total"]
    total: Text | None = None
    covariate: TotalCovariate


class Log2Step(Group):
    """log2(value + offset); the offset is locked and goes into the manifest."""

    step: Literal["log2"]
    offset: NonNegative


NormalisationStep = Annotated[PerMillion | ShareOfTotal | Log2Step, Field(discriminator="step")]
