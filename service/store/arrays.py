"""Columns of values as PostgreSQL arrays in binary form, for `unnest`: one parameter for a column, however many rows.

The driver's own adaptation of a list looks at every element twice. The form is that of PostgreSQL's `array_send`: the
number of dimensions, whether there are nulls, the type of the elements, then for each dimension its length and lower
bound, then for each element its length (-1 for null) and its bytes, all integers 32 bits big-endian.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Any

_HEADER = Struct("!iiIii").pack
_LENGTH = Struct("!i").pack
_NULL = _LENGTH(-1)

ELEMENTS: dict[str, tuple[int, Callable[[Any], bytes]]] = {
    "bytea": (17, bytes),
    "bigint": (20, Struct("!q").pack),
    "integer": (23, _LENGTH),
    "text": (25, str.encode),
    "double precision": (701, Struct("!d").pack),
}
"""By the type's name: its number in PostgreSQL's catalogue (`pg_type.oid`), and how a value is written."""


@dataclass(frozen=True, slots=True)
class PackedArray:
    """An array as it is sent."""

    data: bytes


def packed(kind: str, values: Iterable[Any]) -> PackedArray:
    """The values, None among them, as an array of the type named `kind`; KeyError for one not in `ELEMENTS`."""
    oid, write = ELEMENTS[kind]
    parts: list[bytes] = []
    count = nulls = 0
    for value in values:
        count += 1
        if value is None:
            nulls = 1
            parts.append(_NULL)
        else:
            element = write(value)
            parts += (_LENGTH(len(element)), element)
    return PackedArray(_HEADER(1, nulls, oid, count, 1) + b"".join(parts))
