"""What the committer meets, told to the service's own log."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from service.audit.log import CLOCK_TOLERANCE
from service.audit.outcome import Batch
from service.errors import InputRejected, Overloaded, RegistryChanged, SystemFault
from service.telemetry import log_event


class LogObserver:
    """Tells the service's own log what the committer met. A full queue is told once a second, however many it turns
    away: each of them has a line of its own in the log of requests."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_told_at = -math.inf

    def committed(self, batch: Batch) -> None:
        """A transaction is durable; a clock that had to be corrected is worth a line."""
        if batch.behind > CLOCK_TOLERANCE:
            behind = batch.behind.total_seconds() * 1000
            log_event("clock_behind", origin=batch.origin, size=batch.size, duration_ms=behind)

    def failed(self, error: BaseException) -> None:
        """One item failed; its caller was told. A refusal is no failure of ours, and after a move of the registry the
        caller looks again by itself.
        """
        if isinstance(error, InputRejected | RegistryChanged):
            return
        if isinstance(error, Overloaded):
            now = self._clock()
            if now - self._full_told_at < 1:
                return
            self._full_told_at = now
        # Our own faults name a kind and quote nothing; what anything else says is kept out of the log.
        reason = error.message if isinstance(error, SystemFault) else None
        log_event("commit_failed", level=logging.ERROR, error_type=type(error).__name__, reason=reason)
