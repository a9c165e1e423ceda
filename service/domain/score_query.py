"""What a list or a search of scores asks for: one table that checks it and describes it.

A list stands in a URL, so it takes no identifier of a subject or a specimen; a search stands in a body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.domain.decode import decode
from service.domain.fields import IDENTIFIER, MODEL_NAME
from service.domain.query import CURSOR, DEFAULT_LIMIT, LIMIT, read_document, read_query
from service.domain.record import Field, Record
from service.domain.shape import Instant, Text

_MODEL = Text(MODEL_NAME + r"(?:@[0-9][0-9A-Za-z.+-]*)?", "a model name, or name@version", high=200)
_LISTED = {"model": Field(_MODEL), "since": Field(Instant()), "cursor": CURSOR, "limit": LIMIT}
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
    return ScoreQuery(**read_document(SEARCH, decode(body)))


def parse_list(parameters: Sequence[tuple[str, str]]) -> ScoreQuery:
    """The list in the (name, text) pairs of a query string; raises InputRejected with every problem."""
    return ScoreQuery(**read_query(LIST, parameters))
