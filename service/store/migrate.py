"""The schema's version: reading it, raising it, lowering it, and comparing the database with the tables.

Rules:
1. Only Alembic changes the schema, and only inside one transaction: a migration that fails leaves nothing behind.
2. Two processes that upgrade at once take turns (SQLite: BEGIN IMMEDIATE; PostgreSQL: an advisory lock), and the
   second finds nothing to do.
3. A server that is up to date never imports Alembic: `is_current` compares the version row with `HEAD`.
4. Where the migrations lie is the caller's knowledge; it hands the folder in.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, text

from service.errors import SchemaOutdated

from .engine import Database, ReadConnection
from .tables import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alembic.config import Config

REVISIONS = ("0001", "0002", "0003", "0004")
"""Every revision this release knows, oldest first."""

HEAD = REVISIONS[-1]
"""The revision this release needs."""

UPGRADE_LOCK = 0x65786F73636F7265
"""Key of PostgreSQL's advisory lock around migrations: the ASCII bytes of `exoscore` as one integer."""


def current_revision(database: Database) -> str | None:
    """The revision the database is at; None for a database without a schema."""
    with database.read() as connection:
        return _revision(connection)


def is_current(database: Database) -> bool:
    """True where the database is at the revision this release needs."""
    return current_revision(database) == HEAD


def require_current(database: Database) -> None:
    """Raise `SchemaOutdated` unless the database is at the revision this release needs."""
    found = current_revision(database)
    if found != HEAD:
        raise SchemaOutdated(
            f"The database schema is at revision {found or 'none'}; this release needs {HEAD}.",
            "Stop the service, take a backup, and run `exoscore db upgrade`.",
        )


@contextmanager
def open_current(url: str) -> Iterator[Database]:
    """The database at a URL as it is, neither made nor migrated, closed when the block ends. Raises
    `StorageUnavailable` or `SchemaOutdated`."""
    database = Database(url, create=False)
    try:
        require_current(database)
        yield database
    finally:
        database.close()


def upgrade(database: Database, folder: Path) -> None:
    """Bring the schema to `HEAD` with the migrations in `folder`; does nothing where it is there already."""
    from alembic import command  # noqa: PLC0415 - slow to import, and a server that is up to date needs none of it

    with _locked_configuration(database, folder) as configuration:
        _require_known(_revision(ReadConnection(configuration.attributes["connection"])))
        command.upgrade(configuration, HEAD)


def _require_known(revision: str | None) -> None:
    """Raise `SchemaOutdated` for a revision that this release has never heard of, as after a rollback of the code."""
    if revision not in {None, *REVISIONS}:
        raise SchemaOutdated(
            "The database schema is at a revision that this release does not know.",
            "Run the release that wrote it, or a newer one.",
        )


def downgrade(database: Database, folder: Path, *, discard_audit_entries: bool = False) -> None:
    """Remove the whole schema. Raises `AuditWouldBeLost` while audit entries exist, unless a test says otherwise."""
    from alembic import command  # noqa: PLC0415

    with _locked_configuration(database, folder) as configuration:
        configuration.attributes["discard_audit_entries"] = discard_audit_entries
        command.downgrade(configuration, "base")


def check(database: Database) -> tuple[str, ...]:
    """Every difference between the database and what this release needs, one sentence each; empty where none."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

    with database.read() as connection:
        found = _revision(connection)
        if found != HEAD:
            return (f"The schema is at revision {found or 'none'}; this release needs {HEAD}.",)
        drift = compare_metadata(MigrationContext.configure(connection.sqlalchemy), metadata)
    return tuple(f"The schema differs from this release: {_describe(one)}." for one in drift)


def _revision(connection: ReadConnection) -> str | None:
    if not inspect(connection.sqlalchemy).has_table("alembic_version"):
        return None
    return connection.sqlalchemy.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


@contextmanager
def _locked_configuration(database: Database, folder: Path) -> Iterator[Config]:
    from alembic.config import Config  # noqa: PLC0415

    with database.write() as connection:
        if not database.embedded:
            connection.sqlalchemy.execute(text("SET LOCAL lock_timeout = 0"))  # another's upgrade may take minutes
            connection.sqlalchemy.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
        configuration = Config()
        configuration.set_main_option("script_location", str(folder).replace("%", "%%"))
        configuration.set_main_option("path_separator", "os")
        configuration.attributes["connection"] = connection.sqlalchemy
        yield configuration


def _describe(difference: Any) -> str:
    """What Alembic found, as `operation name`; a change of one column comes as a list of such."""
    if isinstance(difference, list):
        return ", ".join(_describe(one) for one in difference)
    operation, *rest = difference
    named = [str(getattr(part, "name", part)) for part in rest if isinstance(part, str) or hasattr(part, "name")]
    return " ".join([operation, *named])
