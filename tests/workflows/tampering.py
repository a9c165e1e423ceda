"""An administrator with a database client: constraints and triggers out of the way, then one change."""

from __future__ import annotations

import math
import random
import sqlite3
import struct
from typing import Any, Protocol

import psycopg
from psycopg import sql

TABLES: dict[str, tuple[str, ...]] = {
    "audit_log": (
        "log_id", "origin", "vkey", "size", "root", "note", "last_recorded_at", "state", "registry_generation",
    ),
    "audit_entry": ("log_id", "seq", "leaf_hash", "entry"),
    "audit_tile": ("log_id", "level", "idx", "root"),
    "audit_anchor": ("log_id", "size", "note", "recorded_at"),
    "score": (
        "score_id", "subject_id", "specimen_id", "model_name", "model_version", "model_digest", "status", "value",
        "category", "created_at", "actor", "supersedes", "request", "answer", "salt",
    ),
    "score_log": ("score_id", "log_id", "seq"),
    "score_retraction": ("score_id", "log_id", "seq"),
    "api_key": ("key_id", "name", "secret_hmac", "scopes", "created_at", "revoked_at", "development", "person_id"),
    "person": ("person_id", "name", "passphrase_salt", "passphrase_hash", "created_at", "revoked_at"),
    "artifact_part": ("digest", "part", "content"),
    "model_version": ("name", "version", "digest", "signature_digest", "state"),
    "model_alias": ("name", "alias", "version"),
    "model_transition": ("transition_id", "name", "version", "log_id", "seq", "statement", "salt"),
    "model_acknowledgement": ("acknowledgement_id", "name", "version", "log_id", "seq", "statement", "salt"),
}  # fmt: skip


COLUMNS = [(table, column) for table, columns in TABLES.items() for column in columns]


class Administrator(Protocol):
    """Changes rows as the database lets it; unique indexes stay."""

    def run(self, statement: str) -> int: ...
    def change_byte(self, chance: random.Random, table: str, column: str) -> tuple[str, Any] | None: ...
    def restore(self, change: Any) -> None: ...
    def close(self) -> None: ...


class SqliteAdministrator:
    """On SQLite, where a column takes any type and a text any bytes."""

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        self._connection.text_factory = bytes
        for pragma in ("foreign_keys=OFF", "ignore_check_constraints=ON", "synchronous=OFF"):
            self._connection.execute(f"PRAGMA {pragma}")
        for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            self._connection.execute(f"DROP TRIGGER {name.decode()}")

    def run(self, statement: str) -> int:
        return self._connection.executescript(statement).rowcount if ";" in statement else self._one(statement)

    def _one(self, statement: str) -> int:
        return self._connection.execute(statement).rowcount

    def change_byte(self, chance: random.Random, table: str, column: str) -> tuple[str, Any] | None:
        """Change one byte of what one column of one row holds, its type kept or not; what was done, or None where the
        database refused it or it came to nothing."""
        rows = self._connection.execute(f"SELECT rowid FROM {table} WHERE {column} IS NOT NULL").fetchall()
        rowid = chance.choice(rows)[0]
        kind, before = self._stored(table, column, rowid)
        kept = chance.random() < 0.8
        other = _changed(before, chance) if kept or chance.random() < 0.5 else _as_bytes(before)
        value = "CAST(? AS TEXT)" if isinstance(other, bytes) and (kind == b"text") == kept else "?"
        try:
            self._connection.execute(f"UPDATE {table} SET {column} = {value} WHERE rowid = ?", (other, rowid))
        except (sqlite3.IntegrityError, sqlite3.OperationalError):
            return None
        # The number of a log is its rowid; the database makes an integer of what was written there, maybe the same one.
        moved = set(self._connection.execute(f"SELECT rowid FROM {table} WHERE {column} IS NOT NULL")) - set(rows)
        place = next(iter(moved))[0] if (table, column) == ("audit_log", "log_id") and moved else rowid
        after = self._stored(table, column, place)
        if after == (kind, before):
            return None
        return f"{table}.{column} {rowid}: {before!r} -> {after!r}", (table, column, place, kind, before)

    def restore(self, change: Any) -> None:
        table, column, rowid, kind, before = change
        value = "CAST(? AS TEXT)" if kind == b"text" else "?"
        self._connection.execute(f"UPDATE {table} SET {column} = {value} WHERE rowid = ?", (before, rowid))

    def _stored(self, table: str, column: str, rowid: Any) -> tuple[bytes, Any]:
        found: tuple[bytes, Any] = self._connection.execute(
            f"SELECT typeof({column}), {column} FROM {table} WHERE rowid = ?", (rowid,)
        ).fetchone()
        return found

    def close(self) -> None:
        self._connection.close()


class PostgresqlAdministrator:
    """On PostgreSQL, as a superuser; types are kept, whoever writes."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._connection.execute("SET session_replication_role = replica")
        checks = self._connection.execute(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0"
        )
        for table, name in checks.fetchall():
            if table in TABLES:
                self._connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}".encode())

    def run(self, statement: str) -> int:
        return self._connection.execute(statement.encode()).rowcount

    def change_byte(self, chance: random.Random, table: str, column: str) -> tuple[str, Any] | None:
        """As on SQLite, within the types of the columns."""
        rows = self._query("SELECT ctid::text, {column} FROM {table} WHERE {column} IS NOT NULL", table, column)
        ctid, before = chance.choice(rows)
        other = (not before) if isinstance(before, bool) else _changed(before, chance)
        if isinstance(before, str):
            other = other.decode("ascii", "replace").replace("\0", " ").replace("\ufffd", "?")
        if other == before or (isinstance(other, float) and math.isnan(other)):
            return None
        update = sql.SQL("UPDATE {table} SET {column} = %s WHERE ctid = %s::tid RETURNING ctid::text")
        names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
        try:
            found = self._connection.execute(update.format(**names), (other, ctid)).fetchone()
        except (psycopg.IntegrityError, psycopg.DataError):
            return None
        assert found is not None
        return f"{table}.{column}: {before!r} -> {other!r}", (table, column, found[0], before)

    def restore(self, change: Any) -> None:
        table, column, ctid, before = change
        update = sql.SQL("UPDATE {table} SET {column} = %s WHERE ctid = %s::tid")
        names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
        self._connection.execute(update.format(**names), (before, ctid))

    def _query(self, statement: str, table: str, column: str) -> list[Any]:
        names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
        return self._connection.execute(sql.SQL(statement).format(**names)).fetchall()

    def close(self) -> None:
        self._connection.close()


def administrator(url: str) -> Administrator:
    return SqliteAdministrator(url) if url.startswith("sqlite") else PostgresqlAdministrator(url)


def _changed(value: Any, chance: random.Random) -> Any:
    """The value with one byte changed; numbers as their 8 bytes."""
    if isinstance(value, int):
        return struct.unpack(">q", _other_byte(struct.pack(">q", value), chance))[0]
    if isinstance(value, float):
        return struct.unpack(">d", _other_byte(struct.pack(">d", value), chance))[0]
    return _other_byte(value.encode() if isinstance(value, str) else value, chance)


def _other_byte(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ chance.randrange(1, 256)]) + data[place + 1 :]


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
