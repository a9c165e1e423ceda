"""Acknowledged warnings as they are stored: one row for each signature, beside its entry of the log."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from .engine import ReadConnection, WriteConnection
from .tables import audit_entry, audit_log, model_acknowledgement


@dataclass(frozen=True, slots=True)
class AcknowledgementRow:
    """One signature for warnings; `statement` is what the entry `seq` of the log `log_id` commits to."""

    acknowledgement_id: str
    name: str
    version: str
    log_id: int
    seq: int
    statement: bytes
    salt: bytes


@dataclass(frozen=True, slots=True)
class RecordedAcknowledgement:
    """A signature with the origin of its log and the bytes of its entry."""

    row: AcknowledgementRow
    origin: str
    entry: bytes


def insert_acknowledgement(connection: WriteConnection, row: AcknowledgementRow) -> None:
    """Add a signature, once its place in the log is known."""
    connection.execute(
        connection.insert(model_acknowledgement).values(
            acknowledgement_id=row.acknowledgement_id,
            name=row.name,
            version=row.version,
            log_id=row.log_id,
            seq=row.seq,
            statement=row.statement,
            salt=row.salt,
        )
    )


def list_acknowledgements(
    connection: ReadConnection, name: str, version: str | None = None
) -> tuple[RecordedAcknowledgement, ...]:
    """All signatures for the warnings of a model, or of one version, in the order in which they were recorded."""
    table = model_acknowledgement
    same = (audit_entry.c.log_id == table.c.log_id) & (audit_entry.c.seq == table.c.seq)
    statement = (
        select(*table.c, audit_log.c.origin, audit_entry.c.entry)
        .join_from(table, audit_entry, same)
        .join(audit_log, audit_log.c.log_id == table.c.log_id)
        .where(table.c.name == name)
        .order_by(table.c.log_id, table.c.seq)
    )
    if version is not None:
        statement = statement.where(table.c.version == version)
    return tuple(
        RecordedAcknowledgement(AcknowledgementRow(*row[:7]), row[7], row[8]) for row in connection.select(statement)
    )
