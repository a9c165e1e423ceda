"""Versions brought through the registry as the product does it, by machines and by people; and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select

from service.audit.entry import Entry
from service.domain.acknowledgement import open_codes
from service.domain.model_life import Acknowledging, Signing
from service.errors import ServiceError
from service.registry import lifecycle
from service.registry.artifact import examine
from service.registry.lifecycle import PRODUCTION, SHADOW, STATES, WITHDRAWN, Standing, plan
from service.registry.promotion import warning_codes
from service.store.engine import Database
from service.store.log_rows import find_generation
from service.store.models import VersionRow, store_bytes
from service.store.tables import (
    artifact_part,
    audit_entry,
    model_acknowledgement,
    model_alias,
    model_transition,
    model_version,
)
from service.workflows.acknowledge_warnings import acknowledge_open, acknowledge_warnings
from service.workflows.artifact_files import read_manifest, store_files
from service.workflows.persons import add_person
from service.workflows.register_model import move, register_model
from service.workflows.services import Services
from service.workflows.transition_model import Moved, transition_model
from service.workflows.transitions import Signatory, find_standing

SIGNATORY = Signatory("system:cli", reason="A test.")
PASSPHRASE = "zwölf gute Zeichen"
REASON = "The evaluation holds."


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
    move(
        services, row, lifecycle.verify(row.version, Standing("registered", {})), Standing("registered", {}), SIGNATORY
    )
    return replace(row, state="verified")


def bring(services: Services, row: VersionRow, *places: str) -> None:
    """Bring a version to states and aliases, one after the other; what it warns of is acknowledged in time."""
    for to in places:
        if answers(to):
            acknowledge_open(services, row, SIGNATORY)
        with services.database.read() as connection:
            found = find_standing(connection, row.name, row.version)
        assert found is not None
        known, standing = found
        move(services, known, plan(known.version, to, standing), standing, SIGNATORY)


def answers(to: str) -> bool:
    """Whether `to` is an alias that answers callers."""
    return to not in (*STATES, WITHDRAWN, SHADOW)


def put_in_force(services: Services, files: Mapping[str, bytes]) -> VersionRow:
    """Bring an artifact into production, and load what is in force."""
    row = admit(services, files)
    bring(services, row, "approved", PRODUCTION)
    services.registry.load_all()
    return row


def person(services: Services, name: str) -> str:
    """Add a person who can sign; the id."""
    return add_person(services, name=name, passphrase=PASSPHRASE, actor="system:cli").person_id


def asked(to: str, *, meaning: str = "approval", reason: str = REASON, passphrase: str = PASSPHRASE) -> Signing:
    """What a person asks for."""
    return Signing(to, reason, meaning, passphrase)


def sign(services: Services, person_id: str, row: VersionRow, *places: str) -> Moved:
    """Have a person bring a version to states and aliases, one after the other; the last move. What it warns of the
    person acknowledges when somebody has to."""

    async def signed() -> Moved:
        for to in places:
            if answers(to):
                await asyncio.to_thread(acknowledge_all, services, person_id, row)
            moved = await transition_model(services, person_id, row.name, row.version, asked(to))
        return moved

    return asyncio.run(signed())


def acknowledge_all(services: Services, person_id: str, row: VersionRow) -> None:
    """Have a person acknowledge what nobody has yet of a version's warnings."""
    with services.database.read() as connection:
        found = find_standing(connection, row.name, row.version)
    assert found is not None
    manifest, _ = read_manifest(services.database, row.digest)
    codes = open_codes(warning_codes(manifest), found[1].acknowledged)
    if codes:
        asyncio.run(acknowledge_warnings(services, person_id, row.name, row.version, acknowledging(*codes)))


def acknowledging(
    *codes: str, meaning: str = "review", reason: str = REASON, passphrase: str = PASSPHRASE
) -> Acknowledging:
    """What a person acknowledges."""
    return Acknowledging(codes, reason, passphrase, meaning)


@dataclass(frozen=True)
class Stored:
    """How much of the registry is stored, and the entries of the log."""

    generation: int
    rows: Mapping[str, int]
    entries: tuple[Entry, ...]

    def since(self, earlier: Stored) -> tuple[Entry, ...]:
        """The entries that were recorded after `earlier`."""
        return self.entries[len(earlier.entries) :]


def stored(database: Database) -> Stored:
    """What is stored now."""
    with database.read() as connection:
        rows = {
            table.name: connection.select(select(func.count()).select_from(table)).scalar_one()
            for table in (artifact_part, model_version, model_alias, model_transition, model_acknowledgement)
        }
        places = select(audit_entry.c.entry).order_by(audit_entry.c.log_id, audit_entry.c.seq)
        entries = tuple(Entry.parse(entry) for entry in connection.select(places).scalars())
        return Stored(find_generation(connection), rows, entries)


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What calls give that begin at the same time; the error where they raise one."""

    def outcome(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ServiceError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))
