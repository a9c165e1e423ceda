"""Scores, the audit log that proves them, API keys and idempotency keys.

Why the columns are as they are:

- `audit_log` is the head of a log and its only mutable row. It is created together with entry 0 (`log.opened`), so
  `size` is at least 1 and `last_recorded_at` is never null. `vkey`, `root` and `note` are null until the log is signed.
  A partial unique index allows one open log: two writers that open a log at once cannot fork it.
- `audit_entry` holds the bytes that are hashed. Triggers refuse UPDATE and DELETE (and TRUNCATE on PostgreSQL). On
  SQLite a third trigger refuses INSERT OR REPLACE, which removes the old row without firing a DELETE trigger.
- `score.value` is null exactly where the status is `not_reportable`: no row can hold a number that was withheld.
  `supersedes` is unique: of two amendments of one score, one wins.
- `score_log.log_id, seq` refers to the entry, so a score cannot point at a leaf that does not exist.
- `idempotency.score_id` refers to nothing: after an erasure the key outlives its score, and `body_hmac` is null.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from service.errors import AuditWouldBeLost

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = 27  # characters of 2026-11-23T05:51:19.123456Z
SHA256 = 32  # bytes

SQLITE_TRIGGERS = (
    """CREATE TRIGGER audit_entry_no_update BEFORE UPDATE ON audit_entry
       BEGIN SELECT RAISE(ABORT, 'audit_entry is append-only'); END""",
    """CREATE TRIGGER audit_entry_no_delete BEFORE DELETE ON audit_entry
       BEGIN SELECT RAISE(ABORT, 'audit_entry is append-only'); END""",
    """CREATE TRIGGER audit_entry_no_replace BEFORE INSERT ON audit_entry
       WHEN EXISTS (SELECT 1 FROM audit_entry WHERE log_id = NEW.log_id AND seq = NEW.seq)
       BEGIN SELECT RAISE(ABORT, 'audit_entry is append-only'); END""",
)
POSTGRESQL_TRIGGERS = (
    """CREATE FUNCTION audit_entry_refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'audit_entry is append-only'; END $$""",
    """CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
       FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_refuse()""",
)


def upgrade() -> None:
    create_audit_log()
    create_audit_entry()
    create_score()
    create_score_log()
    create_api_key()
    create_idempotency()
    triggers = POSTGRESQL_TRIGGERS if on_postgresql() else SQLITE_TRIGGERS
    for statement in triggers:
        op.execute(statement)


def downgrade() -> None:
    entries = op.get_bind().execute(sa.text("SELECT count(*) FROM audit_entry")).scalar_one()
    if entries and not context.config.attributes.get("discard_audit_entries"):
        raise AuditWouldBeLost(
            "The downgrade would drop the audit log while it holds entries.",
            "Keep this release, or restore an older backup into another database.",
        )
    for table in ("idempotency", "api_key", "score_log", "score", "audit_entry", "audit_log"):
        op.drop_table(table)
    if on_postgresql():
        op.execute("DROP FUNCTION audit_entry_refuse()")


def on_postgresql() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")


def create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("log_id", sa.Integer(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("vkey", sa.Text()),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary()),
        sa.Column("note", sa.Text()),
        sa.Column("last_recorded_at", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("registry_generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", name="pk_audit_log"),
        sa.UniqueConstraint("origin", name="uq_audit_log_origin"),
        sa.CheckConstraint("size >= 1", name="ck_audit_log_size"),
        sa.CheckConstraint("root IS NULL OR length(root) = 32", name="ck_audit_log_root"),
        sa.CheckConstraint(f"length(last_recorded_at) = {TIME}", name="ck_audit_log_last_recorded_at"),
        sa.CheckConstraint("state IN ('open', 'sealed')", name="ck_audit_log_state"),
        sa.CheckConstraint("registry_generation >= 0", name="ck_audit_log_registry_generation"),
    )
    is_open = sa.text("state = 'open'")
    op.create_index(
        "uq_audit_log_open", "audit_log", ["state"], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )


def create_audit_entry() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("log_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", "seq", name="pk_audit_entry"),
        sa.ForeignKeyConstraint(["log_id"], ["audit_log.log_id"], name="fk_audit_entry_log_id"),
        sa.CheckConstraint("seq >= 0", name="ck_audit_entry_seq"),
        sa.CheckConstraint(f"length(leaf_hash) = {SHA256}", name="ck_audit_entry_leaf_hash"),
        sa.CheckConstraint("length(entry) BETWEEN 1 AND 65535", name="ck_audit_entry_entry"),
    )


def create_score() -> None:
    op.create_table(
        "score",
        sa.Column("score_id", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("specimen_id", sa.Text(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("model_digest", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("category", sa.Text()),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("supersedes", sa.Text()),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("score_id", name="pk_score"),
        sa.UniqueConstraint("supersedes", name="uq_score_supersedes"),
        sa.ForeignKeyConstraint(["supersedes"], ["score.score_id"], name="fk_score_supersedes"),
        sa.CheckConstraint("length(score_id) = 36", name="ck_score_score_id"),
        sa.CheckConstraint("status IN ('final', 'indeterminate', 'not_reportable')", name="ck_score_status"),
        sa.CheckConstraint("(status = 'not_reportable') = (value IS NULL)", name="ck_score_value"),
        sa.CheckConstraint("value IS NOT NULL OR category IS NULL", name="ck_score_category"),
        sa.CheckConstraint(f"length(created_at) = {TIME}", name="ck_score_created_at"),
        sa.CheckConstraint("length(request) > 0 AND length(answer) > 0", name="ck_score_bytes"),
        sa.CheckConstraint("length(salt) = 32", name="ck_score_salt"),
    )
    op.create_index("ix_score_subject_id", "score", ["subject_id"])
    op.create_index("ix_score_specimen_id", "score", ["specimen_id"])
    op.create_index("ix_score_created_at", "score", ["created_at"])
    op.create_index("ix_score_model_name_model_version", "score", ["model_name", "model_version"])


def create_score_log() -> None:
    op.create_table(
        "score_log",
        sa.Column("score_id", sa.Text(), nullable=False),
        sa.Column("log_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("score_id", name="pk_score_log"),
        sa.UniqueConstraint("log_id", "seq", name="uq_score_log_log_id_seq"),
        sa.ForeignKeyConstraint(["score_id"], ["score.score_id"], name="fk_score_log_score_id"),
        sa.ForeignKeyConstraint(
            ["log_id", "seq"], ["audit_entry.log_id", "audit_entry.seq"], name="fk_score_log_log_id_seq"
        ),
    )


def create_api_key() -> None:
    op.create_table(
        "api_key",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hmac", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.Text()),
        sa.Column("development", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_key"),
        sa.UniqueConstraint("secret_hmac", name="uq_api_key_secret_hmac"),
        sa.CheckConstraint(f"length(secret_hmac) = {SHA256}", name="ck_api_key_secret_hmac"),
        sa.CheckConstraint(f"length(created_at) = {TIME}", name="ck_api_key_created_at"),
        sa.CheckConstraint(f"revoked_at IS NULL OR length(revoked_at) = {TIME}", name="ck_api_key_revoked_at"),
    )


def create_idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("key_hmac", sa.LargeBinary(), nullable=False),
        sa.Column("body_hmac", sa.LargeBinary()),
        sa.Column("score_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key_hmac", name="pk_idempotency"),
        sa.CheckConstraint(f"length(key_hmac) = {SHA256}", name="ck_idempotency_key_hmac"),
        sa.CheckConstraint(f"body_hmac IS NULL OR length(body_hmac) = {SHA256}", name="ck_idempotency_body_hmac"),
        sa.CheckConstraint(f"length(expires_at) = {TIME}", name="ck_idempotency_expires_at"),
    )
    op.create_index("ix_idempotency_expires_at", "idempotency", ["expires_at"])
