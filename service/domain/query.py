"""What small requests share: pages, query strings, and bodies of a few fields, each checked and described by one table.

A number in a query string has one spelling, without a sign or leading zeros; whatever else stands there stays text, and
the table refuses it as such.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from service.domain.record import Field, Record
from service.domain.shape import INVALID, Findings, Number, Text
from service.errors import InputRejected

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500

LIMIT: Final = Field(Number((1, MAX_LIMIT), whole=True))
"""How many items a page has at most."""

CURSOR: Final = Field(Text(r"[A-Za-z0-9_-]+", "the next_cursor of a page", high=100))

_WHOLE = re.compile(r"0|[1-9][0-9]{0,15}")


def read_document(table: Record, document: object) -> dict[str, Any]:
    """What a decoded body holds; raises InputRejected with every problem."""
    return _read(table, document, Findings(), "The request is not valid.")


def read_query(table: Record, parameters: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What the (name, text) pairs of a query string hold; raises InputRejected with every problem."""
    given, found = dict(parameters), Findings()
    if len(given) < len(parameters):
        found.add("", "duplicate_parameter", "A parameter is given twice.", "Give each parameter once.")
    numbers = {name for name, field in table.fields.items() if isinstance(field.shape, Number)}
    typed = {name: int(text) if name in numbers and _WHOLE.fullmatch(text) else text for name, text in given.items()}
    return _read(table, typed, found, "The query is not valid.")


def query_parameters(table: Record) -> list[dict[str, Any]]:
    """The OpenAPI parameters of a query string that `table` checks."""
    return [
        {"name": name, "in": "query", "required": field.required, "schema": field.shape.schema()}
        for name, field in table.fields.items()
    ]


def _read(table: Record, document: object, found: Findings, refusal: str) -> dict[str, Any]:
    read = table.read(document, "", found)
    if found.problems or read is INVALID:
        raise InputRejected(refusal, "Mend every problem listed.", found.problems)
    return read
