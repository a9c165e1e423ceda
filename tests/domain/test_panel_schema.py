"""The schema of a panel: it takes what the service takes, and refuses what JSON Schema can refuse."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from service.domain.panel import Panel
from service.domain.panel_schema import panel_schema
from service.domain.submission import Submission

Edit = Callable[[dict[str, Any]], dict[str, Any]]
MIR_20A, MIR_451A, CD63, GNAS = "/measurements/0", "/measurements/1", "/measurements/2", "/measurements/3"


@pytest.fixture
def accepts(panel: Panel) -> Callable[[object], bool]:
    return jsonschema.Draft202012Validator(panel_schema(panel)).is_valid


def test_it_is_a_schema(panel: Panel) -> None:
    jsonschema.Draft202012Validator.check_schema(panel_schema(panel))


def _row(analyte: str, value: float, unit: str, comparator: str | None = None) -> dict[str, Any]:
    return {"analyte": analyte, "value": value, "unit": unit, "comparator": comparator}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="as-it-is"),
        pytest.param({"/model": "any-model"}, id="bare-name"),
        pytest.param({"/model": "any-model@production"}, id="alias"),
        pytest.param({"/quality": ..., "/reason": ..., "/replaces": ..., "/reason_text": ...}, id="optional-left-out"),
        pytest.param({"/specimen/isolation": None}, id="isolation-null"),
        pytest.param({f"{CD63}/analyte": "CD63"}, id="symbol"),
        pytest.param({f"{CD63}/analyte": "P08962"}, id="accession"),
        pytest.param({f"{CD63}/comparator": None, f"{CD63}/absent": None}, id="nulls"),
        pytest.param({CD63: _row("CD63", 0.1, "ug/L", "<")}, id="censored-below"),
        pytest.param({CD63: _row("CD63", 500, "ng/mL", ">")}, id="censored-above"),
        pytest.param({CD63: _row("CD63", 0.4, "ng/mL")}, id="below-loq-substituted"),
        pytest.param({CD63: _row("CD63", 1, "mg/L")}, id="range-in-another-unit"),
        pytest.param({CD63: _row("CD63", 2, "nmol/L")}, id="moles"),
        pytest.param({MIR_451A: _row("hsa-miR-451a", 35, "{Cq}")}, id="nondetect-code"),
        pytest.param({MIR_451A: {"analyte": "hsa-miR-451a", "absent": "not_detected"}}, id="not-detected"),
        pytest.param({MIR_451A: {"analyte": "hsa-miR-451a", "absent": "insufficient"}}, id="absent"),
        pytest.param({GNAS: ...}, id="optional-analyte-left-out"),
        pytest.param({"/covariates/0/value": 100, "/covariates/0/unit": "%"}, id="binary-in-percent"),
    ],
)
def test_accepted_by_both(
    changes: dict[str, Any], edit: Edit, submit: Callable[..., Submission], accepts: Callable[[object], bool]
) -> None:
    document = edit(changes)
    assert submit(document).subject.id == "S-104"
    assert accepts(document)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"/note": "x"}, id="unknown-field"),
        pytest.param({"/subject/age_years": 17}, id="age"),
        pytest.param({"/subject/sex": "other"}, id="sex"),
        pytest.param({"/specimen/type": "urine"}, id="specimen"),
        pytest.param({"/specimen/anticoagulant": "heparin"}, id="anticoagulant"),
        pytest.param({"/specimen/anticoagulant": ...}, id="anticoagulant-left-out"),
        pytest.param({"/specimen/anticoagulant": None}, id="anticoagulant-null"),
        pytest.param({MIR_20A: ...}, id="missing-analyte"),
        pytest.param({f"{MIR_20A}/analyte": "hsa-miR-20a"}, id="legacy-name"),
        pytest.param({f"{GNAS}/analyte": "GNAS"}, id="ambiguous-symbol"),
        pytest.param({f"{MIR_20A}/analyte": "CD9"}, id="not-in-panel"),
        pytest.param({GNAS: _row("CD63", 30, "ng/mL")}, id="twice-under-two-names"),
        pytest.param({"/measurements/4": _row("CD9", 30, "ng/mL")}, id="too-many"),
        pytest.param({f"{MIR_20A}/unit": "{Cq}"}, id="unit"),
        pytest.param({f"{MIR_20A}/unit": ...}, id="no-unit"),
        pytest.param({f"{CD63}/unit": "ng/ml"}, id="unit-spelling"),
        pytest.param({f"{GNAS}/unit": "nmol/L"}, id="moles-without-molar-mass"),
        pytest.param({f"{MIR_20A}/value": ...}, id="neither-value-nor-absent"),
        pytest.param({f"{MIR_20A}/absent": "not_tested"}, id="value-and-absent"),
        pytest.param({f"{MIR_20A}/value": 10.01}, id="range"),
        pytest.param({f"{MIR_20A}/value": True}, id="boolean"),
        pytest.param({CD63: _row("CD63", 1.001, "mg/L")}, id="range-in-another-unit"),
        pytest.param({f"{MIR_20A}/comparator": "<"}, id="censored-not-taken"),
        pytest.param({CD63: _row("CD63", 50, "ng/mL", "<")}, id="censored-above-loq"),
        pytest.param({CD63: _row("CD63", 400, "ng/mL", ">")}, id="censored-below-upper-limit"),
        pytest.param({f"{GNAS}/value": 0.4}, id="below-loq-not-taken"),
        pytest.param({f"{GNAS}/value": 501}, id="above-upper-not-taken"),
        pytest.param({f"{GNAS}/value": 0}, id="nondetect-code-not-taken"),
        pytest.param({MIR_20A: {"analyte": "hsa-miR-20a-5p", "absent": "not_tested"}}, id="absent-not-taken"),
        pytest.param({GNAS: {"analyte": "P63092", "absent": "not_detected"}}, id="not-detected-not-taken"),
        pytest.param({"/covariates": ...}, id="no-covariates"),
        pytest.param({"/covariates": None}, id="covariates-null"),
        pytest.param({"/covariates/1": ...}, id="missing-covariate"),
        pytest.param({"/covariates/0/name": "mood"}, id="unknown-covariate"),
        pytest.param({"/covariates/0/value": 0.5}, id="half-a-yes"),
        pytest.param({"/covariates/1/value": 100}, id="covariate-range"),
        pytest.param({"/covariates/1/unit": "kg"}, id="covariate-unit"),
        pytest.param({"/reason": "other"}, id="reason-without-replaces"),
    ],
)
def test_refused_by_both(
    changes: dict[str, Any],
    edit: Edit,
    refusals: Callable[..., list[tuple[str, str]]],
    accepts: Callable[[object], bool],
) -> None:
    document = edit(changes)
    assert refusals(document)
    assert not accepts(document)


@pytest.mark.parametrize("reference", ["another-model", "any-model@2.0.0", "any-model@1-0.0", "any-modelx"])
def test_another_model_or_version_is_refused(reference: str, edit: Edit, accepts: Callable[[object], bool]) -> None:
    assert not accepts(edit({"/model": reference}))


def test_without_covariates_none_may_be_sent(edit: Edit, panel: Panel) -> None:
    validator = jsonschema.Draft202012Validator(panel_schema(replace(panel, covariates=())))
    assert not validator.is_valid(edit({}))
    assert not validator.is_valid(edit({"/covariates": []}))
    assert validator.is_valid(edit({"/covariates": None}))


def test_a_nondetect_code_inside_the_range_is_refused_where_the_model_refuses_it(edit: Edit, panel: Panel) -> None:
    analytes = tuple(replace(a, nondetect_codes=(9.0,)) if a.unit == "{zscore}" else a for a in panel.analytes)
    validator = jsonschema.Draft202012Validator(panel_schema(replace(panel, analytes=analytes)))
    assert validator.is_valid(edit({f"{MIR_20A}/value": 8}))
    assert not validator.is_valid(edit({f"{MIR_20A}/value": 9}))


def test_limits_that_are_not_stated(edit: Edit, panel: Panel) -> None:
    analytes = tuple(replace(a, loq=None, upper_limit=None) for a in panel.analytes)
    validator = jsonschema.Draft202012Validator(panel_schema(replace(panel, analytes=analytes)))
    assert validator.is_valid(edit({CD63: _row("CD63", 50, "ng/mL", "<")}))
    assert validator.is_valid(edit({CD63: _row("CD63", 50, "ng/mL", ">")}))
    assert validator.is_valid(edit({f"{GNAS}/value": 600}))


def test_the_title_names_the_version(panel: Panel) -> None:
    assert re.search("any-model@1.0.0", panel_schema(panel)["title"])
