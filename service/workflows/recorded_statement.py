"""The statement that a row of the registry holds, held against the entry that commits to it."""

from __future__ import annotations

import json
from typing import Any

from service.audit.entry import Entry, commitment

_SALT_BYTES = 32


def find_statement(entry: Entry, row: tuple[Any, ...]) -> dict[str, Any] | None:
    """The statement of a row (id, name, version, statement, salt), where it is the one the entry commits to, and row,
    statement and entry name the same version, actor and kind; else None. What a kind says in its detail is left to
    its own check."""
    record, name, version, statement, salt = row
    if type(statement) is not bytes or type(salt) is not bytes or len(salt) != _SALT_BYTES:
        return None
    if record != entry.record or commitment(salt, statement) != entry.out:
        return None
    said: dict[str, Any] = json.loads(statement)
    model = (said["kind"], f"{said['name']}@{said['version']}", said["digest"], said["actor"])
    if (said["name"], said["version"]) != (name, version):
        return None
    return said if model == (entry.kind, entry.model, entry.model_digest, entry.actor) else None
