"""Wait for the committer on the event loop.

Waking the committer's thread, or the event loop's, costs more than what is done there for one request. So requests that
arrive together are handed over together, and a batch is settled with one call into the event loop. One timer looks
after all that wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from service.audit.outcome import Outcome, Receipt, Take
from service.workflows.patience import PATIENCE_SECONDS, too_slow

LOOK_SECONDS = 1.0
"""How often those who wait are looked after."""

HANDFUL = 64
"""So many submissions are handed over at once, whether more are on their way or not."""

Waiting = asyncio.Future[Receipt]


class LoopInbox:
    """Futures of the running event loop; see `audit.outcome.Inbox`. Whoever has waited for `patience_seconds` gets
    StorageUnavailable, at most `look_seconds` later: a caller is answered even where a database has stopped in the
    middle of a sentence."""

    def __init__(self, patience_seconds: float = PATIENCE_SECONDS, look_seconds: float = LOOK_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._look_seconds = look_seconds
        self._made: list[Waiting] = []
        self._waiting: deque[tuple[list[Waiting], float]] = deque()
        self._watched = False
        self._held: list[Any] = []

    def future(self) -> Waiting:
        """A future of the running event loop."""
        loop = asyncio.get_running_loop()
        future: Waiting = loop.create_future()
        self._made.append(future)
        if len(self._made) == 1:
            loop.call_soon(self._watch, loop)
        return future

    def hand_over(self, submission: Any, take: Take) -> None:
        """Hold the submission for as long as each turn of the event loop brings another one, or until they are
        `HANDFUL`, so that the requests that have arrived go into one transaction."""
        self._held.append(submission)
        if len(self._held) == 1:
            asyncio.get_running_loop().call_soon(self._turn, take, 0)

    def _turn(self, take: Take, before: int) -> None:
        count = len(self._held)
        if before < count < HANDFUL:
            asyncio.get_running_loop().call_soon(self._turn, take, count)
        else:
            held, self._held = self._held, []
            take(held)

    def begin(self, future: Waiting) -> bool:
        """Whether the request still waits."""
        return not future.cancelled()

    def deliver(self, settled: Sequence[tuple[Waiting, Outcome]]) -> None:
        """Set the futures in the event loop's own thread; a loop that has ended has nobody who waits."""
        loop = settled[0][0].get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, settled)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        made, self._made = self._made, []
        self._waiting.append((made, loop.time() + self._patience_seconds))
        if not self._watched:
            self._watched = True
            loop.call_later(self._look_seconds, self._look_after, loop)

    def _look_after(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._waiting and (self._waiting[0][1] <= now or all(future.done() for future in self._waiting[0][0])):
            made, _ = self._waiting.popleft()
            for future in made:
                if not future.done():
                    future.set_exception(too_slow())
        self._watched = bool(self._waiting)
        if self._watched:
            loop.call_later(self._look_seconds, self._look_after, loop)


def _settle(settled: Sequence[tuple[Waiting, Outcome]]) -> None:
    for future, outcome in settled:
        if future.done():
            continue  # whoever waited has given up; the record stands
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
