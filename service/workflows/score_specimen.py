"""Score one specimen: check, score, store with the audit entry, and only then answer.

The order is the promise. The answer's bytes exist before the transaction, the transaction commits before this returns,
and a failure anywhere on the way leaves nothing behind. `preview` runs the same numbers and stores nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from service.audit.entry import Entry, commitment, timestamp
from service.audit.log import Place
from service.domain.answer import ModelIdentity, encode_answer, stored_answer
from service.domain.panel import Panel
from service.domain.quality import Quality, Verdict, assess
from service.domain.score import Interval, Score, find_category
from service.domain.specimen import parse
from service.domain.submission import Submission
from service.errors import (
    InputRejected,
    ModelNotFound,
    NoActiveModel,
    RegistryChanged,
    VersionLoading,
    VersionNotInForce,
)
from service.registry.active import ActiveModels, ModelVersion
from service.registry.estimator_scorer import EstimatorScorer
from service.registry.interval import LEVEL
from service.registry.scorer import ScoredRow
from service.store import idempotency as idempotency_store
from service.store import scores
from service.store.audit_log import SqlTransaction
from service.store.engine import WriteConnection
from service.store.idempotency import ClaimRow
from service.store.retractions import Retraction
from service.store.scores import ScoreRow, StoredScore
from service.workflows.amend_score import find_prior, pointing_at_replaces, require_not_retracted
from service.workflows.idempotency import IdempotencyLost, Running, Ticket, stored_under
from service.workflows.key_cache import Caller
from service.workflows.keys import renew_together
from service.workflows.patience import in_thread
from service.workflows.premises import VersionAnswers
from service.workflows.services import Services, new_uuid7

LOST = "The idempotency key was taken by another request."

ATTEMPTS = 8
"""How often a request is scored again because the registry moved under it: a script that registers, approves and
promotes makes a few moves within a moment."""

LARGE_BODY_BYTES = 32 * 1024
"""Larger bodies are read in a thread: thousands of wrong names take long enough to hold everybody else up."""


class Scored(NamedTuple):
    """A scored (or withheld) submission that is not stored yet."""

    submission: Submission
    version: ModelVersion
    score: Score | None
    quality: Quality

    def answer(self, score_id: str | None, created_at: datetime) -> dict[str, Any]:
        """The answer's stored form."""
        return stored_answer(
            score_id=score_id,
            submission=self.submission,
            model=identify(self.version),
            score=self.score,
            quality=self.quality,
            created_at=timestamp(created_at),
        )


class Unscored(NamedTuple):
    """A submission that may be scored, by an estimator in a process of its own."""

    submission: Submission
    version: ModelVersion
    quality: Quality
    scorer: EstimatorScorer
    inputs: list[float]

    def now(self) -> Scored:
        """Score it; blocks. Raises EstimatorUnavailable or EstimatorFailed."""
        return self._with(self.scorer.score_one(self.inputs))

    async def soon(self) -> Scored:
        """Score it while the event loop does other things; raises likewise."""
        return self._with(await self.scorer.score_soon(self.inputs))

    def _with(self, row: ScoredRow) -> Scored:
        return Scored(self.submission, self.version, _score(self.version, row), self.quality)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A durable answer: its row's id, its stored bytes, its place in the log, and whether this call created it."""

    score_id: str
    answer: bytes
    index: int
    checkpoint: str | None
    created: bool
    superseded_by: str | None = None
    retracted: Retraction | None = None

    @classmethod
    def replay(cls, stored: StoredScore) -> Outcome:
        """The outcome of an earlier request with the same idempotency key."""
        return cls(
            stored.row.score_id,
            stored.row.answer,
            stored.seq,
            stored.checkpoint,
            created=False,
            superseded_by=stored.superseded_by,
            retracted=stored.retracted,
        )


async def score_specimen(services: Services, caller: Caller, body: bytes, idempotency_key: str | None) -> Outcome:
    """Check, score and store one request; returns after COMMIT. Raises InputRejected or SystemFault, nothing stored.

    Whether an idempotency key is known is not asked beforehand: the claim itself finds out, inside the transaction.
    Only a request that is refused is looked up, because it may have been accepted when it was first sent.
    """
    if idempotency_key is None:
        return await _score_and_store(services, caller, body, None)
    ticket = Ticket.issue(services.pepper, caller.key_id, "POST /v1/scores", idempotency_key, body)
    with Running(services.in_flight, ticket):
        try:
            return await _score_and_store(services, caller, body, ticket)
        except (InputRejected, NoActiveModel):
            earlier = await in_thread(stored_under, services, caller, ticket)
            if earlier is None:
                raise
            return Outcome.replay(earlier)


def preview(models: ActiveModels, body: bytes, now: datetime) -> dict[str, Any]:
    """The answer this request would get, from the same code, marked as a preview; nothing is stored."""
    scored = score_body(models, body, now)
    if isinstance(scored, Unscored):
        scored = scored.now()
    document: dict[str, Any] = json.loads(encode_answer(scored.answer(None, now)))
    return {"preview": True} | document


def score_body(models: ActiveModels, body: bytes, now: datetime) -> Scored | Unscored:
    """Parse and score one request against a snapshot of models; raises InputRejected with every problem.

    Unscored where the version's estimator runs in a process of its own: that takes time, and the caller says how to
    wait.
    """
    submission = parse(body, find_panel=lambda reference: _panel(models.resolve(reference)), now=now)
    version = models.get(submission.panel.model_name, submission.panel.model_version)
    quality = assess(submission)
    if quality.verdict is Verdict.FAIL:
        return Scored(submission, version, None, quality)
    scorer, inputs = version.scorer, [item.used for item in submission.inputs]
    if scorer is None:
        raise AssertionError("only a version in force reaches the scorer")
    if isinstance(scorer, EstimatorScorer):
        return Unscored(submission, version, quality, scorer, inputs)
    # Bit for bit what the batch path gives for this row.
    return Scored(submission, version, _score(version, scorer.score_one(inputs)), quality)


def _score(version: ModelVersion, row: ScoredRow) -> Score:
    manifest = version.manifest
    if manifest is None:
        raise AssertionError("only a version in force reaches the scorer")
    return Score(
        value=row.value,
        kind=manifest.output.kind,
        link=manifest.output.link,
        baseline=row.baseline,
        used=row.used,
        terms=row.terms,
        category=find_category(row.value, manifest.categories()),
        interval=None if row.interval is None else Interval(LEVEL, *row.interval),
        raw=row.raw,
        calibration=None if row.raw is None else manifest.estimator.calibration.method,
    )


def identify(version: ModelVersion) -> ModelIdentity:
    """Name, version, digest and claim of a version in force."""
    if version.manifest is None:
        raise AssertionError("a version in force has a manifest")
    return ModelIdentity(version.name, version.version, version.digest, version.manifest.status_claim)


async def _score_and_store(services: Services, caller: Caller, body: bytes, ticket: Ticket | None) -> Outcome:
    for _ in range(ATTEMPTS - 1):
        known = services.registry.current.generation
        try:
            return await _store_once(services, caller, body, ticket)
        except RegistryChanged as change:
            # The key or the model moved between looking it up and recording the score: both are looked up afresh.
            services.keys.saw(change.generation)
            _, caller = await asyncio.gather(
                services.registry.reach(change.generation), renew_together(services, caller, change.generation)
            )
        except VersionLoading:
            if not await services.registry.settled():
                raise
        except (ModelNotFound, NoActiveModel, VersionNotInForce):
            # What is not in force here may be so by now: another process may have moved it a moment ago.
            if not await services.registry.is_newer_than(known):
                raise
    return await _store_once(services, caller, body, ticket)


async def _store_once(services: Services, caller: Caller, body: bytes, ticket: Ticket | None) -> Outcome:
    now = services.clock()
    models = services.registry.current
    if len(body) > LARGE_BODY_BYTES:
        scored = await asyncio.to_thread(score_body, models, body, now)
    else:
        scored = score_body(models, body, now)
    if isinstance(scored, Unscored):
        scored = await scored.soon()
    submission = scored.submission
    replaces = submission.replaces
    prior = None if replaces is None else await in_thread(find_prior, services, submission, replaces)
    score_id = new_uuid7(now)
    document = scored.answer(score_id, now)
    answer, salt = encode_answer(document), services.new_salt()
    row = _row(scored, document, caller.actor, body, answer, salt)
    entry = Entry(
        kind=_kind(scored),
        at=now,
        actor=caller.actor,
        site=services.site,
        record=score_id,
        model=f"{row.model_name}@{row.model_version}",
        model_digest=row.model_digest,
        in_=commitment(salt, body),
        out=commitment(salt, answer),
        prior=prior,
        reason=submission.reason,
    )
    rows = _Rows(row, None if ticket is None else ticket.claim(score_id, now, services.idempotency_ttl), now)
    weight = len(body) + len(answer)
    generation = min(caller.generation, models.generation)
    alias = models.alias_in(submission.model)
    premise = VersionAnswers(caller.key_id, row.model_name, row.model_version, row.model_digest, alias)
    receipt = await services.record(STORE_SCORES, rows, entry, weight=weight, generation=generation, premise=premise)
    services.shadows.offer(scored.version, score_id, body, now)
    return Outcome(score_id, answer, receipt.index, receipt.note, created=True)


def _row(scored: Scored, document: dict[str, Any], actor: str, request: bytes, answer: bytes, salt: bytes) -> ScoreRow:
    score = scored.score
    return ScoreRow(
        score_id=document["id"],
        subject_id=scored.submission.subject.id,
        specimen_id=scored.submission.specimen.id,
        model_name=scored.version.name,
        model_version=scored.version.version,
        model_digest=scored.version.digest,
        status=document["status"],
        value=None if score is None else score.value,
        category=None if score is None or score.category is None else score.category.code,
        created_at=document["created_at"],
        actor=actor,
        supersedes=scored.submission.replaces,
        request=request,
        answer=answer,
        salt=salt,
    )


def _panel(version: ModelVersion) -> Panel:
    if version.panel is None:
        raise AssertionError("a version in force has a panel")
    return version.panel


def _kind(scored: Scored) -> str:
    if scored.submission.replaces is not None:
        return "score.amended"
    return "score.withheld" if scored.score is None else "score.reported"


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is stored of one score: the score, and the claim on its idempotency key, made at `now`."""

    score: ScoreRow
    claim: ClaimRow | None
    now: datetime

    def is_among(self, lost: set[bytes]) -> bool:
        """Whether its claim is one of those."""
        return self.claim is not None and self.claim.key_hmac in lost


class StoreScores:
    """Writes scores and their idempotency claims, all of a batch at once."""

    changes_registry = False
    alone = False

    def insert(self, transaction: SqlTransaction, rows: Sequence[_Rows]) -> Iterator[Exception | None]:
        """Insert claims and scores; a score whose claim was not won is refused.

        On PostgreSQL both are sent before the outcome of the claims is known, and a refused score is taken back. An
        amendment that comes too late raises instead, because its claim must not stay behind either; so where there is
        one, the outcome of the claims is waited for first, lest a mere repetition should raise.
        """
        connection = transaction.connection
        # The claims come first everywhere, so that two replicas with one key wait for each other and never deadlock.
        claims = [one.claim for one in rows if one.claim is not None]
        lost = idempotency_store.claim(connection, claims, max(one.now for one in rows))
        amends = any(one.score.supersedes is not None for one in rows)
        left_out = lost() if amends or connection.embedded else set()
        with pointing_at_replaces():
            scores.insert_scores(connection, [one.score for one in rows if not one.is_among(left_out)])
        return self._answers(connection, rows, lost, left_out)

    def _answers(
        self, connection: WriteConnection, rows: Sequence[_Rows], lost: Callable[[], set[bytes]], left_out: set[bytes]
    ) -> Iterator[Exception | None]:
        refused = lost()
        scores.take_back(connection, [one.score.score_id for one in rows if one.is_among(refused - left_out)])
        for one in rows:
            yield IdempotencyLost(LOST, "Send the request again.") if one.is_among(refused) else None

    def link(self, transaction: SqlTransaction, rows: Sequence[_Rows], places: Sequence[Place]) -> None:
        """Record which entries are about these scores; raises ScoreRetracted for an amendment that comes too late."""
        amended = [one.score.supersedes for one in rows if one.score.supersedes is not None]
        require_not_retracted(transaction.connection, amended)
        linked = [(one.score.score_id, place.log_id, place.seq) for one, place in zip(rows, places, strict=True)]
        scores.link_scores(transaction.connection, linked)


STORE_SCORES = StoreScores()
