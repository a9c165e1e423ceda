"""API keys: only a keyed hash of the secret is stored, and a revoked key keeps its row.

A secret is found by its hash, so the time a lookup takes says nothing about how much of a guess was right.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select, update

from service.audit.entry import timestamp

from .engine import Columns, ReadConnection, WriteConnection
from .tables import api_key


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One API key. `secret_hmac` has 32 bytes; the times are `audit.entry.timestamp`; `development` marks the key that
    a development server made for itself and production refuses; `person_id` is None for the key of a machine."""

    key_id: str
    name: str
    secret_hmac: bytes
    scopes: frozenset[str]
    created_at: str
    revoked_at: str | None
    development: bool
    person_id: str | None = None


def insert_key(connection: WriteConnection, row: KeyRow) -> None:
    """Insert a new key."""
    connection.execute(
        connection.insert(api_key).values(
            key_id=row.key_id,
            name=row.name,
            secret_hmac=row.secret_hmac,
            scopes=" ".join(sorted(row.scopes)),
            created_at=row.created_at,
            revoked_at=row.revoked_at,
            development=row.development,
            person_id=row.person_id,
        )
    )


def find_key_by_secret(connection: ReadConnection, secret_hmac: bytes) -> KeyRow | None:
    """A key by the keyed hash of its secret, revoked or not."""
    return _one(connection, select(api_key).where(api_key.c.secret_hmac == secret_hmac))


def find_key(connection: ReadConnection, key_id: str) -> KeyRow | None:
    """A key by its id, revoked or not."""
    return _one(connection, select(api_key).where(api_key.c.key_id == key_id))


def list_keys(connection: ReadConnection) -> tuple[KeyRow, ...]:
    """All keys, oldest first."""
    statement = select(api_key).order_by(api_key.c.created_at, api_key.c.key_id)
    return tuple(_row(*row) for row in connection.select(statement))


def list_keys_in_force(connection: ReadConnection, person_id: str) -> tuple[str, ...]:
    """The ids of a person's keys that are not revoked."""
    statement = select(api_key.c.key_id).where(api_key.c.person_id == person_id, api_key.c.revoked_at.is_(None))
    return tuple(connection.select(statement.order_by(api_key.c.key_id)).scalars())


def revoke_key(connection: WriteConnection, key_id: str, at: datetime) -> bool:
    """Revoke a key; False where it does not exist or was revoked before, which changes nothing."""
    statement = (
        update(api_key)
        .where(api_key.c.key_id == key_id, api_key.c.revoked_at.is_(None))
        .values(revoked_at=timestamp(at))
        .returning(api_key.c.key_id)
    )
    return connection.execute(statement).one_or_none() is not None


def _one(connection: ReadConnection, statement: Select[*Columns]) -> KeyRow | None:
    found = connection.select(statement).one_or_none()
    return None if found is None else _row(*found)


def _row(
    key_id: str,
    name: str,
    secret_hmac: bytes,
    scopes: str,
    created_at: str,
    revoked_at: str | None,
    development: bool,
    person_id: str | None,
) -> KeyRow:
    return KeyRow(key_id, name, secret_hmac, frozenset(scopes.split()), created_at, revoked_at, development, person_id)
