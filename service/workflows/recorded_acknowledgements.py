"""Whether the acknowledgements of warnings are what the log recorded.

An entry commits to a statement and says in clear which version and which codes it is of; statement, entry and columns
have to agree. A version has to be registered by then, and neither retired nor rejected.
"""

from __future__ import annotations

from typing import Any

from service.audit.entry import Entry
from service.registry.lifecycle import ENDED
from service.workflows.recorded_statement import find_statement

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
        said = find_statement(entry, row)
        if said is None or entry.detail != {"codes": said["codes"]}:
            return "The stored acknowledgement is not the one that the entry commits to."
        if version is None or version[0] != said["digest"] or version[2] in ENDED:
            return "The acknowledgement is not of a version that could be put to work."
        codes = set(said["codes"])
        self._codes.setdefault((said["name"], said["version"]), set()).update(codes)
        self._of_manifests.setdefault(said["digest"], set()).update(codes)
        return None
