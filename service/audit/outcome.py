"""What becomes of a submission, and who is told: the receipt, the inbox that waits for it, the observer that counts.

The committer settles a whole transaction at once, so an inbox is given a whole batch at once: one call into an event
loop for all who wait there, instead of one for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was committed: entry `index` of the log named `origin`, recorded at `recorded_at`, and the signed checkpoint
    `note` over it. `generation` is the registry generation of the head."""

    log_id: int
    origin: str
    index: int
    recorded_at: datetime
    note: str
    generation: int


Outcome = Receipt | BaseException


Take = Callable[[list[Any]], None]
"""Takes submissions, in their order; does not raise, and may be called from any thread."""


class Inbox(Protocol):
    """Where outcomes are waited for: makes the futures and sets them, a batch at a time."""

    def future(self) -> Any:
        """A future that nobody has set yet."""
        ...

    def hand_over(self, submission: Any, take: Take) -> None:
        """Give the submission of a new future to `take`, at once or a moment later together with others."""
        ...

    def begin(self, future: Any) -> bool:
        """Called when its turn has come: False where whoever waited has given up."""
        ...

    def deliver(self, settled: Sequence[tuple[Any, Outcome]]) -> None:
        """Set the futures. Called in the committer's thread; must not raise."""
        ...


class ThreadInbox:
    """Futures that a thread waits for."""

    def future(self) -> Future[Receipt]:
        """A future of the standard library."""
        return Future()

    def hand_over(self, submission: Any, take: Take) -> None:
        """Give it to `take` at once."""
        take([submission])

    def begin(self, future: Future[Receipt]) -> bool:
        """Whether it was not cancelled; from here on it cannot be."""
        return future.set_running_or_notify_cancel()

    def deliver(self, settled: Sequence[tuple[Future[Receipt], Outcome]]) -> None:
        """Set each future."""
        for future, outcome in settled:
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction carried: `entries` entries up to the log's new `size`; `behind` is by how much the furthest
    clock stood behind the head."""

    origin: str
    size: int
    entries: int
    behind: timedelta


class Observer(Protocol):
    """What the service wants to count. What it raises changes nothing for anybody who waits."""

    def committed(self, batch: Batch) -> None:
        """A transaction was committed."""
        ...

    def failed(self, error: BaseException) -> None:
        """A submission was not stored, or not taken in because the queue was full (`Overloaded`)."""
        ...


class SilentObserver:
    """An observer that counts nothing."""

    def committed(self, batch: Batch) -> None:
        """Do nothing."""

    def failed(self, error: BaseException) -> None:
        """Do nothing."""
