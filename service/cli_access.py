"""The `exoscore person` and `exoscore key` commands: who may sign, and what may call.

Heavy imports wait until a command needs them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from service.cli_passphrase import add_passphrase_option, asked, lines_of_input
from service.errors import InputRejected, Problem
from service.settings import Settings
from service.terminal import show

if TYPE_CHECKING:
    from service.store.keys import KeyRow

DONE = 0
ACTOR = "system:cli"


Add = Callable[..., argparse.ArgumentParser]


def add_access_commands(persons: Any, keys: Any, add: Add) -> None:
    """Add the commands to the parser's groups `person` and `key`."""
    new = add(persons, "add", person_add, "add a person, who chooses a passphrase")
    new.add_argument("name", metavar="NAME", help="as it is printed beside a signature")
    change = add(persons, "passphrase", person_passphrase, "change a passphrase, by whoever knows it")
    change.add_argument("person_id", metavar="PERSON_ID")
    add_passphrase_option(new)
    add_passphrase_option(change, "two lines, the present and the new one,")
    add(persons, "list", person_list, "list persons")
    revoke = add(persons, "revoke", person_revoke, "revoke a person and their keys for good")
    revoke.add_argument("person_id", metavar="PERSON_ID")
    create = add(keys, "create", key_create, "create a key; it is shown once")
    create.add_argument("--name", required=True)
    create.add_argument("--person", metavar="PERSON_ID", help="whose key it is; without it, that of a machine")
    create.add_argument("--scope", required=True, nargs="+", action="extend", metavar="SCOPE")
    add(keys, "list", key_list, "list keys")
    add(keys, "revoke", key_revoke, "revoke a key for good").add_argument("key_id", metavar="KEY_ID")


def person_add(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore person add NAME`."""
    from service.app import services_for
    from service.workflows.persons import add_person

    (passphrase,) = lines_of_input(1) if options.passphrase_stdin else (_chosen("Passphrase"),)
    with services_for(settings) as services:
        row = add_person(services, name=options.name, passphrase=passphrase, actor=ACTOR)
    shown = {"id": row.person_id, "name": row.name}
    text = f"{row.person_id}\n\n{row.name} can sign; exoscore key create --person {row.person_id} makes a key"
    return _show(options, shown, text)


def person_passphrase(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore person passphrase PERSON_ID`."""
    from service.app import services_for
    from service.workflows.persons import change_passphrase

    if options.passphrase_stdin:
        present, new = lines_of_input(2)
    else:
        present, new = asked("Present passphrase"), _chosen("New passphrase")
    with services_for(settings) as services:
        row = change_passphrase(services, person_id=options.person_id, passphrase=present, new_passphrase=new)
    return _show(options, {"id": row.person_id, "changed": True}, f"the passphrase of {row.name} is changed")


def person_list(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore person list`."""
    from service.store.migrate import open_current
    from service.workflows.persons import list_persons

    with open_current(settings.resolved_database_url()) as database:
        rows = list_persons(database)
    items = [{"id": r.person_id, "name": r.name, "created_at": r.created_at, "revoked_at": r.revoked_at} for r in rows]
    lines = [f"{r.person_id}  {_state(r.revoked_at)}  {r.created_at}  {r.name}" for r in rows]
    return _show(options, {"items": items}, "\n".join(lines) or "no persons")


def person_revoke(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore person revoke PERSON_ID`."""
    from service.app import services_for
    from service.workflows.persons import revoke_person

    with services_for(settings) as services:
        keys = revoke_person(services, person_id=options.person_id, actor=ACTOR)
    lines = [f"person {options.person_id} is revoked", *(f"key {key_id} is revoked" for key_id in keys)]
    return _show(options, {"id": options.person_id, "revoked": True, "keys": list(keys)}, "\n".join(lines))


def key_create(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore key create`: the key is printed once and kept nowhere."""
    from service.app import services_for
    from service.workflows.keys import create_key

    with services_for(settings) as services:
        row, key = create_key(services, name=options.name, scopes=options.scope, actor=ACTOR, person_id=options.person)
    shown = _key(row) | {"key": key}
    return _show(options, shown, f"{key}\n\nkey {row.key_id} for {row.name}; it is shown only now, store it safely")


def key_list(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore key list`."""
    from service.store.migrate import open_current
    from service.workflows.keys import list_keys

    with open_current(settings.resolved_database_url()) as database:
        rows = list_keys(database)
    items = [_key(r) | {"created_at": r.created_at, "revoked_at": r.revoked_at} for r in rows]
    lines = [
        f"{r.key_id}  {_state(r.revoked_at)}  {r.created_at}  {_owner(r)}  {r.name}: {', '.join(sorted(r.scopes))}"
        for r in rows
    ]
    return _show(options, {"items": items}, "\n".join(lines) or "no keys")


def key_revoke(options: argparse.Namespace, settings: Settings) -> int:
    """`exoscore key revoke KEY_ID`."""
    from service.app import services_for
    from service.workflows.keys import revoke_key

    with services_for(settings) as services:
        revoke_key(services, key_id=options.key_id, actor=ACTOR)
    return _show(options, {"id": options.key_id, "revoked": True}, f"key {options.key_id} is revoked")


def _key(row: KeyRow) -> dict[str, Any]:
    return {"id": row.key_id, "name": row.name, "person": row.person_id, "scopes": sorted(row.scopes)}


def _owner(row: KeyRow) -> str:
    return "machine" if row.person_id is None else f"person {row.person_id}"


def _chosen(what: str) -> str:
    """A passphrase that was typed twice."""
    first, second = asked(what), asked("The same again")
    if first != second:
        problem = Problem("/passphrase", "different_passphrases", "The two were not the same.", "Type it again.")
        raise InputRejected("Nothing was changed.", problems=[problem])
    return first


def _state(revoked_at: str | None) -> str:
    return "in force" if revoked_at is None else "revoked"


def _show(options: argparse.Namespace, document: dict[str, Any], text: str) -> int:
    show(document, text, as_json=options.json)
    return DONE
