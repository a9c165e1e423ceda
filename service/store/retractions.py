"""Retractions: which entry of the log retracted a score. Reason and time stand in that entry and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, and_, select

from service.audit.entry import Entry, timestamp
from service.errors import RecordDamaged, ScoreRetracted

from .bulk import insert_many
from .engine import Columns, ReadConnection, WriteConnection
from .tables import audit_entry, score, score_retraction


@dataclass(frozen=True, slots=True)
class Retraction:
    """Why and when (`audit.entry.timestamp`) a score was retracted, and at which index of the log."""

    reason: str
    at: str
    index: int


ENTRY = audit_entry.alias("retraction_entry")
RETRACTION = (score_retraction.c.seq, ENTRY.c.entry)
"""What `read_retraction` reads, in a statement of `with_retraction`."""


def with_retraction(statement: Select[*Columns]) -> Select[*Columns]:
    """A statement about scores, joined with the entry of each one's retraction where there is one."""
    same = and_(ENTRY.c.log_id == score_retraction.c.log_id, ENTRY.c.seq == score_retraction.c.seq)
    return statement.outerjoin(score_retraction, score_retraction.c.score_id == score.c.score_id).outerjoin(ENTRY, same)


def read_retraction(score_id: str, seq: int | None, entry: bytes | None) -> Retraction | None:
    """The retraction of a score, None where there is none; raises RecordDamaged where its entry is about something
    else."""
    if seq is None:
        return None
    try:
        recorded = Entry.parse(entry or b"")
    except ValueError:
        recorded = None
    if recorded is None or (recorded.kind, recorded.record) != ("score.retracted", score_id) or not recorded.reason:
        raise RecordDamaged("A stored retraction is not the one that was recorded.", "Have the audit log verified.")
    return Retraction(recorded.reason, timestamp(recorded.at), seq)


def find_retracted(connection: ReadConnection, score_ids: Sequence[str]) -> set[str]:
    """Those of the scores that are retracted."""
    statement = select(score_retraction.c.score_id).where(score_retraction.c.score_id.in_(score_ids))
    return set(connection.select(statement).scalars())


def insert_retractions(connection: WriteConnection, places: Sequence[tuple[str, int, int]]) -> None:
    """Record by score id which entry (log_id, seq) retracted it; raises ScoreRetracted where another one has."""
    if find_retracted(connection, [score_id for score_id, _, _ in places]):
        raise retracted()
    insert_many(connection, score_retraction, places)


def retracted() -> ScoreRetracted:
    """What is raised for a score that is retracted already."""
    return ScoreRetracted("The score was retracted.", "Submit a new score; a retracted one is not continued.")
