"""The header of a `.npy` file, read before numpy reads it.

A header that promises more than there is would have memory set aside for it before anyone looks, and one that names an
object type would be unpickled. Form: numpy.lib.format, versions 1.0 and 2.0.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import Any

_PREFIXES = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4}
_PREFIX_BYTES = 8
_MAX_BYTES = 10_000
_FIELD = re.compile(r"[<>|=]?([biufUV])([0-9]{1,4})", re.ASCII)


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """Shape, and type as numpy writes it: a text, or a list of name and text for a record."""

    shape: tuple[int, ...]
    descr: Any


def parse_npy(data: bytes) -> NpyHeader:
    """The header of `data`, which holds exactly the numbers or texts it promises. Raises ValueError otherwise."""
    count_bytes = _PREFIXES.get(data[:_PREFIX_BYTES])
    if count_bytes is None:
        raise ValueError("not an array of a known version")
    start = _PREFIX_BYTES + count_bytes
    length = int.from_bytes(data[_PREFIX_BYTES:start], "little")
    if length > _MAX_BYTES:
        raise ValueError("the header is too long")
    header = _literal(data[start : start + length])
    shape, descr = header["shape"], header["descr"]
    counts = isinstance(shape, tuple) and all(type(count) is int and count >= 0 for count in shape)
    if not counts or type(header["fortran_order"]) is not bool:
        raise ValueError("the header is malformed")
    if _item_bytes(descr) * math.prod(shape) != len(data) - start - length:
        raise ValueError("the array is shorter or longer than its header says")
    return NpyHeader(shape, descr)


def _literal(text: bytes) -> dict[str, Any]:
    try:
        header = ast.literal_eval(text.decode("latin-1").strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        header = None
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise ValueError("the header is malformed")
    return header


def _item_bytes(descr: Any) -> int:
    fields = [("", descr)] if isinstance(descr, str) else descr
    if not isinstance(fields, list) or not all(
        isinstance(f, tuple) and list(map(type, f)) == [str, str] for f in fields
    ):
        raise ValueError("the type is neither plain nor a record of plain ones")
    size = 0
    for _, text in fields:
        match = _FIELD.fullmatch(text)
        if match is None or (match[1] == "V" and isinstance(descr, str)):
            raise ValueError("the type is not plain")
        size += int(match[2]) * (4 if match[1] == "U" else 1)
    return size
