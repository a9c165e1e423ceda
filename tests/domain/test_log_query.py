"""Query strings of the audit routes."""

import pytest

from service.domain.log_query import (
    CONSISTENCY,
    ENTRIES,
    ConsistencyQuery,
    EntriesQuery,
    parse_consistency,
    parse_entries,
    parse_log,
)
from service.domain.query import query_parameters
from service.errors import InputRejected


def test_what_is_left_out_has_its_default() -> None:
    assert parse_log([]) is None
    assert parse_entries([]) == EntriesQuery(None, 0, 50, None)
    assert parse_consistency([("from", "0")]) == ConsistencyQuery(None, 0, None)


def test_what_is_given_is_read() -> None:
    assert parse_log([("origin", "exoscore/0")]) == "exoscore/0"
    assert parse_entries([("from", "7"), ("limit", "500"), ("origin", "o")]) == EntriesQuery("o", 7, 500, None)
    assert parse_entries([("cursor", "MS4x")]) == EntriesQuery(None, 0, 50, "MS4x")
    assert parse_consistency([("from", "1"), ("to", "9")]) == ConsistencyQuery(None, 1, 9)


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "01", "1e3", "\u0661", " 1", "1_0", "9" * 16, "9" * 5000])
def test_a_number_has_one_spelling_and_a_limit(text: str) -> None:
    with pytest.raises(InputRejected) as refused:
        parse_entries([("from", text)])
    assert [problem.pointer for problem in refused.value.problems] == ["/from"]


def test_every_problem_is_listed() -> None:
    with pytest.raises(InputRejected) as refused:
        parse_entries([("from", "x"), ("limit", "0"), ("marker", "1"), ("marker", "2"), ("origin", "a b")])
    found = [(problem.pointer, problem.code) for problem in refused.value.problems]
    assert found == [
        ("", "duplicate_parameter"),
        ("", "unknown_field"),
        ("/origin", "wrong_format"),
        ("/from", "wrong_type"),
        ("/limit", "out_of_range"),
    ]
    assert "marker" not in str(refused.value.problems)


def test_the_description_comes_from_the_same_table() -> None:
    assert [(p["name"], p["required"]) for p in query_parameters(CONSISTENCY)] == [
        ("origin", False), ("from", True), ("to", False),
    ]  # fmt: skip
    assert {p["name"]: p["schema"]["type"] for p in query_parameters(ENTRIES)}["limit"] == "integer"
