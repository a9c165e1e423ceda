"""Gates at their limits, on either side of them, and what they come to together."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from service.domain.panel import Applicability, GateLimits
from service.domain.quality import GATES, Direction, Quality, Verdict, assess
from service.domain.submission import Submission
from service.domain.units import parse_unit

Edit = Callable[[dict[str, Any]], dict[str, Any]]
Assess = Callable[..., Quality]
REFERENCE, MARKER = "MIMAT0000078", "MIMAT0001631"


def _limits(flag: float | None, fail: float | None, *, required: bool = False, **more: Any) -> GateLimits:
    return GateLimits(required, flag, fail, "the source", **more)


def _row(code: str, value: float, unit: str, analyte: str | None = None) -> dict[str, Any]:
    return {"code": code, "value": value, "unit": unit, "analyte": analyte}


def _haemolysis(reference: float, marker: float) -> dict[str, Any]:
    return {"/quality": [_row("cq", reference, "{Cq}", REFERENCE), _row("cq", marker, "{Cq}", MARKER)]}


def _one(code: str, value: float, unit: str) -> dict[str, Any]:
    return {"/quality": [_row(code, value, unit)]}


@pytest.fixture
def judge(edit: Edit, submit: Callable[..., Submission]) -> Assess:
    def _judge(changes: dict[str, Any], gates: dict[str, GateLimits], allowed: int = 0) -> Quality:
        return assess(submit(edit(changes), gates=gates, max_substitutions=allowed))

    return _judge


CASES = [
    pytest.param(
        "processing_delay",
        _limits(60, 120),
        {"/specimen/processing_delay_minutes": 60},
        "pass",
        60.0,
        60,
        id="delay-at-limit",
    ),
    pytest.param(
        "processing_delay",
        _limits(60, 120),
        {"/specimen/processing_delay_minutes": 120},
        "flag",
        120.0,
        60,
        id="delay-flag",
    ),
    pytest.param(
        "processing_delay",
        _limits(60, 120),
        {"/specimen/processing_delay_minutes": 121},
        "fail",
        121.0,
        120,
        id="delay-fail",
    ),
    pytest.param(
        "processing_delay",
        _limits(60, 120),
        {"/specimen/processing_delay_minutes": ...},
        "not_assessed",
        None,
        60,
        id="delay-unknown",
    ),
    pytest.param(
        "freeze_thaw", _limits(None, 2), {"/specimen/freeze_thaw_cycles": 2}, "pass", 2, 2, id="thaw-at-limit"
    ),
    pytest.param("freeze_thaw", _limits(None, 2), {"/specimen/freeze_thaw_cycles": 3}, "fail", 3, 2, id="thaw-fail"),
    pytest.param(
        "freeze_thaw",
        _limits(None, 2),
        {"/specimen/freeze_thaw_cycles": ...},
        "not_assessed",
        None,
        2,
        id="thaw-unknown",
    ),
    pytest.param("volume", _limits(200, 100), {"/specimen/volume_ul": 200}, "pass", 200.0, 200, id="volume-at-limit"),
    pytest.param("volume", _limits(200, 100), {"/specimen/volume_ul": 100}, "flag", 100.0, 200, id="volume-flag"),
    pytest.param("volume", _limits(200, 100), {"/specimen/volume_ul": 99.9}, "fail", 99.9, 100, id="volume-fail"),
    pytest.param("haemolysis", _limits(5, 7), _haemolysis(27.1, 22.1), "pass", 5.0, 5, id="haemolysis-pass"),
    pytest.param("haemolysis", _limits(5, 7), _haemolysis(16.1, 11.1), "pass", 5.0, 5, id="haemolysis-digits-decide"),
    pytest.param("haemolysis", _limits(5, 7), _haemolysis(29.1, 22.1), "flag", 7.0, 5, id="haemolysis-flag"),
    pytest.param("haemolysis", _limits(5, 7), _haemolysis(29.2, 22.1), "fail", 7.1, 7, id="haemolysis-fail"),
    pytest.param("haemolysis", _limits(5, 7), {}, "not_assessed", None, 5, id="haemolysis-one-marker"),
    pytest.param(
        "spike_in_window",
        _limits(1, 2, expected=20.0),
        _one("spike_in_cq", 19, "{Cq}"),
        "pass",
        1.0,
        1,
        id="spike-early",
    ),
    pytest.param(
        "spike_in_window",
        _limits(1, 2, expected=20.0),
        _one("spike_in_cq", 21.5, "{Cq}"),
        "flag",
        1.5,
        1,
        id="spike-late",
    ),
    pytest.param(
        "spike_in_window",
        _limits(1, 2, expected=20.0),
        _one("spike_in_cq", 17.9, "{Cq}"),
        "fail",
        2.1,
        2,
        id="spike-lost",
    ),
    pytest.param(
        "spike_in_window", _limits(1, 2), _one("spike_in_cq", 20, "{Cq}"), "not_assessed", None, 1, id="spike-no-centre"
    ),
    pytest.param(
        "spike_in_window", _limits(1, 2, expected=22.0, analyte=MARKER), {}, "pass", 0.1, 1, id="spike-by-analyte"
    ),
    pytest.param(
        "replicate_sd",
        _limits(0.3, 0.5),
        {"/quality": [_row("replicate_sd", 0.2, "{Cq}"), _row("replicate_sd", 0.6, "{Cq}", MARKER)]},
        "fail",
        0.6,
        0.5,
        id="worst-replicates",
    ),
    pytest.param(
        "no_template_control",
        _limits(36, 34),
        _one("no_template_control", 35, "{Cq}"),
        "flag",
        35.0,
        36,
        id="control-early",
    ),
    pytest.param("ev_markers", _limits(3, None), _one("ev_markers", 3, "1"), "pass", 3.0, 3, id="three-markers"),
    pytest.param("ev_markers", _limits(3, None), _one("ev_markers", 2, "1"), "flag", 2.0, 3, id="two-markers"),
    pytest.param(
        "particle_to_protein",
        _limits(3e10, 1.5e9),
        _one("particle_to_protein", 2e9, "{particles}/ug"),
        "flag",
        2e9,
        3e10,
        id="low-purity",
    ),
    pytest.param(
        "absorbance_414", _limits(None, 0.2), _one("absorbance_414", 0.25, "1"), "fail", 0.25, 0.2, id="absorbance"
    ),
    pytest.param(
        "absorbance_414", _limits(None, None), _one("absorbance_414", 9, "1"), "pass", 9.0, None, id="no-limits"
    ),
]


@pytest.mark.parametrize(("code", "limits", "changes", "verdict", "observed", "limit"), CASES)
def test_a_gate(
    code: str,
    limits: GateLimits,
    changes: dict[str, Any],
    verdict: str,
    observed: float | None,
    limit: float | None,
    judge: Assess,
) -> None:
    quality = judge(changes, {code: limits})
    check = quality.checks[0]
    assert (check.code, check.verdict, check.observed, check.limit) == (code, verdict, observed, limit)
    assert check.source == "the source"
    assert quality.verdict == verdict


def test_the_difference_of_the_doubles_would_have_crossed_the_limit() -> None:
    assert 16.1 - 11.1 > 5.0


@pytest.mark.parametrize("required", [True, False])
def test_a_required_gate_that_was_not_assessed_fails(required: bool, judge: Assess) -> None:
    gates = {"absorbance_414": _limits(None, 0.2, required=required), "volume": _limits(200, 100)}
    quality = judge({}, gates)
    assert quality.checks[0].verdict is Verdict.NOT_ASSESSED
    assert quality.verdict is (Verdict.FAIL if required else Verdict.PASS)


@pytest.mark.parametrize(
    ("delay", "volume", "expected"),
    [
        pytest.param(10, 250, Verdict.PASS, id="all-pass"),
        pytest.param(90, 250, Verdict.FLAG, id="one-flags"),
        pytest.param(90, 50, Verdict.FAIL, id="one-fails"),
        pytest.param(..., 150, Verdict.FLAG, id="one-not-assessed"),
    ],
)
def test_the_worst_assessed_check_decides(delay: Any, volume: Any, expected: Verdict, judge: Assess) -> None:
    gates = {"processing_delay": _limits(60, 120), "volume": _limits(200, 100)}
    changes = {"/specimen/processing_delay_minutes": delay, "/specimen/volume_ul": volume}
    assert judge(changes, gates).verdict is expected


def test_with_nothing_assessed(judge: Assess) -> None:
    quality = judge({}, {})
    assert quality.verdict is Verdict.NOT_ASSESSED
    assert [(check.code, check.verdict) for check in quality.checks] == [("applicability", Verdict.NOT_ASSESSED)]


SUBSTITUTED = {"/measurements/1/value": 35, "/measurements/2/value": 0.1}


@pytest.mark.parametrize(
    ("changes", "allowed", "verdict", "observed"),
    [
        pytest.param({}, 2, Verdict.PASS, 0.0, id="none"),
        pytest.param(SUBSTITUTED, 2, Verdict.FLAG, 2.0, id="as-many-as-allowed"),
        pytest.param(SUBSTITUTED, 1, Verdict.FAIL, 2.0, id="too-many"),
        pytest.param(SUBSTITUTED, 0, Verdict.FAIL, 2.0, id="none-allowed"),
    ],
)
def test_substitutions(changes: dict[str, Any], allowed: int, verdict: Verdict, observed: float, judge: Assess) -> None:
    quality = judge(changes, {}, allowed)
    check = quality.checks[0]
    assert (check.code, check.verdict, check.observed, check.limit) == ("substitutions", verdict, observed, allowed)
    assert quality.verdict is verdict


def test_the_gates_of_the_contract() -> None:
    assert list(GATES) == [
        "processing_delay",
        "freeze_thaw",
        "volume",
        "haemolysis",
        "spike_in_window",
        "replicate_sd",
        "no_template_control",
        "ev_markers",
        "particle_to_protein",
        "absorbance_414",
    ]
    for code, gate in GATES.items():
        assert gate.code == code
        assert parse_unit(gate.unit).code == gate.unit
    assert [code for code, gate in GATES.items() if gate.direction is Direction.WINDOW] == ["spike_in_window"]


@pytest.mark.parametrize(
    ("observed", "verdict", "limit"),
    [(4.1, "pass", 9.0), (9.0, "pass", 9.0), (9.1, "flag", 9.0), (22.5, "flag", 9.0), (22.6, "fail", 22.5)],
)
def test_how_far_from_those_it_was_fitted_on(
    observed: float, verdict: str, limit: float, edit: Edit, submit: Callable[..., Submission]
) -> None:
    asked: list[Sequence[float]] = []

    def distance(row: Sequence[float]) -> float:
        asked.append(row)
        return observed

    known = Applicability(distance, _limits(9.0, 22.5, required=True))
    submission = submit(edit({}), applicability=known, max_substitutions=0)
    quality = assess(submission)
    assert quality.checks == (("applicability", verdict, observed, limit, "the source"),)
    assert quality.verdict == verdict
    assert asked == [[item.used for item in submission.inputs]]
