"""Tiles and anchors of the signed Merkle tree, and retractions.

Why the columns are as they are:

- `audit_tile.root` is the root of a complete 256-wide tile: `level` 0 over entries, each higher level over 256 tiles
  of the one below. With them the right edge of the tree and every proof are a few hundred rows away, however long the
  log is.
- `audit_anchor.note` is a checkpoint as it was signed. `recorded_at` equals `at` of entry `size` - 1.
- Both are append-only by the same triggers as `audit_entry`.
- `score_retraction` says only which entry retracted a score: reason and time stand in the entry.
- A log from before this revision keeps null in `vkey`, `root` and `note` until the next start signs it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = 27  # characters of 2026-11-23T05:51:19.123456Z
SHA256 = 32  # bytes
KEYS = {"audit_tile": ("log_id", "level", "idx"), "audit_anchor": ("log_id", "size")}


def upgrade() -> None:
    op.create_table(
        "audit_tile",
        sa.Column("log_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("idx", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", "level", "idx", name="pk_audit_tile"),
        sa.ForeignKeyConstraint(["log_id"], ["audit_log.log_id"], name="fk_audit_tile_log_id"),
        sa.CheckConstraint("level BETWEEN 0 AND 7 AND idx >= 0", name="ck_audit_tile_place"),
        sa.CheckConstraint(f"length(root) = {SHA256}", name="ck_audit_tile_root"),
    )
    op.create_table(
        "audit_anchor",
        sa.Column("log_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("log_id", "size", name="pk_audit_anchor"),
        sa.ForeignKeyConstraint(["log_id"], ["audit_log.log_id"], name="fk_audit_anchor_log_id"),
        sa.CheckConstraint("size >= 1", name="ck_audit_anchor_size"),
        sa.CheckConstraint(f"length(recorded_at) = {TIME}", name="ck_audit_anchor_recorded_at"),
    )
    op.create_table(
        "score_retraction",
        sa.Column("score_id", sa.Text(), nullable=False),
        sa.Column("log_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("score_id", name="pk_score_retraction"),
        sa.UniqueConstraint("log_id", "seq", name="uq_score_retraction_log_id_seq"),
        sa.ForeignKeyConstraint(["score_id"], ["score.score_id"], name="fk_score_retraction_score_id"),
        sa.ForeignKeyConstraint(
            ["log_id", "seq"], ["audit_entry.log_id", "audit_entry.seq"], name="fk_score_retraction_log_id_seq"
        ),
    )
    for table, key in KEYS.items():
        for statement in postgresql_triggers(table) if on_postgresql() else sqlite_triggers(table, key):
            op.execute(statement)


def downgrade() -> None:
    for table in ("score_retraction", "audit_anchor", "audit_tile"):
        op.drop_table(table)
    if on_postgresql():
        for table in KEYS:
            op.execute(f"DROP FUNCTION {table}_refuse()")


def on_postgresql() -> bool:
    return bool(op.get_bind().dialect.name == "postgresql")


def sqlite_triggers(table: str, key: tuple[str, ...]) -> list[str]:
    # The third refuses INSERT OR REPLACE, which removes the old row without firing a DELETE trigger.
    same = " AND ".join(f"{column} = NEW.{column}" for column in key)
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "  # noqa: S608 - names of ours
        f"WHEN EXISTS (SELECT 1 FROM {table} WHERE {same}) {refuse}",
    ]


def postgresql_triggers(table: str) -> list[str]:
    return [
        f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$",
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()",
    ]
