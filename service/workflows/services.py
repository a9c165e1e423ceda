"""What every use case is handed: the database, the committer, the registry, secrets, a clock and an id factory.

Time and randomness come in here and nowhere else, so a test can hold them still.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from service.audit.committer import Committer
from service.errors import StorageUnavailable
from service.registry.active import ActiveSlot
from service.store.audit_log import SqlTransaction
from service.store.engine import Database

T = TypeVar("T")

PATIENCE_SECONDS = 12.0
"""Longer than a submission may wait for its turn and its locks together, so that it is reached only by a hang."""


def utc_now() -> datetime:
    """The present time, aware, in UTC."""
    return datetime.now(tz=UTC)


async def in_time(work: Awaitable[T], patience_seconds: float = PATIENCE_SECONDS) -> T:
    """The result of `work`, or StorageUnavailable after a while: a caller is answered even where a database has
    stopped in the middle of a sentence."""
    try:
        return await asyncio.wait_for(work, patience_seconds)
    except TimeoutError:
        raise StorageUnavailable(
            "The database did not answer in time.", "Send the request again with the same Idempotency-Key."
        ) from None


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """The result of a function that asks the database, called in a thread; StorageUnavailable where that takes long."""
    return await in_time(asyncio.to_thread(function, *arguments))


def new_uuid7(now: datetime, random_bits: int | None = None) -> str:
    """A UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    bits = secrets.randbits(74) if random_bits is None else random_bits
    milliseconds = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    value = milliseconds << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | bits & ((1 << 62) - 1)
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a use case works with; built once by the composition root.

    `pepper` keys the hashes of API keys and idempotency keys. `in_flight` holds the idempotency keys that this
    process is working on right now; it is touched only from the event loop.
    """

    database: Database
    committer: Committer[SqlTransaction]
    registry: ActiveSlot
    pepper: bytes
    site: str
    idempotency_ttl: timedelta
    clock: Callable[[], datetime] = utc_now
    new_salt: Callable[[], bytes] = lambda: secrets.token_bytes(32)
    in_flight: set[bytes] = field(default_factory=set)
