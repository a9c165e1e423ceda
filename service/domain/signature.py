"""A person's signature on a step in the life of a model version.

21 CFR 11.50 asks that a signed record shows the printed name of the signer, the date and time, and the meaning of the
signature, wherever the record is shown to people; 21 CFR 11.70 that a signature cannot be moved to another record. The
registry ties a signature to the digest of its version; this is what of it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

MEANINGS: Final = ("authorship", "review", "approval", "responsibility")
"""What a signature may mean: the examples of 21 CFR 11.50(a)(3)."""

APPROVED: Final = "approved"


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed what, when and as what.

    `kind` is the state or alias the version was taken to (`registered`, `approved`, `production`, ...); `meaning` is
    one of MEANINGS; `at` is the time of signing, RFC 3339 in UTC, as recorded.
    """

    kind: str
    printed_name: str
    person_id: str
    meaning: str
    reason: str
    at: str


def is_approved(signatures: Iterable[Signature]) -> bool:
    """Whether one of the signatures took the version to `approved`."""
    return any(signature.kind == APPROVED for signature in signatures)
