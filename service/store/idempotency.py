"""Idempotency keys: which score a repeated request was answered with.

A row holds keyed hashes of the key and of the body, never the key or the body: laboratories send accession numbers as
keys, and bodies can be guessed. A claim is part of the transaction that stores the score, so a key without a score
does not exist; of two claims at once the database lets one win.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select

from service.audit.entry import timestamp

from .engine import ReadConnection, WriteConnection
from .tables import idempotency


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """One claim; the hashes have 32 bytes. `body_hmac` is None after the score was erased."""

    key_hmac: bytes
    body_hmac: bytes | None
    score_id: str
    expires_at: str


def claim(
    connection: WriteConnection,
    *,
    key_hmac: bytes,
    body_hmac: bytes,
    score_id: str,
    now: datetime,
    expires_at: datetime,
) -> bool:
    """Claim a key for a score. False, and nothing changed, where another claim is in force; an expired one is replaced.

    On PostgreSQL this waits for a transaction that claims the same key at the same time, and then sees its outcome.
    """
    row = {"body_hmac": body_hmac, "score_id": score_id, "expires_at": timestamp(expires_at)}
    statement = (
        connection.insert(idempotency)
        .values(key_hmac=key_hmac, **row)
        .on_conflict_do_update(
            index_elements=[idempotency.c.key_hmac],
            set_=row,
            where=idempotency.c.expires_at <= timestamp(now),
        )
        .returning(idempotency.c.key_hmac)
    )
    return connection.execute(statement).one_or_none() is not None


def find(connection: ReadConnection, key_hmac: bytes, now: datetime) -> ClaimRow | None:
    """The claim on a key that is in force at `now`."""
    statement = select(idempotency).where(idempotency.c.key_hmac == key_hmac, idempotency.c.expires_at > timestamp(now))
    found = connection.select(statement).one_or_none()
    return None if found is None else ClaimRow(*found)


def purge_expired(connection: WriteConnection, now: datetime) -> int:
    """Delete claims that have expired; returns how many."""
    return connection.execute(delete(idempotency).where(idempotency.c.expires_at <= timestamp(now))).rowcount
