"""Every difference between two JSON documents, with list entries matched by what they are and not by where they stand.

It knows nothing of manifests: which lists hold entries with an identity is passed in. That no difference is missing
rests on three rules. Whatever is not an object, a list of entries or equal is a difference. An entry without a
counterpart is one, whole. Entries that have counterparts but stand in another order are one, of the list. Entries with
the same identity in one document are told apart by their count, so that none hides behind another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["changed", "added", "removed", "reordered"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a list (or of an object that is a list by nature): its identity, as texts.

    `nth` counts the entries of one list with the same identity, from 1.
    """

    key: tuple[str, ...]
    nth: int = 1


Path = tuple[str | Entry, ...]
Identities = Mapping[tuple[str, ...], tuple[str, ...]]
"""By the names that lead to a list, the fields that identify one of its entries; no field: the entry itself, where it
is a text, or the key of an object."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference; `old` or `new` is None where the entry is missing on that side, and so is its JSON pointer.

    For `reordered`, old and new are the identities of the entries that both lists hold, in the order of each.
    """

    kind: Kind
    path: Path
    old: Any
    new: Any
    old_pointer: str | None
    new_pointer: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the path, without the entries."""
        return names_of(self.path)


@dataclass(frozen=True, slots=True)
class _Place:
    path: Path
    old_pointer: str
    new_pointer: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names that lead to a list; none inside an entry itself, whose own fields are no entries."""
        return names_of(self.path) if self.path and isinstance(self.path[-1], str) else ()

    def at(self, step: str | Entry, old: str | int, new: str | int) -> _Place:
        return _Place((*self.path, step), f"{self.old_pointer}/{_escaped(old)}", f"{self.new_pointer}/{_escaped(new)}")


def names_of(path: Path) -> tuple[str, ...]:
    """The names of a path, without its entries: where in the schema it leads."""
    return tuple(step for step in path if isinstance(step, str))


def differences(old: object, new: object, identities: Identities) -> tuple[Difference, ...]:
    """Every difference between two decoded JSON documents, in the order of the old one; empty where they are equal.

    The order of the keys of an object is no difference. A list of numbers, or of such lists, is one value.
    """
    return tuple(_walk(old, new, _Place((), "", ""), identities))


def is_numbers(value: object) -> bool:
    """Whether `value` is a list of numbers, or of lists of numbers; an empty list is one."""
    return isinstance(value, list) and all(is_number(item) or is_numbers(item) for item in value)


def is_number(value: object) -> bool:
    """Whether `value` is a number; a truth value is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _walk(old: Any, new: Any, place: _Place, identities: Identities) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _objects(old, new, place, identities)
    elif isinstance(old, list) and isinstance(new, list) and not (is_numbers(old) and is_numbers(new)):
        yield from _lists(old, new, place, identities)
    # Equality would take -0.0 for 0.0 and 1 for true.
    elif repr(old) != repr(new):
        yield Difference("changed", place.path, old, new, place.old_pointer, place.new_pointer)


def _objects(old: dict[str, Any], new: dict[str, Any], place: _Place, identities: Identities) -> Iterator[Difference]:
    entries = place.names in identities
    for name in dict.fromkeys([*old, *new]):
        below = place.at(Entry((name,)) if entries else name, name, name)
        if name not in new:
            yield Difference("removed", below.path, old[name], None, below.old_pointer, None)
        elif name not in old:
            yield Difference("added", below.path, None, new[name], None, below.new_pointer)
        else:
            yield from _walk(old[name], new[name], below, identities)


def _lists(old: list[Any], new: list[Any], place: _Place, identities: Identities) -> Iterator[Difference]:
    fields = identities.get(place.names)
    before, after = _indexed(old, fields), _indexed(new, fields)
    stayed, order = [e for e in before if e in after], [e for e in after if e in before]
    if stayed != order:
        were, are = ([list(entry.key) for entry in entries] for entries in (stayed, order))
        yield Difference("reordered", place.path, were, are, place.old_pointer, place.new_pointer)
    for entry, index in before.items():
        if entry in after:
            yield from _walk(old[index], new[after[entry]], place.at(entry, index, after[entry]), identities)
        else:
            yield Difference("removed", (*place.path, entry), old[index], None, f"{place.old_pointer}/{index}", None)
    for entry, index in after.items():
        if entry not in before:
            yield Difference("added", (*place.path, entry), None, new[index], None, f"{place.new_pointer}/{index}")


def _indexed(items: Sequence[Any], fields: tuple[str, ...] | None) -> dict[Entry, int]:
    """The index of each entry."""
    seen: Counter[tuple[str, ...]] = Counter()
    found = {}
    for index, item in enumerate(items):
        key = _key(item, index, fields)
        seen[key] += 1
        found[Entry(key, seen[key])] = index
    return found


def _key(item: Any, index: int, fields: tuple[str, ...] | None) -> tuple[str, ...]:
    if isinstance(item, str):
        return (item,)
    if isinstance(item, dict) and fields:
        return tuple(str(item.get(field)) for field in fields)
    return (str(index + 1),)


def _escaped(step: str | int) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")
