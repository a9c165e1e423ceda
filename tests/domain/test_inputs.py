"""Covariates and quality measures: closed lists, once each, in their units."""

from collections.abc import Callable
from typing import Any

import pytest

from service.domain.panel import PanelCovariate
from service.domain.submission import Submission

Edit = Callable[[dict[str, Any]], dict[str, Any]]
Refusals = Callable[..., list[tuple[str, str]]]
FIRST, SECOND = "/covariates/0", "/covariates/1"
CQ = {"code": "cq", "analyte": "hsa-miR-23a-3p", "value": 24, "unit": "{Cq}"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {f"{FIRST}/name": "mood"},
            [f"{FIRST}/name unknown_covariate", "/covariates missing_covariate"],
            id="unknown",
        ),
        pytest.param({FIRST: 5}, [f"{FIRST} wrong_type", "/covariates missing_covariate"], id="not-an-object"),
        pytest.param(
            {f"{FIRST}/name": 5}, [f"{FIRST}/name wrong_type", "/covariates missing_covariate"], id="name-type"
        ),
        pytest.param({FIRST: ...}, ["/covariates missing_covariate"], id="missing"),
        pytest.param({"/covariates": ...}, ["/covariates missing_covariate"] * 2, id="none"),
        pytest.param(
            {"/covariates/2": {"name": "inotrope_therapy", "value": 0, "unit": "1"}},
            ["/covariates/2/name duplicate_covariate"],
            id="twice",
        ),
        pytest.param({f"{FIRST}/value": 0.5}, [f"{FIRST}/value not_binary"], id="half-a-yes"),
        pytest.param({f"{FIRST}/value": True}, [f"{FIRST}/value wrong_type"], id="boolean"),
        pytest.param({f"{FIRST}/value": 1, f"{FIRST}/unit": "%"}, [f"{FIRST}/value not_binary"], id="percent"),
        pytest.param({f"{FIRST}/unit": ...}, [f"{FIRST}/unit missing_field"], id="no-unit"),
        pytest.param({f"{SECOND}/unit": "kg"}, [f"{SECOND}/unit unit_not_accepted"], id="wrong-unit"),
        pytest.param({f"{SECOND}/unit": "kg/m^2"}, [f"{SECOND}/unit unknown_unit"], id="unknown-unit"),
        pytest.param({f"{SECOND}/value": 245}, [f"{SECOND}/value implausible_value"], id="out-of-range"),
        pytest.param(
            {SECOND: {"name": "x", "value": 1, "unit": 5}},
            [f"{SECOND}/unit wrong_type", f"{SECOND}/name unknown_covariate", "/covariates missing_covariate"],
            id="unknown-with-a-wrong-unit",
        ),
    ],
)
def test_refused_covariates(changes: dict[str, Any], expected: list[str], edit: Edit, refusals: Refusals) -> None:
    assert [" ".join(problem) for problem in refusals(edit(changes))] == expected


def test_covariates_become_inputs(edit: Edit, submit: Callable[..., Submission]) -> None:
    inputs = submit(edit({f"{FIRST}/value": 0.0})).inputs[-2:]
    assert [(item.input, item.code, item.value, item.used) for item in inputs] == [
        ("covariate", "inotrope_therapy", 0.0, 0.0),
        ("covariate", "body_mass_index", 24.5, 24.5),
    ]


def test_a_covariate_in_another_unit(edit: Edit, submit: Callable[..., Submission]) -> None:
    covariate = PanelCovariate("ischaemic_time", "Ischaemic time", "min", False, 0.0, 600.0, required=False)
    document = edit({"/covariates": [{"name": "ischaemic_time", "value": 1.5, "unit": "h"}]})
    (found,) = submit(document, covariates=(covariate,)).inputs[-1:]
    assert (found.value, found.unit, found.used) == (1.5, "h", 90.0)


def test_a_covariate_no_value_is_locked_for_is_never_optional(edit: Edit, refusals: Refusals) -> None:
    covariate = PanelCovariate("ischaemic_time", "Ischaemic time", "min", False, 0.0, 600.0, required=False)
    assert refusals(edit({"/covariates": None}), covariates=(covariate,)) == [("/covariates", "missing_covariate")]


def test_a_model_without_covariates_refuses_all(edit: Edit, refusals: Refusals) -> None:
    assert refusals(edit({SECOND: ...}), covariates=()) == [(f"{FIRST}/name", "unknown_covariate")]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(CQ, [], id="cq"),
        pytest.param({**CQ, "analyte": ...}, ["/analyte missing_field"], id="cq-of-nothing"),
        pytest.param({**CQ, "analyte": 5}, ["/analyte wrong_type"], id="analyte-type"),
        pytest.param({**CQ, "analyte": "miR-23a"}, ["/analyte ambiguous_analyte"], id="analyte-legacy"),
        pytest.param({**CQ, "analyte": "hsa-miR-451a"}, [" duplicate_quality"], id="twice"),
        pytest.param({**CQ, "unit": "{log2}"}, ["/unit unit_not_accepted"], id="unit"),
        pytest.param({**CQ, "unit": "Ct"}, ["/unit unknown_unit"], id="unit-spelling"),
        pytest.param({**CQ, "unit": 5}, ["/unit wrong_type"], id="unit-type"),
        pytest.param({**CQ, "value": 300}, ["/value implausible_value"], id="impossible"),
        pytest.param({**CQ, "value": "24"}, ["/value wrong_type"], id="value-type"),
        pytest.param({**CQ, "code": "mood"}, ["/code not_allowed"], id="code"),
        pytest.param(5, [" wrong_type"], id="not-an-object"),
        pytest.param({"code": "ev_markers", "value": 4, "unit": "1"}, [], id="ev-markers"),
        pytest.param({"code": "particle_to_protein", "value": 3e13, "unit": "{particles}/mg"}, [], id="per-milligram"),
        pytest.param(
            {"code": "ev_markers", "analyte": "CD63", "value": 4, "unit": "1"},
            ["/analyte not_allowed"],
            id="analyte-where-none-belongs",
        ),
        pytest.param({"code": "replicate_sd", "value": 0.2, "unit": "{Cq}"}, [], id="sd-of-all"),
        pytest.param(
            {"code": "replicate_sd", "analyte": "CD63", "value": 0.2, "unit": "{Cq}"}, [], id="sd-of-one-analyte"
        ),
    ],
)
def test_quality_measures(
    row: Any, expected: list[str], edit: Edit, refusals: Refusals, submit: Callable[..., Submission]
) -> None:
    sent = {key: value for key, value in row.items() if value is not ...} if isinstance(row, dict) else row
    document = edit({"/quality/1": sent})
    if expected:
        assert [" ".join(problem) for problem in refusals(document)] == [f"/quality/1{end}" for end in expected]
    else:
        assert len(submit(document).quality) == 2


def test_quality_measures_are_kept_in_the_unit_of_their_code(edit: Edit, submit: Callable[..., Submission]) -> None:
    row = {"code": "particle_to_protein", "value": 3e13, "unit": "{particles}/mg"}
    measure = submit(edit({"/quality/1": row})).quality[1]
    assert (measure.code, measure.analyte, measure.value, measure.unit) == (
        "particle_to_protein",
        None,
        3e10,
        "{particles}/ug",
    )
