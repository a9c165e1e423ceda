"""Erase a subject: every score, salt, place and retraction, and the body hashes of its idempotency keys.

The log keeps its entries, and without the salts nobody can tell what they commit to. What was erased stands in entries
of its own, as ranges of indices: one entry for at most `CHUNK` scores of one log, written in the transaction that
deletes them. So a row that is missing without such an entry was not erased, and a row that is there in spite of one was
put back.

It goes on until nothing is left, and every transaction looks again, under the lock on the head of the log, whether a
score has come that it does not know of. A score that is recorded after the last of them is a new one.

Then the database is asked to let go of the bytes themselves (`Database.scrub`). Where somebody still reads the old
state it cannot; the erasure stands all the same, the answer says `purged: false`, and a server tries again every hour.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from service.audit.entry import Entry
from service.audit.log import Place
from service.audit.outcome import Receipt
from service.domain.score_life import Erasure
from service.errors import Conflict, NotFound, StorageUnavailable
from service.store import erasure as store
from service.store.audit_log import SqlTransaction
from service.store.erasure import PlacedScore
from service.telemetry import log_event
from service.workflows.gaps import Gaps
from service.workflows.key_cache import Caller
from service.workflows.patience import in_thread
from service.workflows.recording import record_as
from service.workflows.services import Services

CHUNK = 2000
"""Scores that one entry lists at most: as many ranges fit into it, whatever their numbers."""

ATTEMPTS = 20
"""How often an erasure starts afresh because scores of its subject keep coming and going."""


class SubjectChanged(Conflict):
    """Scores of the subject were stored or erased while it was being erased; what was erased before stays erased."""

    code = "subject_changed"
    title = "Scores of the subject keep changing"


@dataclass(frozen=True, slots=True)
class Erased:
    """A durable erasure: how many scores, the receipt of its last entry, and whether the bytes are gone as well."""

    count: int
    receipt: Receipt
    purged: bool


async def erase_subject(
    services: Services, erasure: Erasure, *, actor: str, caller: Caller | None = None, chunk: int = CHUNK
) -> Erased:
    """Erase all scores of a subject; returns after the last COMMIT. `caller` is whose key has to be in force still.

    Raises NotFound where nothing is stored about the subject, SubjectChanged, or SystemFault; each transaction is an
    erasure of its own, so what was erased until then stays erased, and is recorded.
    """
    count, receipt, attempts = 0, None, 0
    while stored := await in_thread(_list, services, erasure.subject):
        part = _newest(stored, chunk)
        try:
            receipt = await _erase(services, erasure, part, len(stored), actor, caller)
        except SubjectChanged:
            attempts += 1
            if attempts == ATTEMPTS:
                raise
        else:
            count += len(part)
    if receipt is None:
        raise NotFound("Nothing is stored about this subject.", "Send the identifier exactly as the scores have it.")
    # As long as it takes: the erasure is recorded, and a caller who was sent away would not learn of it.
    return Erased(count, receipt, await asyncio.to_thread(scrub, services))


async def scrub_regularly(services: Services, every_seconds: float) -> None:
    """Finish on SQLite, now and then until cancelled, what an erasure had to leave, because somebody was reading or the
    process ended at the wrong moment. PostgreSQL vacuums by itself."""
    while services.database.embedded:
        await asyncio.to_thread(scrub, services)
        await asyncio.sleep(every_seconds)


def scrub(services: Services) -> bool:
    """Whether the database has let go of what is deleted."""
    try:
        purged = services.database.scrub(store.EMPTIED)
    except StorageUnavailable:
        purged = False
    if not purged:
        log_event("scrub_incomplete", level=logging.WARNING)
    return purged


async def _erase(
    services: Services, erasure: Erasure, part: Sequence[PlacedScore], total: int, actor: str, caller: Caller | None
) -> Receipt:
    erased = Gaps()
    for one in part:
        erased.add(one.seq, one.seq)
    entry = Entry(
        "subject.erased",
        services.clock(),
        actor,
        services.site,
        reason=erasure.reason,
        detail={"origin": part[0].origin, "ranges": erased.ranges()},
    )
    rows = _Rows(erasure.subject, tuple(one.score_id for one in part), total)
    if caller is None:
        return await services.record(ERASE_SUBJECT, rows, entry)
    return await record_as(services, caller, ERASE_SUBJECT, rows, entry)


def _list(services: Services, subject: str) -> tuple[PlacedScore, ...]:
    with services.database.read() as connection:
        return store.list_subject(connection, subject)


def _newest(stored: Sequence[PlacedScore], chunk: int) -> list[PlacedScore]:
    """The newest scores, as many as one entry may list: those of one log alone."""
    return [one for one in stored[:chunk] if one.log_id == stored[0].log_id]


@dataclass(frozen=True, slots=True)
class _Rows:
    """What one transaction erases: these scores, of the `total` that the subject has."""

    subject: str
    score_ids: tuple[str, ...]
    total: int


class EraseSubject:
    """Deletes scores of subjects."""

    changes_registry = False
    alone = True

    def insert(self, transaction: SqlTransaction, rows: Sequence[_Rows]) -> Sequence[Exception | None]:
        """Lock what will be deleted, before the head is locked; raises SubjectChanged where some of it is gone."""
        for one in rows:
            store.forget_bodies(transaction.connection, one.score_ids)
            if store.lock_for_erasure(transaction.connection, one.score_ids) != len(one.score_ids):
                raise _changed()
        return [None] * len(rows)

    def link(self, transaction: SqlTransaction, rows: Sequence[_Rows], places: Sequence[Place]) -> None:  # noqa: ARG002
        """Delete; raises SubjectChanged where the subject has other scores than are known."""
        for one in rows:
            if store.count_subject(transaction.connection, one.subject) != one.total:
                raise _changed()
            store.delete_scores(transaction.connection, one.score_ids)


ERASE_SUBJECT = EraseSubject()


def _changed() -> SubjectChanged:
    return SubjectChanged(
        "Scores of this subject are being stored or erased at the moment.",
        "Send the erasure again; if it persists, have the audit log verified.",
    )
