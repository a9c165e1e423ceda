"""Denied access in the audit log: counted as it happens, recorded once a minute.

One entry for each denied request would let whoever has no key buy signed, undeletable rows for the price of a 401. So
there is one entry per minute for each reason and, where a valid key lacks a scope, for each such key, with a count. Of
what was presented, asked for or sent, nothing is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

from service.audit.entry import Entry
from service.errors import ScopeMissing, ServiceError, SystemFault, Unauthenticated
from service.telemetry import log_event
from service.workflows.recording import NO_ROWS
from service.workflows.services import Services

REASONS: Mapping[type[ServiceError], str] = {Unauthenticated: "unauthenticated", ScopeMissing: "scope_missing"}

CAPACITY = 1024
"""Keys that are told apart within a minute; whatever more lacks a scope is counted together."""


class DeniedAccess:
    """What was denied since the last entries; touched only from the event loop."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str | None]] = Counter()

    def note(self, error: ServiceError, key_id: str | None) -> None:
        """Count a request that was answered with `error`, if that denied access; `key_id` is of the key it came with,
        None where it had no valid one."""
        reason = REASONS.get(type(error))
        if reason is None:
            return
        key = (reason, key_id if isinstance(error, ScopeMissing) else None)
        if key not in self._counts and len(self._counts) >= CAPACITY:
            key = (reason, None)
        self._counts[key] += 1

    async def flush(self, services: Services) -> None:
        """Record what was counted; what cannot be recorded now stays counted, and an entry whose COMMIT is not known to
        have happened is written again."""
        counts, self._counts = self._counts, Counter()
        while counts:
            (reason, key_id), count = counts.popitem()
            detail = {"count": count}
            now, actor = services.clock(), "system:service"
            entry = Entry("access.denied", now, actor, services.site, record=key_id, reason=reason, detail=detail)
            try:
                await services.record(NO_ROWS, None, entry)
            except SystemFault as error:
                counts[reason, key_id] += count
                self._counts.update(counts)
                log_event("denied_not_recorded", level=logging.WARNING, error_type=type(error).__name__)
                return


async def record_denied(
    services: Services, denied: DeniedAccess, every_seconds: float, stopping: asyncio.Event
) -> None:
    """Record denied access now and then, and a last time when `stopping` is set; the committer runs until then."""
    ended = False
    while not ended:
        with suppress(TimeoutError):
            ended = await asyncio.wait_for(stopping.wait(), every_seconds)
        await denied.flush(services)
