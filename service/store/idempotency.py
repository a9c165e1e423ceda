"""Idempotency keys: which score a repeated request was answered with.

A row holds keyed hashes of the key and of the body, never the key or the body: laboratories send accession numbers as
keys, and bodies can be guessed. A claim is part of the transaction that stores the score, so a key without a score
does not exist; of two claims at once the database lets one win.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, select

from service.audit.entry import timestamp

from .bulk import insert_unless
from .engine import ReadConnection, WriteConnection
from .tables import idempotency


class ClaimRow(NamedTuple):
    """One claim, a field for each column of the table, in its order. The hashes have 32 bytes; `body_hmac` is None
    after the score was erased."""

    key_hmac: bytes
    body_hmac: bytes | None
    score_id: str
    expires_at: str


_UNLESS_IN_FORCE = """
    ON CONFLICT (key_hmac) DO UPDATE
    SET body_hmac = excluded.body_hmac, score_id = excluded.score_id, expires_at = excluded.expires_at
    WHERE idempotency.expires_at <= ?"""


def claim(connection: WriteConnection, claims: Sequence[ClaimRow], now: datetime) -> Callable[[], set[bytes]]:
    """Claim keys for scores. What is given back waits for the outcome, and gives the keys that were not won, because
    another claim is in force; an expired one is replaced.

    On PostgreSQL this waits for a transaction that claims one of the keys at the same time, and then sees its outcome.
    The keys are claimed in order, so that two replicas that claim many at once never wait for each other.
    """
    if not claims:
        return set
    ordered = sorted(claims, key=lambda one: one.key_hmac)
    won = insert_unless(connection, idempotency, ordered, _UNLESS_IN_FORCE, (timestamp(now),))

    def lost() -> set[bytes]:
        if won() == len(ordered):
            return set()
        statement = select(idempotency.c.key_hmac, idempotency.c.score_id).where(
            idempotency.c.key_hmac.in_([one.key_hmac for one in claims])
        )
        holders = {row.key_hmac: row.score_id for row in connection.select(statement)}
        return {one.key_hmac for one in claims if holders.get(one.key_hmac) != one.score_id}

    return lost


def find(connection: ReadConnection, key_hmac: bytes, now: datetime) -> ClaimRow | None:
    """The claim on a key that is in force at `now`."""
    statement = select(idempotency).where(idempotency.c.key_hmac == key_hmac, idempotency.c.expires_at > timestamp(now))
    found = connection.select(statement).one_or_none()
    return None if found is None else ClaimRow(*found)


def purge_expired(connection: WriteConnection, now: datetime) -> int:
    """Delete claims that have expired; returns how many."""
    return connection.execute(delete(idempotency).where(idempotency.c.expires_at <= timestamp(now))).rowcount
