"""What a person asks of a version of a model: one table checks it and describes it."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.domain.decode import decode
from service.domain.fields import FREE_TEXT, MODEL_NAME
from service.domain.query import read_document
from service.domain.record import Field, ListOf, Record
from service.domain.shape import Choice, Text
from service.domain.signature import MEANINGS

_FREE = FREE_TEXT.pattern.removesuffix("+")
_REASON = Text(
    _FREE + r"*[^\s\u0000-\u001f\u007f-\u009f]" + _FREE + "*",
    "1 to 2000 characters, not blank; of the control characters only tab and line ends",
    high=FREE_TEXT.high,
)
_PASSPHRASE = Text(r"[\s\S]+", "the passphrase of the person the key belongs to", high=1024)

TRANSITION = Record(
    {
        "to": Field(Text(MODEL_NAME, "approved, rejected, retired, withdrawn, or an alias", high=64), required=True),
        "reason": Field(_REASON, required=True),
        "meaning": Field(Choice(MEANINGS), required=True),
        "passphrase": Field(_PASSPHRASE, required=True),
    }
)

MAX_CODES = 64
"""Codes of one acknowledgement; its audit entry names each."""

ACKNOWLEDGEMENT = Record(
    {
        "codes": Field(
            ListOf(Text(r"[a-z][a-z0-9_]*", "the code of a warning of this version", high=64), low=1, high=MAX_CODES),
            required=True,
        ),
        "reason": Field(_REASON, required=True),
        "meaning": Field(Choice(MEANINGS)),
        "passphrase": Field(_PASSPHRASE, required=True),
    }
)


@dataclass(frozen=True, slots=True)
class Signing:
    """What a person signs: the state or alias to bring a version to, why, and what the signature means."""

    to: str
    reason: str
    meaning: str
    passphrase: str = field(repr=False)


def parse_transition(body: bytes) -> Signing:
    """The transition in a body; raises MalformedBody, or InputRejected with every problem."""
    return read_transition(decode(body))


def read_transition(document: object) -> Signing:
    """The transition in a decoded document; raises InputRejected with every problem."""
    return Signing(**read_document(TRANSITION, document))


@dataclass(frozen=True, slots=True)
class Acknowledging:
    """What a person acknowledges: the codes of warnings (one listed twice counts once), why, and what the signature
    means."""

    codes: tuple[str, ...]
    reason: str
    passphrase: str = field(repr=False)
    meaning: str = "review"


def parse_acknowledgement(body: bytes) -> Acknowledging:
    """The acknowledgement in a body; raises MalformedBody, or InputRejected with every problem."""
    return read_acknowledgement(decode(body))


def read_acknowledgement(document: object) -> Acknowledging:
    """The acknowledgement in a decoded document; raises InputRejected with every problem."""
    return Acknowledging(**read_document(ACKNOWLEDGEMENT, document))
