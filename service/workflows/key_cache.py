"""Callers that were authenticated a moment ago, so that a score does not wait for a look-up of its key.

Rules:
1. A cached caller may be used only where the outcome is checked again under the head lock: it carries the registry
   generation that was read before its key, in the same transaction, and a revocation raises the generation. Whatever
   is not written under that lock reads the database.
2. A caller is used for two seconds, counted from before the database was asked. From one second on, one request asks
   again and the others go on meanwhile, so that no crowd of look-ups comes when the two seconds are over. So a revoked
   key's refused requests, too, are answered 401 within two seconds.
3. Only valid keys are kept: a guess costs a look-up every time, and cannot push anybody out.
4. A newer generation empties the cache, and what was read before it is not taken in any more.
5. Touched only from the event loop.

A presented key is found by its hash in memory, which is salted anew in every process; what a look-up takes says nothing
about how much of a guess was right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from service.errors import ScopeMissing

CAPACITY = 1024
MAX_AGE_SECONDS = 2.0
RENEW_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking: the key's id, its scopes, the registry generation under which the key was in force, and the person
    whose key it is; None for the key of a machine, which signs nothing."""

    key_id: str
    scopes: frozenset[str]
    generation: int
    person_id: str | None = None

    @property
    def actor(self) -> str:
        """The actor of audit entries."""
        return f"key:{self.key_id}"

    def require(self, scope: str) -> None:
        """Raise ScopeMissing unless the key has `scope`; `admin` is a scope of its own and implies no other."""
        if scope not in self.scopes:
            raise ScopeMissing(f"The API key lacks the scope {scope}.", "Use a key with that scope.")


@dataclass(slots=True)
class _Known:
    caller: Caller
    asked_at: float
    renew_after: float = RENEW_SECONDS


class KeyCache:
    """The callers of the last two seconds by their presented keys; `clock` counts seconds and never steps back."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self._known: dict[str, _Known] = {}
        self._generation = -1

    def find(self, presented: str) -> Caller | None:
        """The caller behind a key, or None where the database has to be asked (by this request alone)."""
        known = self._known.get(presented)
        if known is None:
            return None
        if self.clock() - known.asked_at < known.renew_after:
            return known.caller
        known.renew_after = MAX_AGE_SECONDS
        return None

    def remember(self, presented: str, caller: Caller, asked_at: float) -> None:
        """Keep a caller that the database confirmed; `asked_at` is the clock before it was asked."""
        self.saw(caller.generation)
        if caller.generation < self._generation:
            return
        if len(self._known) >= CAPACITY and presented not in self._known:
            self._known.clear()
        self._known[presented] = _Known(caller, asked_at)

    def saw(self, generation: int) -> None:
        """Note the registry generation; a newer one empties the cache."""
        if generation > self._generation:
            self._generation = generation
            self._known.clear()

    def drop(self, presented: str) -> None:
        """Forget one key, because the database refused it."""
        self._known.pop(presented, None)

    def forget(self) -> None:
        """Empty the cache: the database is asked again for every key."""
        self._known.clear()
