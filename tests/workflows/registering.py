"""Versions brought through the registry: registered, approved and put in production, as the product does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from service.registry import lifecycle
from service.registry.artifact import examine
from service.registry.lifecycle import PRODUCTION, Standing, plan
from service.store.models import VersionRow, store_bytes
from service.workflows.artifact_files import store_files
from service.workflows.register_model import move, register_model
from service.workflows.services import Services
from service.workflows.transitions import Signatory, find_standing

SIGNATORY = Signatory("system:cli", reason="A test.")


def register(services: Services, files: Mapping[str, bytes], *, prove: bool = False) -> VersionRow:
    """Register an artifact; the version as it then is."""
    return register_model(services, lambda: files, SIGNATORY, prove=prove).version


def admit(services: Services, files: Mapping[str, bytes]) -> VersionRow:
    """The rows and entries of a registered and verified version, without its self-test, which a test made elsewhere."""
    artifact = examine(files, trusted=services.publishers)
    store_files(services.database, files)
    signature = None if artifact.signature is None else store_bytes(services.database, artifact.signature)
    row = VersionRow(artifact.name, artifact.version, artifact.digest, signature, "registered")
    move(services, row, lifecycle.register(row.version), None, SIGNATORY, {"publisher": artifact.publisher})
    move(services, row, lifecycle.verify(row.version), Standing("registered", {}), SIGNATORY)
    return replace(row, state="verified")


def bring(services: Services, row: VersionRow, *places: str) -> None:
    """Bring a version to states and aliases, one after the other."""
    for to in places:
        with services.database.read() as connection:
            found = find_standing(connection, row.name, row.version)
        assert found is not None
        known, standing = found
        move(services, known, plan(known.version, to, standing), standing, SIGNATORY)


def put_in_force(services: Services, files: Mapping[str, bytes]) -> VersionRow:
    """Bring an artifact into production, and load what is in force."""
    row = admit(services, files)
    bring(services, row, "approved", PRODUCTION)
    services.registry.load_all()
    return row
