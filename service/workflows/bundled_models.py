"""The versions that ship with the product, registered when a service starts.

In development the first start puts the newest release of each model in production, in the name of `system:bundled`, so
that there is something to try. In production they stop at `verified`, and people decide. An alias that was ever set is
never moved here: an upgrade of the package brings versions, and no change of what answers.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from service.audit.entry import Entry
from service.errors import ArtifactRejected, Conflict
from service.registry.active import ModelVersion
from service.registry.bundled import list_bundled, newest_release, read_bundled
from service.registry.lifecycle import PRODUCTION, plan
from service.store import models as model_store
from service.store.engine import Database
from service.store.models import VersionRow
from service.telemetry import log_event
from service.workflows.register_model import move, register_model
from service.workflows.services import Services
from service.workflows.transitions import Signatory, find_standing

BUNDLED = Signatory("system:bundled", reason="Shipped with the product.")


def register_bundled(services: Services, folder: Path, *, in_force: bool) -> tuple[ModelVersion, ...]:
    """Register every version under `folder` that is not registered yet; those that could not be, with the reason.

    `in_force` is for development: what is shipped is approved, and what no alias was ever set for goes into production.
    """
    strays = []
    shipped = list_bundled(folder)
    for name, version in shipped:
        try:
            _bring_in(services, folder, name, version, in_force=in_force)
        except ArtifactRejected as error:
            log_event("version_rejected", level=logging.ERROR, model=f"{name}@{version}", reason=error.message)
            strays.append(ModelVersion(name, version, "", "rejected", reason=error.message))
        except Conflict:
            # Another process that starts at the same time does the same, or this version was registered with other
            # bytes by somebody else: what is registered stands.
            log_event("bundled_not_registered", level=logging.WARNING, model=f"{name}@{version}")
    if in_force:
        for name in dict.fromkeys(name for name, _ in shipped):
            with suppress(Conflict):  # another process has just done the same
                _put_in_production(services, name)
    return tuple(strays)


def approved_by_no_person(database: Database) -> tuple[str, ...]:
    """The versions in force, as name@version, that were approved as development mode does it."""
    with database.read() as connection:
        approvals = model_store.list_approvals(connection)
    return tuple(f"{name}@{version}" for name, version, entry in approvals if Entry.parse(entry).actor == BUNDLED.actor)


def _bring_in(services: Services, folder: Path, name: str, version: str, *, in_force: bool) -> None:
    with services.database.read() as connection:
        row = model_store.find_version(connection, name, version)
    if row is None or row.state == "registered":
        artifact = read_bundled(folder / name / version, trusted=services.publishers)
        row = register_model(services, artifact.parts, BUNDLED, prove=False).version
    if in_force and row.state == "verified":
        _move_to(services, row, "approved")


def _put_in_production(services: Services, name: str) -> None:
    with services.database.read() as connection:
        rows = [row for row in model_store.list_versions(connection, name) if row.state == "approved"]
        moved = model_store.was_promoted(connection, name)
    if rows and not moved:
        newest = newest_release([row.version for row in rows])
        _move_to(services, next(row for row in rows if row.version == newest), PRODUCTION)


def _move_to(services: Services, row: VersionRow, to: str) -> None:
    with services.database.read() as connection:
        found = find_standing(connection, row.name, row.version)
    if found is not None:
        version, standing = found
        move(services, version, plan(version.version, to, standing), standing, BUNDLED)
