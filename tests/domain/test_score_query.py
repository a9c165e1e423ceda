from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.query import DEFAULT_LIMIT, MAX_LIMIT
from service.domain.score_query import ScoreQuery, parse_list, parse_search
from service.errors import InputRejected, MalformedBody


def test_what_is_not_asked_for_does_not_narrow() -> None:
    assert parse_list([]) == ScoreQuery() == parse_search(b"{}")
    assert ScoreQuery().limit == DEFAULT_LIMIT == 50


def test_every_filter_is_read() -> None:
    listed = parse_list(
        [("model", "m@1.0.0"), ("since", "2026-01-31T09:00:00+01:00"), ("cursor", "MC4x"), ("limit", "7")]
    )
    assert listed == ScoreQuery("m@1.0.0", None, None, datetime(2026, 1, 31, 8, tzinfo=UTC), "MC4x", 7)
    searched = parse_search(b'{"subject": "S-1", "specimen": "A-1", "limit": 500}')
    assert searched == ScoreQuery(subject="S-1", specimen="A-1", limit=MAX_LIMIT)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b'{"subject": 5, "limit": true, "marker": 1}', ["", "/subject", "/limit"]),
        (b'{"subject": "", "specimen": " "}', ["/subject", "/specimen"]),
        (b'{"since": "yesterday", "limit": "5"}', ["/since", "/limit"]),
        (b'{"limit": 0}', ["/limit"]),
        (b'{"limit": 501}', ["/limit"]),
    ],
)
def test_every_problem_of_a_search_is_named(body: bytes, pointers: list[str]) -> None:
    with pytest.raises(InputRejected) as caught:
        parse_search(body)
    assert [problem.pointer for problem in caught.value.problems] == pointers


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"limit": 1, "limit": 2}'], ids=["empty", "list", "syntax", "twice"]
)
def test_an_unreadable_search_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        parse_search(body)


@pytest.mark.parametrize("name", ["subject", "specimen", "marker"])
def test_a_list_takes_no_identifiers(name: str) -> None:
    with pytest.raises(InputRejected) as caught:
        parse_list([(name, "S-1")])
    assert "S-1" not in str(caught.value.problems)


@pytest.mark.parametrize("text", ["0", "501", "-1", "07", "1.0", "\u0665", "9" * 5000])
def test_a_limit_out_of_range_or_in_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(InputRejected) as caught:
        parse_list([("limit", text)])
    assert [problem.pointer for problem in caught.value.problems] == ["/limit"]


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(InputRejected) as caught:
        parse_list([("limit", "1"), ("limit", "2")])
    assert [problem.code for problem in caught.value.problems] == ["duplicate_parameter"]


@given(st.lists(st.tuples(st.sampled_from(["model", "since", "cursor", "limit"]) | st.text(), st.text())))
def test_any_query_string_is_read_or_refused_without_echo(parameters: list[tuple[str, str]]) -> None:
    marked = [(name, f"QQ{value}QQ") for name, value in parameters]
    try:
        parse_list(marked)
    except InputRejected as error:
        text = str(error.problems)
        assert "QQ" not in text


@pytest.mark.parametrize("model", ["@", "@1.0.0", "tb@", "tb@production", "TB", "tb\n"])
def test_a_model_filter_names_a_model_and_perhaps_a_version(model: str) -> None:
    with pytest.raises(InputRejected):
        parse_list([("model", model)])
