"""What a card must say before its version is put to work.

The list is short on purpose: who made the version, what goes in and out, on whom and how it was measured, what the risk
is, and who keeps watch. ONC HTI-1 (45 CFR 170.315(b)(11)(iv)), the CHAI applied model card and TRIPOD+AI
(BMJ 2024;385:e078378) all ask for these in one form or another. "None" and "Not assessed" are answers; "not available"
is none. What else the three ask for is shown on the card, filled or not, and keeps no version from work.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from service.registry.manifest_base import NOT_AVAILABLE
from service.registry.manifest_schema import Manifest

NO_PERFORMANCE: Final = "no_performance"
"""The warning by which a version states that it was measured on nobody; people acknowledge it by name."""

FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "/card/developer": "developer",
        "/card/release_stage": "release stage",
        "/card/clinical_risk_level": "clinical risk level",
        "/card/how_to_use": "way to use it",
        "/card/participants": "participants",
        "/card/outcome_definition": "definition of the outcome",
        "/card/measurement": "way the inputs are measured",
        "/card/input_data_source": "source of the input data",
        "/card/missing_input_handling": "handling of missing input",
        "/card/analysis_methods": "methods of the analysis",
        "/card/interpretation": "interpretation",
        "/card/bias_and_ethics": "known biases",
        "/card/external_validation": "external validation",
        "/card/monitoring": "monitoring",
        "/card/update_schedule": "schedule of updates",
        "/training/cohort": "cohort it was fitted on",
        "/training/procedure": "procedure it was made by",
        "/performance": "performance",
    }
)
"""The required fields by JSON pointer, in the order of the card, with their names for people."""


def missing_fields(manifest: Manifest) -> tuple[str, ...]:
    """JSON pointers of the required fields that are not available, in the order of the card; empty where none is."""
    return tuple(pointer for pointer in FIELDS if _is_missing(manifest, pointer))


def _is_missing(manifest: Manifest, pointer: str) -> bool:
    if pointer == "/performance":
        return not manifest.performance and all(w.code != NO_PERFORMANCE for w in manifest.warnings)
    group, field = pointer.strip("/").split("/")
    return is_unavailable(getattr(getattr(manifest, group), field))


def is_unavailable(text: str) -> bool:
    """Whether a text says that there is nothing to say: blank, or "not available" in any spelling of it."""
    return text.strip().rstrip(".").casefold() in {"", NOT_AVAILABLE}
