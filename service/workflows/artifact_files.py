"""The files of a version in the database: kept by digest, found again through the manifest."""

from __future__ import annotations

from collections.abc import Mapping

from service.errors import ArtifactRejected
from service.registry.active import ModelVersion
from service.registry.archive import MANIFEST, SIGNATURE
from service.registry.manifest import Manifest, parse_manifest
from service.store.engine import Database, ReadConnection
from service.store.models import VersionRow, find_version, read_bytes, store_bytes

ALTERED = "The stored bytes are not those that were registered."


def store_files(database: Database, files: Mapping[str, bytes]) -> None:
    """Keep every file of an artifact by its digest."""
    for content in files.values():
        store_bytes(database, content)


def read_files(database: Database, row: VersionRow) -> dict[str, bytes]:
    """The files of a version by name, its manifest and signature included. Raises ArtifactRejected where one is missing
    or altered."""
    with database.read() as connection:
        raw = _read(connection, row.digest)
        named = {name: _read(connection, digest) for name, digest in parse_manifest(raw).files.items()}
        signature = {} if row.signature_digest is None else {SIGNATURE: _read(connection, row.signature_digest)}
    return {MANIFEST: raw} | named | signature


def read_files_of(database: Database, version: ModelVersion) -> dict[str, bytes]:
    """As `read_files`, for a version of a snapshot."""
    with database.read() as connection:
        row = find_version(connection, version.name, version.version)
    if row is None or row.digest != version.digest:
        raise ArtifactRejected(ALTERED, "Restore the database, or register the artifact again as a new version.")
    return read_files(database, row)


def read_manifest(database: Database, digest: str) -> tuple[Manifest, bytes]:
    """The manifest with this digest, and its bytes. Raises ArtifactRejected where it is missing or altered."""
    with database.read() as connection:
        raw = _read(connection, digest)
    return parse_manifest(raw), raw


def _read(connection: ReadConnection, digest: str) -> bytes:
    content = read_bytes(connection, digest)
    if content is None:
        raise ArtifactRejected(ALTERED, "Restore the database, or register the artifact again as a new version.")
    return content
