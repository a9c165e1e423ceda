"""From bytes to a JSON document, strictly.

What is refused here is reported alone, because nothing after it could be trusted: bytes that are not UTF-8, text that
is not JSON, NaN and Infinity, numbers no double can hold, an object that repeats a key, nesting beyond the parser's
depth, a top level that is not an object.

A body is read twice at most. What the quick parser reads and would write in the very same way, white space aside, has
lost nothing on the way in: no key repeats, or one would be missing; no number was rounded to zero, to infinity or to a
neighbour, or its digits would differ. Everything else, most of it just spelled in another way, is read by the strict
parser, and only that one refuses.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import orjson

from service.domain.fields import REQUEST
from service.domain.record import ListOf, Record
from service.domain.shape import Shape
from service.errors import MalformedBody, Problem

_WHITE_SPACE = b" \t\n\r"


class _Repeated(dict[str, Any]):
    """An object that repeated a key: kept until its place in the document is known."""


def decode(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`; `MalformedBody` otherwise."""
    document = _decode_quickly(body)
    return decode_strictly(body) if document is None else document


def _decode_quickly(body: bytes) -> dict[str, Any] | None:
    """The object in `body` where that is certain at once, else None."""
    try:
        document: object = orjson.loads(body)
        again = orjson.dumps(document)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    # Taking white space out of strings as well is no harm: two texts with the same rest have the same keys and numbers.
    same = again == body or again.translate(None, _WHITE_SPACE) == body.translate(None, _WHITE_SPACE)
    return document if same and isinstance(document, dict) else None


def decode_strictly(body: bytes) -> dict[str, Any]:
    """As `decode`, by the strict parser alone."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse("not_utf8", f"The body is not UTF-8: byte {error.start} cannot be read.", "Send UTF-8.")
    if not text.strip():
        _refuse("empty_body", "The body is empty.", "Send a JSON object.")
    document, repeats = _load(text)
    if repeats:
        remedy = "Send every key of an object once."
        problems = [Problem(p, "duplicate_key", "The object repeats a key.", remedy) for p in _repeated(document)]
        raise MalformedBody("An object of the body repeats a key.", remedy, problems)
    return as_object(document)


def as_object(document: object) -> dict[str, Any]:
    """`document` itself if it is a JSON object; `MalformedBody` otherwise."""
    if not isinstance(document, dict):
        _refuse("not_an_object", "The body is JSON, but not an object.", "Send a JSON object.")
    return document


def _load(text: str) -> tuple[object, bool]:
    """The document, and whether any object in it repeats a key."""
    repeats: list[_Repeated] = []

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(members)
        if len(fields) == len(members):
            return fields
        repeats.append(_Repeated(fields))
        return repeats[-1]

    try:
        document: object = json.loads(
            text, object_pairs_hook=pairs, parse_float=_double, parse_int=_integer, parse_constant=_constant
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        _refuse("not_json", f"The body is not JSON: it cannot be read at {place}.", "Send a JSON object.")
    except RecursionError:
        _refuse("nested_too_deep", "The body is nested too deeply.", "Send the fields of the contract only.")
    return document, bool(repeats)


def _refuse(code: str, message: str, remedy: str) -> NoReturn:
    raise MalformedBody(message, remedy, [Problem("", code, message, remedy)]) from None


def _constant(_: str) -> NoReturn:
    _refuse("not_finite", "The body holds NaN or Infinity, which JSON does not have.", "Send finite numbers only.")


def _double(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        _refuse("not_finite", "The body holds a number beyond any double.", "Send finite numbers only.")
    if number == 0 and digits.casefold().partition("e")[0].strip("-0."):
        _refuse("not_finite", "The body holds a number too small for a double, which is not 0.", "Send it in range.")
    return number


def _integer(digits: str) -> int:
    # Doubles end near 1.8e308, and Python itself refuses very long digit strings with a bare ValueError.
    if len(digits.lstrip("-")) <= 309:  # noqa: PLR2004
        _double(digits)
        return int(digits)
    _refuse("not_finite", "The body holds a number beyond any double.", "Send finite numbers only.")


def _repeated(document: object) -> list[str]:
    """Pointers of the objects that repeat a key, each cut where the field table ends: a key of the caller's own never
    enters an error. An object inside an overwritten value is lost with it; the object that overwrote it is reported."""
    found: set[str] = set()
    waiting: list[tuple[object, str, Shape | None]] = [(document, "", REQUEST)]
    while waiting:
        value, pointer, shape = waiting.pop()
        if isinstance(value, _Repeated):
            found.add(pointer)
        if isinstance(value, dict):
            waiting.extend((child, *_below(pointer, shape, key)) for key, child in value.items())
        elif isinstance(value, list):
            waiting.extend((child, *_below(pointer, shape, index)) for index, child in enumerate(value))
    return sorted(found)


def _below(pointer: str, shape: Shape | None, part: str | int) -> tuple[str, Shape | None]:
    if isinstance(shape, Record) and isinstance(part, str) and part in shape.fields:
        return f"{pointer}/{part}", shape.fields[part].shape
    if isinstance(shape, ListOf) and isinstance(part, int):
        return f"{pointer}/{part}", shape.item
    return pointer, None
