"""Quality measures a laboratory may send with a panel: a closed list, each with its unit and its possible range.

The ranges only catch slips of entry (a negative SD, a Cq of 300); the limits that decide are a model's gates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

CQ = "cq"
SPIKE_IN_CQ = "spike_in_cq"
REPLICATE_SD = "replicate_sd"
NO_TEMPLATE_CONTROL = "no_template_control"
EV_MARKERS = "ev_markers"
PARTICLE_TO_PROTEIN = "particle_to_protein"
ABSORBANCE_414 = "absorbance_414"

# hsa-miR-23a-3p is steady in haemolysis, hsa-miR-451a is rich in red cells.
HAEMOLYSIS_REFERENCE = "MIMAT0000078"
HAEMOLYSIS_MARKER = "MIMAT0001631"


@dataclass(frozen=True, slots=True)
class Measure:
    """One quality measure: its unit, its possible range in that unit, and how it stands to an analyte.

    `analyte` is "required" (a Cq is always a Cq of something), "optional" or "none".
    """

    title: str
    unit: str
    low: float
    high: float
    analyte: str = "none"


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        CQ: Measure("quantification cycle of one analyte", "{Cq}", 0.0, 100.0, "required"),
        # Spike-ins (UniSp2, cel-miR-39-3p) are not human analytes, so the catalogue has no accession for them.
        SPIKE_IN_CQ: Measure("quantification cycle of the spike-in", "{Cq}", 0.0, 100.0),
        REPLICATE_SD: Measure("standard deviation of the technical replicates", "{Cq}", 0.0, 100.0, "optional"),
        NO_TEMPLATE_CONTROL: Measure("quantification cycle of the no-template control", "{Cq}", 0.0, 100.0),
        EV_MARKERS: Measure("number of positive EV marker proteins detected", "1", 0.0, 1000.0),
        PARTICLE_TO_PROTEIN: Measure("particles per microgram of protein", "{particles}/ug", 0.0, 1e15),
        # A blank-corrected absorbance may come out a little below zero.
        ABSORBANCE_414: Measure("absorbance at 414 nm", "1", -1.0, 100.0),
    }
)
