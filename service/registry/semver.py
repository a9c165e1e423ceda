"""Names and versions of models: the strict grammar of Semantic Versioning 2.0.0 and its order.

A model reference is `name`, `name@version` or `name@alias`. Names and aliases are lower-case ASCII words joined by
hyphens, so that they are safe in a path, a URL and a log line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, total_ordering

from service.domain.fields import MODEL_NAME

_NAME = re.compile(MODEL_NAME, re.ASCII)
_NAME_MAX_LENGTH = 64
_NUMBER = r"(?:0|[1-9][0-9]*)"
_PRE = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_PRE}(?:\.{_PRE})*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?",
    re.ASCII,
)
_VERSION_MAX_LENGTH = 64


@total_ordering
@dataclass(frozen=True, slots=True)
class SemVer:
    """One version. Build metadata is kept for display and, per the standard, takes no part in order or equality."""

    major: int
    minor: int
    patch: int
    pre: tuple[str, ...]
    text: str

    def precedence(self) -> tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]:
        """What versions are ordered by."""
        # Rule 11: numeric identifiers compare as numbers and stand before words; a release stands after all of its
        # pre-releases; a shorter list of identifiers stands before a longer one that begins with it.
        identifiers = tuple((not i.isdigit(), int(i) if i.isdigit() else 0, i) for i in self.pre)
        return (self.major, self.minor, self.patch, not self.pre, identifiers)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SemVer) and self.precedence() == other.precedence()

    def __hash__(self) -> int:
        return hash(self.precedence())

    def __lt__(self, other: SemVer) -> bool:
        return self.precedence() < other.precedence()


def find_version(text: str) -> SemVer | None:
    """The version `text` denotes, or None where it is not exactly a SemVer 2.0.0 version."""
    match = _VERSION.fullmatch(text) if len(text) <= _VERSION_MAX_LENGTH else None
    if match is None:
        return None
    pre = tuple(match[4].split(".")) if match[4] else ()
    return SemVer(int(match[1]), int(match[2]), int(match[3]), pre, text)


@lru_cache(maxsize=4096)
def version_order(text: str) -> tuple[bool, tuple[object, ...], str]:
    """A key that sorts versions oldest first; what is no version comes first, as text."""
    parsed = find_version(text)
    return (parsed is not None, () if parsed is None else parsed.precedence(), text)


def is_name(text: str) -> bool:
    """Whether `text` may name a model or an alias."""
    return len(text) <= _NAME_MAX_LENGTH and _NAME.fullmatch(text) is not None
