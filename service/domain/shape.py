"""Shapes of JSON values: one declaration gives both the check of a document and its JSON Schema.

Here are the values without parts; lists and objects are in `record.py`.

Rules:
1. `read` collects: it notes every problem and goes on, so that a caller mends a document once. `check` raises at the
   first problem, whichever that is, and costs a right document much less; both stand on the same checks of the leaves.
2. A value that is wrong reads as INVALID; an optional field that is null or left out is not in the result, or None in
   that of a `TypedRecord`. A later check can therefore tell "wrong, and said so" from "not sent".
3. No submitted text enters a problem. A pointer holds only names of the table and list indices.
"""

from __future__ import annotations

import math
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import Any, Final, Protocol

from service.errors import Problem


class Invalid(Enum):
    """The reading of a value that was wrong and has been reported."""

    INVALID = "invalid"


INVALID: Final = Invalid.INVALID


class Wrong(Exception):
    """A value is not as its shape wants it: the code, the message and the remedy of that problem."""

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy


class Findings:
    """The problems found so far, in the order of the document."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, pointer: str, code: str, message: str, remedy: str, analyte: str | None = None) -> Invalid:
        """Notes one problem; gives INVALID back, so that a reader can end with it."""
        self.problems.append(Problem(pointer, code, message, remedy, analyte))
        return INVALID

    def note(self, pointer: str, wrong: Wrong) -> Invalid:
        """Notes what is wrong with the value at `pointer`; gives INVALID back as well."""
        return self.add(pointer, wrong.code, wrong.message, wrong.remedy)


class Shape(Protocol):
    """What a value must look like."""

    def check(self, value: object) -> Any:
        """The checked value; raises Wrong where `read` would note a problem."""
        ...

    def read(self, value: object, pointer: str, found: Findings) -> Any:
        """The checked value, or INVALID with the problems noted in `found`."""
        ...

    def schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of the values `read` accepts, as far as JSON Schema can say it."""
        ...


class Leaf(ABC):
    """A value without parts: at most one thing is wrong with it."""

    __slots__ = ()

    @abstractmethod
    def check(self, value: object) -> Any:
        """The checked value; raises Wrong."""

    def read(self, value: object, pointer: str, found: Findings) -> Any:
        """The checked value, or INVALID with the problem noted in `found`."""
        try:
            return self.check(value)
        except Wrong as wrong:
            return found.note(pointer, wrong)


@dataclass(frozen=True, slots=True)
class Text(Leaf):
    """A string of `low` to `high` characters that matches `pattern` as a whole; `wanted` says so in words.

    A `recurring` one comes again and again, as names and units do, and is not matched anew each time. Where `printable`
    is set, `pattern` takes every text of printable ASCII that is not blank, and such a one is not matched either.
    """

    pattern: str
    wanted: str
    high: int = 128
    low: int = 1
    recurring: bool = False
    printable: bool = False
    _matches: Callable[[str], object] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        matches = re.compile(self.pattern).fullmatch
        object.__setattr__(self, "_matches", lru_cache(maxsize=4096)(matches) if self.recurring else matches)

    def check(self, value: object) -> str:
        """The string itself. A lone surrogate cannot be stored or hashed as UTF-8, so it is refused here."""
        if type(value) is str and value.isascii() and self.low <= len(value) <= self.high:
            if self.printable and value.isprintable() and not value.isspace():
                return value
            if self._matches(value):
                return value
        if not isinstance(value, str):
            raise Wrong("wrong_type", "The value is not a string.", f"Send {self.wanted}.")
        if not self.low <= len(value) <= self.high:
            message = f"The text is shorter than {self.low} or longer than {self.high} characters."
            raise Wrong("wrong_length", message, f"Send {self.wanted}.")
        if self._matches(value) is None or not (value.isascii() or _is_whole(value)):
            raise Wrong("wrong_format", "The text is not in the form expected here.", f"Send {self.wanted}.")
        return value

    def schema(self) -> dict[str, Any]:
        """`string` with length and pattern."""
        bounds = {"minLength": self.low, "maxLength": self.high}
        return {"type": "string", "description": self.wanted, **bounds, "pattern": f"^(?:{self.pattern})$"}


@dataclass(frozen=True, slots=True)
class Choice(Leaf):
    """One of a closed list of strings."""

    values: tuple[str, ...]

    def check(self, value: object) -> str:
        """The string itself."""
        if type(value) is str and value in self.values:
            return value
        remedy = f"Send one of: {', '.join(self.values)}."
        if not isinstance(value, str):
            raise Wrong("wrong_type", "The value is not a string.", remedy)
        raise Wrong("not_allowed", "The value is not one of those allowed here.", remedy)

    def schema(self) -> dict[str, Any]:
        """`enum`."""
        return {"type": "string", "enum": list(self.values)}


@dataclass(frozen=True, slots=True)
class Number(Leaf):
    """A finite JSON number within `bounds`, both included; `whole` for counts. Never a boolean or a string."""

    bounds: tuple[float, float] | None = None
    whole: bool = False
    _range: tuple[float, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_range", self.bounds or (-sys.float_info.max, sys.float_info.max))

    def check(self, value: object) -> float:
        """The nearest double (an int where `whole`)."""
        low, high = self._range
        if type(value) is (int if self.whole else float) and low <= value <= high:
            return value
        number = value if type(value) is float else self._double(value)
        if not math.isfinite(number):
            raise Wrong("not_finite", "The value is not a finite number.", f"Send {self._kind}.")
        if self.whole and not number.is_integer():
            raise Wrong("wrong_type", "The value is not a whole number.", f"Send {self._kind}.")
        if self.bounds is not None and not self.bounds[0] <= number <= self.bounds[1]:
            remedy = f"Send {self._kind} from {self.bounds[0]:.12g} to {self.bounds[1]:.12g}."
            raise Wrong("out_of_range", "The value is outside its possible limits.", remedy)
        return int(number) if self.whole else number

    def _double(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Wrong("wrong_type", "The value is not a JSON number.", f"Send {self._kind}, unquoted.")
        try:
            return float(value)
        except OverflowError:
            return math.inf

    @property
    def _kind(self) -> str:
        return "a whole number" if self.whole else "a number"

    def schema(self) -> dict[str, Any]:
        """`number` or `integer` with its bounds."""
        kind: dict[str, Any] = {"type": "integer" if self.whole else "number"}
        return kind if self.bounds is None else {**kind, "minimum": self.bounds[0], "maximum": self.bounds[1]}


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


_DATE_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
_ZONE = r"(?:Z|[+-][0-9]{2}:[0-5][0-9])"
_IS_INSTANT = re.compile(_DATE_TIME + _ZONE).fullmatch
_USUAL_LENGTH, _USUAL_SIGNS = len("2026-01-31T08:00:00Z"), "--T::Z"
_LACKS_ZONE = re.compile(_DATE_TIME).fullmatch


@dataclass(frozen=True, slots=True)
class Instant(Leaf):
    """A date and time with a zone (RFC 3339), read as UTC."""

    def check(self, value: object) -> datetime:
        """The instant in UTC."""
        remedy = "Send an RFC 3339 time with a zone, such as 2026-01-31T08:00:00Z."
        if not isinstance(value, str):
            raise Wrong("wrong_type", "The value is not a string.", remedy)
        # The usual form is told by its signs alone: that digits stand between them is found out by reading it.
        if (len(value) == _USUAL_LENGTH and value[4::3] == _USUAL_SIGNS) or _IS_INSTANT(value):
            try:
                instant = datetime.fromisoformat(value)
                return instant if instant.tzinfo is UTC else instant.astimezone(UTC)
            except (ValueError, OverflowError):
                pass  # well-formed, but no such day, hour or offset: one answer for both
        if _LACKS_ZONE(value):
            raise Wrong("time_without_zone", "The time has no zone.", remedy)
        raise Wrong("wrong_format", "The value is not a date and time.", remedy)

    def schema(self) -> dict[str, Any]:
        """`date-time`, with a pattern because many validators ignore formats."""
        return {"type": "string", "format": "date-time", "pattern": f"^{_DATE_TIME}{_ZONE}$"}
