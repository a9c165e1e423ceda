"""Whether a key and a version are in force at this very moment, for those who hold the lock on the head of the log.

Plain SQL, so that on PostgreSQL it goes the way of what else the committer writes; see `engine.WriteConnection.run`.
"""

from __future__ import annotations

from .engine import WriteConnection

_KEY = "SELECT 1 FROM api_key WHERE key_id = ? AND revoked_at IS NULL"
_APPROVED = "SELECT 1 FROM model_version WHERE name = ? AND version = ? AND digest = ? AND state = 'approved'"
_ALIASED = "SELECT 1 FROM model_alias WHERE name = ? AND alias = ? AND version = ?"


def is_key_in_force(connection: WriteConnection, key_id: str) -> bool:
    """Whether the key exists and was not revoked."""
    return connection.run(_KEY, (key_id,)).fetchone() is not None


def is_version_in_force(
    connection: WriteConnection, key_id: str, name: str, version: str, digest: str, alias: str | None
) -> bool:
    """As `is_key_in_force`, and whether the version is approved and, where an `alias` is given, has it."""
    # All are sent before any is awaited.
    answers = [connection.run(_KEY, (key_id,)), connection.run(_APPROVED, (name, version, digest))]
    if alias is not None:
        answers.append(connection.run(_ALIASED, (name, alias, version)))
    return all(answer.fetchone() is not None for answer in answers)
