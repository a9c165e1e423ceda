"""Acknowledgements: the warnings of a version that somebody has acknowledged by name.

Why the columns are as they are:

- `model_acknowledgement.statement` is what was signed for, as canonical JSON, codes included: the entry commits to
  exactly these bytes. One row for each signature, however many codes it names. Append-only by the same triggers as
  `model_transition`: an acknowledgement is never taken back.
- Nothing is filled in for versions that are in force already: nobody had acknowledged anything, and they stay in force.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SQLITE_TRIGGERS = (
    """CREATE TRIGGER model_acknowledgement_no_update BEFORE UPDATE ON model_acknowledgement
       BEGIN SELECT RAISE(ABORT, 'model_acknowledgement is append-only'); END""",
    """CREATE TRIGGER model_acknowledgement_no_delete BEFORE DELETE ON model_acknowledgement
       BEGIN SELECT RAISE(ABORT, 'model_acknowledgement is append-only'); END""",
    """CREATE TRIGGER model_acknowledgement_no_replace BEFORE INSERT ON model_acknowledgement
       WHEN EXISTS (SELECT 1 FROM model_acknowledgement WHERE acknowledgement_id = NEW.acknowledgement_id)
       BEGIN SELECT RAISE(ABORT, 'model_acknowledgement is append-only'); END""",
)
POSTGRESQL_TRIGGERS = (
    """CREATE FUNCTION model_acknowledgement_refuse() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE EXCEPTION 'model_acknowledgement is append-only'; END $$""",
    """CREATE TRIGGER model_acknowledgement_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON model_acknowledgement
       FOR EACH STATEMENT EXECUTE FUNCTION model_acknowledgement_refuse()""",
)


def upgrade() -> None:
    op.create_table(
        "model_acknowledgement",
        sa.Column("acknowledgement_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("log_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("statement", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("acknowledgement_id", name="pk_model_acknowledgement"),
        sa.UniqueConstraint("log_id", "seq", name="uq_model_acknowledgement_log_id_seq"),
        sa.ForeignKeyConstraint(
            ["name", "version"],
            ["model_version.name", "model_version.version"],
            name="fk_model_acknowledgement_name_version",
        ),
        sa.ForeignKeyConstraint(
            ["log_id", "seq"], ["audit_entry.log_id", "audit_entry.seq"], name="fk_model_acknowledgement_log_id_seq"
        ),
        sa.CheckConstraint("length(acknowledgement_id) = 36", name="ck_model_acknowledgement_acknowledgement_id"),
        sa.CheckConstraint("length(statement) > 0", name="ck_model_acknowledgement_statement"),
        sa.CheckConstraint("length(salt) = 32", name="ck_model_acknowledgement_salt"),
    )
    op.create_index("ix_model_acknowledgement_name_version", "model_acknowledgement", ["name", "version"])
    for statement in POSTGRESQL_TRIGGERS if on_postgresql() else SQLITE_TRIGGERS:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("model_acknowledgement")
    if on_postgresql():
        op.execute("DROP FUNCTION model_acknowledgement_refuse()")


def on_postgresql() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")
