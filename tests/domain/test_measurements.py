"""Names, units, ranges and the model's rules for results that are not plain numbers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from service.domain.measurements import named
from service.domain.panel import Action, Panel, PanelAnalyte, Rule
from service.domain.panel_schema import panel_schema
from service.domain.submission import Submission
from service.errors import InputRejected, Problem

Edit = Callable[[dict[str, Any]], dict[str, Any]]
Refusals = Callable[..., list[tuple[str, str]]]
MIR_20A, MIR_451A, CD63, GNAS = "/measurements/0", "/measurements/1", "/measurements/2", "/measurements/3"


def _row(analyte: str, value: float, unit: str, comparator: str | None = None) -> dict[str, Any]:
    return {"analyte": analyte, "value": value, "unit": unit, "comparator": comparator}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {f"{MIR_20A}/analyte": "CD9"}, [(f"{MIR_20A}/analyte", "analyte_not_in_panel")], id="not-in-panel"
        ),
        pytest.param({f"{MIR_20A}/analyte": "spam"}, [(f"{MIR_20A}/analyte", "unknown_analyte")], id="unknown"),
    ],
)
def test_an_analyte_that_is_not_wanted_leaves_one_missing(
    changes: dict[str, Any], expected: list[tuple[str, str]], edit: Edit, refusals: Refusals
) -> None:
    assert refusals(edit(changes)) == [*expected, ("/measurements", "missing_analyte")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {f"{MIR_451A}/analyte": "hsa-miR-451"}, [(f"{MIR_451A}/analyte", "ambiguous_analyte")], id="legacy"
        ),
        pytest.param({f"{CD63}/analyte": "cd63"}, [(f"{CD63}/analyte", "unknown_analyte")], id="case"),
        pytest.param({f"{GNAS}/analyte": "GNAS"}, [(f"{GNAS}/analyte", "ambiguous_analyte")], id="ambiguous-symbol"),
        pytest.param(
            {"/measurements/4": _row("CD63", 30, "ng/mL")},
            [("/measurements/4/analyte", "duplicate_analyte")],
            id="twice-under-two-names",
        ),
        pytest.param(
            {f"{MIR_20A}": 5}, [(MIR_20A, "wrong_type"), ("/measurements", "missing_analyte")], id="not-an-object"
        ),
        pytest.param(
            {f"{MIR_20A}/analyte": 5},
            [(f"{MIR_20A}/analyte", "wrong_type"), ("/measurements", "missing_analyte")],
            id="analyte-type",
        ),
        pytest.param({MIR_20A: ...}, [("/measurements", "missing_analyte")], id="missing"),
        pytest.param({f"{MIR_20A}/unit": ...}, [(f"{MIR_20A}/unit", "missing_unit")], id="no-unit"),
        pytest.param({f"{MIR_20A}/unit": 1}, [(f"{MIR_20A}/unit", "wrong_type")], id="unit-type"),
        pytest.param({f"{MIR_20A}/unit": "{log2}"}, [(f"{MIR_20A}/unit", "unit_not_accepted")], id="other-annotation"),
        pytest.param({f"{MIR_20A}/unit": "1"}, [(f"{MIR_20A}/unit", "unit_not_accepted")], id="dimensionless"),
        pytest.param({f"{CD63}/unit": "µg/mL"}, [(f"{CD63}/unit", "unknown_unit")], id="micro-sign"),
        pytest.param({f"{CD63}/unit": "spoons"}, [(f"{CD63}/unit", "unknown_unit")], id="no-such-unit"),
        pytest.param(
            {f"{GNAS}/unit": "nmol/L"}, [(f"{GNAS}/unit", "unit_not_accepted")], id="moles-without-molar-mass"
        ),
        pytest.param({f"{MIR_20A}/value": ...}, [(f"{MIR_20A}/value", "missing_field")], id="neither-value-nor-absent"),
        pytest.param({f"{MIR_20A}/value": "1.98"}, [(f"{MIR_20A}/value", "wrong_type")], id="value-as-string"),
        pytest.param({f"{MIR_20A}/absent": "not_tested"}, [(MIR_20A, "value_and_absent")], id="value-and-absent"),
        pytest.param({f"{MIR_20A}/comparator": "~"}, [(f"{MIR_20A}/comparator", "not_allowed")], id="comparator-word"),
        pytest.param({f"{MIR_20A}/value": 10.1}, [(f"{MIR_20A}/value", "implausible_value")], id="above-the-range"),
        pytest.param({f"{MIR_20A}/value": -10.1}, [(f"{MIR_20A}/value", "implausible_value")], id="below-the-range"),
        pytest.param(
            {CD63: _row("CD63", 1.1, "mg/mL")}, [(f"{CD63}/value", "implausible_value")], id="range-after-conversion"
        ),
        pytest.param(
            {CD63: _row("CD63", 1e308, "kg/uL")}, [(f"{CD63}/value", "implausible_value")], id="beyond-doubles"
        ),
        pytest.param({f"{GNAS}/value": 0.4}, [(f"{GNAS}/value", "below_loq")], id="below-loq-refused"),
        pytest.param({f"{GNAS}/value": 600}, [(f"{GNAS}/value", "above_upper_limit")], id="above-upper-refused"),
        pytest.param({f"{GNAS}/value": 0}, [(f"{GNAS}/value", "not_detected")], id="nondetect-code-refused"),
        pytest.param(
            {MIR_20A: {"analyte": "hsa-miR-20a-5p", "absent": "not_detected"}},
            [(f"{MIR_20A}/absent", "not_detected")],
            id="not-detected-refused",
        ),
        pytest.param(
            {MIR_20A: {"analyte": "hsa-miR-20a-5p", "absent": "insufficient"}},
            [(f"{MIR_20A}/absent", "absent")],
            id="absent-refused",
        ),
        pytest.param(
            {MIR_20A: {"analyte": "hsa-miR-20a-5p", "absent": "lost"}},
            [(f"{MIR_20A}/absent", "not_allowed")],
            id="absent-word",
        ),
        pytest.param(
            {"/measurements/4": {"analyte": "CD9", "absent": "not_tested"}},
            [("/measurements/4/analyte", "analyte_not_in_panel")],
            id="absent-and-not-in-panel",
        ),
        pytest.param({f"{MIR_20A}/comparator": "<"}, [(f"{MIR_20A}/value", "below_loq")], id="censored-refused"),
        pytest.param(
            {CD63: _row("CD63", 50, "ng/mL", "<")}, [(f"{CD63}/value", "censored_in_range")], id="censored-above-loq"
        ),
        pytest.param(
            {CD63: _row("CD63", 400, "ng/mL", ">")},
            [(f"{CD63}/value", "censored_in_range")],
            id="censored-below-upper-limit",
        ),
        pytest.param(
            {MIR_451A: _row("hsa-miR-451a", 35, "{Cq}", ">")},
            [(f"{MIR_451A}/value", "below_loq")],
            id="censored-at-a-nondetect-code",
        ),
    ],
)
def test_refused(changes: dict[str, Any], expected: list[tuple[str, str]], edit: Edit, refusals: Refusals) -> None:
    assert refusals(edit(changes)) == expected


@pytest.mark.parametrize(
    ("changes", "code", "value", "used", "substituted"),
    [
        pytest.param({}, "P08962", 30.0, 30.0, False, id="plain"),
        pytest.param({f"{CD63}/value": 0.5}, "P08962", 0.5, 0.5, False, id="at-loq"),
        pytest.param({f"{CD63}/value": 500}, "P08962", 500.0, 500.0, False, id="at-upper-limit"),
        pytest.param({CD63: _row("CD63", 0.6, "ug/mL")}, "P08962", None, 500.0, True, id="converted-above-upper"),
        pytest.param({CD63: _row("CD63", 0.03, "ug/mL")}, "P08962", 0.03, 30.0, False, id="converted"),
        pytest.param({CD63: _row("CD63", 2, "nmol/L")}, "P08962", 2.0, 51.274, False, id="converted-from-moles"),
        pytest.param({f"{CD63}/value": 0.4}, "P08962", None, 0.25, True, id="below-loq"),
        pytest.param({CD63: _row("CD63", 0.5, "ng/mL", "<")}, "P08962", None, 0.25, True, id="censored-at-loq"),
        pytest.param({CD63: _row("CD63", 0.1, "ng/mL", "<=")}, "P08962", None, 0.25, True, id="censored-below-loq"),
        pytest.param({CD63: _row("CD63", 500, "ng/mL", ">=")}, "P08962", None, 500.0, True, id="censored-above"),
        pytest.param({f"{MIR_451A}/value": 35}, "MIMAT0001631", None, 33.0, True, id="nondetect-code"),
        pytest.param(
            {MIR_451A: {"analyte": "hsa-miR-451a", "absent": "not_detected"}},
            "MIMAT0001631",
            None,
            33.0,
            True,
            id="not-detected",
        ),
        pytest.param(
            {MIR_451A: {"analyte": "hsa-miR-451a", "absent": "not_tested"}},
            "MIMAT0001631",
            None,
            24.0,
            True,
            id="not-tested",
        ),
        pytest.param({GNAS: ...}, "P63092", None, 2.0, True, id="optional-left-out"),
    ],
)
def test_used_values(
    changes: dict[str, Any],
    code: str,
    value: float | None,
    used: float,
    substituted: bool,
    edit: Edit,
    submit: Callable[..., Submission],
) -> None:
    submission = submit(edit(changes))
    (found,) = [item for item in submission.inputs if item.code == code]
    assert (found.value, found.used, found.substituted) == (value, used, substituted)
    assert submission.substitutions == int(substituted)


def test_the_unit_is_the_one_submitted_or_the_panel_s(edit: Edit, submit: Callable[..., Submission]) -> None:
    submission = submit(edit({CD63: _row("CD63", 0.1, "ug/L", "<"), GNAS: ...}))
    units = {item.code: item.unit for item in submission.inputs}
    assert (units["P08962"], units["P63092"]) == ("ug/L", "ng/mL")


@pytest.mark.parametrize(
    ("comparator", "value", "used"),
    [pytest.param("<", 50.0, 0.25, id="no-loq-stated"), pytest.param(">", 5.0, 500.0, id="no-upper-limit-stated")],
)
def test_without_a_limit_of_its_own_the_rule_decides(
    comparator: str, value: float, used: float, edit: Edit, panel: Panel, submit: Callable[..., Submission]
) -> None:
    analytes = tuple(replace(a, loq=None, upper_limit=None) if a.name == "CD63" else a for a in panel.analytes)
    submission = submit(edit({CD63: _row("CD63", value, "ng/mL", comparator)}), analytes=analytes)
    assert submission.inputs[2].used == used


@pytest.mark.parametrize(
    "rule",
    [pytest.param(Rule(Action.REFUSE), id="refuse"), pytest.param(Rule(Action.IMPUTE), id="no-value-locked")],
)
def test_an_optional_analyte_without_a_value_to_use_is_refused(
    rule: Rule, edit: Edit, panel: Panel, refusals: Refusals
) -> None:
    analytes = tuple(replace(a, absent=rule) for a in panel.analytes)
    assert refusals(edit({GNAS: ...}), analytes=analytes) == [("/measurements", "absent")]


def _problems(submit: Callable[..., Submission], document: object) -> tuple[Problem, ...]:
    with pytest.raises(InputRejected) as caught:
        submit(document)
    return caught.value.problems


def test_candidates_are_named_by_accession(edit: Edit, submit: Callable[..., Submission]) -> None:
    (problem,) = _problems(submit, edit({f"{MIR_451A}/analyte": "hsa-miR-451"}))
    assert "MIMAT0001631 (hsa-miR-451a); MIMAT0019840 (hsa-miR-451b)" in problem.remedy
    assert problem.analyte is None


def test_a_duplicate_names_the_first(edit: Edit, submit: Callable[..., Submission]) -> None:
    (problem,) = _problems(submit, edit({"/measurements/4": _row("MIMAT0000075", 1.0, "{zscore}")}))
    assert "/measurements/0" in problem.message
    assert problem.analyte == "MIMAT0000075"


def test_an_accession_is_given_where_the_analyte_is_known(edit: Edit, submit: Callable[..., Submission]) -> None:
    changes = {f"{MIR_20A}/value": 11, f"{MIR_451A}/unit": ..., f"{CD63}/unit": "pM", GNAS: ..., "/measurements/3": 1}
    analytes = [problem.analyte for problem in _problems(submit, edit(changes))]
    assert analytes == [None, "MIMAT0000075", "MIMAT0001631", "P08962"]


def test_a_unit_s_remedy_names_what_is_accepted(edit: Edit, submit: Callable[..., Submission]) -> None:
    (problem,) = _problems(submit, edit({f"{CD63}/unit": "pM"}))
    assert problem.remedy.startswith("pmol/L is the code that may have been meant. Send one of: ng/mL;")


def test_missing_analytes_are_named_in_panel_order(edit: Edit, submit: Callable[..., Submission]) -> None:
    changes = {"/measurements": [_row("P63092", 5, "ng/mL")]}
    problems = _problems(submit, edit(changes))
    assert [problem.analyte for problem in problems] == ["MIMAT0000075", "MIMAT0001631", "P08962"]
    assert {problem.pointer for problem in problems} == {"/measurements"}


def test_a_long_list_is_cut() -> None:
    assert named(("a", "b")) == "a; b"
    assert named(tuple("abcdefghijklmn")).endswith("k; l and 2 more")


def _in_cycles(panel: Panel) -> tuple[PanelAnalyte, ...]:
    """miR-451a with limits: beyond Cq 32 is below the LoQ, before Cq 15 above the reportable range."""
    rules = {"below_loq": Rule(Action.SUBSTITUTE, 33.0), "above_upper": Rule(Action.REFUSE)}
    limits = {"lob": 32.8, "lod": 32.5, "loq": 32.0, "upper_limit": 15.0}
    return tuple(replace(a, **limits, **rules) if a.unit == "{Cq}" else a for a in panel.analytes)


@pytest.mark.parametrize(
    ("cycles", "comparator", "expected"),
    [
        pytest.param(22.1, None, 22.1, id="plain"),
        pytest.param(32, None, 32.0, id="at-loq"),
        pytest.param(32.1, None, 33.0, id="beyond-loq-is-below"),
        pytest.param(32, ">", 33.0, id="censored-at-loq"),
        pytest.param(32.5, ">=", 33.0, id="censored-beyond-loq"),
        pytest.param(30, ">", "censored_in_range", id="censored-before-loq"),
        pytest.param(15, None, 15.0, id="at-upper-limit"),
        pytest.param(14.9, None, "above_upper_limit", id="before-the-upper-limit-is-above"),
        pytest.param(15, "<", "above_upper_limit", id="censored-above"),
        pytest.param(16, "<=", "censored_in_range", id="censored-after-the-upper-limit"),
        pytest.param(35, None, 33.0, id="nondetect-code"),
        pytest.param(9.9, None, "implausible_value", id="implausible"),
    ],
)
def test_limits_in_cycles_are_limits_of_the_amount(
    cycles: float,
    comparator: str | None,
    expected: float | str,
    edit: Edit,
    panel: Panel,
    submit: Callable[..., Submission],
    refusals: Refusals,
) -> None:
    document = edit({MIR_451A: _row("hsa-miR-451a", cycles, "{Cq}", comparator)})
    analytes = _in_cycles(panel)
    accepts = jsonschema.Draft202012Validator(panel_schema(replace(panel, analytes=analytes))).is_valid
    if isinstance(expected, str):
        assert refusals(document, analytes=analytes) == [(f"{MIR_451A}/value", expected)]
        assert not accepts(document)
    else:
        assert submit(document, analytes=analytes).inputs[1].used == expected
        assert accepts(document)


@pytest.mark.parametrize(("unit", "falls"), [("{Cq}", True), ("{ct}", True), ("{Cp}", True), ("{log2}", False)])
def test_a_cycle_falls_as_the_amount_rises(unit: str, falls: bool, panel: Panel) -> None:
    analyte = replace(panel.analytes[1], unit=unit, loq=20.0, upper_limit=30.0)
    assert analyte.falls is falls
    assert analyte.measuring_range == ((30.0, 20.0) if falls else (20.0, 30.0))
