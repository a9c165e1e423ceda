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

    unit: str
    low: float
    high: float
    analyte: str = "none"


MEASURES: Mapping[str, Measure] = MappingProxyType(
    {
        # Quantification cycle of one analyte.
        CQ: Measure("{Cq}", 0.0, 100.0, "required"),
        # Quantification cycle of the spike-in: UniSp2 or cel-miR-39-3p is no human analyte, so the catalogue
        # has no accession for them.
        SPIKE_IN_CQ: Measure("{Cq}", 0.0, 100.0),
        # Standard deviation of the technical replicates.
        REPLICATE_SD: Measure("{Cq}", 0.0, 100.0, "optional"),
        # Quantification cycle of the no-template control.
        NO_TEMPLATE_CONTROL: Measure("{Cq}", 0.0, 100.0),
        # Number of positive EV marker proteins detected.
        EV_MARKERS: Measure("1", 0.0, 1000.0),
        # Particles per microgram of protein.
        PARTICLE_TO_PROTEIN: Measure("{particles}/ug", 0.0, 1e15),
        # Absorbance at 414 nm. A blank-corrected absorbance may come out a little below zero.
        ABSORBANCE_414: Measure("1", -1.0, 100.0),
    }
)
