"""Entries of the audit log: what is recorded, the bytes that are hashed, and the salted commitments inside them.

The rules:

1. An entry is one JSON object with the keys `v, kind, at, actor, site, record, model, model_digest, in, out, prior,
   reason`, all of them always present; what does not apply is null. The kinds of `DETAILED` may have one key more,
   `detail`, an object; where there is nothing to say it is left out, never null.
2. Its bytes are RFC 8785 (JSON Canonicalization Scheme) restricted to printable ASCII strings, integers within
   +-(2**53 - 1), booleans and null. Keys are sorted, there is no white space. Anything else, a float above all, is
   refused with ValueError: what every language writes in the same way can be verified in every language.
3. The stored bytes are the bytes that are hashed. They are shorter than 64 KiB.
4. `leaf = SHA-256(0x00 || entry)` (RFC 6962, section 2.1).
5. `in` and `out` commit to the stored request and answer: `SHA-256("exoscore/commit/v1" || 0x00 || salt || bytes)` in
   lower-case hex. The salt has 32 random bytes and stays with the row: when an erasure deletes it, nobody can guess
   from the entry what was committed to.
6. `at` is RFC 3339 in UTC with microseconds, 27 characters, so that times sort as text.
7. An entry holds no identifier of a subject, no hash of one and no score: `actor` is the id of a key or person or a
   part of the system, never a name; `reason` is a code of a closed list, never free text.

A worked example. The salt is 32 times 0x01, the request `{}` and the answer `{"id":1}`:

    commitment(salt, request) = bbeb8fdc439a5e3035f1fdbe3b398e01ad326745c362319d436c120693116a3b
    commitment(salt, answer)  = bdbf8894b61469906d9153860b36f6be006147ca0a4d2404d4c3d28a93e62253

and the entry of that score, recorded for the key `k1` at the site `default`, is these bytes in one line (broken here):

    {"actor":"key:k1","at":"2026-11-23T05:51:19.123456Z",
     "in":"bbeb8fdc439a5e3035f1fdbe3b398e01ad326745c362319d436c120693116a3b","kind":"score.reported",
     "model":"tb-exosomal-mirna@1.0.0",
     "model_digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000",
     "out":"bdbf8894b61469906d9153860b36f6be006147ca0a4d2404d4c3d28a93e62253","prior":null,"reason":null,
     "record":"018f0000-0000-7000-8000-000000000001","site":"default","v":1}

    leaf_hash(entry) = 0c19ea0d0f1993422dd3bdec5ebc4540d4167240c86c55bcafa774a02c9c00e6
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from typing import Any, Final, Self

VERSION: Final = 1
"""`v` of every entry written by this release."""

MAX_ENTRY_BYTES: Final = 65_535
"""Longest entry: entry bundles of the C2SP tlog-tiles export give a length 16 bits."""

MAX_INTEGER: Final = 2**53 - 1
"""Largest integer that RFC 8785 lets every reader keep exact (IEEE 754 binary64)."""

SALT_BYTES: Final = 32

MODEL_KINDS: Final = frozenset({
    "model.registered", "model.verified", "model.approved", "model.promoted", "model.retired", "model.rejected",
    "model.acknowledged",
})  # fmt: skip
"""What can happen to a version of a model. All but `model.acknowledged` move it: that is somebody's word on its
warnings."""

TURNING_KINDS: Final = MODEL_KINDS | {"key.revoked", "person.revoked"}
"""What changes which version answers or whose key counts: everything else stands before or behind it in time too."""

KINDS: Final = MODEL_KINDS | frozenset({
    "log.opened",
    "score.reported", "score.withheld", "score.amended", "score.retracted", "score.read",
    "batch.opened", "batch.chunk", "batch.closed",
    "subject.erased", "access.denied",
    "key.created", "key.revoked", "key.rotated",
    "person.added", "person.changed", "person.revoked",
    "config.changed", "clock.regressed",
})  # fmt: skip
"""What can be recorded."""

DETAILED: Final = MODEL_KINDS | {"log.opened", "subject.erased", "access.denied", "config.changed", "clock.regressed"}
"""The kinds whose entries may carry a `detail`."""

REASONS: Final = frozenset({
    "measurement_corrected", "demographics_corrected", "specimen_corrected", "other",
    "wrong_subject", "wrong_specimen", "assay_failure", "entered_in_error",
    "subject_request", "retention_expired", "legal_order",
    "unauthenticated", "scope_missing", "passphrase",
})  # fmt: skip
"""Codes of amendment, retraction, erasure and denied access."""

_PREFIX = b"exoscore/commit/v1\x00"
_TIME_LENGTH = 27
_TWO_DIGITS = tuple(f"{number:02}" for number in range(100))
# The same few actors and digests come in every entry; commitments never come twice.
_is_actor = lru_cache(maxsize=1024)(re.compile(r"(key|person):[!-~]+|system:(bundled|cli|service)").fullmatch)
_is_digest = lru_cache(maxsize=1024)(re.compile(r"sha256:[0-9a-f]{64}").fullmatch)
_is_commitment = re.compile(r"[0-9a-f]{64}").fullmatch


@dataclass(frozen=True, slots=True)
class Prior:
    """The entry that this one amends or retracts: the origin of its log and its index there."""

    origin: str
    index: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `at` is aware; `record` is the id of what it happened to; `in_` and `out` are
    commitments; `model` is `name@version`; `detail` holds what rule 2 allows, lists and objects of it included.
    Raises ValueError where a field breaks a rule of this module."""

    kind: str
    at: datetime
    actor: str
    site: str
    record: str | None = None
    model: str | None = None
    model_digest: str | None = None
    in_: str | None = None
    out: str | None = None
    prior: Prior | None = None
    reason: str | None = None
    detail: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise _refusal("kind")
        if not _is_actor(self.actor):
            raise _refusal("actor")
        if self.reason is not None and self.reason not in REASONS:
            raise _refusal("reason")
        if self.model_digest is not None and not _is_digest(self.model_digest):
            raise _refusal("model_digest")
        if self.in_ is not None and not _is_commitment(self.in_):
            raise _refusal("in")
        if self.out is not None and not _is_commitment(self.out):
            raise _refusal("out")
        if self.detail is not None and self.kind not in DETAILED:
            raise _refusal("detail")

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The entry whose encoding is `data`. Raises ValueError for any other bytes, be they only spelled otherwise."""
        _require(len(data) <= MAX_ENTRY_BYTES, "length")
        try:
            entry = cls(**_fields(json.loads(data.decode("ascii"))))
            encoded = entry.encode()
        except RecursionError:
            encoded = b""
        # Other white space, another order, a key too many or twice: whatever is not canonical is not written back.
        _require(encoded == data, "spelling")
        return entry

    def encode(self) -> bytes:
        """The bytes that are stored and hashed (rules 1 to 3)."""
        # Written by hand because every score waits for it; a test holds it to `canonical_json`, byte by byte.
        detail = "" if self.detail is None else f'"detail":{_canonical(dict(self.detail))},'
        encoded = (
            f'{{"actor":{_text(self.actor)},"at":"{timestamp(self.at)}",{detail}"in":{_word(self.in_)},'
            f'"kind":"{self.kind}","model":{_text(self.model)},"model_digest":{_word(self.model_digest)},'
            f'"out":{_word(self.out)},"prior":{_prior(self.prior)},"reason":{_word(self.reason)},'
            f'"record":{_text(self.record)},"site":{_text(self.site)},"v":{VERSION}}}'
        ).encode("ascii")
        _require(len(encoded) <= MAX_ENTRY_BYTES, "length")
        return encoded


def canonical_json(value: object) -> bytes:
    """`value` in the alphabet of rule 2, as RFC 8785 writes it. Raises ValueError for anything outside of it."""
    return _canonical(value).encode("ascii")


def timestamp(at: datetime) -> str:
    """An aware time as `2026-11-23T05:51:19.123456Z`. Raises ValueError for a time without a zone."""
    if at.tzinfo is not UTC:
        _require(at.utcoffset() is not None, "at")
        at = at.astimezone(UTC)
    # Put together by hand because every score waits for it, twice; a test holds it to `isoformat`.
    two, year, micros = _TWO_DIGITS, at.year, at.microsecond
    return (
        f"{two[year // 100]}{two[year % 100]}-{two[at.month]}-{two[at.day]}"
        f"T{two[at.hour]}:{two[at.minute]}:{two[at.second]}"
        f".{two[micros // 10_000]}{two[micros // 100 % 100]}{two[micros % 100]}Z"
    )


def parse_timestamp(text: str) -> datetime:
    """The inverse of `timestamp`. Raises ValueError for any other form."""
    _require(len(text) == _TIME_LENGTH and text.endswith("Z"), "at")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise _refusal("at") from None
    _require(timestamp(at) == text, "at")
    return at


def commitment(salt: bytes, data: bytes) -> str:
    """The commitment of rule 5, in hex. Raises ValueError for a salt of another length."""
    _require(len(salt) == SALT_BYTES, "salt")
    return sha256(_PREFIX + salt + data).hexdigest()


def leaf_hash(entry: bytes) -> bytes:
    """The 32 bytes of rule 4."""
    return sha256(b"\x00" + entry).digest()


def _fields(document: Any) -> dict[str, Any]:
    """The arguments of `Entry` in a document that has all of its keys, each of its type."""
    match document:
        case {
            "v": int(),
            "kind": str(kind),
            "at": str(at),
            "actor": str(actor),
            "site": str(site),
            "record": str() | None as record,
            "model": str() | None as model,
            "model_digest": str() | None as model_digest,
            "in": str() | None as in_,
            "out": str() | None as out,
            "prior": None | {"origin": str(), "index": int()} as prior,
            "reason": str() | None as reason,
        }:
            detail = document.get("detail")
            _require(detail is None or isinstance(detail, dict), "detail")
            return {
                "kind": kind,
                "at": parse_timestamp(at),
                "actor": actor,
                "site": site,
                "record": record,
                "model": model,
                "model_digest": model_digest,
                "in_": in_,
                "out": out,
                "prior": None if prior is None else Prior(prior["origin"], prior["index"]),
                "reason": reason,
                "detail": detail,
            }
    raise _refusal("set of keys")


def _refusal(part: str) -> ValueError:
    return ValueError(f"This cannot be an audit entry: its {part} is not of the form the log allows.")


def _require(holds: bool, part: str) -> None:
    if not holds:
        raise _refusal(part)


def _text(value: str | None) -> str:
    """A string or null of rule 2."""
    if value is None:
        return "null"
    # Of ASCII, exactly the characters from space to tilde are printable.
    _require(value.isascii() and value.isprintable(), "text")
    return encode_basestring_ascii(value)


def _word(value: str | None) -> str:
    """What `__post_init__` has found to be without a character that needs care, or null."""
    return "null" if value is None else f'"{value}"'


def _integer(value: int) -> str:
    _require(abs(value) <= MAX_INTEGER, "integer")
    return str(value)


def _prior(prior: Prior | None) -> str:
    if prior is None:
        return "null"
    return f'{{"index":{_integer(prior.index)},"origin":{_text(prior.origin)}}}'


def _canonical(value: object) -> str:
    match value:
        case None | str():
            return _text(value)
        case bool():
            return "true" if value else "false"
        case int():
            return _integer(value)
        case list() | tuple():
            return f"[{','.join(map(_canonical, value))}]"
        case dict():
            _require(all(isinstance(key, str) for key in value), "key")
            return f"{{{','.join(f'{_text(key)}:{_canonical(value[key])}' for key in sorted(value))}}}"
    raise _refusal("value")
