"""Amend a score: a new score takes the place of the newest one of its chain, and both stay.

A chain has one head at any time. Whether the named score is the head is asked twice: before scoring, so that a caller
learns everything that is wrong, and in the transaction, where the unique `supersedes` decides between two amendments
and the lock on the head of the log between an amendment and a retraction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from service.audit.entry import Prior
from service.domain.submission import Submission
from service.errors import Conflict, InputRejected, NotFound, Problem
from service.store.engine import WriteConnection
from service.store.retractions import find_retracted, retracted
from service.store.scores import StoredScore, superseded, unknown_score
from service.workflows.read_scores import find_recorded
from service.workflows.services import Services

POINTER = "/replaces"


def find_prior(services: Services, submission: Submission, replaces: str) -> Prior:
    """The entry of the score `replaces`, whose place a submission takes.

    Raises NotFound for an unknown score, InputRejected where it belongs to another subject or specimen, and
    ScoreSuperseded or ScoreRetracted where it is not the head of its chain.
    """
    with pointing_at_replaces(), services.database.read() as connection:
        stored = find_recorded(connection, replaces)
        if stored is None:
            raise unknown_score()
    problems = _unlike(stored, submission)
    if problems:
        raise InputRejected("The score to replace is not of this specimen.", "Mend every problem listed.", problems)
    with pointing_at_replaces():
        require_head_of_chain(stored)
    return Prior(stored.origin, stored.seq)


def require_head_of_chain(stored: StoredScore) -> None:
    """Raise ScoreSuperseded or ScoreRetracted where nothing may follow on this score."""
    if stored.superseded_by is not None:
        raise superseded()
    if stored.retracted is not None:
        raise retracted()


def require_not_retracted(connection: WriteConnection, score_ids: Sequence[str]) -> None:
    """Raise ScoreRetracted where one of the replaced scores is; to be asked under the lock on the head."""
    if score_ids and find_retracted(connection, score_ids):
        with pointing_at_replaces():
            raise retracted()


@contextmanager
def pointing_at_replaces() -> Iterator[None]:
    """Let an error about the replaced score point at the field that names it."""
    try:
        yield
    except (NotFound, Conflict) as error:
        problem = Problem(POINTER, error.code, error.message, error.remedy)
        raise type(error)(error.message, error.remedy, [problem]) from None


def _unlike(stored: StoredScore, submission: Submission) -> list[Problem]:
    problems = []
    if stored.row.subject_id != submission.subject.id:
        message = "The score to replace is about another subject."
        problems.append(Problem(POINTER, "other_subject", message, "Retract that score, or name one of this subject."))
    if stored.row.specimen_id != submission.specimen.id:
        message = "The score to replace is about another specimen."
        problems.append(Problem(POINTER, "other_specimen", message, "Score this specimen without replaces."))
    return problems
