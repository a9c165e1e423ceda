"""A warning of a version, acknowledged by name: who has read it, when, as what and why (21 CFR 11.50).

The warnings of a version stand in its manifest, and its acknowledgements beside it: whoever makes a version says what
is to be known of it, and whoever puts it to work says that it is known. An acknowledgement is of one code of one exact
version; it is never taken back, because it says what was known then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One code of a warning, acknowledged by `actor`.

    `printed_name`, `person_id` and `meaning` (one of `signature.MEANINGS`) are None where no person signed, as in
    development for what ships with the product; `at` is RFC 3339 in UTC, as recorded.
    """

    code: str
    actor: str
    printed_name: str | None
    person_id: str | None
    meaning: str | None
    reason: str | None
    at: str


def open_codes(codes: Iterable[str], acknowledged: Collection[str]) -> tuple[str, ...]:
    """The codes that nobody has acknowledged, each once, in the order given."""
    return tuple(code for code in dict.fromkeys(codes) if code not in acknowledged)
