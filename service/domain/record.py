"""Records and lists of JSON values, made of the shapes in `shape.py`, whose rules hold here, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from service.domain.shape import INVALID, Findings, Invalid, Shape, Wrong


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of `low` to `high` items of one shape."""

    item: Shape
    low: int = 0
    high: int = 4096

    def check(self, value: object) -> tuple[Any, ...]:
        """The items, each checked."""
        return tuple(map(self.item.check, self._items(value)))

    def read(self, value: object, pointer: str, found: Findings) -> tuple[Any, ...] | Invalid:
        """The items, each read or INVALID, at their places."""
        try:
            items = self._items(value)
        except Wrong as wrong:
            return found.note(pointer, wrong)
        return tuple(self.item.read(item, f"{pointer}/{index}", found) for index, item in enumerate(items))

    def _items(self, value: object) -> list[Any]:
        if not isinstance(value, list):
            raise Wrong("wrong_type", "The value is not a list.", "Send a JSON array.")
        if len(value) < self.low:
            raise Wrong("empty_list", "The list is empty.", f"Send at least {self.low} item.")
        if len(value) > self.high:
            raise Wrong("too_many_items", "The list has too many items.", f"Send at most {self.high} items.")
        return value

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
    _checks: Mapping[str, Callable[[object], Any]] = field(init=False, repr=False, compare=False)
    _required: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        checks = {name: expected.shape.check for name, expected in self.fields.items()}
        object.__setattr__(self, "_checks", checks)
        required = frozenset(name for name, expected in self.fields.items() if expected.required)
        object.__setattr__(self, "_required", required)

    def check(self, value: object) -> dict[str, Any]:
        """What was sent, by field name; null counts as not sent."""
        checks, result = self._checks, {}
        for name, part in self._members(value).items():
            check = checks.get(name)
            if check is None:
                raise self._unknown()
            if part is not None:
                result[name] = check(part)
        for name in self._required - result.keys():
            raise _missing(name)
        return result

    def read(self, value: object, pointer: str, found: Findings) -> dict[str, Any] | Invalid:
        """What was sent, by field name; null counts as not sent."""
        try:
            members = self._members(value)
        except Wrong as wrong:
            return found.note(pointer, wrong)
        if not members.keys() <= self.fields.keys():
            found.note(pointer, self._unknown())
        result: dict[str, Any] = {}
        for name, expected in self.fields.items():
            if members.get(name) is not None:
                result[name] = expected.shape.read(members[name], f"{pointer}/{name}", found)
            elif expected.required:
                result[name] = found.note(f"{pointer}/{name}", _missing(name))
        return result

    def _members(self, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Wrong("wrong_type", "The value is not an object.", "Send a JSON object.")
        return value

    def _unknown(self) -> Wrong:
        remedy = f"Send only: {', '.join(self.fields)}."
        return Wrong("unknown_field", "The object has a field that is not known here.", remedy)

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


@dataclass(frozen=True, slots=True)
class TypedRecord(Record):
    """A record that reads as a named tuple of the same fields in the same order, with None for what was not sent."""

    reads_as: type[NamedTuple] = field(kw_only=True)

    def check(self, value: object) -> Any:
        """What was sent; null counts as not sent."""
        members = self._members(value)
        if not members.keys() <= self._checks.keys():
            raise self._unknown()
        get, required = members.get, self._required
        # No shape takes None, so a required field that is missing is refused by its own check.
        return self.reads_as._make(
            [
                check(part) if (part := get(name)) is not None or name in required else None
                for name, check in self._checks.items()
            ]
        )

    def read(self, value: object, pointer: str, found: Findings) -> Any:
        """What was sent, each value read or INVALID; null counts as not sent."""
        read = Record.read(self, value, pointer, found)
        return read if read is INVALID else self.reads_as._make(map(read.get, self.fields))


def _missing(name: str) -> Wrong:
    return Wrong("missing_field", "A required field is missing or null.", f"Send the field {name}.")


def _nullable(expected: Field) -> dict[str, Any]:
    schema = expected.shape.schema()
    if expected.required:
        return schema
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return {**schema, "type": [schema["type"], "null"]}
