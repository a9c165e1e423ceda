"""Shapes of what the service answers, for the OpenAPI document.

Requests are not here: the tables in `domain.fields` and `domain.score_query` check them and describe them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


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


class ModelItem(BaseModel):
    """One model in the list: its aliases and its newest version."""

    name: str
    aliases: dict[str, str]
    latest: str


class ModelPage(BaseModel):
    """All models."""

    items: list[ModelItem]
    next_cursor: str | None


class SignatureOut(BaseModel):
    """Who signed what: the printed name, the person, what the signature means, why and when (21 CFR 11.50)."""

    kind: str
    printed_name: str
    person_id: str
    meaning: Literal["authorship", "review", "approval", "responsibility"]
    reason: str
    at: str


class VersionItem(BaseModel):
    """One version of a model."""

    version: str
    state: str
    digest: str | None


class ModelDetail(BaseModel):
    """A model with its aliases and versions, newest last, in SemVer order."""

    name: str
    aliases: dict[str, str]
    versions: list[VersionItem]


class VersionDetail(BaseModel):
    """One version: its state, its digest, the publisher who signed the artifact (null: nobody), its aliases, the people
    who signed for it, and its whole manifest; `reason` says why a version was rejected."""

    state: str
    digest: str | None
    reason: str | None
    publisher: str | None
    aliases: list[str]
    signatures: list[SignatureOut]
    manifest: dict[str, Any] | None


class CategoryChange(BaseModel):
    """How many scores the shadow put into another category; null is none."""

    from_: Annotated[str | None, Field(alias="from")]
    to: str | None
    n: int


class ShadowStatuses(BaseModel):
    """What came of the inputs: as in an answer; `refused` by the shadow's panel; `failed` without a result."""

    final: int
    indeterminate: int
    not_reportable: int
    refused: int
    failed: int


class ShadowComparison(BaseModel):
    """A shadow beside a version that answered. `n` inputs have a value of both; a difference is the shadow's value
    minus the answer's, null where n is 0. `first` and `last` are when they were scored."""

    production: str
    shadow: str
    n: int
    mean_difference: float | None
    mean_abs_difference: float | None
    max_abs_difference: float | None
    category_changes: list[CategoryChange]
    statuses: ShadowStatuses
    first: str
    last: str


class ShadowAnswer(BaseModel):
    """A model's shadow of now (null: none), and all comparisons there are, the oldest first."""

    name: str
    shadow: str | None
    items: list[ShadowComparison]
    next_cursor: None


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


class PlaceOut(BaseModel):
    """A place in the audit log."""

    origin: str
    index: int


class VersionState(BaseModel):
    """A version and its state."""

    version: str
    state: str


class RegistrationAnswer(BaseModel):
    """A registered version: its state after the self-test, which publisher signed it (null: nobody), and the fault that
    it was rejected for. `audit` is null where everything was on record already."""

    name: str
    version: str
    digest: str
    state: Literal["registered", "verified", "approved", "retired", "rejected"]
    publisher: str | None
    fault: str | None
    audit: AuditOut | None


class TransitionAnswer(BaseModel):
    """A transition that was made: what it moved, and the signature it was made on."""

    name: str
    version: str
    digest: str
    state: Literal["approved", "retired", "rejected"]
    alias: str | None
    dropped: list[str]
    signature: SignatureOut
    audit: AuditOut


class HistoryItem(BaseModel):
    """One transition. `from` and `to` are states, or versions where `alias` is not null."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    kind: Literal["registered", "verified", "approved", "promoted", "retired", "rejected"]
    version: str
    digest: str
    before: Annotated[str | None, Field(alias="from")]
    to: str | None
    alias: str | None
    dropped: list[str] | None
    publisher: str | None
    fault: str | None
    actor: str
    person: str | None
    printed_name: str | None
    meaning: str | None
    reason: str | None
    at: str
    audit: PlaceOut


class HistoryAnswer(BaseModel):
    """The transitions of a model up to `as_of` (null: up to now), and how it then stood."""

    name: str
    as_of: str | None
    aliases: dict[str, str]
    versions: list[VersionState]
    items: list[HistoryItem]
    next_cursor: None
