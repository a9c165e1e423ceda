"""Whether the stored API keys are those that the log recorded, with the scopes it recorded, revoked when it says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from service.audit.entry import Entry, timestamp
from service.store.keys import KeyRow
from service.workflows.keys import key_commitment

_HMAC_BYTES = 32
_PERSON = 7
"""Where a row says whose key it is."""


class KeyLedger:
    """What the entries said of keys so far, against the rows of the table."""

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._rows: dict[Any, tuple[Any, ...]] = {row[0]: row for row in rows}
        self._created: set[str | None] = set()
        self._revoked: dict[str | None, str] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def created(self, entry: Entry) -> str | None:
        """Take in a `key.created` entry; what is wrong with it, or None."""
        if entry.record in self._created:
            return "A key was created twice."
        self._created.add(entry.record)
        if entry.record not in self._rows:
            return "The key of this entry is not stored."
        row = _key(self._rows[entry.record])
        if row is None or entry.out is None or _commitment(row) != entry.out:
            return "The stored key is not the one that the entry commits to."
        return None

    def revoked(self, entry: Entry) -> str | None:
        """Take in a `key.revoked` entry; what is wrong with it, or None."""
        if entry.record not in self._created:
            return "A key was revoked that had not been created."
        if entry.record in self._revoked:
            return "A key was revoked twice."
        self._revoked[entry.record] = timestamp(entry.at)
        return None

    def owner(self, key_id: str | None) -> Any:
        """Whose key is stored under this id; None for nobody's, and where there is none."""
        row = self._rows.get(key_id)
        return None if row is None else row[_PERSON]

    def has_in_force(self, person_id: str | None) -> bool:
        """Whether a stored key of this person was created and not revoked so far."""
        owned = [key_id for key_id, row in self._rows.items() if row[_PERSON] is not None and row[_PERSON] == person_id]
        return any(key_id in self._created and key_id not in self._revoked for key_id in owned)

    def faults(self) -> Iterator[tuple[Any, str]]:
        """What is wrong with rows, once every entry was taken in: the key's id and the message."""
        for key_id, row in self._rows.items():
            if key_id not in self._created:
                yield key_id, "A key is stored that no entry created."
            elif row[5] != self._revoked.get(key_id):
                yield key_id, "A key is stored as revoked at another time than its entries say, or not as they say."


def _key(row: tuple[Any, ...]) -> KeyRow | None:
    """The key of a row whose columns have their types and their one spelling."""
    key_id, name, secret_hmac, scopes, created_at, revoked_at, development, person_id = row
    texts = all(type(text) is str for text in (key_id, name, scopes, created_at, person_id or ""))
    if not texts or type(secret_hmac) is not bytes or len(secret_hmac) != _HMAC_BYTES or development not in (0, 1):
        return None
    if " ".join(sorted(set(scopes.split()))) != scopes:
        return None
    return KeyRow(
        key_id, name, secret_hmac, frozenset(scopes.split()), created_at, revoked_at, bool(development), person_id
    )


def _commitment(row: KeyRow) -> str | None:
    try:
        return key_commitment(row)
    except ValueError:
        return None
