"""Every error the service can answer with, under two roots.

`InputRejected`: what the caller sent is wrong, and the caller can mend it.
`SystemFault`: the caller did nothing wrong; the environment, the storage or the operator has to act.

Rules:
1. An error class carries its `code` and its HTTP status; one place (`api/problems.py`) turns it into an answer, one
   (`cli.py`) into an exit status.
2. No message, remedy or pointer ever holds a value that was submitted: analytes appear as catalogue accessions,
   unknown fields are pointed at by their parent, measurements by their index.
3. An error that came from several places lists them all in `problems`, never only the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input.

    `pointer` is an RFC 6901 JSON pointer into the submitted document ("" is the document itself); `code` is stable
    and for programs; `message` says what is wrong, `remedy` what to send instead; `analyte` is a catalogue accession.
    """

    pointer: str
    code: str
    message: str
    remedy: str
    analyte: str | None = None


class ServiceError(Exception):
    """Root of all errors of the service: `code`, HTTP status, message, remedy and the single problems found.
    `retry_after` (seconds) is set where trying again may help."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 500
    title: ClassVar[str] = "Error"
    retry_after: int | None = None

    def __init__(self, message: str, remedy: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.problems = tuple(problems)


class InputRejected(ServiceError):
    """The input is wrong; nothing was stored. `problems` holds every problem that was found."""

    code = "input_rejected"
    http_status = 422
    title = "The input was rejected"


class MalformedBody(InputRejected):
    """The body is not UTF-8, not JSON, or repeats a key: nothing else could be checked."""

    code = "malformed_body"
    http_status = 400
    title = "The body could not be read"


class Unauthenticated(InputRejected):
    """No key, an unknown key or a revoked key: the three are not told apart."""

    code = "unauthenticated"
    http_status = 401
    title = "A valid API key is required"


class ScopeMissing(InputRejected):
    """The key is valid, but does not have the scope the route asks for."""

    code = "scope_missing"
    http_status = 403
    title = "The API key lacks a scope"


class PersonRequired(InputRejected):
    """The key is valid, but belongs to a machine; what is asked for takes a person's signature."""

    code = "person_required"
    http_status = 403
    title = "A person has to sign"


class SignatureRefused(InputRejected):
    """A wrong passphrase, an unknown person or a revoked one: the three are not told apart."""

    code = "signature_refused"
    http_status = 403
    title = "The signature was refused"


class TooManyAttempts(InputRejected):
    """Too many wrong passphrases: for `retry_after` seconds no further one is looked at, right or wrong."""

    code = "too_many_attempts"
    http_status = 429
    title = "Too many attempts"

    def __init__(self, message: str, remedy: str = "", *, retry_after: int) -> None:
        super().__init__(message, remedy)
        self.retry_after = retry_after


class NotFound(InputRejected):
    """The thing named does not exist."""

    code = "not_found"
    http_status = 404
    title = "Not found"


class ModelNotFound(NotFound):
    """The model name, its version or its alias is not in the registry."""

    code = "model_not_found"
    title = "Unknown model, version or alias"


class Conflict(InputRejected):
    """The request is at odds with the present state; the message names the state found."""

    code = "conflict"
    http_status = 409
    title = "Conflict with the present state"


class VersionNotInForce(Conflict):
    """The exact version exists, but its state does not let it answer."""

    code = "version_not_in_force"
    title = "The version cannot answer in its present state"


class PromotionRefused(Conflict):
    """The version may not answer under a name yet; `problems` holds everything that stands in the way."""

    code = "promotion_refused"
    title = "The version may not be promoted yet"


class VersionExists(Conflict):
    """The name and version are taken; a version never changes."""

    code = "version_exists"
    title = "The version exists already"


class ScoreSuperseded(Conflict):
    """Another score has taken the place of the one named."""

    code = "superseded"
    title = "The score has been superseded"


class ScoreRetracted(Conflict):
    """The score named was retracted."""

    code = "retracted"
    title = "The score was retracted"


class PersonExists(Conflict):
    """Another person in force has the same printed name."""

    code = "person_exists"
    title = "The name is taken"


class PersonChanged(Conflict):
    """The person was revoked, or got another passphrase or key, while a change was under way; nothing was stored."""

    code = "person_changed"
    title = "The person changed meanwhile"


class RequestInProgress(Conflict):
    """The same idempotency key is being processed right now."""

    code = "request_in_progress"
    title = "The same request is still running"


class Gone(InputRejected):
    """What the request names was erased."""

    code = "erased"
    http_status = 410
    title = "The record was erased"


class BodyTooLarge(InputRejected):
    """The body is larger than the limit."""

    code = "body_too_large"
    http_status = 413
    title = "The body is too large"


class BodyTooSlow(InputRejected):
    """The body did not arrive in time."""

    code = "body_too_slow"
    http_status = 408
    title = "The body did not arrive in time"


class UnsupportedMediaType(InputRejected):
    """The content type is not one this route reads."""

    code = "unsupported_media_type"
    http_status = 415
    title = "Unsupported content type"


class IdempotencyMismatch(InputRejected):
    """The idempotency key was used before with another body."""

    code = "idempotency_mismatch"
    title = "The idempotency key belongs to another body"


class ArtifactRejected(InputRejected):
    """An artifact failed a check; it is not loaded, and whatever served before keeps serving."""

    code = "artifact_rejected"
    title = "The artifact was rejected"

    @classmethod
    def because(cls, reason: str, message: str, remedy: str) -> Self:
        """The refusal for one reason, whose stable code is the code of its only problem."""
        return cls(message, remedy, [Problem("", reason, message, remedy)])

    @property
    def reasons(self) -> tuple[str, ...]:
        """The stable codes of the problems, each once."""
        return tuple(dict.fromkeys(problem.code for problem in self.problems))


class SystemFault(ServiceError):
    """The environment is at fault, not the caller."""

    code = "system_fault"
    http_status = 503
    title = "The service cannot answer now"


class StorageUnavailable(SystemFault):
    """The database did not confirm the write or could not be read: nothing was acknowledged."""

    code = "storage_unavailable"
    title = "The database is not available"
    retry_after = 1


class CommitUnconfirmed(StorageUnavailable):
    """COMMIT was sent and its outcome is not known."""


class RowRefused(StorageUnavailable):
    """The database refused what one submission wanted to store; others are not to blame."""


class RegistryChanged(SystemFault):
    """A key was revoked or a model moved while the request was under way; nothing was stored."""

    code = "registry_changed"
    title = "The registry changed"
    retry_after = 1

    def __init__(self, message: str, remedy: str = "", *, generation: int) -> None:
        super().__init__(message, remedy)
        self.generation = generation
        """The registry generation that was found."""


class Overloaded(SystemFault):
    """The queue in front of the database is full, or the request waited too long in it; nothing was stored."""

    code = "overloaded"
    title = "Too many requests are waiting"
    retry_after = 1


class NoActiveModel(SystemFault):
    """No version of the model is in force, so nothing may be scored with it."""

    code = "no_active_model"
    title = "No version of the model is in force"


class VersionLoading(SystemFault):
    """The version was put in force a moment ago and is still being loaded here; nothing was stored."""

    code = "version_loading"
    title = "The version is being loaded"
    retry_after = 1


class VersionUnusable(SystemFault):
    """The version is in force, but does not pass its self-test on this machine."""

    code = "version_unusable"
    title = "The version cannot be used here"


class UnsafeConfiguration(SystemFault):
    """The settings are not safe or not complete; the service refuses to start and lists every reason."""

    code = "unsafe_configuration"
    title = "The service refuses to start"


class SchemaOutdated(SystemFault):
    """The database schema is not the one this release needs."""

    code = "schema_outdated"
    title = "The database schema is not current"


class LogNotOpen(SystemFault):
    """No audit log is open, so nothing can be recorded."""

    code = "log_not_open"
    title = "No audit log is open"


class LogDamaged(SystemFault):
    """The stored log contradicts itself; nothing is added to it."""

    code = "log_damaged"
    title = "The audit log is damaged"


class SigningKeyMismatch(SystemFault):
    """The signing key is not the one of the open log; nothing is added to it."""

    code = "signing_key_mismatch"
    title = "The signing key is another one"


class LogForked(SystemFault):
    """The log is shorter than, or differs from, what is known of it outside the database."""

    code = "log_forked"
    title = "The audit log is not the one that was witnessed"


class WitnessUnavailable(SystemFault):
    """The checkpoints kept outside the database cannot be read or added to."""

    code = "witness_unavailable"
    title = "The witness cannot be reached"


class RecordDamaged(SystemFault):
    """A stored record is not the one its audit entry commits to; it is not shown."""

    code = "record_damaged"
    http_status = 500
    title = "A stored record was altered"


class AuditWouldBeLost(SystemFault):
    """A schema downgrade would drop audit entries; it was refused and changed nothing."""

    code = "audit_would_be_lost"
    title = "The audit log would be lost"


class ShuttingDown(SystemFault):
    """The service takes nothing in, because it is about to stop; nothing was stored."""

    code = "shutting_down"
    title = "The service is shutting down"
    retry_after = 1


class ChildEnded(SystemFault):
    """A child process of the service ended, did not start, or did not answer in time; the call came to nothing."""

    code = "child_ended"
    title = "A part of the service is not available"
    retry_after = 1


class ChildFailed(SystemFault):
    """A call failed inside a child process of the service; the process goes on."""

    code = "child_failed"
    title = "A part of the service could not do its work"


class EstimatorUnavailable(SystemFault):
    """The process that runs the version's estimator is not there just now; nothing was stored."""

    code = "estimator_unavailable"
    title = "The version's estimator is not available"
    retry_after = 1


class EstimatorFailed(SystemFault):
    """The version's estimator gave no number for this input; nothing was stored, and trying again will not help."""

    code = "estimator_failed"
    http_status = 500
    title = "The version's estimator failed"
