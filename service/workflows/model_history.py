"""What happened to a model, and how it stood at any time: replayed from the log, not read from the present state.

A transition is dated behind everything recorded before it (`audit.log`, rule 4), so the state `as_of` the time at which
a score was recorded is the one under which it was scored. Acknowledgements stand beside the transitions: they are told,
and move nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from service.audit.entry import Entry, commitment, timestamp
from service.errors import ModelNotFound, RecordDamaged
from service.registry.semver import is_name, version_order
from service.store.acknowledgements import RecordedAcknowledgement, list_acknowledgements
from service.store.engine import Database, ReadConnection
from service.store.models import RecordedTransition, list_transitions

ACKNOWLEDGED = "model.acknowledged"


@dataclass(frozen=True, slots=True)
class Happened:
    """One transition or acknowledgement: when and where it was recorded, its id, and what its statement says."""

    at: datetime
    origin: str
    index: int
    id: str
    said: dict[str, Any]


@dataclass(frozen=True, slots=True)
class History:
    """The transitions of a model up to some time, the states of its versions and its aliases as they then were, and
    what had been acknowledged of its versions' warnings."""

    name: str
    happened: tuple[Happened, ...]
    states: dict[str, str]
    aliases: dict[str, str]
    acknowledged: tuple[Happened, ...] = ()


def find_history(database: Database, name: str, as_of: datetime | None = None) -> History:
    """The history of a model up to and with `as_of`. Raises ModelNotFound, RecordDamaged."""
    recorded: tuple[RecordedTransition, ...] = ()
    acknowledged: tuple[Happened, ...] = ()
    if is_name(name):  # what is none may hold what PostgreSQL does not take as a text
        with database.read() as connection:
            recorded = list_transitions(connection, name)
            acknowledged = find_acknowledged(connection, name)
    if not recorded:
        raise ModelNotFound("No such model.", "List the models with GET /v1/models.")
    made = [_happened(one.row.transition_id, one) for one in recorded]
    history = replayed(name, [one for one in made if as_of is None or one.at <= as_of])
    return replace(history, acknowledged=tuple(one for one in acknowledged if as_of is None or one.at <= as_of))


def find_acknowledged(connection: ReadConnection, name: str, version: str | None = None) -> tuple[Happened, ...]:
    """What was acknowledged of a model or of one version, in the order in which it was recorded. Raises RecordDamaged
    where a row is not the one that its entry commits to, or is not of the version that was signed for."""
    found = []
    for one in list_acknowledgements(connection, name, version):
        happened = _happened(one.row.acknowledgement_id, one)
        said = happened.said
        if (said["kind"], said["name"], said["version"]) != (ACKNOWLEDGED, one.row.name, one.row.version):
            raise _damaged("An acknowledgement")
        found.append(happened)
    return tuple(found)


def find_registrant(database: Database, name: str, version: str) -> str | None:
    """The person who registered a version; None where a machine did."""
    for one in find_history(database, name).happened:
        if one.said["kind"] == "model.registered" and one.said["version"] == version:
            person: str | None = one.said["person"]
            return person
    raise RecordDamaged("The registration of the version is not on record.", "Have the audit log verified.")


def find_registration(database: Database, name: str, version: str) -> tuple[str | None, str | None]:
    """What is on record of a registered version: the publisher who signed its artifact, None without a signature, and
    the fault that its self-test found, None where there was none. Raises as `find_history`."""
    publisher = fault = None
    for one in find_history(database, name).happened:
        if one.said["version"] == version:
            publisher = one.said.get("publisher", publisher)
            fault = one.said.get("fault", fault)
    return publisher, fault


def replayed(name: str, happened: Iterable[Happened]) -> History:
    """How a model stands after these transitions."""
    states: dict[str, str] = {}
    aliases: dict[str, str] = {}
    taken = tuple(happened)
    for one in taken:
        apply(one.said, states, aliases)
    ordered = dict(sorted(states.items(), key=lambda item: version_order(item[0])))
    return History(name, taken, ordered, dict(sorted(aliases.items())))


def apply(said: dict[str, Any], states: dict[str, str], aliases: dict[str, str]) -> None:
    """Make in `states` (version -> state) and `aliases` (alias -> version) what a statement says was done."""
    if "alias" in said:
        aliases[said["alias"]] = said["to"]
    elif said["to"] is not None:
        states[said["version"]] = said["to"]
    for alias in said.get("dropped", ()):
        aliases.pop(alias, None)


def rendered(history: History, as_of: datetime | None) -> dict[str, Any]:
    """A history as it is answered."""
    items = sorted((*history.happened, *history.acknowledged), key=lambda one: (one.at, one.index))
    return {
        "name": history.name,
        "as_of": None if as_of is None else timestamp(as_of),
        "aliases": history.aliases,
        "versions": [{"version": version, "state": state} for version, state in history.states.items()],
        "items": [_item(one) for one in items],
        "next_cursor": None,
    }


def _item(one: Happened) -> dict[str, Any]:
    said = one.said
    kept = ("version", "digest", "from", "to", "alias", "dropped", "codes", "publisher", "fault")
    signed = ("actor", "person", "printed_name", "meaning", "reason")
    return {
        "id": one.id,
        "kind": said["kind"].removeprefix("model."),
        **{name: said.get(name) for name in kept},
        **{name: said[name] for name in signed},
        "at": timestamp(one.at),
        "audit": {"origin": one.origin, "index": one.index},
    }


def _happened(record_id: str, one: RecordedTransition | RecordedAcknowledgement) -> Happened:
    row = one.row
    try:
        entry = Entry.parse(one.entry)
        intact = entry.record == record_id and entry.out == commitment(row.salt, row.statement)
    except ValueError:
        intact = False
    if not intact:
        raise _damaged("A transition" if isinstance(one, RecordedTransition) else "An acknowledgement")
    return Happened(entry.at, one.origin, row.seq, record_id, json.loads(row.statement))


def _damaged(what: str) -> RecordDamaged:
    return RecordDamaged(f"{what} is not the one that was recorded.", "Have the audit log verified.")
