"""What is asked of the audit log: tables that check the query strings and describe them.

Entries and sizes are counted from 0; `origin` names a log, the open one where it is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.domain.query import CURSOR, DEFAULT_LIMIT, LIMIT, read_query
from service.domain.record import Field, Record
from service.domain.shape import Number, Text
from service.errors import InputRejected, Problem

_PLACE = Number((0, 2**53 - 1), whole=True)
_ORIGIN = Field(Text(r"[!-~]+", "the origin of a log: the first line of its checkpoints", high=200))

LOG = Record({"origin": _ORIGIN})
ENTRIES = Record({"origin": _ORIGIN, "from": Field(_PLACE), "limit": LIMIT, "cursor": CURSOR})
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
    origin: str | None = read_query(LOG, parameters).get("origin")
    return origin


def parse_entries(parameters: Sequence[tuple[str, str]]) -> EntriesQuery:
    """The entries asked for; raises InputRejected with every problem."""
    read = read_query(ENTRIES, parameters)
    if "cursor" in read and "from" in read:
        message = "There is both a cursor and a first index."
        raise InputRejected(message, problems=[Problem("/cursor", "not_together", message, "Send one of the two.")])
    return EntriesQuery(read.get("origin"), read.get("from", 0), read.get("limit", DEFAULT_LIMIT), read.get("cursor"))


def parse_consistency(parameters: Sequence[tuple[str, str]]) -> ConsistencyQuery:
    """The two sizes asked for; raises InputRejected with every problem."""
    read = read_query(CONSISTENCY, parameters)
    return ConsistencyQuery(read.get("origin"), read["from"], read.get("to"))
