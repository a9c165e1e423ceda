"""Retract a score: it was entered in error, and no other takes its place. It stays readable, and says so.

Only the newest score of a chain can be retracted, and once. As with amendments this is asked before, for the caller,
and again under the lock on the head of the log, for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.audit.entry import Entry, Prior, timestamp
from service.audit.log import Place
from service.audit.outcome import Receipt
from service.store import scores
from service.store.audit_log import SqlTransaction
from service.store.retractions import Retraction, insert_retractions
from service.workflows.amend_score import require_head_of_chain
from service.workflows.key_cache import Caller
from service.workflows.patience import in_thread
from service.workflows.read_scores import get_score
from service.workflows.recording import record_as
from service.workflows.services import Services


@dataclass(frozen=True, slots=True)
class Retracted:
    """A durable retraction and its receipt."""

    score_id: str
    retraction: Retraction
    receipt: Receipt


async def retract_score(services: Services, caller: Caller, score_id: str, reason: str) -> Retracted:
    """Retract a score; returns after COMMIT. Raises NotFound, ScoreSuperseded, ScoreRetracted or SystemFault."""
    prior = await in_thread(_find_prior, services, score_id)
    entry = Entry(
        "score.retracted", services.clock(), caller.actor, services.site, record=score_id, prior=prior, reason=reason
    )
    receipt = await record_as(services, caller, RETRACT_SCORES, score_id, entry)
    return Retracted(score_id, Retraction(reason, timestamp(receipt.recorded_at), receipt.index), receipt)


def _find_prior(services: Services, score_id: str) -> Prior:
    stored = get_score(services, score_id)
    require_head_of_chain(stored)
    return Prior(stored.origin, stored.seq)


class RetractScores:
    """Writes retractions, by the ids of the scores."""

    changes_registry = False
    alone = True

    def insert(self, transaction: SqlTransaction, rows: Sequence[str]) -> Sequence[Exception | None]:
        """Keep the scores from being erased meanwhile; one that is gone refuses its retraction."""
        found = scores.lock_scores(transaction.connection, rows)
        return [None if score_id in found else scores.unknown_score() for score_id in rows]

    def link(self, transaction: SqlTransaction, rows: Sequence[str], places: Sequence[Place]) -> None:
        """Record which entries retract these scores; raises ScoreSuperseded or ScoreRetracted for one that comes too
        late."""
        if scores.find_superseded(transaction.connection, rows):
            raise scores.superseded()
        placed = [(score_id, place.log_id, place.seq) for score_id, place in zip(rows, places, strict=True)]
        insert_retractions(transaction.connection, placed)


RETRACT_SCORES = RetractScores()
