"""Erase everything that is stored about a subject; what stays are the entries of the log, which hold nothing about it.

The rules:

1. The rows are locked before the head of the log is, idempotency keys first and then scores, each in the order of their
   ids: in this order everybody locks them.
2. The newest scores go first, so that what supersedes a score is never left without it.
3. Whoever deletes marks the database, so that `Database.scrub` knows that there is something to let go of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update

from .engine import ReadConnection, WriteConnection
from .tables import audit_log, idempotency, score, score_log, score_retraction, shadow_score

EMPTIED = (score, score_log, score_retraction, shadow_score, idempotency)
"""The tables from which an erasure takes something."""


@dataclass(frozen=True, slots=True)
class PlacedScore:
    """A score by its id and its place: entry `seq` of the log `log_id`, which is named `origin`."""

    score_id: str
    log_id: int
    seq: int
    origin: str


def list_subject(connection: ReadConnection, subject_id: str) -> tuple[PlacedScore, ...]:
    """All scores of a subject, newest first."""
    place = (score_log.c.log_id, score_log.c.seq)
    statement = (
        select(score.c.score_id, *place, audit_log.c.origin)
        .join_from(score, score_log, score_log.c.score_id == score.c.score_id)
        .join(audit_log, audit_log.c.log_id == score_log.c.log_id)
        .where(score.c.subject_id == subject_id)
        .order_by(*(column.desc() for column in place))
    )
    return tuple(PlacedScore(*row) for row in connection.select(statement))


def count_subject(connection: ReadConnection, subject_id: str) -> int:
    """How many scores of a subject there are, those of this transaction included."""
    statement = select(func.count()).select_from(score).where(score.c.subject_id == subject_id)
    count: int = connection.select(statement).scalar_one()
    return count


def forget_bodies(connection: WriteConnection, score_ids: Sequence[str]) -> None:
    """Take the hashes of the bodies from the idempotency keys of scores; the keys stay until they expire."""
    wanted = idempotency.c.score_id.in_(score_ids)
    locked = select(idempotency.c.key_hmac).where(wanted).order_by(idempotency.c.key_hmac).with_for_update()
    connection.select(locked).all()
    connection.execute(update(idempotency).where(wanted).values(body_hmac=None))


def lock_for_erasure(connection: WriteConnection, score_ids: Sequence[str]) -> int:
    """Keep everybody else from building on scores until the transaction ends; how many of them exist. On PostgreSQL
    this waits for those who do so already."""
    statement = select(score.c.score_id).where(score.c.score_id.in_(score_ids)).order_by(score.c.score_id)
    return len(connection.select(statement.with_for_update()).all())


def delete_scores(connection: WriteConnection, score_ids: Sequence[str]) -> None:
    """Delete scores with their salts, places, retractions, and what shadows made of their inputs.

    Nobody can add to the latter meanwhile, because that needs a lock on the score (`shadows.py`)."""
    for table in (shadow_score, score_retraction, score_log, score):
        connection.execute(delete(table).where(table.c.score_id.in_(score_ids)))
    connection.mark_for_scrub()
