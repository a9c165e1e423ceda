"""Whatever arrives, the parser answers with a submission or a service error, and never repeats what was sent."""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from service.domain.example import example_request
from service.domain.fields import REQUEST
from service.domain.measurements import find_plain_inputs
from service.domain.panel import Action, IntendedUse, Panel, PanelAnalyte, PanelCovariate, Rule
from service.domain.panel_schema import panel_schema
from service.domain.shape import Findings, Wrong
from service.domain.specimen import parse, parse_document
from service.domain.submission import Submission
from service.domain.units import convert
from service.errors import InputRejected, ServiceError

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PANEL = Panel(
    model_name="any-model",
    model_version="1.0.0",
    analytes=(
        PanelAnalyte("MIMAT0000075", "hsa-miR-20a-5p", "mirna", "{zscore}", -10.0, 10.0),
        PanelAnalyte(
            "P08962",
            "CD63",
            "protein",
            "ng/mL",
            0.0,
            1000.0,
            loq=0.5,
            upper_limit=500.0,
            nondetect_codes=(0.0,),
            below_loq=Rule(Action.SUBSTITUTE, 0.25),
            not_detected=Rule(Action.IMPUTE, 0.1),
        ),
    ),
    covariates=(PanelCovariate("inotrope_therapy", "Inotrope therapy", "1", True, 0.0, 1.0),),
    max_substitutions=1,
    gates={},
    intended_use=IntendedUse(("plasma",), ("edta",), ("precipitation",), ("female", "male"), 18.0, 90.0),
)
VALID = example_request(PANEL, {"MIMAT0000075": 0.5, "P08962": 30.0, "inotrope_therapy": 0.0})
VALIDATOR = jsonschema.Draft202012Validator(panel_schema(PANEL))
MARKER = "Zq7markerq7Z"

TEXT = st.text(st.characters(codec=None), max_size=20) | st.just(MARKER) | st.just(f"hsa-{MARKER}")
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))
WORDS = st.sampled_from(
    ["CD63", "hsa-miR-21", "GNAS", "{zscore}", "ng/mL", "pM", "<", "not_detected", "2026-01-01T00:00:00", "0.5"]
)
NUMBERS = st.sampled_from([0, 0.0, -0.0, 1, 0.25, 0.5, 500.0, 500.1, 1000, 1e308, 5e-324, 10**400, True])


def _places(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(place for key, child in children for place in _places(child, (*way, key)))]


PLACES = [place for place in _places(VALID) if place]


def _mutate(document: Any, place: tuple[Any, ...], value: Any, kind: str) -> None:
    for key in place[:-1]:
        try:
            document = document[key]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(document, dict):
        if kind == "remove":
            document.pop(place[-1], None)
        else:
            document[MARKER if kind == "add" else place[-1]] = value
    elif isinstance(document, list) and isinstance(place[-1], int) and place[-1] < len(document):
        if kind == "add":
            document.append(value)
        else:
            document[place[-1]] = value


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A valid request with a few places changed, removed or added to."""
    document = copy.deepcopy(VALID)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.sampled_from(PLACES))
        _mutate(document, place, draw(JSON | WORDS | NUMBERS), draw(st.sampled_from(["put", "remove", "add"])))
    return document


def _spoken(error: ServiceError) -> str:
    return repr([error.message, error.remedy, error.problems])


def _answer(document: object) -> Submission | ServiceError:
    try:
        return parse_document(document, find_panel=lambda _: PANEL, now=NOW)
    except ServiceError as error:
        return error


def _check(answer: Submission | ServiceError) -> None:
    if isinstance(answer, Submission):
        assert tuple(item.code for item in answer.inputs) == PANEL.codes
        json.dumps([answer.subject.id, answer.specimen.id]).encode()
        answer.subject.id.encode("utf-8")
    else:
        assert isinstance(answer, InputRejected)
        assert answer.problems
        assert MARKER not in _spoken(answer)
        assert all(problem.message and problem.remedy for problem in answer.problems)


@settings(deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes(body: bytes) -> None:
    with pytest.raises(ServiceError) as caught:
        parse(body, find_panel=lambda _: PANEL, now=NOW)
    assert MARKER not in _spoken(caught.value)


@settings(deadline=None)
@given(JSON)
def test_any_document(document: object) -> None:
    _check(_answer(document))


@settings(deadline=None, max_examples=400)
@given(mutated())
def test_mutated_requests(document: Any) -> None:
    _check(_answer(document))


@st.composite
def spelt_and_measured(draw: st.DrawFn) -> dict[str, Any]:
    """A well-formed request whose names, units, values, comparators and absences vary around what the panel takes."""
    document = copy.deepcopy(VALID)
    mirna, protein = document["measurements"]
    mirna |= {"analyte": draw(st.sampled_from(["MIMAT0000075", "hsa-miR-20a-5p"])), "value": draw(st.floats(-11, 11))}
    protein["analyte"] = draw(st.sampled_from(["P08962", "UniProt:P08962", "CD63"]))
    if draw(st.integers(0, 5)) == 0:
        document["measurements"][1] = {
            "analyte": protein["analyte"],
            "absent": draw(st.sampled_from(["not_detected", "not_tested"])),
        }
    else:
        unit = draw(st.sampled_from(["ng/mL", "ug/L", "pg/mL", "mg/L", "fg/uL"]))
        edges = st.sampled_from([0.0, 0.25, 0.5, 499.9999999999999, 500.0, 500.00000000000006, 1000.0, 1000.1])
        value = convert(draw(edges | st.floats(0, 1100)), "ng/mL", unit)
        protein |= {"value": value, "unit": unit, "comparator": draw(st.sampled_from([None, None, "<", "<=", ">"]))}
    document["subject"]["age_years"] = draw(st.sampled_from([17.9, 18, 47.5, 90]))
    return document


@settings(deadline=None, max_examples=400)
@given(JSON | mutated() | spelt_and_measured())
def test_the_first_check_and_the_collecting_one_agree(document: Any) -> None:
    found = Findings()
    read = REQUEST.read(document, "", found)
    event(f"right: {not found.problems}")
    if found.problems:
        with pytest.raises(Wrong):
            REQUEST.check(document)
    else:
        assert REQUEST.check(document) == read


def _with_a_null_in_each_row(document: Any) -> Any:
    """The same request, spelt so that its measurements are not the usual ones."""
    if not isinstance(document, dict) or not isinstance(document.get("measurements"), list):
        return document
    rows = [{"absent": None, **row} if isinstance(row, dict) else row for row in document["measurements"]]
    return document | {"measurements": rows}


@settings(deadline=None, max_examples=400)
@given(mutated() | spelt_and_measured())
def test_the_usual_request_and_its_unusual_spelling_are_answered_alike(document: Any) -> None:
    rows = document.get("measurements") if isinstance(document, dict) else None
    event(f"usual: {find_plain_inputs(rows, PANEL) is not None}")
    answer, collected = _answer(document), _answer(_with_a_null_in_each_row(document))
    if isinstance(answer, Submission):
        assert repr(answer) == repr(collected)  # tells 1 from 1.0 and 0.0 from -0.0
    else:
        assert isinstance(collected, ServiceError)
        assert (type(answer), _spoken(answer)) == (type(collected), _spoken(collected))


@settings(deadline=None, max_examples=200)
@given(spelt_and_measured())
def test_the_schema_never_refuses_what_the_service_accepts(document: Any) -> None:
    accepted = isinstance(_answer(document), Submission)
    event(f"accepted: {accepted}")
    assert VALIDATOR.is_valid(document) or not accepted


@settings(deadline=None)
@given(
    st.floats(-10, 10),
    st.floats(0, 1000),
    st.sampled_from(["ng/mL", "pg/mL", "ug/L", "g/L"]),
    st.booleans(),
    st.booleans(),
)
def test_values_in_range_are_used_as_sent(mir: float, protein: float, unit: str, therapy: bool, reverse: bool) -> None:
    document = copy.deepcopy(VALID)
    document["measurements"][0]["value"] = mir
    document["measurements"][1] |= {"value": protein, "unit": unit}
    document["covariates"][0]["value"] = int(therapy)
    if reverse:
        document["measurements"].reverse()
    answer = _answer(document)
    assert isinstance(answer, Submission) is (convert(protein, unit, "ng/mL") <= 500.0)
    if isinstance(answer, Submission):
        assert answer.inputs[0].used == mir
        assert answer.inputs[1].substituted is not (answer.inputs[1].used >= 0.5)
        assert answer.inputs[2].used == therapy
        assert VALIDATOR.is_valid(document)


@settings(deadline=None)
@given(st.sampled_from(sorted({key for place in PLACES for key in place if isinstance(key, str)})))
def test_a_repeated_key_is_always_found(key: str) -> None:
    body = json.dumps(VALID)
    assert f'"{key}": ' in body
    doubled = body.replace(f'"{key}": ', f'"{key}": "{MARKER}", "{key}": ', 1).encode()
    with pytest.raises(ServiceError) as caught:
        parse(doubled, find_panel=lambda _: PANEL, now=NOW)
    assert [problem.code for problem in caught.value.problems] == ["duplicate_key"]
    assert MARKER not in _spoken(caught.value)
