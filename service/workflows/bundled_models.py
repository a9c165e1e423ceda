"""The versions that ship with the product, registered when a service starts.

In development the first start puts the newest release of each model in production, in the name of `system:bundled`, so
that there is something to try. It acknowledges the warnings of what it approves in that name too: that stands on record
and on the card. In production they stop at `verified`, the service acknowledges nothing, and people decide. An alias
that was ever set is never moved here: an upgrade of the package brings versions, and no change of what answers.
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
from service.workflows.acknowledge_warnings import acknowledge_open
from service.workflows.register_model import move, register_model
from service.workflows.services import Services
from service.workflows.transitions import Signatory, find_standing

BUNDLED = Signatory("system:bundled", reason="Shipped with the product.")


def register_bundled(services: Services, folder: Path, *, in_force: bool) -> tuple[ModelVersion, ...]:
    """Register every version under `folder` that is not registered yet; those that could not be, with the reason.

    `in_force` is for development: the warnings of what is shipped are acknowledged, it is approved, and what no alias
    was ever set for goes into production.
    """
    strays = []
    shipped = list_bundled(folder)
    for name, version in shipped:
        try:
            row = _bring_in(services, folder, name, version)
            if in_force and row.state == "verified":
                # In this order, so that a start that is interrupted between the two leaves both to the next one.
                acknowledge_open(services, row, BUNDLED)
                _move_to(services, row, "approved")
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


def _bring_in(services: Services, folder: Path, name: str, version: str) -> VersionRow:
    """The version as it is registered, here and now or before."""
    with services.database.read() as connection:
        row = model_store.find_version(connection, name, version)
    if row is None or row.state == "registered":
        artifact = read_bundled(folder / name / version, trusted=services.publishers)
        row = register_model(services, artifact.parts, BUNDLED, prove=False).version
    return row


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
