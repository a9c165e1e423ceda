"""What every use case is handed: the database, the committer, the registry, the pepper, a clock and a source of salts.

What a use case records takes its time and its salt from here and nowhere else, so a test can hold them still.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TypeVar

from service.audit.committer import Committer
from service.audit.entry import Entry
from service.audit.outcome import Receipt
from service.audit.submissions import Premise, Writer
from service.store.audit_log import SqlTransaction
from service.store.engine import Database
from service.workflows.attempts import Attempts
from service.workflows.inbox import LoopInbox
from service.workflows.key_cache import Caller, KeyCache
from service.workflows.live_registry import LiveRegistry
from service.workflows.random_bytes import random_block
from service.workflows.shadowing import NoShadows, Shadowing
from service.workflows.shared_looks import SharedLooks

R = TypeVar("R")


def utc_now() -> datetime:
    """The present time, aware, in UTC."""
    return datetime.now(tz=UTC)


def new_uuid7(now: datetime, random_bits: int | None = None) -> str:
    """A UUID version 7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    bits = int.from_bytes(random_block()) >> 182 if random_bits is None else random_bits
    milliseconds = int(now.timestamp() * 1000) & ((1 << 48) - 1)
    value = milliseconds << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | bits & ((1 << 62) - 1)
    pairs = value.to_bytes(16).hex("-", 2)
    return f"{pairs[:4]}{pairs[5:29]}{pairs[30:34]}{pairs[35:]}"


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a use case works with; built once by the composition root."""

    database: Database
    committer: Committer[SqlTransaction]
    registry: LiveRegistry
    pepper: bytes
    site: str
    idempotency_ttl: timedelta
    publishers: tuple[str, ...] = ()
    clock: Callable[[], datetime] = utc_now
    new_salt: Callable[[], bytes] = random_block
    in_flight: set[bytes] = field(default_factory=set)
    keys: KeyCache = field(default_factory=KeyCache)
    looks: SharedLooks[Caller] = field(default_factory=SharedLooks)
    attempts: Attempts = field(default_factory=Attempts)
    inbox: LoopInbox = field(default_factory=LoopInbox)
    shadows: Shadowing = field(default_factory=NoShadows)
    registering: AbstractContextManager[object] = field(default_factory=Lock)

    async def record(
        self,
        writer: Writer[SqlTransaction, R],
        rows: R,
        entry: Entry,
        *,
        weight: int = 0,
        generation: int | None = None,
        premise: Premise[SqlTransaction] | None = None,
    ) -> Receipt:
        """Store rows and their entry; returns after COMMIT. Raises as `Committer.submit` and its future do."""
        future = self.committer.submit(
            writer, rows, entry, weight=weight, generation=generation, premise=premise, inbox=self.inbox
        )
        receipt: Receipt = await future
        return receipt
