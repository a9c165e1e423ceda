"""What ends a score: a retraction, or the erasure of its subject. One table each checks requests and describes them."""

from __future__ import annotations

from dataclasses import dataclass

from service.domain.decode import decode
from service.domain.fields import IDENTIFIER
from service.domain.query import read_document
from service.domain.record import Field, Record
from service.domain.shape import Choice

RETRACTION_REASONS = ("wrong_subject", "wrong_specimen", "assay_failure", "entered_in_error")
ERASURE_REASONS = ("subject_request", "retention_expired", "legal_order")

RETRACTION = Record({"reason": Field(Choice(RETRACTION_REASONS), required=True)})
ERASURE = Record({"subject": Field(IDENTIFIER, required=True), "reason": Field(Choice(ERASURE_REASONS), required=True)})


@dataclass(frozen=True, slots=True)
class Erasure:
    """Whose scores are to be erased, by the caller's own identifier, and why."""

    subject: str
    reason: str


def parse_retraction(body: bytes) -> str:
    """The reason in a body; raises MalformedBody, or InputRejected with every problem."""
    reason: str = read_document(RETRACTION, decode(body))["reason"]
    return reason


def parse_erasure(body: bytes) -> Erasure:
    """The erasure in a body; raises as `parse_retraction` does."""
    return read_erasure(decode(body))


def read_erasure(document: object) -> Erasure:
    """The erasure in a decoded document; raises InputRejected with every problem."""
    return Erasure(**read_document(ERASURE, document))
