"""Each shape reads what it should, names what is wrong, and its JSON Schema says the same."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.fields import IDENTIFIER
from service.domain.record import Field, ListOf, Record, TypedRecord
from service.domain.shape import INVALID, Choice, Findings, Instant, Number, Shape, Text, Wrong

WORD = Text("[a-z]+", "lower-case letters", high=5)


class Pair(NamedTuple):
    word: str
    count: int | None = None


RECORD = Record({"word": Field(WORD, required=True), "count": Field(Number((0, 9), whole=True))})
TYPED = TypedRecord(RECORD.fields, reads_as=Pair)
MATCHED = replace(IDENTIFIER, printable=False)


def one_character_else(case: tuple[str, int, str]) -> str:
    text, place, character = case
    return text[:place] + character + text[place + 1 :]


def read(shape: Shape, value: object) -> tuple[Any, list[tuple[str, str]]]:
    found = Findings()
    result = shape.read(value, "/x", found)
    if found.problems:
        with pytest.raises(Wrong):
            shape.check(value)
    else:
        assert shape.check(value) == result
    return result, [(problem.pointer, problem.code) for problem in found.problems]


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        pytest.param(WORD, "abc", "abc", id="text"),
        pytest.param(Choice(("a", "b")), "b", "b", id="choice"),
        pytest.param(Number(), -3, -3.0, id="number"),
        pytest.param(Number((0, 2)), 2.0, 2.0, id="number-at-its-bound"),
        pytest.param(Number((0, 9), whole=True), 4.0, 4, id="whole-number"),
        pytest.param(ListOf(WORD), ["a", "b"], ("a", "b"), id="list"),
        pytest.param(RECORD, {"word": "a", "count": 1}, {"word": "a", "count": 1}, id="record"),
        pytest.param(RECORD, {"word": "a", "count": None}, {"word": "a"}, id="null-is-not-sent"),
        pytest.param(TYPED, {"count": 1, "word": "a"}, Pair("a", 1), id="typed-record"),
        pytest.param(TYPED, {"word": "a", "count": None}, Pair("a"), id="typed-null-is-not-sent"),
        pytest.param(Instant(), "2026-01-20T08:00:00+02:00", datetime(2026, 1, 20, 6, tzinfo=UTC), id="instant-in-utc"),
        pytest.param(
            Instant(), "2026-01-20T08:00:00.25Z", datetime(2026, 1, 20, 8, 0, 0, 250000, tzinfo=UTC), id="fraction"
        ),
    ],
)
def test_accepted(shape: Shape, value: object, expected: object) -> None:
    assert read(shape, value) == (expected, [])
    jsonschema.Draft202012Validator(shape.schema()).validate(value)


REFUSED = [
    pytest.param(WORD, 5, "", "wrong_type", id="text-as-number"),
    pytest.param(WORD, "", "", "wrong_length", id="text-empty"),
    pytest.param(WORD, "abcdef", "", "wrong_length", id="text-too-long"),
    pytest.param(WORD, "ABC", "", "wrong_format", id="text-format"),
    pytest.param(Choice(("a", "b")), "c", "", "not_allowed", id="choice-other"),
    pytest.param(Choice(("a", "b")), ["a"], "", "wrong_type", id="choice-list"),
    pytest.param(Number(), True, "", "wrong_type", id="boolean-as-number"),
    pytest.param(Number(), "1", "", "wrong_type", id="string-as-number"),
    pytest.param(Number((0, 2)), 2.1, "", "out_of_range", id="number-beyond"),
    pytest.param(Number((0, 2)), -0.1, "", "out_of_range", id="number-below"),
    pytest.param(Number(whole=True), 1.5, "", "wrong_type", id="fraction-as-count"),
    pytest.param(Instant(), 20260120, "", "wrong_type", id="instant-as-number"),
    pytest.param(Instant(), "2026-01-20T08:00:00", "", "time_without_zone", id="no-zone"),
    pytest.param(Instant(), "2026-01-20", "", "wrong_format", id="date-only"),
    pytest.param(Instant(), "2026-W04-2T08:00:00Z", "", "wrong_format", id="week-date"),
    pytest.param(Instant(), "20260120T080000Z", "", "wrong_format", id="basic-format"),
    pytest.param(ListOf(WORD), "abc", "", "wrong_type", id="list-as-string"),
    pytest.param(ListOf(WORD, low=1), [], "", "empty_list", id="list-empty"),
    pytest.param(ListOf(WORD, high=1), ["a", "b"], "", "too_many_items", id="list-too-long"),
    pytest.param(ListOf(WORD), ["a", 1], "/1", "wrong_type", id="list-item"),
    pytest.param(RECORD, [], "", "wrong_type", id="record-as-list"),
    pytest.param(RECORD, {}, "/word", "missing_field", id="record-missing"),
    pytest.param(RECORD, {"word": None}, "/word", "missing_field", id="record-null"),
    pytest.param(RECORD, {"word": "a", "more": 1}, "", "unknown_field", id="record-unknown"),
    pytest.param(TYPED, [], "", "wrong_type", id="typed-as-list"),
    pytest.param(TYPED, {"count": 1}, "/word", "missing_field", id="typed-missing"),
    pytest.param(TYPED, {"word": None}, "/word", "missing_field", id="typed-null"),
    pytest.param(TYPED, {"word": "a", "more": 1}, "", "unknown_field", id="typed-unknown"),
]


@pytest.mark.parametrize(("shape", "value", "below", "code"), REFUSED)
def test_refused_by_the_check_and_by_the_schema(shape: Shape, value: object, below: str, code: str) -> None:
    assert read(shape, value)[1] == [(f"/x{below}", code)]
    assert not jsonschema.Draft202012Validator(shape.schema()).is_valid(value)


@pytest.mark.parametrize(
    ("shape", "value", "code"),
    [
        pytest.param(Text(".+", "any text"), "a\ud800", "wrong_format", id="lone-surrogate"),
        pytest.param(Number(), float("nan"), "not_finite", id="nan"),
        pytest.param(Number(), float("inf"), "not_finite", id="infinity"),
        pytest.param(Number(), 10**400, "not_finite", id="integer-beyond-doubles"),
        pytest.param(Instant(), "2026-02-30T08:00:00Z", "wrong_format", id="no-such-day"),
        pytest.param(Instant(), "0001-01-01T00:00:00+14:00", "wrong_format", id="before-the-calendar"),
    ],
)
def test_refused_where_a_schema_cannot(shape: Shape, value: object, code: str) -> None:
    assert read(shape, value) == (INVALID, [("/x", code)])


def test_optional_choice_may_be_null_in_the_schema() -> None:
    schema = Record({"sex": Field(Choice(("a", "b")))}).schema()
    assert jsonschema.Draft202012Validator(schema).is_valid({"sex": None})
    assert not jsonschema.Draft202012Validator(schema).is_valid({"sex": "c"})


def test_every_problem_of_a_record_is_found() -> None:
    assert read(RECORD, {"count": 10, "more": 1})[1] == [
        ("/x", "unknown_field"),
        ("/x/word", "missing_field"),
        ("/x/count", "out_of_range"),
    ]


TIME_LIKE = st.from_regex(r"[-0-9TW:.+ ]{4}(?:-[-0-9W ]{2}){2}T[-0-9. +]{2}(?::[-0-9. +]{2}){2}Z", fullmatch=True)
TIMES = st.datetimes().map(lambda at: at.isoformat(timespec="seconds") + "Z")


@given(TIME_LIKE | TIMES | st.tuples(TIMES, st.integers(0, 19), st.characters()).map(one_character_else))
def test_the_usual_form_of_a_time_is_the_pattern_s(text: str) -> None:
    pattern = Instant().schema()["pattern"]
    if re.fullmatch(pattern.removeprefix("^").removesuffix("$"), text) is None:
        with pytest.raises(Wrong):
            Instant().check(text)


@given(st.text(st.characters(codec="ascii"), min_size=1, max_size=128) | st.text(min_size=1, max_size=128))
def test_a_text_that_is_not_matched_would_match(text: str) -> None:
    assert [one.printable for one in (IDENTIFIER, MATCHED)] == [True, False]
    assert read(IDENTIFIER, text) == read(MATCHED, text)
