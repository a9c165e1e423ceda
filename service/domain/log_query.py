"""What is asked of the audit log: tables that check the query strings and describe them.

Entries and sizes are counted from 0; `origin` names a log, the open one where it is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.domain.shape import INVALID, Field, Findings, Number, Record, Text
from service.errors import InputRejected, Problem

DEFAULT_LIMIT = 50
MAX_LIMIT = 500

_WHOLE = re.compile(r"0|[1-9][0-9]{0,15}")
_PLACE = Number((0, 2**53 - 1), whole=True)
_ORIGIN = Field(Text(r"[!-~]+", "the origin of a log: the first line of its checkpoints", high=200))
_CURSOR = Field(Text(r"[A-Za-z0-9_-]+", "the next_cursor of a page", high=100))

LOG = Record({"origin": _ORIGIN})
ENTRIES = Record(
    {"origin": _ORIGIN, "from": Field(_PLACE), "limit": Field(Number((1, MAX_LIMIT), whole=True)), "cursor": _CURSOR}
)
CONSISTENCY = Record({"origin": _ORIGIN, "from": Field(_PLACE, required=True), "to": Field(_PLACE)})


@dataclass(frozen=True, slots=True)
class EntriesQuery:
    """At most `limit` entries from index `start` on, or from behind a page's cursor."""

    origin: str | None
    start: int
    limit: int
    cursor: str | None


@dataclass(frozen=True, slots=True)
class ConsistencyQuery:
    """The sizes of an older and a newer tree; `new` is None for the size of now."""

    origin: str | None
    old: int
    new: int | None


def parse_log(parameters: Sequence[tuple[str, str]]) -> str | None:
    """The origin asked for; raises InputRejected with every problem."""
    origin: str | None = _read(LOG, parameters).get("origin")
    return origin


def parse_entries(parameters: Sequence[tuple[str, str]]) -> EntriesQuery:
    """The entries asked for; raises InputRejected with every problem."""
    read = _read(ENTRIES, parameters)
    if "cursor" in read and "from" in read:
        message = "There is both a cursor and a first index."
        raise InputRejected(message, problems=[Problem("/cursor", "not_together", message, "Send one of the two.")])
    return EntriesQuery(read.get("origin"), read.get("from", 0), read.get("limit", DEFAULT_LIMIT), read.get("cursor"))


def parse_consistency(parameters: Sequence[tuple[str, str]]) -> ConsistencyQuery:
    """The two sizes asked for; raises InputRejected with every problem."""
    read = _read(CONSISTENCY, parameters)
    return ConsistencyQuery(read.get("origin"), read["from"], read.get("to"))


def query_parameters(table: Record) -> list[dict[str, Any]]:
    """The OpenAPI parameters of a query string that `table` checks."""
    return [
        {"name": name, "in": "query", "required": field.required, "schema": field.shape.schema()}
        for name, field in table.fields.items()
    ]


def _read(table: Record, parameters: Sequence[tuple[str, str]]) -> dict[str, Any]:
    found = Findings()
    if len(dict(parameters)) < len(parameters):
        found.add("", "duplicate_parameter", "A parameter is given twice.", "Give each parameter once.")
    read = table.read(_numbered(table, dict(parameters)), "", found)
    if found.problems or read is INVALID:
        raise InputRejected("The query is not valid.", "Mend every problem listed.", found.problems)
    return read


def _numbered(table: Record, given: Mapping[str, str]) -> dict[str, object]:
    """The parameters with numbers where the table wants numbers; what is none stays text and is refused as such."""
    numbers = {name for name, field in table.fields.items() if isinstance(field.shape, Number)}
    return {name: int(v) if name in numbers and _WHOLE.fullmatch(v) else v for name, v in given.items()}
