"""Scores: inserted with their place in the log, found by id, listed in the order of the log.

Nothing here changes a score; a later score supersedes it, a retraction marks it, and an erasure deletes it.

Whatever refers to another score locks that score before the head of the log is locked, several in the order of their
ids. So an erasure and those who build on what it erases wait for each other in one order, and none of them forever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, delete, select, true, tuple_

from service.audit.entry import timestamp
from service.errors import NotFound, ScoreSuperseded

from .bulk import insert_many
from .engine import Columns, ReadConnection, WriteConnection
from .retractions import RETRACTION, Retraction, read_retraction, with_retraction
from .tables import audit_log, score, score_log


class ScoreRow(NamedTuple):
    """One score as it is stored: a field for each column of the table, in its order.

    `request` and `answer` are the bytes that the log entry commits to with `salt` (32 bytes); every other field can be
    recomputed from them. `value` and `category` are None where the status is `not_reportable`. `created_at` is
    `audit.entry.timestamp` of the time of scoring.
    """

    score_id: str
    subject_id: str
    specimen_id: str
    model_name: str
    model_version: str
    model_digest: str
    status: str
    value: float | None
    category: str | None
    created_at: str
    actor: str
    supersedes: str | None
    request: bytes
    answer: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class StoredScore:
    """A score, its place in the log named `origin`, that log's checkpoint of now, and what became of it since: the id
    of the score that superseded it, and its retraction."""

    row: ScoreRow
    log_id: int
    seq: int
    origin: str
    checkpoint: str | None
    superseded_by: str | None
    retracted: Retraction | None


@dataclass(frozen=True, slots=True)
class ListedScore:
    """What a list shows of a score, and its place in the log; no subject and no specimen."""

    score_id: str
    status: str
    model_name: str
    model_version: str
    model_digest: str
    value: float | None
    category: str | None
    created_at: str
    superseded_by: str | None
    log_id: int
    seq: int
    retracted: Retraction | None


COLUMNS = tuple(score.c[name] for name in ScoreRow._fields)
WIDTH = len(COLUMNS)
LATER = score.alias("later")
PLACE = (score_log.c.log_id, score_log.c.seq)


def insert_scores(connection: WriteConnection, rows: Sequence[ScoreRow]) -> None:
    """Insert scores. Raises NotFound where what one of them supersedes does not exist, or no longer, and
    ScoreSuperseded where another score has superseded it."""
    insert_many(connection, score, [row for row in rows if row.supersedes is None])
    amended = {row.supersedes: row for row in rows if row.supersedes is not None}
    for score_id in sorted(amended):
        if not lock_scores(connection, [score_id]):
            raise unknown_score()
        _insert_amendment(connection, amended[score_id])
    if len(amended) < sum(row.supersedes is not None for row in rows):
        raise superseded()


def take_back(connection: WriteConnection, score_ids: Sequence[str]) -> None:
    """Delete scores that this transaction inserted."""
    if score_ids:
        connection.execute(delete(score).where(score.c.score_id.in_(score_ids)))


def lock_scores(connection: WriteConnection, score_ids: Sequence[str]) -> set[str]:
    """Keep scores from being erased until the transaction ends; the ids of those that exist. On PostgreSQL this waits
    for an erasure that is under way."""
    statement = (
        select(score.c.score_id)
        .where(score.c.score_id.in_(sorted(score_ids)))
        .order_by(score.c.score_id)
        .with_for_update(read=True, key_share=True)
    )
    return set(connection.select(statement).scalars())


def find_superseded(connection: ReadConnection, score_ids: Sequence[str]) -> set[str]:
    """Those of the scores that another score has superseded."""
    statement = select(score.c.supersedes).where(score.c.supersedes.in_(sorted(score_ids)))
    return set(connection.select(statement).scalars())


def unknown_score() -> NotFound:
    """What is raised for a score that is not there, be it because it was erased."""
    return NotFound("No score has this id.", "List the scores with GET /v1/scores.")


def superseded() -> ScoreSuperseded:
    """What is raised for a score that is not the newest of its chain any more."""
    return ScoreSuperseded(
        "Another score has superseded this one.", "Name the newest score of the chain; superseded_by leads to it."
    )


def _insert_amendment(connection: WriteConnection, row: ScoreRow) -> None:
    statement = (
        connection.insert(score)
        .values(row)
        .on_conflict_do_nothing(index_elements=[score.c.supersedes])
        .returning(score.c.score_id)
    )
    if connection.execute(statement).one_or_none() is None:
        raise superseded()


def link_scores(connection: WriteConnection, places: Sequence[tuple[str, int, int]]) -> None:
    """Record by score id which entry (log_id, seq) of the log is about it."""
    insert_many(connection, score_log, places)


def find_score(connection: ReadConnection, score_id: str) -> StoredScore | None:
    """One score by its id."""
    statement = (
        _in_log_order(*COLUMNS, *RETRACTION, *PLACE, audit_log.c.origin, audit_log.c.note, LATER.c.score_id)
        .join(audit_log, audit_log.c.log_id == score_log.c.log_id)
        .where(score.c.score_id == score_id)
    )
    found = connection.select(statement).one_or_none()
    if found is None:
        return None
    row, retraction, place = found[:WIDTH], found[WIDTH:-5], found[-5:]
    return StoredScore(ScoreRow(*row), *(*place, read_retraction(score_id, *retraction)))


def list_scores(
    connection: ReadConnection,
    *,
    model_name: str | None = None,
    model_version: str | None = None,
    subject_id: str | None = None,
    specimen_id: str | None = None,
    since: datetime | None = None,
    after: tuple[int, int] | None = None,
    limit: int,
) -> tuple[ListedScore, ...]:
    """At most `limit` scores in the order of the log, those behind the place `after` (log_id, seq).

    What is given narrows the list; `since` includes scores made at that very time.
    """
    wanted = {
        score.c.model_name: model_name,
        score.c.model_version: model_version,
        score.c.subject_id: subject_id,
        score.c.specimen_id: specimen_id,
    }
    conditions: list[ColumnElement[bool]] = [column == value for column, value in wanted.items() if value is not None]
    if since is not None:
        conditions.append(score.c.created_at >= timestamp(since))
    if after is not None:
        conditions.append(tuple_(*PLACE) > tuple_(*after))
    shown = [score.c[field.name] for field in fields(ListedScore)[:8]]
    columns = _in_log_order(*RETRACTION, *shown, LATER.c.score_id, *PLACE)
    rows = connection.select(columns.where(and_(true(), *conditions)).limit(limit))
    return tuple(ListedScore(*(*row, read_retraction(row[0], seq, entry))) for seq, entry, *row in rows)


def _in_log_order(*columns: ColumnElement[Any]) -> Select[*Columns]:
    """Scores joined with their place and, where there is one, the score that superseded them and their retraction."""
    placed = (
        select(*columns)
        .join_from(score, score_log, score_log.c.score_id == score.c.score_id)
        .outerjoin(LATER, LATER.c.supersedes == score.c.score_id)
    )
    return with_retraction(placed).order_by(*PLACE)
