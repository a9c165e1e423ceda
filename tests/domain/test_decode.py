"""From bytes to a JSON object: everything that makes a body unreadable is refused alone, and says where."""

import pytest

from service.domain.decode import decode
from service.errors import MalformedBody


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"", "empty_body", id="empty"),
        pytest.param(b" \n", "empty_body", id="blank"),
        pytest.param(b'{"model": "\xff"}', "not_utf8", id="not-utf8"),
        pytest.param('{"model": "x"}'.encode("utf-16"), "not_utf8", id="utf-16"),
        pytest.param(b'\xef\xbb\xbf{"model": "x"}', "not_json", id="byte-order-mark"),
        pytest.param(b'{"model": ', "not_json", id="cut-off"),
        pytest.param(b'{"model": "x",}', "not_json", id="trailing-comma"),
        pytest.param(b"{} {}", "not_json", id="two-documents"),
        pytest.param(b'{"model": "a\nb"}', "not_json", id="raw-control-character"),
        pytest.param(b'{"value": NaN}', "not_finite", id="nan"),
        pytest.param(b'{"value": Infinity}', "not_finite", id="infinity"),
        pytest.param(b'{"value": -Infinity}', "not_finite", id="minus-infinity"),
        pytest.param(b'{"value": 1e999}', "not_finite", id="beyond-doubles"),
        pytest.param(b'{"value": 9' + b"0" * 308 + b"}", "not_finite", id="integer-beyond-doubles"),
        pytest.param(b'{"value": 1' + b"0" * 309 + b"}", "not_finite", id="long-integer"),
        pytest.param(b'{"value": ' + b"9" * 5000 + b"}", "not_finite", id="absurd-integer"),
        pytest.param(b'{"a": ' * 60000 + b"1" + b"}" * 60000, "nested_too_deep", id="deep-objects"),
        pytest.param(b"[" * 100000, "nested_too_deep", id="deep-lists"),
        pytest.param(b"[]", "not_an_object", id="list"),
        pytest.param(b'"text"', "not_an_object", id="string"),
        pytest.param(b"null", "not_an_object", id="null"),
    ],
)
def test_unreadable_bodies(body: bytes, code: str) -> None:
    with pytest.raises(MalformedBody) as caught:
        decode(body)
    assert [(problem.pointer, problem.code) for problem in caught.value.problems] == [("", code)]
    assert caught.value.http_status == 400


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        pytest.param(b'{"model": "a", "model": "b"}', [""], id="top"),
        pytest.param(b'{"subject": {"id": 1, "id": 1}}', ["/subject"], id="same-value-too"),
        pytest.param(b'{"measurements": [{}, {"unit": "a", "unit": "b"}]}', ["/measurements/1"], id="in-a-list"),
        pytest.param(b'{"SECRET": {"a": {"b": 1, "b": 2}}}', [""], id="below-an-unknown-field"),
        pytest.param(b'{"subject": {"SECRET": [{"b": 1, "b": 2}]}}', ["/subject"], id="list-below-an-unknown-field"),
        pytest.param(b'[{"b": 1, "b": 2}]', [""], id="top-level-list"),
        pytest.param(
            b'{"subject": {"id": 1, "id": 2}, "specimen": {"id": 1, "id": 2}, "model": [1]}',
            ["/specimen", "/subject"],
            id="two-places",
        ),
    ],
)
def test_repeated_keys_are_pointed_at_by_their_object(body: bytes, pointers: list[str]) -> None:
    with pytest.raises(MalformedBody) as caught:
        decode(body)
    assert [(problem.pointer, problem.code) for problem in caught.value.problems] == [
        (pointer, "duplicate_key") for pointer in pointers
    ]
    assert "SECRET" not in repr(caught.value.problems)


@pytest.mark.parametrize(
    ("body", "document"),
    [
        pytest.param(b'{"value": 1e3}', {"value": 1000.0}, id="exponent"),
        pytest.param(b'{"value": -0.1}', {"value": -0.1}, id="decimal"),
        pytest.param(b'{"value": 12}', {"value": 12}, id="integer"),
        pytest.param('{"id": "Zoë"}'.encode(), {"id": "Zoë"}, id="beyond-ascii"),
        pytest.param(b'{"a": {"id": 1}, "b": {"id": 1}}', {"a": {"id": 1}, "b": {"id": 1}}, id="same-key-elsewhere"),
    ],
)
def test_readable_bodies(body: bytes, document: object) -> None:
    assert decode(body) == document


@pytest.mark.parametrize("digits", ["1e-400", "-0.0001e-330", "9E-999"])
def test_a_number_too_small_to_be_told_from_zero_is_refused(digits: str) -> None:
    with pytest.raises(MalformedBody, match="too small"):
        decode(f'{{"value": {digits}}}'.encode())


@pytest.mark.parametrize(
    ("digits", "value"), [("0e-400", 0.0), ("-0.0", 0.0), ("5e-324", 5e-324), ("-" + "1" * 309, None)]
)
def test_zero_and_the_smallest_and_largest_numbers_are_read(digits: str, value: float | None) -> None:
    read = decode(f'{{"value": {digits}}}'.encode())["value"]
    assert read == (int(digits) if value is None else value)
