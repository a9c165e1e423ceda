"""The example of a panel passes everything the service checks."""

from dataclasses import replace
from datetime import datetime

import jsonschema
import pytest

from service.domain.example import SYNTHETIC_SUBJECT, example_request
from service.domain.panel import GateLimits, Panel
from service.domain.panel_schema import panel_schema
from service.domain.quality import GATES, Verdict, assess
from service.domain.specimen import parse_document

VALUES = {
    "MIMAT0000075": 0.1,
    "MIMAT0001631": 22.0,
    "P08962": 30.0,
    "P63092": 4.0,
    "inotrope_therapy": 1.0,
    "body_mass_index": 24.0,
}
GATE_LIMITS = {"spike_in_window": (1.0, 2.0), "volume": (400.0, 300.0), "processing_delay": (30.0, 60.0)}


def _gates(*, required: bool, analyte: str | None = None) -> dict[str, GateLimits]:
    return {
        code: GateLimits(required, *GATE_LIMITS.get(code, (3.0, None)), "source", expected=20.0, analyte=analyte)
        for code in GATES
    }


def test_the_example_is_accepted(panel: Panel, now: datetime) -> None:
    document = example_request(panel, VALUES)
    submission = parse_document(document, find_panel=lambda _: panel, now=now)
    assert jsonschema.Draft202012Validator(panel_schema(panel)).is_valid(document)
    assert submission.subject.id == SYNTHETIC_SUBJECT == "synthetic-example"
    assert submission.model == "any-model@1.0.0"
    assert {item.code: item.used for item in submission.inputs} == VALUES
    assert "quality" not in document


@pytest.mark.parametrize("analyte", [None, "MIMAT0000076"], ids=["spike-in", "spike-in-by-analyte"])
def test_the_example_passes_every_required_gate(analyte: str | None, panel: Panel, now: datetime) -> None:
    gated = replace(panel, gates=_gates(required=True, analyte=analyte))
    submission = parse_document(example_request(gated, VALUES), find_panel=lambda _: gated, now=now)
    quality = assess(submission)
    assert quality.verdict is Verdict.PASS
    assert {check.verdict for check in quality.checks if check.code in GATES} == {Verdict.PASS}


def test_gates_that_are_not_required_ask_for_nothing(panel: Panel, now: datetime) -> None:
    gated = replace(panel, gates=_gates(required=False))
    document = example_request(gated, VALUES)
    assert "quality" not in document
    assert assess(parse_document(document, find_panel=lambda _: gated, now=now)).verdict is Verdict.PASS


def test_an_optional_analyte_and_covariates_may_be_left_out(panel: Panel, now: datetime) -> None:
    bare = replace(panel, covariates=())
    document = example_request(bare, {code: value for code, value in VALUES.items() if code != "P63092"})
    assert len(document["measurements"]) == 3
    assert "covariates" not in document
    assert parse_document(document, find_panel=lambda _: bare, now=now).substitutions == 1


@pytest.mark.parametrize(("lowest", "highest", "age"), [(0.0, 17.0, 17.0), (18.0, 90.0, 45.0), (65.0, 90.0, 65.0)])
def test_the_age_is_inside_the_intended_use(lowest: float, highest: float, age: float, panel: Panel) -> None:
    use = replace(panel.intended_use, age_min_years=lowest, age_max_years=highest)
    assert example_request(replace(panel, intended_use=use), VALUES)["subject"]["age_years"] == age
