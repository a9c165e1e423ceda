"""What a list or a search of scores asks for: one table that checks it and describes it.

A list stands in a URL, so it takes no identifier of a subject or a specimen; a search stands in a body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.domain.decode import decode
from service.domain.fields import IDENTIFIER, MODEL_NAME
from service.domain.shape import INVALID, Field, Findings, Instant, Number, Record, Text
from service.errors import InputRejected

DEFAULT_LIMIT = 50
MAX_LIMIT = 500

_MODEL = Text(MODEL_NAME + r"(?:@[0-9][0-9A-Za-z.+-]*)?", "a model name, or name@version", high=200)
_CURSOR = Text(r"[A-Za-z0-9_-]+", "the next_cursor of a page", high=100)
_LISTED = {
    "model": Field(_MODEL),
    "since": Field(Instant()),
    "cursor": Field(_CURSOR),
    "limit": Field(Number((1, MAX_LIMIT), whole=True)),
}
LIST = Record(_LISTED)
SEARCH = Record({"subject": Field(IDENTIFIER), "specimen": Field(IDENTIFIER), **_LISTED})


@dataclass(frozen=True, slots=True)
class ScoreQuery:
    """Which scores to list; every field narrows, None does not. `model` is a name or `name@version`."""

    model: str | None = None
    subject: str | None = None
    specimen: str | None = None
    since: datetime | None = None
    cursor: str | None = None
    limit: int = DEFAULT_LIMIT


def parse_search(body: bytes) -> ScoreQuery:
    """The search in a body; raises MalformedBody, or InputRejected with every problem."""
    return _read(SEARCH, decode(body))


def parse_list(parameters: Sequence[tuple[str, str]]) -> ScoreQuery:
    """The list in the (name, text) pairs of a query string; raises InputRejected with every problem."""
    given: dict[str, Any] = dict(parameters)
    found = Findings()
    if len(given) < len(parameters):
        found.add("", "duplicate_parameter", "A parameter is given twice.", "Give each parameter once.")
    limit = given.get("limit")
    if limit is not None and limit.isascii() and limit.isdigit():
        given["limit"] = int(limit[:9])  # longer ones are out of range anyway
    return _read(LIST, given, found)


def _read(table: Record, document: object, found: Findings | None = None) -> ScoreQuery:
    findings = Findings() if found is None else found
    read = table.read(document, "", findings)
    if findings.problems or read is INVALID:
        raise InputRejected("The query is not valid.", "Mend every problem listed.", findings.problems)
    return ScoreQuery(**read)
