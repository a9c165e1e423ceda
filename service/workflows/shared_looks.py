"""Look-ups that many ask for at the same time, made once for all of them.

When something that many rest on changes, all of them look it up again; sixteen of them at once would take each other's
time. Touched only from the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Generic, TypeVar

T = TypeVar("T")


class SharedLooks(Generic[T]):
    """Look-ups under way, by what is looked up."""

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Future[T]] = {}

    async def find(self, key: Hashable, look: Callable[[], Awaitable[T]]) -> T:
        """The outcome of the look-up of `key` that is under way, or else of `look`; raises what that raises. The key
        has to say how fresh an outcome must be. A caller that is cancelled harms no other."""
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.ensure_future(look())
            running.add_done_callback(partial(self._ended, key))
        return await asyncio.shield(running)

    def _ended(self, key: Hashable, done: asyncio.Future[T]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # everybody who wanted to know it may have gone
