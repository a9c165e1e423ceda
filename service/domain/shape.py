"""Shapes of JSON values: one declaration gives both the check of a document and its JSON Schema.

Rules:
1. `read` collects: it notes every problem and goes on, so that a caller mends a document once.
2. A value that is wrong reads as INVALID, an optional field that is null or left out is not in the result; a later
   check can therefore tell "wrong, and said so" from "not sent".
3. No submitted text enters a problem. A pointer holds only names of the table and list indices.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, Protocol

from service.errors import Problem


class Invalid(Enum):
    """The reading of a value that was wrong and has been reported."""

    INVALID = "invalid"


INVALID: Final = Invalid.INVALID


class Findings:
    """The problems found so far, in the order of the document."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, pointer: str, code: str, message: str, remedy: str, analyte: str | None = None) -> Invalid:
        """Notes one problem; gives INVALID back, so that a reader can end with it."""
        self.problems.append(Problem(pointer, code, message, remedy, analyte))
        return INVALID


class Shape(Protocol):
    """What a value must look like."""

    def read(self, value: object, pointer: str, found: Findings) -> Any:
        """The checked value, or INVALID with the problems noted in `found`."""
        ...

    def schema(self) -> dict[str, Any]:
        """JSON Schema 2020-12 of the values `read` accepts, as far as JSON Schema can say it."""
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A string of `low` to `high` characters that matches `pattern` as a whole; `wanted` says so in words."""

    pattern: str
    wanted: str
    high: int = 128
    low: int = 1

    def read(self, value: object, pointer: str, found: Findings) -> str | Invalid:
        """The string itself. A lone surrogate cannot be stored or hashed as UTF-8, so it is refused here."""
        if not isinstance(value, str):
            return found.add(pointer, "wrong_type", "The value is not a string.", f"Send {self.wanted}.")
        if not self.low <= len(value) <= self.high:
            message = f"The text is shorter than {self.low} or longer than {self.high} characters."
            return found.add(pointer, "wrong_length", message, f"Send {self.wanted}.")
        if _has_surrogate(value) or re.fullmatch(self.pattern, value) is None:
            message = "The text is not in the form expected here."
            return found.add(pointer, "wrong_format", message, f"Send {self.wanted}.")
        return value

    def schema(self) -> dict[str, Any]:
        """`string` with length and pattern."""
        bounds = {"minLength": self.low, "maxLength": self.high}
        return {"type": "string", "description": self.wanted, **bounds, "pattern": f"^(?:{self.pattern})$"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a closed list of strings."""

    values: tuple[str, ...]

    def read(self, value: object, pointer: str, found: Findings) -> str | Invalid:
        """The string itself."""
        remedy = f"Send one of: {', '.join(self.values)}."
        if not isinstance(value, str):
            return found.add(pointer, "wrong_type", "The value is not a string.", remedy)
        if value not in self.values:
            return found.add(pointer, "not_allowed", "The value is not one of those allowed here.", remedy)
        return value

    def schema(self) -> dict[str, Any]:
        """`enum`."""
        return {"type": "string", "enum": list(self.values)}


@dataclass(frozen=True, slots=True)
class Number:
    """A finite JSON number within `bounds`, both included; `whole` for counts. Never a boolean or a string."""

    bounds: tuple[float, float] | None = None
    whole: bool = False

    def read(self, value: object, pointer: str, found: Findings) -> float | Invalid:
        """The nearest double (an int where `whole`)."""
        kind = "a whole number" if self.whole else "a number"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return found.add(pointer, "wrong_type", "The value is not a JSON number.", f"Send {kind}, unquoted.")
        number = _finite(value)
        if number is None:
            return found.add(pointer, "not_finite", "The value is not a finite number.", f"Send {kind}.")
        if self.whole and not number.is_integer():
            return found.add(pointer, "wrong_type", "The value is not a whole number.", f"Send {kind}.")
        if self.bounds is not None and not self.bounds[0] <= number <= self.bounds[1]:
            remedy = f"Send {kind} from {self.bounds[0]:.12g} to {self.bounds[1]:.12g}."
            return found.add(pointer, "out_of_range", "The value is outside its possible limits.", remedy)
        return int(number) if self.whole else number

    def schema(self) -> dict[str, Any]:
        """`number` or `integer` with its bounds."""
        kind: dict[str, Any] = {"type": "integer" if self.whole else "number"}
        return kind if self.bounds is None else {**kind, "minimum": self.bounds[0], "maximum": self.bounds[1]}


def _finite(value: float) -> float | None:
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


_DATE_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
_ZONE = r"(?:Z|[+-][0-9]{2}:[0-5][0-9])"


@dataclass(frozen=True, slots=True)
class Instant:
    """A date and time with a zone (RFC 3339), read as UTC."""

    def read(self, value: object, pointer: str, found: Findings) -> datetime | Invalid:
        """The instant in UTC."""
        remedy = "Send an RFC 3339 time with a zone, such as 2026-01-31T08:00:00Z."
        if not isinstance(value, str):
            return found.add(pointer, "wrong_type", "The value is not a string.", remedy)
        if re.fullmatch(_DATE_TIME, value):
            return found.add(pointer, "time_without_zone", "The time has no zone.", remedy)
        if re.fullmatch(_DATE_TIME + _ZONE, value):
            try:
                return datetime.fromisoformat(value).astimezone(UTC)
            except (ValueError, OverflowError):
                pass  # well-formed, but no such day, hour or offset: one answer for both
        return found.add(pointer, "wrong_format", "The value is not a date and time.", remedy)

    def schema(self) -> dict[str, Any]:
        """`date-time`, with a pattern because many validators ignore formats."""
        return {"type": "string", "format": "date-time", "pattern": f"^{_DATE_TIME}{_ZONE}$"}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of `low` to `high` items of one shape."""

    item: Shape
    low: int = 0
    high: int = 4096

    def read(self, value: object, pointer: str, found: Findings) -> tuple[Any, ...] | Invalid:
        """The items, each read or INVALID, at their places."""
        if not isinstance(value, list):
            return found.add(pointer, "wrong_type", "The value is not a list.", "Send a JSON array.")
        if len(value) < self.low:
            return found.add(pointer, "empty_list", "The list is empty.", f"Send at least {self.low} item.")
        if len(value) > self.high:
            remedy = f"Send at most {self.high} items."
            return found.add(pointer, "too_many_items", "The list has too many items.", remedy)
        return tuple(self.item.read(item, f"{pointer}/{index}", found) for index, item in enumerate(value))

    def schema(self) -> dict[str, Any]:
        """`array` with its bounds."""
        return {"type": "array", "items": self.item.schema(), "minItems": self.low, "maxItems": self.high}


@dataclass(frozen=True, slots=True)
class Field:
    """A named value of a record; an optional one may be null or left out."""

    shape: Shape
    required: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """An object with exactly these fields; `rules` are further JSON Schema keywords that another check enforces."""

    fields: Mapping[str, Field]
    rules: Mapping[str, Any] = field(default_factory=dict)

    def read(self, value: object, pointer: str, found: Findings) -> dict[str, Any] | Invalid:
        """What was sent, by field name; null counts as not sent."""
        if not isinstance(value, dict):
            return found.add(pointer, "wrong_type", "The value is not an object.", "Send a JSON object.")
        if not value.keys() <= self.fields.keys():
            remedy = f"Send only: {', '.join(self.fields)}."
            found.add(pointer, "unknown_field", "The object has a field that is not known here.", remedy)
        result: dict[str, Any] = {}
        for name, expected in self.fields.items():
            if value.get(name) is not None:
                result[name] = expected.shape.read(value[name], f"{pointer}/{name}", found)
            elif expected.required:
                message = "A required field is missing or null."
                result[name] = found.add(f"{pointer}/{name}", "missing_field", message, f"Send the field {name}.")
        return result

    def schema(self) -> dict[str, Any]:
        """`object` that allows no other field."""
        required = [name for name, expected in self.fields.items() if expected.required]
        properties = {name: _nullable(expected) for name, expected in self.fields.items()}
        return {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
            **self.rules,
        }


def _nullable(expected: Field) -> dict[str, Any]:
    schema = expected.shape.schema()
    if expected.required:
        return schema
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return {**schema, "type": [schema["type"], "null"]}
