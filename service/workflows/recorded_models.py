"""Whether the registry is what the log recorded: every transition, state and alias, and every byte of every artifact.

Rules:
1. A transition's entry commits to its statement, and says in clear what was moved; statement, entry and columns have to
   agree, and each move has to begin where the one before it ended.
2. What the moves come to has to be the states and aliases in the tables, no more and no less: an alias that was moved
   by hand in SQL is found here.
3. A score names a version that was approved when it was recorded, by its digest; where its request asked for a bare
   name or an alias, the one that this then meant: an alias that was moved by hand and moved back is found. Of models
   that the log had not heard of then, as before there was a registry, nothing is said.
4. The bytes of a registered version have to be there, under their digests. Bytes that no version names are what an
   interrupted upload left, and are passed over.
5. What was acknowledged of a version (`recorded_acknowledgements`) has to be a warning of its manifest. A promotion to
   an alias that serves names the warnings of the manifest, and each was acknowledged before it. From the first one that
   does so, or the first acknowledgement, on, all do; those before were made by a release that asked for none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from service.audit.entry import Entry
from service.domain.acknowledgement import open_codes
from service.registry.lifecycle import PRODUCTION, SHADOW
from service.workflows.model_history import ACKNOWLEDGED
from service.workflows.recorded_acknowledgements import AcknowledgementLedger, model_of
from service.workflows.recorded_statement import find_statement

StoredRow = tuple[Any, ...]
Fault = tuple[str, str]
"""A table, and what is wrong with it."""


class ModelLedger:
    """What the entries said of models so far."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str], tuple[str, str | None, str]] = {}
        self._aliases: dict[tuple[str, str], str] = {}
        self._names: set[str] = set()
        self._acknowledged = AcknowledgementLedger()
        self._promoted: set[tuple[str, tuple[str, ...]]] = set()
        self._names_warnings = False

    def __len__(self) -> int:
        return len(self._versions)

    def take(self, entry: Entry, row: StoredRow | None) -> str | None:
        """Take in an entry of a transition and the row (transition_id, name, version, statement, salt) that stands
        for it; what is wrong with them, or None."""
        if row is None:
            return "The transition of this entry is not stored."
        said = _statement(entry, row)
        if said is None:
            return "The stored transition is not the one that the entry commits to."
        if not self._follows(said):
            return "The transition does not begin where the one before it ended."
        self._apply(said)
        return self._find_promotion_fault(said)

    def acknowledge(self, entry: Entry, row: StoredRow | None) -> str | None:
        """Take in an entry of an acknowledgement and the row (acknowledgement_id, name, version, statement, salt) that
        stands for it; what is wrong with them, or None."""
        self._names_warnings = True
        version = self._versions.get(model_of(entry))
        return self._acknowledged.take(entry, row, version)

    def find_score_fault(self, entry: Entry) -> str | None:
        """What is wrong with a score recorded now: a model that the log knows answers with versions in force alone."""
        name, version = model_of(entry)
        digest, _, state = self._versions.get((name, version), (None, None, None))
        if name not in self._names or (state == "approved" and digest == entry.model_digest):
            return None
        return "The score was made by a version that was not in force."

    def find_alias_fault(self, entry: Entry, asked: str | None) -> str | None:
        """What is wrong with a score recorded now for a request that asked for this model: of a model that the log
        knows, a bare name or an alias is answered by the version that it meant."""
        name, version = model_of(entry)
        if name not in self._names or asked is None:
            return None
        wanted, _, target = asked.partition("@")
        meant = target if (name, target) in self._versions else self._aliases.get((name, target or PRODUCTION))
        return None if (wanted, meant) == (name, version) else "The score is not by the version that was asked for."

    def faults(self, versions: Iterable[StoredRow], aliases: Iterable[StoredRow]) -> Iterator[Fault]:
        """What is wrong with the rows of versions and aliases, once every entry was taken in (rule 2)."""
        yield from _differences(
            "model_version", {(row[0], row[1]): tuple(row[2:]) for row in versions}, self._versions, "A version"
        )
        yield from _differences("model_alias", {(row[0], row[1]): row[2] for row in aliases}, self._aliases, "An alias")

    def faults_of_bytes(self, parts: Iterable[StoredRow]) -> Iterator[Fault]:
        """What is wrong with the stored bytes (rule 4); `parts` are (digest, part, content) by digest and part."""
        manifests = {digest for digest, _, _ in self._versions.values()}
        found: set[str] = set()
        wanted = manifests | {signature for _, signature, _ in self._versions.values() if signature is not None}
        for digest, whole, content in _files(parts, manifests):
            if whole:
                found.add(digest)
            if content is not None and whole:
                wanted |= _named(content)
                yield from self._faults_of_warnings(digest, _warnings(content))
        missing = len(wanted - found)
        if missing:
            yield "artifact_part", f"The bytes of {missing} files of registered versions are missing or altered."

    def _find_promotion_fault(self, said: dict[str, Any]) -> str | None:
        """What is wrong with a promotion, as far as warnings go (rule 5)."""
        if said.get("alias") in (None, SHADOW):
            return None
        if "warnings" not in said:
            return "A version was promoted without a word of its warnings." if self._names_warnings else None
        self._names_warnings = True
        self._promoted.add((said["digest"], tuple(said["warnings"])))
        if open_codes(said["warnings"], self._acknowledged.codes(said["name"], said["version"])):
            return "A version was promoted with a warning that nobody had acknowledged."
        return None

    def _faults_of_warnings(self, digest: str, warned: set[str]) -> Iterator[Fault]:
        if self._acknowledged.of_manifest(digest) - warned:
            yield "model_acknowledgement", "What was acknowledged is no warning of the version."
        if any(set(named) != warned for promoted, named in self._promoted if promoted == digest):
            yield "model_transition", "A version was promoted over other warnings than its own."

    def _follows(self, said: dict[str, Any]) -> bool:
        key = (said["name"], said["version"])
        state = self._versions.get(key, (None, None, None))[2]
        dropped = said.get("dropped", [])
        if any(self._aliases.get((said["name"], alias)) != said["version"] for alias in dropped):
            return False
        if "alias" in said:
            return state == "approved" and self._aliases.get((said["name"], said["alias"])) == said["from"]
        return said["to"] is None or state == said["from"]

    def _apply(self, said: dict[str, Any]) -> None:
        key = (said["name"], said["version"])
        if "alias" in said:
            self._aliases[said["name"], said["alias"]] = said["to"]
        elif said["to"] is not None:
            self._names.add(said["name"])
            self._versions[key] = (said["digest"], said["signature_digest"], said["to"])
        for alias in said.get("dropped", []):
            del self._aliases[said["name"], alias]


def is_transition(entry: Entry) -> bool:
    """Whether an entry of a model is about a transition; the others tell of artifacts that were refused, and of
    warnings that were acknowledged."""
    return entry.record is not None and entry.kind != ACKNOWLEDGED


def _statement(entry: Entry, row: StoredRow) -> dict[str, Any] | None:
    """The statement of a row, where it is the one the entry commits to and says the same."""
    said = find_statement(entry, row)
    if said is None:
        return None
    moved = {key: said[key] for key in ("from", "to", "alias", "dropped") if key in said}
    return said if moved == entry.detail else None


def _differences(table: str, stored: dict[Any, Any], recorded: dict[Any, Any], what: str) -> Iterator[Fault]:
    if any(key not in recorded for key in stored):
        yield table, f"{what} is stored that no entry recorded."
    if any(key not in stored for key in recorded):
        yield table, f"{what} that was recorded is not stored."
    if any(stored[key] != recorded[key] for key in stored.keys() & recorded.keys()):
        yield table, f"{what} is stored as something else than its entries say."


def _files(parts: Iterable[StoredRow], kept: set[str]) -> Iterator[tuple[str, bool, bytes | None]]:
    """Each file: its digest, whether its parts come to that digest, and its bytes where it is one of `kept`."""
    current: Any = None
    hashed, count, intact, content = sha256(), 0, True, b""
    for digest, part, piece in parts:
        if digest != current:
            if type(current) is str:
                yield (
                    current,
                    intact and "sha256:" + hashed.hexdigest() == current,
                    content if current in kept else None,
                )
            current, hashed, count, intact, content = digest, sha256(), 0, True, b""
        intact = intact and part == count and type(piece) is bytes
        if intact:
            hashed.update(piece)
            content = content + piece if digest in kept else b""
        count += 1
    if type(current) is str:
        yield current, intact and "sha256:" + hashed.hexdigest() == current, content if current in kept else None


def _named(manifest: bytes) -> set[str]:
    """The digests that a manifest names; its own digest is right, so it is what was registered."""
    return set(json.loads(manifest)["files"].values())


def _warnings(manifest: bytes) -> set[str]:
    """The codes that a manifest warns of."""
    return {warning["code"] for warning in json.loads(manifest)["warnings"]}
