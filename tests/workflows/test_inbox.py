"""Waiting on the event loop: whole batches, callers who gave up, databases that stay silent."""

import asyncio
from datetime import UTC, datetime

import pytest

from service.audit.outcome import Receipt
from service.errors import Conflict, StorageUnavailable
from service.workflows.inbox import HANDFUL, LoopInbox

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


def test_what_arrives_in_one_go_is_handed_over_in_one_go() -> None:
    async def request(inbox: LoopInbox, number: int, taken: list[list[int]]) -> None:
        for _ in range(number):  # the later ones arrive some turns of the loop later
            await asyncio.sleep(0)
        inbox.hand_over(number, taken.append)

    async def run(count: int) -> list[list[int]]:
        inbox, taken = LoopInbox(), list[list[int]]()
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(request(inbox, number, taken))
        await asyncio.sleep(0.01)
        inbox.hand_over(count, taken.append)
        await asyncio.sleep(0.01)
        return taken

    assert asyncio.run(run(20)) == [list(range(20)), [20]]
    many = asyncio.run(run(HANDFUL + 10))
    assert [number for handed in many for number in handed] == list(range(HANDFUL + 11))
    assert len(many[0]) == HANDFUL


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
