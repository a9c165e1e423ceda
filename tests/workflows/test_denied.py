"""Denied access: counted in bounded memory, recorded as one entry for each reason and key, never lost to a fault."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import text

from service.audit.entry import Entry
from service.errors import NotFound, ScopeMissing, ServiceError, SignatureRefused, Unauthenticated
from service.workflows.denied import CAPACITY, DeniedAccess, record_denied
from service.workflows.services import Services


def noted(*requests: tuple[type[ServiceError], str | None]) -> DeniedAccess:
    denied = DeniedAccess()
    for error, key_id in requests:
        denied.note(error("It was denied."), key_id)
    return denied


def recorded(services: Services) -> list[tuple[str | None, str | None, object]]:
    with services.database.read() as connection:
        rows = connection.sqlalchemy.execute(text("SELECT entry FROM audit_entry ORDER BY seq"))
        entries = [Entry.parse(entry) for (entry,) in rows]
    return [(one.reason, one.record, one.detail) for one in entries if one.kind == "access.denied"]


def test_there_is_one_entry_for_each_reason_and_key(services: Services) -> None:
    denied = noted(
        (Unauthenticated, None), (ScopeMissing, "k1"), (Unauthenticated, "k1"), (ScopeMissing, "k2"),
        (NotFound, "k1"), (SignatureRefused, "k1"), (ScopeMissing, "k1"),
    )  # fmt: skip
    asyncio.run(denied.flush(services))
    expected = [
        ("scope_missing", "k1", {"count": 2}),
        ("scope_missing", "k2", {"count": 1}),
        ("unauthenticated", None, {"count": 2}),
    ]
    assert sorted(recorded(services), key=str) == sorted(expected, key=str)
    asyncio.run(denied.flush(services))
    assert len(recorded(services)) == 3


def test_memory_is_bounded(services: Services) -> None:
    denied = noted(*((ScopeMissing, f"k{number}") for number in range(CAPACITY + 7)), (ScopeMissing, "k0"))
    asyncio.run(denied.flush(services))
    found = recorded(services)
    assert len(found) == CAPACITY + 1
    assert ("scope_missing", None, {"count": 7}) in found
    assert ("scope_missing", "k0", {"count": 2}) in found


def test_what_cannot_be_recorded_stays_counted(
    services: Services, database_url: str, break_commit: Callable[[str], None], mend_commit: Callable[[str], None]
) -> None:
    denied = noted((Unauthenticated, None), (ScopeMissing, "k1"))
    break_commit(database_url)
    asyncio.run(denied.flush(services))
    denied.note(Unauthenticated("It was denied."), None)
    assert recorded(services) == []
    mend_commit(database_url)
    asyncio.run(denied.flush(services))
    assert sorted(recorded(services), key=str) == [
        ("scope_missing", "k1", {"count": 1}),
        ("unauthenticated", None, {"count": 2}),
    ]


@pytest.mark.parametrize("every_seconds", [0.01, 60.0], ids=["in time", "at the end"])
def test_it_is_recorded_now_and_then_and_at_the_end(services: Services, every_seconds: float) -> None:
    async def run() -> None:
        denied, stopping = noted((Unauthenticated, None)), asyncio.Event()
        task = asyncio.create_task(record_denied(services, denied, every_seconds, stopping))
        while every_seconds < 1 and not recorded(services):
            await asyncio.sleep(0.01)
        stopping.set()
        await task

    asyncio.run(run())
    assert recorded(services) == [("unauthenticated", None, {"count": 1})]
