"""Waiting on the event loop: whole batches, callers who gave up, databases that stay silent."""

import asyncio
from datetime import UTC, datetime

import pytest

from service.audit.outcome import Receipt
from service.errors import Conflict, StorageUnavailable
from service.workflows.inbox import LoopInbox

RECEIPT = Receipt(1, "exoscore/00", 1, datetime(2026, 3, 4, tzinfo=UTC), "note", 0)


def test_a_batch_is_delivered_from_another_thread_and_a_cancelled_caller_harms_nobody() -> None:
    async def run() -> list[object]:
        inbox = LoopInbox()
        stored, refused, gone = [inbox.future() for _ in range(3)]
        assert all(inbox.begin(future) for future in (stored, refused, gone))
        gone.cancel()
        assert not inbox.begin(gone)
        await asyncio.to_thread(inbox.deliver, [(stored, RECEIPT), (gone, RECEIPT), (refused, Conflict("taken"))])
        return list(await asyncio.gather(stored, refused, gone, return_exceptions=True))

    stored, refused, gone = asyncio.run(run())
    assert stored == RECEIPT
    assert isinstance(refused, Conflict)
    assert isinstance(gone, asyncio.CancelledError)


def test_a_caller_is_answered_although_the_database_is_silent() -> None:
    async def run() -> None:
        inbox = LoopInbox(patience_seconds=0.1, look_seconds=0.05)
        settled, silent = inbox.future(), inbox.future()
        inbox.deliver([(settled, RECEIPT)])
        with pytest.raises(StorageUnavailable):
            await silent
        assert settled.result() == RECEIPT
        await asyncio.sleep(0.2)
        again = inbox.future()
        with pytest.raises(StorageUnavailable):
            await again

    asyncio.run(run())


def test_a_loop_that_has_ended_is_not_called() -> None:
    inbox = LoopInbox()

    async def make() -> asyncio.Future[Receipt]:
        return inbox.future()

    future = asyncio.run(make())
    inbox.deliver([(future, RECEIPT)])
    assert not future.done()
