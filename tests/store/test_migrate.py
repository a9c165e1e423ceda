"""The schema: made, unmade and compared on both databases, by one process and by several at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from service.errors import AuditWouldBeLost, SchemaOutdated
from service.store import migrate
from service.store.engine import Database

ROOT = Path(__file__).parents[2]
LOG = text("INSERT INTO audit_log VALUES (1, 'o', NULL, 1, NULL, NULL, '2026-11-23T05:51:19.123456Z', 'open', 0)")


def tables(database: Database) -> set[str]:
    with database.read() as connection:
        return set(inspect(connection.sqlalchemy).get_table_names()) - {"alembic_version"}


def add_entry(database: Database) -> None:
    entry = text("INSERT INTO audit_entry VALUES (1, 0, :leaf, :entry)").bindparams(leaf=b"l" * 32, entry=b"{}")
    with database.write() as connection:
        connection.execute(LOG)
        connection.execute(entry)


UPGRADE = """
import sys
from pathlib import Path
from service.store import migrate
from service.store.engine import Database
database = Database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
migrate.upgrade(database, Path(sys.argv[2]))
database.close()
"""


def test_head_is_the_newest_migration(migrations: Path) -> None:
    assert ScriptDirectory(str(migrations)).get_heads() == [migrate.HEAD]


def test_upgrade_downgrade_and_upgrade_again(empty_database_url: str, migrations: Path) -> None:
    database = Database(empty_database_url)
    assert migrate.current_revision(database) is None
    migrate.upgrade(database, migrations)
    made = tables(database)
    audit = {"audit_log", "audit_entry", "audit_tile", "audit_anchor"}
    registry = {"person", "artifact_part", "model_version", "model_alias", "model_transition", "shadow_score"}
    registry |= {"model_acknowledgement"}
    assert made == audit | registry | {"score", "score_log", "score_retraction", "api_key", "idempotency"}
    migrate.downgrade(database, migrations)
    assert tables(database) == set()
    assert migrate.current_revision(database) is None
    migrate.upgrade(database, migrations)
    assert tables(database) == made
    assert migrate.is_current(database)
    database.close()


def test_upgrade_where_nothing_is_to_do(database: Database, migrations: Path) -> None:
    add_entry(database)
    migrate.upgrade(database, migrations)
    with database.read() as connection:
        assert connection.sqlalchemy.execute(text("SELECT count(*) FROM audit_entry")).scalar_one() == 1


def test_downgrade_refuses_while_entries_exist(database: Database, migrations: Path) -> None:
    add_entry(database)
    before = tables(database)
    with pytest.raises(AuditWouldBeLost):
        migrate.downgrade(database, migrations)
    assert tables(database) == before
    migrate.downgrade(database, migrations, discard_audit_entries=True)
    assert tables(database) == set()


def test_check_finds_no_drift(database: Database) -> None:
    assert migrate.check(database) == ()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("ALTER TABLE api_key DROP COLUMN name", "add_column api_key name"),
        ("DROP INDEX ix_score_created_at", "add_index ix_score_created_at"),
        ("CREATE TABLE stranger (id INTEGER PRIMARY KEY)", "remove_table stranger"),
    ],
    ids=["column", "index", "table"],
)
def test_check_names_what_differs(database: Database, change: str, expected: str) -> None:
    with database.write() as connection:
        connection.execute(text(change))
    assert migrate.check(database) == (f"The schema differs from this release: {expected}.",)


def test_check_names_nullability(postgresql_backend: Any) -> None:
    url = postgresql_backend.migrated()
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("ALTER TABLE score ALTER COLUMN actor DROP NOT NULL"))
    assert migrate.check(database) == ("The schema differs from this release: modify_nullable score actor.",)
    database.close()
    postgresql_backend.remove(url)


def test_an_old_schema_is_named(empty_database_url: str) -> None:
    database = Database(empty_database_url)
    with pytest.raises(SchemaOutdated, match=f"revision none; this release needs {migrate.HEAD}"):
        migrate.require_current(database)
    assert migrate.check(database) == (f"The schema is at revision none; this release needs {migrate.HEAD}.",)
    database.close()


def test_a_current_schema_is_accepted(database: Database) -> None:
    migrate.require_current(database)
    assert migrate.is_current(database)


def test_two_processes_upgrade_at_once(empty_database_url: str, migrations: Path) -> None:
    arguments = [sys.executable, "-c", UPGRADE, empty_database_url, str(migrations)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(arguments, cwd=ROOT, **pipes) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0]
    database = Database(empty_database_url)
    assert migrate.check(database) == ()
    database.close()


def test_alembic_check_for_developers(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOSCORE_DATABASE_URL", database_url)
    command.check(Config(toml_file=str(ROOT / "pyproject.toml")))


def test_alembic_without_a_database_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXOSCORE_DATABASE_URL", raising=False)
    with pytest.raises(SystemExit, match="EXOSCORE_DATABASE_URL"):
        command.check(Config(toml_file=str(ROOT / "pyproject.toml")))


def test_a_current_server_never_imports_alembic(database_url: str) -> None:
    code = (
        "import os, sys\n"
        "from service.store import migrate\n"
        "from service.store.engine import Database\n"
        "database = Database(os.environ['URL'])\n"
        "assert migrate.is_current(database)\n"
        "assert 'alembic' not in sys.modules\n"
    )
    environment = {**os.environ, "URL": database_url}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, check=True)


def test_a_revision_of_a_newer_release_is_refused(database: Database, migrations: Path) -> None:
    with database.write() as connection:
        connection.sqlalchemy.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaOutdated, match="does not know"):
        migrate.upgrade(database, migrations)
