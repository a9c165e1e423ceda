"""Shapes of what the registry answers, for the OpenAPI document: models, versions, transitions, acknowledgements and
shadows."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.api.schemas import AuditOut


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


class AcknowledgementOut(BaseModel):
    """One warning, acknowledged: by whom (`actor`; name, person and meaning are null where no person signed), why and
    when (21 CFR 11.50)."""

    code: str
    actor: str
    printed_name: str | None
    person_id: str | None
    meaning: Literal["authorship", "review", "approval", "responsibility"] | None
    reason: str | None
    at: str


class WarningOut(BaseModel):
    """One warning of a version, and who acknowledged it."""

    code: str
    text: str
    acknowledgements: list[AcknowledgementOut]


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
    who signed for it, its warnings, and its whole manifest; `reason` says why a version was rejected. `open_warnings`
    (codes that nobody has acknowledged) and `missing_card_fields` stand in the way of a promotion."""

    state: str
    digest: str | None
    reason: str | None
    publisher: str | None
    aliases: list[str]
    signatures: list[SignatureOut]
    warnings: list[WarningOut]
    open_warnings: list[str]
    missing_card_fields: list[str]
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


class AcknowledgementAnswer(BaseModel):
    """What was acknowledged. `already` are codes that the same person had acknowledged before, of which nothing new is
    recorded; `audit` is null where there is nothing new at all. `open_warnings` are those still open."""

    name: str
    version: str
    digest: str
    acknowledged: list[AcknowledgementOut]
    already: list[str]
    open_warnings: list[str]
    audit: AuditOut | None


class HistoryItem(BaseModel):
    """One transition or acknowledgement. `from` and `to` are states, or versions where `alias` is not null; `codes` are
    the warnings that were acknowledged, null for a transition."""

    model_config = ConfigDict(populate_by_name=True)

    id: str
    kind: Literal["registered", "verified", "approved", "promoted", "retired", "rejected", "acknowledged"]
    version: str
    digest: str
    before: Annotated[str | None, Field(alias="from")]
    to: str | None
    alias: str | None
    dropped: list[str] | None
    codes: list[str] | None
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
    """The transitions and acknowledgements of a model up to `as_of` (null: up to now), and how it then stood."""

    name: str
    as_of: str | None
    aliases: dict[str, str]
    versions: list[VersionState]
    items: list[HistoryItem]
    next_cursor: None
