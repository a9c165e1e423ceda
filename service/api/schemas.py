"""Shapes of what the service answers, for the OpenAPI document.

Requests are not here: the tables in `domain.fields` and `domain.score_query` check them and describe them. What the
registry answers is in `schemas_registry`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Model(BaseModel):
    """Which exact version answered."""

    name: str
    version: str
    digest: str


class ClaimedModel(Model):
    """Which exact version answered, and what it claims to be."""

    status_claim: Literal["research_use_only", "laboratory_developed", "ivd"]


class Identified(BaseModel):
    """A subject or a specimen, by the caller's own identifier."""

    id: str


class CategoryOut(BaseModel):
    """The category of a score: it holds where `value comparator cut_point` is true."""

    code: str
    label: str
    cut_point: float
    comparator: Literal["<", "<=", ">=", ">"]


class IntervalOut(BaseModel):
    """Where the value lies at that level (0.95 for 95 %), as far as the coefficients are known; on the value's scale.
    It speaks neither of the measurement's error nor of people unlike those the version was fitted on."""

    level: float
    low: float
    high: float


class ScoreOut(BaseModel):
    """The number: inverse `link` of `baseline` plus the sum of the contributions' terms; where a `calibration` step is
    named, that is `raw`, and `value` is what the step makes of it."""

    value: float
    kind: Literal["probability", "index"]
    link: Literal["logit", "identity"]
    baseline: float
    raw: float | None
    calibration: Literal["isotonic", "fold_averaged"] | None = None
    explanation: Literal["additive", "not_additive"]
    interval: IntervalOut | None
    category: CategoryOut | None


class ContributionOut(BaseModel):
    """One input: what was submitted, what was used after normalisation, and the additive term, which is 0 for an input
    that others are only set against, such as a reference gene or a library total."""

    input: Literal["analyte", "covariate"]
    code: str
    name: str
    value: float | None
    unit: str
    used: float
    term: float


class CheckOut(BaseModel):
    """One quality check with the observed value, the limit and the limit's source."""

    code: str
    verdict: Literal["pass", "flag", "fail", "not_assessed"]
    observed: float | None
    limit: float | None
    source: str


class QualityOut(BaseModel):
    """The worst verdict of the assessed checks, and all checks."""

    verdict: Literal["pass", "flag", "fail", "not_assessed"]
    checks: list[CheckOut]


class AuditOut(BaseModel):
    """Where the score's entry stands in the audit log, and that log's signed checkpoint (C2SP tlog-checkpoint)."""

    index: int
    checkpoint: str


class RetractionOut(BaseModel):
    """Why and when a score was retracted, and at which index of the audit log."""

    reason: Literal["wrong_subject", "wrong_specimen", "assay_failure", "entered_in_error"]
    at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    index: int


class RetractionAnswer(BaseModel):
    """A retraction that is durable, with its place in the audit log and that log's signed checkpoint."""

    id: str
    retracted: RetractionOut
    audit: AuditOut


class ErasureAnswer(BaseModel):
    """A durable erasure: how many scores, the place of its last entry in the audit log, and that log's signed
    checkpoint. `purged` is false where the database could not let go of the bytes yet; it is tried again every hour."""

    erased: int
    purged: bool
    audit: AuditOut


class ScoreAnswer(BaseModel):
    """A stored score. `score` and `contributions` are null where the status is `not_reportable`."""

    id: str
    status: Literal["final", "indeterminate", "not_reportable"]
    model: ClaimedModel
    subject: Identified
    specimen: Identified
    score: ScoreOut | None
    contributions: list[ContributionOut] | None
    quality: QualityOut
    supersedes: str | None
    created_at: datetime
    superseded_by: str | None
    retracted: RetractionOut | None
    audit: AuditOut


class ScoreSummary(BaseModel):
    """Value and category of a listed score."""

    value: float
    category: str | None


class ScoreItem(BaseModel):
    """One score in a list; no subject and no specimen."""

    id: str
    status: Literal["final", "indeterminate", "not_reportable"]
    model: Model
    score: ScoreSummary | None
    created_at: datetime
    superseded_by: str | None
    retracted: RetractionOut | None


class ScorePage(BaseModel):
    """One page of scores, oldest first, in the order of the audit log."""

    items: list[ScoreItem]
    next_cursor: str | None


class EntryItem(BaseModel):
    """One entry of the audit log: the stored bytes, in base64."""

    index: int
    entry: str


class EntryPage(BaseModel):
    """One page of entries, in the order of the log."""

    items: list[EntryItem]
    next_cursor: str | None


class ConsistencyProof(BaseModel):
    """That the tree of size `to` begins with the tree of size `from`; the hashes are in base64."""

    from_: int = Field(alias="from")
    to: int
    hashes: list[str]


class Live(BaseModel):
    """The process runs."""

    status: Literal["ok"]


class Ready(BaseModel):
    """The database answers with the schema this release needs; how many versions are in force."""

    status: Literal["ready"]
    versions_in_force: int


class ProblemItem(BaseModel):
    """One problem: where, what, and what to send instead."""

    pointer: str
    code: str
    message: str
    remedy: str
    analyte: str | None = None


class ProblemDocument(BaseModel):
    """An error (RFC 9457) with every problem that was found; it never repeats a submitted value."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    errors: list[ProblemItem]
