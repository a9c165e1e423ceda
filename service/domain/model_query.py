"""What is asked of the registry: tables that check query strings and describe them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from service.domain.query import read_query
from service.domain.record import Field, Record
from service.domain.shape import Text

COMPARE: Final = Record(
    {"with": Field(Text(r"[0-9][0-9A-Za-z.+-]*", "a version of the same model", high=64), required=True)}
)


def parse_compare(parameters: Sequence[tuple[str, str]]) -> str:
    """The version to compare with; raises InputRejected with every problem."""
    version: str = read_query(COMPARE, parameters)["with"]
    return version
