"""The registry: persons, artifacts, versions, aliases and their transitions; and what shadows scored.

Why the columns are as they are:

- `artifact_part.content` are the bytes of one file of an artifact, cut into parts: `digest` is the SHA-256 of all parts
  together, so whoever joins them can tell that they are the bytes that were approved. In parts, a large file never
  holds the database up for long. Nothing refers to a part: it is written before the version that needs it is.
- `model_version.digest` and `signature_digest` name the manifest's and the signature's bytes among the parts; the
  manifest names all others. `state` and `model_alias` are what the transitions come to, kept so that nobody has to
  replay them; verification does.
- `model_transition.statement` is what was signed for, as canonical JSON: the entry commits to exactly these bytes.
  Append-only by the same triggers as `audit_entry`.
- `person.passphrase_hash` is scrypt's. A person leaves no gap: the row of one who left stays, with `revoked_at`.
- `api_key.person_id` is null for the key of a machine.
- `shadow_score` is beside the record: no entry commits to it, it reaches no caller, and its numbers can be made again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = 27  # characters of 2026-11-23T05:51:19.123456Z
SHA256 = 32  # bytes
DIGEST = 71  # characters of sha256: and 64 hex digits

SQLITE_TRIGGERS = (
    """CREATE TRIGGER model_transition_no_update BEFORE UPDATE ON model_transition
       BEGIN SELECT RAISE(ABORT, 'model_transition is append-only'); END""",
    """CREATE TRIGGER model_transition_no_delete BEFORE DELETE ON model_transition
       BEGIN SELECT RAISE(ABORT, 'model_transition is append-only'); END""",
    """CREATE TRIGGER model_transition_no_replace BEFORE INSERT ON model_transition
       WHEN EXISTS (SELECT 1 FROM model_transition WHERE transition_id = NEW.transition_id)
       BEGIN SELECT RAISE(ABORT, 'model_transition is append-only'); END""",
)
POSTGRESQL_TRIGGERS = (
    """CREATE FUNCTION model_transition_refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'model_transition is append-only'; END $$""",
    """CREATE TRIGGER model_transition_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON model_transition
       FOR EACH STATEMENT EXECUTE FUNCTION model_transition_refuse()""",
)
VERSION = (["name", "version"], ["model_version.name", "model_version.version"])


def upgrade() -> None:
    create_person()
    create_artifact_part()
    create_model_version()
    create_model_alias()
    create_model_transition()
    create_shadow_score()
    # One statement that both databases read: SQLite cannot add a constraint to a table that exists.
    op.execute(
        "ALTER TABLE api_key ADD COLUMN person_id TEXT CONSTRAINT fk_api_key_person_id REFERENCES person (person_id)"
    )
    for statement in POSTGRESQL_TRIGGERS if on_postgresql() else SQLITE_TRIGGERS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("ALTER TABLE api_key DROP COLUMN person_id")
    for table_name in (
        "shadow_score", "model_transition", "model_alias", "model_version", "artifact_part", "person",
    ):  # fmt: skip
        op.drop_table(table_name)
    if on_postgresql():
        op.execute("DROP FUNCTION model_transition_refuse()")


def on_postgresql() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")


def create_person() -> None:
    op.create_table(
        "person",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("passphrase_salt", sa.LargeBinary(), nullable=False),
        sa.Column("passphrase_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.Text()),
        sa.PrimaryKeyConstraint("person_id", name="pk_person"),
        sa.CheckConstraint("length(name) > 0", name="ck_person_name"),
        sa.CheckConstraint("length(passphrase_salt) = 32", name="ck_person_passphrase_salt"),
        sa.CheckConstraint(f"length(passphrase_hash) = {SHA256}", name="ck_person_passphrase_hash"),
        sa.CheckConstraint(f"length(created_at) = {TIME}", name="ck_person_created_at"),
        sa.CheckConstraint(f"revoked_at IS NULL OR length(revoked_at) = {TIME}", name="ck_person_revoked_at"),
    )


def create_artifact_part() -> None:
    op.create_table(
        "artifact_part",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "part", name="pk_artifact_part"),
        sa.CheckConstraint(f"length(digest) = {DIGEST} AND part >= 0", name="ck_artifact_part_place"),
    )


def create_model_version() -> None:
    op.create_table(
        "model_version",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("signature_digest", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name="pk_model_version"),
        sa.CheckConstraint(f"length(digest) = {DIGEST}", name="ck_model_version_digest"),
        sa.CheckConstraint(
            f"signature_digest IS NULL OR length(signature_digest) = {DIGEST}", name="ck_model_version_signature_digest"
        ),
        sa.CheckConstraint(
            "state IN ('registered', 'verified', 'approved', 'retired', 'rejected')", name="ck_model_version_state"
        ),
    )


def create_model_alias() -> None:
    op.create_table(
        "model_alias",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", "alias", name="pk_model_alias"),
        sa.ForeignKeyConstraint(*VERSION, name="fk_model_alias_name_version"),
    )


def create_model_transition() -> None:
    op.create_table(
        "model_transition",
        sa.Column("transition_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("log_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("transition_id", name="pk_model_transition"),
        sa.UniqueConstraint("log_id", "seq", name="uq_model_transition_log_id_seq"),
        sa.ForeignKeyConstraint(*VERSION, name="fk_model_transition_name_version"),
        sa.ForeignKeyConstraint(
            ["log_id", "seq"], ["audit_entry.log_id", "audit_entry.seq"], name="fk_model_transition_log_id_seq"
        ),
        sa.CheckConstraint("length(transition_id) = 36", name="ck_model_transition_transition_id"),
        sa.CheckConstraint("length(statement) > 0", name="ck_model_transition_statement"),
        sa.CheckConstraint("length(salt) = 32", name="ck_model_transition_salt"),
    )
    op.create_index("ix_model_transition_name_version", "model_transition", ["name", "version"])


def create_shadow_score() -> None:
    op.create_table(
        "shadow_score",
        sa.Column("score_id", sa.Text(), nullable=False),
        sa.Column("model_digest", sa.Text(), nullable=False),
        sa.Column("model_name", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("category", sa.Text()),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("score_id", "model_digest", name="pk_shadow_score"),
        sa.ForeignKeyConstraint(["score_id"], ["score.score_id"], name="fk_shadow_score_score_id"),
        sa.CheckConstraint(
            "status IN ('final', 'indeterminate', 'not_reportable', 'refused', 'failed')", name="ck_shadow_score_status"
        ),
        sa.CheckConstraint("value IS NULL OR status IN ('final', 'indeterminate')", name="ck_shadow_score_value"),
        sa.CheckConstraint(f"length(recorded_at) = {TIME}", name="ck_shadow_score_recorded_at"),
    )
    op.create_index("ix_shadow_score_model_name_model_version", "shadow_score", ["model_name", "model_version"])
