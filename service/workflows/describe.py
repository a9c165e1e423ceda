"""All that is known of one version: its manifest, who published it, who signed for it, who acknowledged which of its
warnings, and why it was turned down.

A version that is not in force is not loaded; its manifest is read from the database, and shown all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.audit.entry import timestamp
from service.domain.acknowledgement import Acknowledgement, open_codes
from service.domain.signature import Signature
from service.errors import ArtifactRejected, ModelNotFound
from service.registry.active import ActiveModels, ModelVersion
from service.registry.archive import MANIFEST
from service.registry.manifest import Manifest
from service.registry.manifest_decode import decode_object
from service.registry.promotion import warning_codes
from service.store.engine import Database
from service.workflows.acknowledged import acknowledgements
from service.workflows.artifact_files import read_manifest
from service.workflows.model_history import Happened, find_history


@dataclass(frozen=True, slots=True)
class Described:
    """One version. `manifest` and `document` are None where they cannot be read; `reason` says why, or why the version
    was rejected; `publisher` is None for a version without a signature."""

    version: ModelVersion
    reason: str | None
    manifest: Manifest | None
    document: dict[str, Any] | None
    publisher: str | None = None
    aliases: tuple[str, ...] = ()
    signatures: tuple[Signature, ...] = ()
    acknowledgements: tuple[Acknowledgement, ...] = ()

    @property
    def open_warnings(self) -> tuple[str, ...]:
        """The codes of the warnings that nobody has acknowledged; none where the manifest cannot be read."""
        codes = () if self.manifest is None else warning_codes(self.manifest)
        return open_codes(codes, {one.code for one in self.acknowledgements})


def describe(models: ActiveModels, name: str, version: str, database: Database | None) -> Described:
    """The version of a snapshot, with what the database says of it; raises ModelNotFound, RecordDamaged."""
    found = models.get(name, version)
    aliases = tuple(alias for alias, target in models.aliases.get(name, {}).items() if target == version)
    happened, signed = ((), ()) if database is None else _happened(database, name, version)
    reason = found.reason if found.reason is not None else _fault(happened)
    manifest, document = found.manifest, found.document
    if manifest is None and database is not None and happened:
        try:
            manifest, raw = read_manifest(database, found.digest)
            document = decode_object(raw, what=MANIFEST)
        except ArtifactRejected as error:
            reason = error.message
    publishers = [one.said.get("publisher") for one in happened if one.said["kind"] == "model.registered"]
    return Described(
        version=found,
        reason=reason,
        manifest=manifest,
        document=document,
        publisher=publishers[0] if publishers else None,
        aliases=aliases,
        signatures=tuple(_signature(one) for one in happened if one.said["meaning"] is not None),
        acknowledgements=tuple(
            shown
            for one in signed
            if one.said["digest"] == found.digest
            for shown in acknowledgements(one.said, timestamp(one.at))
        ),
    )


def _happened(database: Database, name: str, version: str) -> tuple[tuple[Happened, ...], tuple[Happened, ...]]:
    """The transitions of a version, and what was acknowledged of it."""
    try:
        history = find_history(database, name)
    except ModelNotFound:
        return (), ()  # shown, but not registered: a bundled version that could not be
    transitions = tuple(one for one in history.happened if one.said["version"] == version)
    return transitions, tuple(one for one in history.acknowledged if one.said["version"] == version)


def _fault(happened: tuple[Happened, ...]) -> str | None:
    for one in reversed(happened):
        if one.said["kind"] == "model.rejected":
            fault: str | None = one.said.get("fault") or one.said["reason"]
            return fault
    return None


def _signature(one: Happened) -> Signature:
    said = one.said
    return Signature(
        kind=said.get("alias") or said["to"] or "withdrawn",
        printed_name=said["printed_name"],
        person_id=said["person"],
        meaning=said["meaning"],
        reason=said["reason"],
        at=timestamp(one.at),
    )
