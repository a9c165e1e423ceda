"""The tables, as SQLAlchemy Core sees them. Alembic alone creates them; a drift test holds both to one shape.

Conventions:
1. A time is text: RFC 3339, UTC, microseconds, 27 characters (`2026-11-23T05:51:19.123456Z`). The stored form is the
   one that is hashed and answered, it sorts as it reads, and both databases agree on it to the last digit.
2. `log_id, seq` is the order of everything recorded. Times and uuid7 are not commit order.
3. No column has a server default and no statement relies on one: what is stored is what the code wrote.
4. Check constraints live in the migration, because Alembic does not compare them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMES)

audit_log = Table(
    "audit_log",
    metadata,
    Column("log_id", Integer, primary_key=True),
    Column("origin", Text, nullable=False, unique=True),
    Column("vkey", Text),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary),
    Column("note", Text),
    Column("last_recorded_at", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("registry_generation", BigInteger, nullable=False),
)
OPEN = text("state = 'open'")
Index("uq_audit_log_open", audit_log.c.state, unique=True, sqlite_where=OPEN, postgresql_where=OPEN)

audit_entry = Table(
    "audit_entry",
    metadata,
    Column("log_id", Integer, ForeignKey("audit_log.log_id"), primary_key=True, autoincrement=False),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Column("entry", LargeBinary, nullable=False),
)

audit_tile = Table(
    "audit_tile",
    metadata,
    Column("log_id", Integer, ForeignKey("audit_log.log_id"), primary_key=True, autoincrement=False),
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
)

audit_anchor = Table(
    "audit_anchor",
    metadata,
    Column("log_id", Integer, ForeignKey("audit_log.log_id"), primary_key=True, autoincrement=False),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("recorded_at", Text, nullable=False),
)

score = Table(
    "score",
    metadata,
    Column("score_id", Text, primary_key=True),
    Column("subject_id", Text, nullable=False, index=True),
    Column("specimen_id", Text, nullable=False, index=True),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("model_digest", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("value", Double),
    Column("category", Text),
    Column("created_at", Text, nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column("supersedes", Text, ForeignKey("score.score_id"), unique=True),
    Column("request", LargeBinary, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Index(None, "model_name", "model_version"),
)

score_log = Table(
    "score_log",
    metadata,
    Column("score_id", Text, ForeignKey("score.score_id"), primary_key=True),
    Column("log_id", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    UniqueConstraint("log_id", "seq"),
    ForeignKeyConstraint(["log_id", "seq"], ["audit_entry.log_id", "audit_entry.seq"]),
)

score_retraction = Table(
    "score_retraction",
    metadata,
    Column("score_id", Text, ForeignKey("score.score_id"), primary_key=True),
    Column("log_id", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    UniqueConstraint("log_id", "seq"),
    ForeignKeyConstraint(["log_id", "seq"], ["audit_entry.log_id", "audit_entry.seq"]),
)

api_key = Table(
    "api_key",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hmac", LargeBinary, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("revoked_at", Text),
    Column("development", Boolean, nullable=False),
    Column("person_id", Text, ForeignKey("person.person_id")),
)

person = Table(
    "person",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("passphrase_salt", LargeBinary, nullable=False),
    Column("passphrase_hash", LargeBinary, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("revoked_at", Text),
)

artifact_part = Table(
    "artifact_part",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)

model_version = Table(
    "model_version",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("signature_digest", Text),
    Column("state", Text, nullable=False),
)

model_alias = Table(
    "model_alias",
    metadata,
    Column("name", Text, primary_key=True),
    Column("alias", Text, primary_key=True),
    Column("version", Text, nullable=False),
    ForeignKeyConstraint(["name", "version"], ["model_version.name", "model_version.version"]),
)

model_transition = Table(
    "model_transition",
    metadata,
    Column("transition_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("log_id", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("statement", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    UniqueConstraint("log_id", "seq"),
    ForeignKeyConstraint(["name", "version"], ["model_version.name", "model_version.version"]),
    ForeignKeyConstraint(["log_id", "seq"], ["audit_entry.log_id", "audit_entry.seq"]),
    Index(None, "name", "version"),
)

model_acknowledgement = Table(
    "model_acknowledgement",
    metadata,
    Column("acknowledgement_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("log_id", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("statement", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    UniqueConstraint("log_id", "seq"),
    ForeignKeyConstraint(["name", "version"], ["model_version.name", "model_version.version"]),
    ForeignKeyConstraint(["log_id", "seq"], ["audit_entry.log_id", "audit_entry.seq"]),
    Index(None, "name", "version"),
)

shadow_score = Table(
    "shadow_score",
    metadata,
    Column("score_id", Text, ForeignKey("score.score_id"), primary_key=True),
    Column("model_digest", Text, primary_key=True),
    Column("model_name", Text, nullable=False),
    Column("model_version", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("value", Double),
    Column("category", Text),
    Column("recorded_at", Text, nullable=False),
    Index(None, "model_name", "model_version"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key_hmac", LargeBinary, primary_key=True),
    Column("body_hmac", LargeBinary),
    Column("score_id", Text, nullable=False),
    Column("expires_at", Text, nullable=False, index=True),
)
