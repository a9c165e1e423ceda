"""How often a passphrase may be wrong, and how many passphrases are checked at once.

Rules (21 CFR 11.300(d) asks for safeguards against the unauthorised use of passwords):
1. After five wrong passphrases of one person within 15 minutes no further one is looked at, right or wrong, until the
   first of the five is 15 minutes old. A right one in time clears the account.
2. One passphrase is checked after the other: a check takes 32 MiB and a quarter of a second of a core, and five
   guesses that come at once must not be looked at before the first of them is counted.
3. Few may wait for their turn; the others are refused at once, so that signatures never take up all the threads that
   every other request needs.
4. Memory is bounded: of more persons than `CAPACITY` within a window, the one whose last attempt is longest ago is
   forgotten. At four checks a second nobody gets there.

Each process counts for itself, so with three replicas it may be three times as many; and a command counts only within
itself. Every wrong passphrase is an entry of the audit log, wherever it was tried.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from threading import BoundedSemaphore, Lock
from time import monotonic
from typing import Final

from service.errors import Overloaded, TooManyAttempts

LIMIT: Final = 5
WINDOW_SECONDS: Final = 900.0
CAPACITY: Final = 4096

AT_ONCE: Final = 3
"""Checks that run or wait for their turn; the pool of threads has six on two cores."""


class Attempts:
    """The wrong passphrases of the last quarter of an hour; `clock` counts seconds and never steps back."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._wrong: dict[str, deque[float]] = {}
        self._places = BoundedSemaphore(AT_ONCE)
        self._one = Lock()

    @contextmanager
    def turn(self, person_id: str) -> Iterator[None]:
        """Check one passphrase of a person inside the block, alone. Raises Overloaded where too many wait, and
        TooManyAttempts where the person had too many wrong ones."""
        if not self._places.acquire(blocking=False):
            raise Overloaded("Too many signatures are being checked.", "Sign again in a moment.")
        try:
            with self._one:
                self._require_few(person_id)
                yield
        finally:
            self._places.release()

    def failed(self, person_id: str) -> bool:
        """Count a wrong passphrase, within `turn`; True where it was the last one that is looked at."""
        if len(self._wrong) >= CAPACITY and person_id not in self._wrong:
            del self._wrong[next(iter(self._wrong))]
        # Taken out and put back, so that the first one is always who was longest without an attempt.
        times = self._wrong.pop(person_id, deque())
        times.append(self._clock())
        self._wrong[person_id] = times
        return len(times) >= LIMIT

    def succeeded(self, person_id: str) -> None:
        """Clear the account of a person, within `turn`."""
        self._wrong.pop(person_id, None)

    def _require_few(self, person_id: str) -> None:
        times = self._wrong.get(person_id)
        if times is None:
            return
        now = self._clock()
        while times and now - times[0] >= WINDOW_SECONDS:
            times.popleft()
        if not times:
            del self._wrong[person_id]
        if len(times) >= LIMIT:
            raise TooManyAttempts(
                "Too many wrong passphrases were presented for this person.",
                "Wait as long as the answer says; if it was not you, have the person revoked.",
                retry_after=ceil(times[0] + WINDOW_SECONDS - now),
            )
