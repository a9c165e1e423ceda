"""What every use case is handed: the database, the committer, the registry, the pepper, a clock and a source of salts.

What a use case records takes its time and its salt from here and nowhere else, so a test can hold them still.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from service.audit.committer import Committer
from service.audit.entry import Entry
from service.audit.outcome import Receipt
from service.audit.submissions import Writer
from service.registry.active import ActiveSlot
from service.store.audit_log import SqlTransaction
from service.store.engine import Database
from service.workflows.inbox import PATIENCE_SECONDS, LoopInbox, too_slow
from service.workflows.key_cache import KeyCache
from service.workflows.random_bytes import random_block
from service.workflows.shadowing import NoShadows, Shadowing

T = TypeVar("T")
R = TypeVar("R")


def utc_now() -> datetime:
    """The present time, aware, in UTC."""
    return datetime.now(tz=UTC)


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """The result of a function that asks the database, called in a thread; StorageUnavailable where that takes long."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(function, *arguments), PATIENCE_SECONDS)
    except TimeoutError:
        raise too_slow() from None


def new_uuid7(now: datetime, random_bits: int | None = None) -> str:
    """A UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    bits = int.from_bytes(random_block()) >> 182 if random_bits is None else random_bits
    milliseconds = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    value = milliseconds << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | bits & ((1 << 62) - 1)
    pairs = value.to_bytes(16).hex("-", 2)
    return f"{pairs[:4]}{pairs[5:29]}{pairs[30:34]}{pairs[35:]}"


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
    new_salt: Callable[[], bytes] = random_block
    in_flight: set[bytes] = field(default_factory=set)
    keys: KeyCache = field(default_factory=KeyCache)
    inbox: LoopInbox = field(default_factory=LoopInbox)
    shadows: Shadowing = field(default_factory=NoShadows)

    async def record(
        self,
        writer: Writer[SqlTransaction, R],
        rows: R,
        entry: Entry,
        *,
        weight: int = 0,
        generation: int | None = None,
    ) -> Receipt:
        """Store rows and their entry; returns after COMMIT. Raises as `Committer.submit` and its future do."""
        future = self.committer.submit(writer, rows, entry, weight=weight, generation=generation, inbox=self.inbox)
        receipt: Receipt = await future
        return receipt
