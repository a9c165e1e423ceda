"""Persons who sign: a printed name and the salted hash of a passphrase. Who was revoked keeps the row."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Update, select, update

from service.audit.entry import timestamp

from .engine import ReadConnection, WriteConnection
from .tables import person

_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person. `name` is printed wherever the person signs; salt and hash have 32 bytes each and are never shown;
    the times are `audit.entry.timestamp`."""

    person_id: str
    name: str
    passphrase_salt: bytes = field(repr=False)
    passphrase_hash: bytes = field(repr=False)
    created_at: str
    revoked_at: str | None = None


def insert_person(connection: WriteConnection, row: PersonRow) -> None:
    """Insert a new person."""
    connection.execute(
        connection.insert(person).values(
            person_id=row.person_id,
            name=row.name,
            passphrase_salt=row.passphrase_salt,
            passphrase_hash=row.passphrase_hash,
            created_at=row.created_at,
            revoked_at=row.revoked_at,
        )
    )


def find_person(connection: ReadConnection, person_id: str) -> PersonRow | None:
    """A person by id, revoked or not; None for a text that is no id, which a database might not even take."""
    if _ID.fullmatch(person_id) is None:
        return None
    found = connection.select(select(person).where(person.c.person_id == person_id)).one_or_none()
    return None if found is None else PersonRow(*found)


def list_persons(connection: ReadConnection) -> tuple[PersonRow, ...]:
    """All persons, oldest first."""
    statement = select(person).order_by(person.c.created_at, person.c.person_id)
    return tuple(PersonRow(*row) for row in connection.select(statement))


def change_passphrase(connection: WriteConnection, row: PersonRow, replaced_salt: bytes) -> bool:
    """Store the salt and the hash of `row`; False where the person is not in force, or has another salt by now than
    `replaced_salt`, which changes nothing."""
    in_place = (person.c.revoked_at.is_(None), person.c.passphrase_salt == replaced_salt)
    statement = (
        update(person)
        .where(person.c.person_id == row.person_id, *in_place)
        .values(passphrase_salt=row.passphrase_salt, passphrase_hash=row.passphrase_hash)
    )
    return _did(connection, statement)


def revoke_person(connection: WriteConnection, person_id: str, at: datetime) -> bool:
    """Revoke a person; False where there is none or it was revoked before, which changes nothing."""
    statement = (
        update(person)
        .where(person.c.person_id == person_id, person.c.revoked_at.is_(None))
        .values(revoked_at=timestamp(at))
    )
    return _did(connection, statement)


def _did(connection: WriteConnection, statement: Update) -> bool:
    return connection.execute(statement.returning(person.c.person_id)).one_or_none() is not None
