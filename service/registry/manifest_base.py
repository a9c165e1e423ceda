"""The building blocks of the manifest schema: a closed, frozen group and the few field types all groups share.

Two rules hold everywhere. A key the schema does not know is refused, because a misspelt limit must not be a missing
limit. Something that is not known is written down as the literal text "not available", never left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

NOT_AVAILABLE = "not available"

T = TypeVar("T")

Text = Annotated[str, Field(min_length=1, max_length=8000, pattern=r"\S")]
Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Sha256 = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Version = Annotated[str, Field(min_length=5, max_length=64)]
Day = Annotated[str, Field(pattern=r"^[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$")]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


def one_of(names: Iterable[str]) -> AfterValidator:
    """A validator that lets only the contract's own names through; its message names them, never the value."""
    known = tuple(names)

    def check(value: str) -> str:
        if value not in known:
            raise PydanticCustomError("one_of", "is not one of {known}", {"known": ", ".join(known)})
        return value

    return AfterValidator(check)


def _which(value: Any) -> str:
    return "absent" if value == NOT_AVAILABLE else "given"


Maybe = Annotated[
    Annotated[T, Tag("given")] | Annotated[Literal["not available"], Tag("absent")],
    Discriminator(_which),
]
"""A value, or the literal "not available". Not for prose, which may say so itself."""


class Group(BaseModel):
    """A closed, immutable group of manifest fields; numbers are finite and are never read from strings."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, ser_json_inf_nan="null")


class Interval(Group):
    """A two-sided interval at `level` (0.95 for 95 %)."""

    level: Annotated[float, Field(gt=0, lt=1)]
    low: float
    high: float
