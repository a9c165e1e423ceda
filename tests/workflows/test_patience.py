"""Asking the database in a thread: what it gives, how long that may take, and that whoever is told to stop does."""

from __future__ import annotations

import asyncio
import time
from threading import Event

import pytest

from service.errors import Conflict, StorageUnavailable
from service.workflows.patience import in_thread, too_slow


def test_it_gives_what_the_function_gives_or_raises() -> None:
    def refuse() -> None:
        raise Conflict("It cannot be.", "Let it be.")

    assert asyncio.run(in_thread(divmod, 7, 3)) == (2, 1)
    with pytest.raises(Conflict):
        asyncio.run(in_thread(refuse))
    assert isinstance(too_slow(), StorageUnavailable)


@pytest.mark.parametrize("ticks", range(8))
def test_a_cancellation_is_never_lost(ticks: int) -> None:
    async def main() -> None:
        done = Event()
        task = asyncio.create_task(in_thread(done.set))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert done.wait(10)
        time.sleep(0.02)  # the thread has its result; the loop has not heard of it yet
        for _ in range(ticks):
            await asyncio.sleep(0)
        if task.cancel():
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
