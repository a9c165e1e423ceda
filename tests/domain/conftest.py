"""A panel that uses every rule the domain knows, and a request that it accepts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from service.domain.panel import Action, IntendedUse, Panel, PanelAnalyte, PanelCovariate, Rule
from service.domain.specimen import parse_document
from service.domain.submission import Submission
from service.errors import InputRejected

MIR_20A, MIR_451A, MIR_21 = "MIMAT0000075", "MIMAT0001631", "MIMAT0000076"
CD63, GNAS = "P08962", "P63092"


def _analytes() -> tuple[PanelAnalyte, ...]:
    return (
        PanelAnalyte(MIR_20A, "hsa-miR-20a-5p", "mirna", "{zscore}", -10.0, 10.0),
        PanelAnalyte(
            MIR_451A,
            "hsa-miR-451a",
            "mirna",
            "{Cq}",
            10.0,
            33.0,
            nondetect_codes=(35.0,),
            not_detected=Rule(Action.SUBSTITUTE, 33.0),
            absent=Rule(Action.IMPUTE, 24.0),
        ),
        PanelAnalyte(
            CD63,
            "CD63",
            "protein",
            "ng/mL",
            0.0,
            1000.0,
            molar_mass=Decimal("25637"),
            loq=0.5,
            upper_limit=500.0,
            below_loq=Rule(Action.SUBSTITUTE, 0.25),
            above_upper=Rule(Action.SUBSTITUTE, 500.0),
        ),
        PanelAnalyte(
            GNAS,
            "GNAS",
            "protein",
            "ng/mL",
            0.0,
            1000.0,
            required=False,
            loq=0.5,
            upper_limit=500.0,
            nondetect_codes=(0.0,),
            absent=Rule(Action.IMPUTE, 2.0),
        ),
    )


@pytest.fixture
def panel() -> Panel:
    return Panel(
        model_name="any-model",
        model_version="1.0.0",
        analytes=_analytes(),
        covariates=(
            PanelCovariate("inotrope_therapy", "Inotrope therapy", "1", True, 0.0, 1.0),
            PanelCovariate("body_mass_index", "Body mass index", "kg/m2", False, 10.0, 80.0),
        ),
        max_substitutions=2,
        gates={},
        intended_use=IntendedUse(
            specimen_types=("plasma", "serum"),
            anticoagulants=("edta", "citrate", "acd_a", "none"),
            isolation_methods=(
                "ultracentrifugation",
                "size_exclusion",
                "precipitation",
                "immunoaffinity",
                "magnetic_beads",
                "ultrafiltration",
                "microfluidic",
                "none",
            ),
            sexes=("female", "male"),
            age_min_years=18.0,
            age_max_years=90.0,
        ),
    )


@pytest.fixture
def request_document() -> dict[str, Any]:
    return {
        "model": "any-model@1.0.0",
        "subject": {"id": "S-104", "age_years": 47, "sex": "female"},
        "specimen": {
            "id": "A-2291",
            "type": "plasma",
            "collected_at": "2026-01-20T08:00:00Z",
            "received_at": "2026-01-20T10:10:00+01:00",
            "anticoagulant": "edta",
            "isolation": "precipitation",
            "processing_delay_minutes": 45,
            "freeze_thaw_cycles": 1,
            "volume_ul": 250,
        },
        "measurements": [
            {"analyte": "hsa-miR-20a-5p", "value": 1.98, "unit": "{zscore}"},
            {"analyte": MIR_451A, "value": 22.1, "unit": "{Cq}"},
            {"analyte": "UniProt:P08962", "value": 30, "unit": "ng/mL"},
            {"analyte": GNAS, "value": 5.0, "unit": "ng/mL"},
        ],
        "covariates": [
            {"name": "inotrope_therapy", "value": 1, "unit": "1"},
            {"name": "body_mass_index", "value": 24.5, "unit": "kg/m2"},
        ],
        "quality": [{"code": "cq", "analyte": "hsa-miR-451a", "value": 22.1, "unit": "{Cq}"}],
        "replaces": None,
        "reason": None,
        "reason_text": None,
    }


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 1, 21, tzinfo=UTC)


@pytest.fixture
def submit(panel: Panel, now: datetime) -> Callable[..., Submission]:
    """Parses a document for the panel, or for the panel with some fields replaced."""

    def _submit(document: object, **changes: Any) -> Submission:
        return parse_document(document, find_panel=lambda _: replace(panel, **changes), now=now)

    return _submit


@pytest.fixture
def edit(request_document: dict[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The valid request with values put at JSON pointers; "..." as the value removes what is there."""

    def _edit(changes: Mapping[str, Any]) -> dict[str, Any]:
        for pointer, value in changes.items():
            *way, last = pointer.split("/")[1:]
            place: Any = request_document
            for part in way:
                place = place[int(part) if isinstance(place, list) else part]
            key: Any = int(last) if isinstance(place, list) else last
            if value is ...:
                del place[key]
            elif isinstance(place, list) and key == len(place):
                place.append(value)
            else:
                place[key] = value
        return request_document

    return _edit


@pytest.fixture
def refusals(submit: Callable[..., Submission]) -> Callable[..., list[tuple[str, str]]]:
    """The pointer and the code of every problem of a document that must be refused."""

    def _refusals(document: object, **changes: Any) -> list[tuple[str, str]]:
        with pytest.raises(InputRejected) as caught:
            submit(document, **changes)
        return [(problem.pointer, problem.code) for problem in caught.value.problems]

    return _refusals
