"""Whether the acknowledgements of warnings are what the log recorded.

An entry commits to a statement and says in clear which version and which codes it is of; statement, entry and columns
have to agree. A version has to be registered by then, and neither retired nor rejected.
"""

from __future__ import annotations

import json
from typing import Any

from service.audit.entry import Entry, commitment
from service.registry.lifecycle import ENDED

_SALT_BYTES = 32

Version = tuple[str, str | None, str]
"""The digests of a version's manifest and signature, and its state, as the entries so far say."""


def model_of(entry: Entry) -> tuple[str, str]:
    """Name and version of the model of an entry."""
    name, _, version = (entry.model or "").partition("@")
    return name, version


class AcknowledgementLedger:
    """What the entries said of warnings so far."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], set[str]] = {}
        self._of_manifests: dict[str, set[str]] = {}

    def codes(self, name: str, version: str) -> set[str]:
        """The codes of a version that were acknowledged so far."""
        return self._codes.get((name, version), set())

    def of_manifest(self, digest: str) -> set[str]:
        """The codes that were acknowledged of the version with this manifest."""
        return self._of_manifests.get(digest, set())

    def take(self, entry: Entry, row: tuple[Any, ...] | None, version: Version | None) -> str | None:
        """Take in an entry and its row; `version` is the one that the entry names, None where there is none. What is
        wrong with them, or None."""
        if row is None:
            return "The acknowledgement of this entry is not stored."
        said = _statement(entry, row)
        if said is None:
            return "The stored acknowledgement is not the one that the entry commits to."
        if version is None or version[0] != said["digest"] or version[2] in ENDED:
            return "The acknowledgement is not of a version that could be put to work."
        codes = set(said["codes"])
        self._codes.setdefault((said["name"], said["version"]), set()).update(codes)
        self._of_manifests.setdefault(said["digest"], set()).update(codes)
        return None


def _statement(entry: Entry, row: tuple[Any, ...]) -> dict[str, Any] | None:
    """The statement of a row, where it is the one the entry commits to and says the same."""
    acknowledgement_id, name, version, statement, salt = row
    if type(statement) is not bytes or type(salt) is not bytes or len(salt) != _SALT_BYTES:
        return None
    if acknowledgement_id != entry.record or commitment(salt, statement) != entry.out:
        return None
    said: dict[str, Any] = json.loads(statement)
    model = (said["kind"], f"{said['name']}@{said['version']}", said["digest"], said["actor"])
    if (said["name"], said["version"]) != (name, version):
        return None
    if model != (entry.kind, entry.model, entry.model_digest, entry.actor):
        return None
    return said if entry.detail == {"codes": said["codes"]} else None
