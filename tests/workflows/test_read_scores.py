import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InputRejected
from service.workflows.read_scores import etag, make_cursor, parse_cursor, render

PLACES = st.integers(0, 2**63 - 1)


@given(PLACES, PLACES)
def test_a_cursor_comes_back_as_it_was(log_id: int, seq: int) -> None:
    assert parse_cursor(make_cursor(log_id, seq)) == (log_id, seq)


def place_in(text: str) -> tuple[int, int] | None:
    try:
        return parse_cursor(text)
    except InputRejected:
        return None


@given(st.text(max_size=40) | st.binary(max_size=30).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_nothing_else_is_a_cursor(text: str) -> None:
    place = place_in(text)
    assert place is None or make_cursor(*place) == text


@pytest.mark.parametrize("inner", ["1", "1.2.3", "-1.2", "1.-2", "01.2", f"1.{2**63}", "1.٣", " 1.2"])
def test_a_forged_cursor_is_refused(inner: str) -> None:
    forged = base64.urlsafe_b64encode(inner.encode()).decode().rstrip("=")
    with pytest.raises(InputRejected):
        parse_cursor(forged)


def test_the_answer_is_sent_as_it_is_stored_with_what_is_derived_behind_it() -> None:
    sent = render(b'{"id":"x"}', 7, "a \u2014 b\n", "y")
    assert (
        sent
        == b'{"id":"x","superseded_by":"y","retracted":null,"audit":{"index":7,"checkpoint":"a \xe2\x80\x94 b\\n"}}'
    )


def test_superseding_a_score_changes_its_tag() -> None:
    assert etag(b"a") != etag(b"a", "y")
    assert etag(b"a") == etag(b"a")
