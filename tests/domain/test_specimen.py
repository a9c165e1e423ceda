"""From a request to a submission: what is accepted, what is refused and where each problem points."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from service.domain.fields import request_schema
from service.domain.panel import Panel
from service.domain.specimen import parse, parse_document
from service.domain.submission import Submission
from service.errors import (
    InputRejected,
    MalformedBody,
    ModelNotFound,
    NoActiveModel,
    Problem,
    VersionNotInForce,
)

Edit = Callable[[dict[str, Any]], dict[str, Any]]
Refusals = Callable[..., list[tuple[str, str]]]
UUID = "0190B0A0-1111-7000-8000-000000000001"


def test_a_valid_request(request_document: dict[str, Any], panel: Panel, now: datetime) -> None:
    body = json.dumps(request_document).encode()
    submission = parse(body, find_panel=lambda _: panel, now=now)
    assert submission.model == "any-model@1.0.0"
    assert submission.panel is panel
    assert (submission.subject.id, submission.subject.age_years, submission.subject.sex) == ("S-104", 47.0, "female")
    assert submission.specimen.received_at == datetime(2026, 1, 20, 9, 10, tzinfo=UTC)
    assert submission.specimen.freeze_thaw_cycles == 1
    assert tuple(item.code for item in submission.inputs) == panel.codes
    assert submission.substitutions == 0
    assert (submission.replaces, submission.reason, submission.reason_text) == (None, None, None)


def test_the_contract_s_minimum(edit: Edit, submit: Callable[..., Submission], panel: Panel) -> None:
    names = ("received_at", "processing_delay_minutes", "freeze_thaw_cycles", "volume_ul", "isolation")
    document = edit({f"/specimen/{name}": ... for name in names} | {"/quality": ..., "/replaces": ...})
    specimen = submit(document).specimen
    assert [getattr(specimen, name) for name in names] == [None] * len(names)


def test_an_amendment(edit: Edit, submit: Callable[..., Submission]) -> None:
    text = "Pipetting error\nseen at review"
    changes = {"/replaces": UUID, "/reason": "measurement_corrected", "/reason_text": text}
    submission = submit(edit(changes))
    assert (submission.replaces, submission.reason) == (UUID.lower(), "measurement_corrected")
    assert submission.reason_text == text


# The schema of any request refuses these as well.
SHAPE = [
    pytest.param({"/model": ...}, [("/model", "missing_field")], id="no-model"),
    pytest.param({"/model": "Not A Name"}, [("/model", "wrong_format")], id="model-form"),
    pytest.param({"/model": 7}, [("/model", "wrong_type")], id="model-type"),
    pytest.param({"/subject": ...}, [("/subject", "missing_field")], id="no-subject"),
    pytest.param({"/subject": "S-1"}, [("/subject", "wrong_type")], id="subject-type"),
    pytest.param({"/subject/name": "x"}, [("/subject", "unknown_field")], id="unknown-field"),
    pytest.param({"/note": "x"}, [("", "unknown_field")], id="unknown-field-at-the-top"),
    pytest.param({"/subject/id": " "}, [("/subject/id", "wrong_format")], id="blank-id"),
    pytest.param({"/subject/id": ""}, [("/subject/id", "wrong_length")], id="empty-id"),
    pytest.param({"/subject/id": "x" * 129}, [("/subject/id", "wrong_length")], id="long-id"),
    pytest.param({"/subject/id": "a\u0000b"}, [("/subject/id", "wrong_format")], id="nul-in-id"),
    pytest.param({"/subject/id": "a\u0085b"}, [("/subject/id", "wrong_format")], id="control-in-id"),
    pytest.param({"/subject/id": None}, [("/subject/id", "missing_field")], id="null-id"),
    pytest.param({"/subject/age_years": "47"}, [("/subject/age_years", "wrong_type")], id="age-as-string"),
    pytest.param({"/subject/age_years": True}, [("/subject/age_years", "wrong_type")], id="age-as-boolean"),
    pytest.param({"/subject/sex": "f"}, [("/subject/sex", "not_allowed")], id="sex-word"),
    pytest.param({"/specimen": []}, [("/specimen", "wrong_type")], id="specimen-type"),
    pytest.param({"/specimen/type": "blood"}, [("/specimen/type", "not_allowed")], id="specimen-word"),
    pytest.param({"/specimen/collected_at": ...}, [("/specimen/collected_at", "missing_field")], id="no-time"),
    pytest.param(
        {"/specimen/collected_at": "2026-01-20T08:00:00"},
        [("/specimen/collected_at", "time_without_zone")],
        id="time-without-zone",
    ),
    pytest.param(
        {"/specimen/freeze_thaw_cycles": 1.5}, [("/specimen/freeze_thaw_cycles", "wrong_type")], id="half-a-thaw"
    ),
    pytest.param({"/specimen/volume_ul": -1}, [("/specimen/volume_ul", "out_of_range")], id="negative-volume"),
    pytest.param({"/measurements": []}, [("/measurements", "empty_list")], id="no-measurements"),
    pytest.param({"/measurements": {}}, [("/measurements", "wrong_type")], id="measurements-type"),
    pytest.param({"/covariates": "x"}, [("/covariates", "wrong_type")], id="covariates-type"),
    pytest.param({"/quality": 5}, [("/quality", "wrong_type")], id="quality-type"),
    pytest.param({"/quality/0/code": "mood"}, [("/quality/0/code", "not_allowed")], id="quality-word"),
    pytest.param({"/replaces": UUID}, [("/reason", "missing_field")], id="replaces-without-reason"),
    pytest.param({"/reason": "other"}, [("/reason", "reason_without_replaces")], id="reason-without-replaces"),
    pytest.param({"/reason_text": "x"}, [("/reason_text", "reason_without_replaces")], id="text-without-replaces"),
    pytest.param({"/replaces": "17", "/reason": "other"}, [("/replaces", "wrong_format")], id="replaces-is-not-a-uuid"),
    pytest.param(
        {"/replaces": UUID, "/reason": "wrong_subject"}, [("/reason", "not_allowed")], id="reason-of-a-retraction"
    ),
    pytest.param(
        {"/replaces": UUID, "/reason": "other", "/reason_text": "x" * 2001},
        [("/reason_text", "wrong_length")],
        id="long-reason-text",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), SHAPE)
def test_wrong_shapes(changes: dict[str, Any], expected: list[tuple[str, str]], edit: Edit, refusals: Refusals) -> None:
    document = edit(changes)
    assert refusals(document) == expected
    assert not jsonschema.Draft202012Validator(request_schema()).is_valid(document)


def test_the_schema_of_any_request(request_document: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(request_schema())
    jsonschema.validate(request_document, request_schema())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"/specimen/collected_at": "2026-01-21T00:05:00Z", "/specimen/received_at": None}, [], id="skew"),
        pytest.param(
            {"/specimen/collected_at": "2026-01-21T00:05:01Z", "/specimen/received_at": None},
            [("/specimen/collected_at", "time_in_future")],
            id="collected-in-the-future",
        ),
        pytest.param(
            {"/specimen/received_at": "2026-01-21T01:00:00Z"},
            [("/specimen/received_at", "time_in_future")],
            id="received-in-the-future",
        ),
        pytest.param(
            {"/specimen/received_at": "2026-01-20T08:30:00+01:00"},
            [("/specimen/received_at", "received_before_collected")],
            id="received-before-collected",
        ),
        pytest.param({"/specimen/received_at": "2026-01-20T08:00:00Z"}, [], id="received-at-once"),
        pytest.param({"/specimen/collected_at": "soon"}, [("/specimen/collected_at", "wrong_format")], id="not-a-time"),
    ],
)
def test_times(
    changes: dict[str, Any],
    expected: list[tuple[str, str]],
    edit: Edit,
    refusals: Refusals,
    submit: Callable[..., Submission],
) -> None:
    document = edit(changes)
    if expected:
        assert refusals(document) == expected
    else:
        assert submit(document).subject.id == "S-104"


def test_a_lone_surrogate_in_an_id(edit: Edit, refusals: Refusals) -> None:
    assert refusals(edit({"/subject/id": "\ud800"})) == [("/subject/id", "wrong_format")]


def test_every_problem_at_once(edit: Edit, refusals: Refusals) -> None:
    changes = {
        "/subject/sex": "?",
        "/specimen/type": "urine",
        "/measurements/0/unit": "{Cq}",
        "/covariates/0/value": 2,
        "/quality/0/unit": "h",
        "/extra": 1,
    }
    assert sorted(refusals(edit(changes))) == [
        ("", "unknown_field"),
        ("/covariates/0/value", "not_binary"),
        ("/measurements/0/unit", "unit_not_accepted"),
        ("/quality/0/unit", "unit_not_accepted"),
        ("/specimen/type", "outside_intended_use"),
        ("/subject/sex", "not_allowed"),
    ]


def test_one_problem_speaks_for_the_error(edit: Edit, submit: Callable[..., Submission]) -> None:
    with pytest.raises(InputRejected) as caught:
        submit(edit({"/specimen/type": "urine"}))
    assert caught.value.message == caught.value.problems[0].message
    assert type(caught.value) is InputRejected


@pytest.mark.parametrize("document", [None, [], "text", 5])
def test_a_document_that_is_no_object(document: object, panel: Panel, now: datetime) -> None:
    with pytest.raises(MalformedBody):
        parse_document(document, find_panel=lambda _: panel, now=now)


class TestModelReference:
    """`find_panel` decides; its refusal is joined by whatever else is wrong."""

    OWN = Problem("/model", "not_an_alias", "No such alias.", "Use production.")
    REFUSED = (
        pytest.param(ModelNotFound("No such model.", "List the models."), id="unknown"),
        pytest.param(VersionNotInForce("It is retired.", "Use another."), id="not-in-force"),
    )

    @pytest.mark.parametrize("refusal", REFUSED)
    def test_alone_it_points_at_the_model(
        self, refusal: InputRejected, request_document: dict[str, Any], now: datetime
    ) -> None:
        with pytest.raises(type(refusal)) as caught:
            parse_document(request_document, find_panel=_raise(refusal), now=now)
        assert (caught.value.message, caught.value.remedy) == (refusal.message, refusal.remedy)
        assert [(problem.pointer, problem.code) for problem in caught.value.problems] == [("/model", refusal.code)]

    @pytest.mark.parametrize("refusal", REFUSED)
    def test_with_others_it_keeps_its_class(self, refusal: InputRejected, edit: Edit, now: datetime) -> None:
        changes = {
            "/subject/age_years": "x",
            "/measurements/0/analyte": "CD63",
            "/measurements/1/unit": "pM",
            "/covariates/0/unit": "ml",
        }
        with pytest.raises(type(refusal)) as caught:
            parse_document(edit(changes), find_panel=_raise(refusal), now=now)
        assert [(problem.pointer, problem.code) for problem in caught.value.problems] == [
            ("/model", refusal.code),
            ("/subject/age_years", "wrong_type"),
            ("/measurements/1/unit", "unknown_unit"),
            ("/measurements/2/analyte", "duplicate_analyte"),
            ("/covariates/0/unit", "unknown_unit"),
        ]

    def test_alone_with_problems_it_is_raised_as_it_is(self, edit: Edit, now: datetime) -> None:
        refusal = ModelNotFound("No such alias.", "Use production.", [self.OWN])
        with pytest.raises(ModelNotFound) as caught:
            parse_document(edit({}), find_panel=_raise(refusal), now=now)
        assert caught.value is refusal
        assert caught.value.__cause__ is None

    def test_its_own_problems_are_kept(self, edit: Edit, now: datetime) -> None:
        refusal = ModelNotFound("No such alias.", "Use production.", [self.OWN])
        with pytest.raises(ModelNotFound) as caught:
            parse_document(edit({"/subject/sex": 1}), find_panel=_raise(refusal), now=now)
        assert caught.value.problems[0] is self.OWN
        assert len(caught.value.problems) == 2

    def test_a_fault_of_the_system_goes_straight_up(self, edit: Edit, now: datetime) -> None:
        with pytest.raises(NoActiveModel):
            parse_document(edit({"/subject/sex": 1}), find_panel=_raise(NoActiveModel("None.")), now=now)

    def test_an_ill_formed_reference_is_not_looked_up(self, edit: Edit, now: datetime) -> None:
        with pytest.raises(InputRejected) as caught:
            parse_document(edit({"/model": "../etc"}), find_panel=_raise(AssertionError("looked up")), now=now)
        assert [problem.pointer for problem in caught.value.problems] == ["/model"]


def _raise(error: Exception) -> Callable[[str], Panel]:
    def find_panel(_: str) -> Panel:
        raise error

    return find_panel
