"""What is asked of the registry: tables that check query strings and describe them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from service.domain.query import read_query
from service.domain.record import Field, Record
from service.domain.shape import Instant, Text

COMPARE: Final = Record(
    {"with": Field(Text(r"[0-9][0-9A-Za-z.+-]*", "a version of the same model", high=64), required=True)}
)
HISTORY: Final = Record({"as_of": Field(Instant())})


def parse_compare(parameters: Sequence[tuple[str, str]]) -> str:
    """The version to compare with; raises InputRejected with every problem."""
    version: str = read_query(COMPARE, parameters)["with"]
    return version


def parse_history(parameters: Sequence[tuple[str, str]]) -> datetime | None:
    """The time as of which a model's past is asked for, if one is; raises InputRejected with every problem."""
    as_of: datetime | None = read_query(HISTORY, parameters).get("as_of")
    return as_of
