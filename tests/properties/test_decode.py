"""The quick parser never reads a body otherwise than the strict one, and refuses nothing by itself."""

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.decode import decode, decode_strictly
from service.errors import MalformedBody

KEYS = st.sampled_from(["a", "b", "a b", "ab", 'a"', '":', "a\\", "\u00e9", "\ud83e\udd20", "\t"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | KEYS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
SPELLED = {
    "separators": st.sampled_from([None, (",", ":"), (", ", ": "), (" ,\t", "\n: ")]),
    "ensure_ascii": st.booleans(),
    "indent": st.sampled_from([None, 1]),
}
NUMBERS = st.sampled_from([
    "-0", "-0.0", "0e5", "1E5", "1e+5", "1.0", "1.50", "01", "1.", "0.1", "0.30000000000000004", "NaN", "Infinity",
    "1e-400", "-1E-999", "2e-324", "3e-324", "1e400", "1.7976931348623157e308", "1.7976931348623159e308",
    "9007199254740993", "18446744073709551615", "18446744073709551616", "-9223372036854775809",
])  # fmt: skip
TOKENS = st.sampled_from(
    [*'{}[],: "e', '"a":', '"a" :', '"a"', '"\\u0061":', '"\\ud800"', "\n", "\x0c", "\ufeff", "null"]
)


def bodies() -> st.SearchStrategy[bytes]:
    """Documents in many spellings, objects with repeated keys and odd numbers, tokens in any order, and any bytes."""
    members = st.lists(st.tuples(KEYS.map(json.dumps), NUMBERS | VALUES.map(json.dumps)), max_size=5)
    objects = members.map(lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}")
    soup = st.lists(TOKENS | NUMBERS, max_size=10).map("".join)
    written = st.builds(json.dumps, VALUES, **SPELLED)
    return (objects | soup | written).map(lambda text: text.encode("utf-8", "surrogatepass")) | st.binary(max_size=20)


def reading(read: Any, body: bytes) -> str:
    """What came out, types and signs of zeros included."""
    try:
        return repr(read(body))
    except MalformedBody as error:
        return repr((error.message, error.remedy, error.problems))


@given(bodies())
@example(b'{"a": 1, "a": 1}')
@example(b'{"a": 1, "a":"\\u0022:"}')
@example(b'{"a b": 1, "a  b": 1}')
@example(b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}")
@example(b'{"a": ' + b"[" * 1010 + b"]" * 1010 + b"}")
def test_both_parsers_read_the_same(body: bytes) -> None:
    assert reading(decode, body) == reading(decode_strictly, body)
