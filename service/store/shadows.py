"""What shadows scored, kept beside the record: no entry commits to it, and no answer shows it.

The rules:

1. A row is inserted only while its score is kept from being erased, scores locked in the order of their ids, which is
   the order of everybody else (`scores.py`): an erasure either deletes the row, or the row is left out. Nobody waits
   for anybody in a circle, because nothing else is locked here.
2. A row that is there already stays as it is.
3. A summary is made by the database; of the rows themselves none is read into memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import func, select

from .bulk import insert_unless
from .engine import ReadConnection, WriteConnection
from .scores import lock_scores
from .tables import model_alias, model_version, score, shadow_score

ONCE = "ON CONFLICT (score_id, model_digest) DO NOTHING"


class ShadowRow(NamedTuple):
    """What one shadow made of the input of one score: a field for each column of the table, in its order.

    `status` is `final`, `indeterminate` or `not_reportable` as in an answer, `refused` where the shadow's panel does
    not accept the input, and `failed` where no result came of it. `value` is None but for the first two.
    """

    score_id: str
    model_digest: str
    model_name: str
    model_version: str
    status: str
    value: float | None
    category: str | None
    recorded_at: str


@dataclass(frozen=True, slots=True)
class ShadowGroup:
    """All comparisons that have these versions, statuses and categories in common.

    `production` is the version that answered. `n` comparisons, `compared` of them with two values; over these, with
    difference = shadow - answered: the sums of differences and of absolute ones, and the largest absolute one, 0 where
    there are none. `first` and `last` are times of scoring.
    """

    production: str
    shadow: str
    status: str
    category: str | None
    shadow_status: str
    shadow_category: str | None
    n: int
    compared: int
    sum_difference: float
    sum_abs_difference: float
    max_abs_difference: float
    first: str
    last: str


class ModelStanding(NamedTuple):
    """Whether a model is registered, and which version is its shadow."""

    known: bool
    shadow: str | None


def insert_shadow_scores(connection: WriteConnection, rows: Sequence[ShadowRow]) -> int:
    """Insert rows; how many of them, fewer where scores were erased meanwhile or have a row of the shadow already."""
    kept = lock_scores(connection, [row.score_id for row in rows])
    wanted = sorted((row for row in rows if row.score_id in kept), key=lambda row: row.score_id)
    return insert_unless(connection, shadow_score, wanted, ONCE)() if wanted else 0


def list_groups(connection: ReadConnection, model_name: str) -> tuple[ShadowGroup, ...]:
    """Everything that shadows of a model scored, grouped; a handful of groups for each pair of versions. Superseded and
    retracted scores count like all others: what is compared is what two versions make of one input."""
    shared = (
        score.c.model_version,
        shadow_score.c.model_version,
        score.c.status,
        score.c.category,
        shadow_score.c.status,
        shadow_score.c.category,
    )
    difference = shadow_score.c.value - score.c.value
    statement = (
        select(
            *shared,
            func.count(),
            func.count(difference),
            func.coalesce(func.sum(difference), 0.0),
            func.coalesce(func.sum(func.abs(difference)), 0.0),
            func.coalesce(func.max(func.abs(difference)), 0.0),
            func.min(score.c.created_at),
            func.max(score.c.created_at),
        )
        .join_from(shadow_score, score, score.c.score_id == shadow_score.c.score_id)
        .where(shadow_score.c.model_name == model_name)
        .group_by(*shared)
    )
    return tuple(ShadowGroup(*row) for row in connection.select(statement))


def find_standing(connection: ReadConnection, model_name: str) -> ModelStanding:
    """What the registry says of a model."""
    known = select(model_version.c.name).where(model_version.c.name == model_name).limit(1)
    shadow = select(model_alias.c.version).where(model_alias.c.name == model_name, model_alias.c.alias == "shadow")
    return ModelStanding(
        connection.select(known).one_or_none() is not None, connection.select(shadow).scalar_one_or_none()
    )
