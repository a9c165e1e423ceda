"""Whether the stored persons are those that the log recorded, with the last passphrase, revoked when the log says.

A row holds only the passphrase of now, so an entry that a later one replaced is taken at its word, and the row is
compared with the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from service.audit.entry import Entry, timestamp
from service.store.persons import PersonRow
from service.workflows.persons import person_commitment

Place = tuple[str, int]
"""The origin of a log and the index of an entry."""


class PersonLedger:
    """What the entries said of persons so far, against the rows of the table."""

    def __init__(self, rows: Iterable[tuple[Any, ...]]) -> None:
        self._rows: dict[Any, tuple[Any, ...]] = {row[0]: row for row in rows}
        self._said: dict[str | None, tuple[str | None, Place]] = {}
        self._revoked: dict[str | None, str] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def in_force(self, person_id: Any) -> bool:
        """Whether this person was added and not revoked so far."""
        return person_id in self._said and person_id not in self._revoked

    def take(self, entry: Entry, place: Place) -> str | None:
        """Take in an entry about a person; what is wrong with it, or None."""
        person_id = entry.record
        if entry.kind == "person.added":
            if person_id in self._said:
                return "A person was added twice."
            self._said[person_id] = entry.out, place
            return None if person_id in self._rows else "The person of this entry is not stored."
        if not self.in_force(person_id):
            return "A person was changed or revoked who was not in force."
        if entry.kind == "person.changed":
            self._said[person_id] = entry.out, place
        else:
            self._revoked[person_id] = timestamp(entry.at)
        return None

    def faults(self) -> Iterator[tuple[Place | None, str]]:
        """What is wrong with rows, once every entry was taken in: the place of the entry they should agree with, and
        the message."""
        for person_id, row in self._rows.items():
            if person_id not in self._said:
                yield None, "A person is stored whom no entry added."
                continue
            out, place = self._said[person_id]
            committed = _commitment(row)
            if committed is None or committed != out:
                yield place, "The stored person is not the one that the entry commits to."
            elif row[5] != self._revoked.get(person_id):
                yield place, "A person is stored as revoked at another time than the entries say, or not as they say."


def _commitment(row: tuple[Any, ...]) -> str | None:
    """What the row comes to, where its columns have their types; None where no entry can have committed to it."""
    person_id, name, passphrase_salt, passphrase_hash, created_at, revoked_at = row
    texts = all(type(text) is str for text in (person_id, name, created_at))
    if not texts or type(passphrase_salt) is not bytes or type(passphrase_hash) is not bytes:
        return None
    try:
        return person_commitment(PersonRow(person_id, name, passphrase_salt, passphrase_hash, created_at, revoked_at))
    except ValueError:
        return None
