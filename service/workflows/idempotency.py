"""Idempotency-Key: the same key and the same body give the stored answer, not a second score.

Keys are scoped to caller and route. Only keyed hashes of key and body are stored: a LIMS sends accession numbers as
keys, and a body's plain hash could be guessed. Within one process a second request with a running key gets 409; across
replicas the unique constraint decides, and the loser replays the winner's answer.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import NamedTuple

from service.audit.entry import timestamp
from service.errors import (
    Conflict,
    Gone,
    IdempotencyMismatch,
    InputRejected,
    Problem,
    RequestInProgress,
    StorageUnavailable,
)
from service.store import idempotency as idempotency_store
from service.store.idempotency import ClaimRow
from service.store.scores import StoredScore
from service.telemetry import log_event
from service.workflows.key_cache import Caller
from service.workflows.keys import keyed_hash, require_in_force
from service.workflows.read_scores import find_recorded
from service.workflows.services import Services

MAX_KEY_LENGTH = 255


class IdempotencyLost(Conflict):
    """Another replica stored an answer under the same key first; the caller is given that answer, if it can be read."""

    code = "idempotency_lost"


class Ticket(NamedTuple):
    """One idempotent request: keyed hashes of its key and of its raw body."""

    key_hmac: bytes
    body_hmac: bytes

    @classmethod
    def issue(cls, pepper: bytes, key_id: str, route: str, header: str, body: bytes) -> Ticket:
        """The ticket of a request; `header` may be quoted (RFC 8941 string) or bare. Raises InputRejected."""
        key = header[1:-1] if header.startswith('"') and header.endswith('"') else header
        if not 1 <= len(key) <= MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
            message = f"Idempotency-Key must be 1 to {MAX_KEY_LENGTH} printable ASCII characters."
            problem = Problem("", "invalid_idempotency_key", message, "Send a UUID or an accession number.")
            raise InputRejected(message, problems=[problem])
        scoped = f"{key_id}\0{route}\0{key}"
        return cls(
            keyed_hash(pepper, "idempotency-key", scoped.encode()),
            keyed_hash(pepper, "idempotency-body", body),
        )

    def claim(self, score_id: str, now: datetime, ttl: timedelta) -> ClaimRow:
        """The row that claims the key for a score."""
        return ClaimRow(self.key_hmac, self.body_hmac, score_id, timestamp(now + ttl))


class Running:
    """Holds the ticket while its request runs in this process; raises RequestInProgress for a second one."""

    __slots__ = ("_in_flight", "_key_hmac")

    def __init__(self, in_flight: set[bytes], ticket: Ticket) -> None:
        self._in_flight, self._key_hmac = in_flight, ticket.key_hmac

    def __enter__(self) -> None:
        if self._key_hmac in self._in_flight:
            raise RequestInProgress("A request with this Idempotency-Key is still running.", "Wait for its answer.")
        self._in_flight.add(self._key_hmac)

    def __exit__(self, *_: object) -> None:
        self._in_flight.discard(self._key_hmac)


async def forget_expired(services: Services, every_seconds: float) -> None:
    """Delete expired keys now and then, until cancelled; a database that is away is asked again the next time."""
    while True:
        try:
            await asyncio.to_thread(purge, services)
        except StorageUnavailable as error:
            log_event("purge_failed", error_type=type(error).__name__)
        await asyncio.sleep(every_seconds)


def purge(services: Services) -> int:
    """Delete the keys that have expired; returns how many."""
    with services.database.write() as connection:
        return idempotency_store.purge_expired(connection, services.clock())


def stored_under(services: Services, caller: Caller, ticket: Ticket) -> StoredScore | None:
    """The score stored under this ticket, if any; raises Unauthenticated where the caller's key was revoked, because
    nobody has asked for it under the head lock, IdempotencyMismatch where the body was another one, and Gone where the
    score was erased."""
    with services.database.read() as connection:
        require_in_force(connection, caller)
        row = idempotency_store.find(connection, ticket.key_hmac, services.clock())
        if row is None:
            return None
        if row.body_hmac is None:
            raise _erased()
        if row.body_hmac != ticket.body_hmac:
            message = "This Idempotency-Key was used before with another body."
            problem = Problem("", "idempotency_mismatch", message, "Use a new key for a new request.")
            raise IdempotencyMismatch(message, problems=[problem])
        found = find_recorded(connection, row.score_id)
        if found is None:
            # The key came into the database with its score: it was erased between the two looks.
            raise _erased()
        return found


def _erased() -> Gone:
    return Gone("The score of this Idempotency-Key was erased.", "Use a new key for a new request.")
