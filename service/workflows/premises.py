"""What a record rests on, asked again under the lock on the head where the registry has moved since it was looked up.

A move concerns one version, one alias or one key. Everything else that is under way goes on as it is, because here it
is seen that nothing it rests on has changed; see `audit.submissions.Premise`.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.store.audit_log import SqlTransaction
from service.store.in_force import is_key_in_force, is_version_in_force


@dataclass(frozen=True, slots=True)
class KeyInForce:
    """The key of whoever asked has not been revoked."""

    key_id: str

    def holds(self, transaction: SqlTransaction) -> bool:
        """Whether it is so."""
        return is_key_in_force(transaction.connection, self.key_id)


@dataclass(frozen=True, slots=True)
class VersionAnswers:
    """The key has not been revoked; the version is approved and, where the request named an alias or the model alone,
    it is the one that answers for it."""

    key_id: str
    name: str
    version: str
    digest: str
    alias: str | None

    def holds(self, transaction: SqlTransaction) -> bool:
        """Whether it is so."""
        return is_version_in_force(
            transaction.connection, self.key_id, self.name, self.version, self.digest, self.alias
        )
