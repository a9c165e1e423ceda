"""Connections: what each database promises, and that no error of theirs leaks a value."""

from __future__ import annotations

import stat
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from service.errors import RowRefused, StorageUnavailable, UnsafeConfiguration
from service.store.engine import Database, WriteConnection
from service.store.postgresql import IDLE_SECONDS


@pytest.mark.parametrize(
    "url",
    [
        "",
        "exoscore.db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:a?uri=true",
        "mysql://user:secret@host/name",
        "://",
    ],
    ids=["empty", "path", "memory", "named memory", "uri", "other", "broken"],
)
def test_other_databases_are_refused_without_their_url(url: str) -> None:
    with pytest.raises(UnsafeConfiguration) as raised:
        Database(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_is_reached_by_any_of_its_schemes(postgresql_backend: Any, scheme: str) -> None:
    url = postgresql_backend.empty()
    database = Database(url.replace("postgresql", scheme, 1))
    with database.read() as connection:
        assert connection.sqlalchemy.dialect.driver == "psycopg"
        assert connection.sqlalchemy.execute(text("SELECT 1")).scalar_one() == 1
    database.close()
    postgresql_backend.remove(url)


@pytest.mark.parametrize(
    ("pragma", "expected"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1), ("busy_timeout", 5000)],
    ids=str,
)
def test_sqlite_is_durable_and_forgets(sqlite_backend: Any, pragma: str, expected: object) -> None:
    database = Database(sqlite_backend.migrated())
    with database.write() as connection:
        assert connection.sqlalchemy.exec_driver_sql(f"PRAGMA {pragma}").scalar_one() == expected
    with database.read() as connection:
        assert connection.sqlalchemy.exec_driver_sql("PRAGMA query_only").scalar_one() == 1
    assert database.durability_problems() == ()
    database.close()


def test_sqlite_files_belong_to_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "home"
    database = Database(f"sqlite:///{folder}/exoscore.db")
    with database.write() as connection:
        connection.execute(text("CREATE TABLE t (id INTEGER)"))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    database.close()


def test_a_folder_that_cannot_be_made_is_named_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageUnavailable) as raised:
        Database(f"sqlite:///{tmp_path}/file/exoscore.db")
    assert "EXOSCORE_HOME" in raised.value.remedy


def test_sqlite_writers_begin_with_the_lock(sqlite_backend: Any) -> None:
    url = sqlite_backend.migrated()
    first, second = Database(url), Database(url)
    with second.write() as connection:
        connection.sqlalchemy.exec_driver_sql("PRAGMA busy_timeout=1")
    with first.write(), first.read(), pytest.raises(StorageUnavailable), second.write():
        pytest.fail("two writers at once")
    first.close()
    second.close()


def test_sqlite_without_its_log_is_a_durability_problem(sqlite_backend: Any) -> None:
    database = Database(sqlite_backend.migrated())
    with database.write() as connection:
        raw = connection.sqlalchemy.connection.dbapi_connection
    raw.execute("PRAGMA journal_mode=DELETE")
    (problem,) = database.durability_problems()
    assert "write-ahead log" in problem
    database.close()


def test_postgresql_settings_that_lose_commits_are_named(postgresql_backend: Any) -> None:
    url = postgresql_backend.empty()
    database = Database(url)
    assert database.durability_problems() == ()
    with database.write() as connection:
        name = connection.sqlalchemy.exec_driver_sql("SELECT current_database()").scalar_one()
        connection.sqlalchemy.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    database.close()
    (problem,) = database.durability_problems()
    assert "synchronous_commit = off" in problem
    database.close()
    postgresql_backend.remove(url)


def test_readers_cannot_write(database: Database) -> None:
    with pytest.raises(StorageUnavailable), database.read() as connection:
        connection.sqlalchemy.execute(text("DELETE FROM score"))
    with database.write() as connection:
        assert connection.execute(text("DELETE FROM score")).rowcount == 0


def test_an_exception_in_the_block_rolls_back(database: Database) -> None:
    insert = text("INSERT INTO idempotency VALUES (:key, NULL, 's', '2026-11-23T05:51:19.123456Z')")

    def insert_and_raise() -> None:
        with database.write() as connection:
            connection.execute(insert.bindparams(key=b"k" * 32))
            raise LookupError

    with pytest.raises(LookupError):
        insert_and_raise()
    with database.read() as connection:
        assert connection.sqlalchemy.execute(text("SELECT count(*) FROM idempotency")).scalar_one() == 0


def test_errors_name_their_kind_and_no_value(database: Database) -> None:
    insert = text("INSERT INTO idempotency VALUES (:key, NULL, :secret, :secret)")
    values = {"key": b"k" * 32, "secret": "patient-4711"}
    with pytest.raises(StorageUnavailable) as raised, database.write() as connection:
        connection.execute(insert.bindparams(**values))
    printed = "".join(traceback.format_exception(raised.value))
    assert "patient-4711" not in printed + raised.value.message + raised.value.remedy
    assert any(kind in raised.value.message for kind in ("SQLITE_CONSTRAINT_CHECK", "23514"))


def insert_claims(connection: WriteConnection, number: int, *, by_driver: bool) -> None:
    at = "2026-11-23T05:51:19.123456Z"
    for _ in range(number):
        if by_driver:
            connection.run("INSERT INTO idempotency VALUES (?, NULL, 's', ?)", (b"k" * 32, at)).fetchall()
        else:
            statement = text("INSERT INTO idempotency VALUES (:key, NULL, 's', :at)")
            connection.execute(statement.bindparams(key=b"k" * 32, at=at))


@pytest.mark.parametrize("by_driver", [False, True], ids=["by SQLAlchemy", "by the driver"])
def test_only_what_a_row_can_cause_is_its_fault(database: Database, by_driver: bool) -> None:
    with pytest.raises(RowRefused), database.write() as connection:
        insert_claims(connection, 2, by_driver=by_driver)
    with database.write() as connection:
        connection.execute(text("DROP TABLE idempotency"))
    with pytest.raises(StorageUnavailable) as raised, database.write() as connection:
        insert_claims(connection, 1, by_driver=by_driver)
    assert raised.type is StorageUnavailable


def test_a_database_that_is_away_is_storage_unavailable(tmp_path: Path) -> None:
    database = Database(f"postgresql://nobody:secret@/none?host={tmp_path}")
    with pytest.raises(StorageUnavailable) as raised, database.read():
        pytest.fail("connected to nothing")
    assert "secret" not in "".join(traceback.format_exception(raised.value))
    database.close()


def test_a_file_that_is_no_database_is_storage_unavailable(tmp_path: Path) -> None:
    (tmp_path / "exoscore.db").write_bytes(b"not a database" * 100)
    database = Database(f"sqlite:///{tmp_path}/exoscore.db")
    with pytest.raises(StorageUnavailable), database.read():
        pytest.fail("opened")
    database.close()


def test_postgresql_waits_for_a_lock_no_longer_than_sqlite(postgresql_backend: Any) -> None:
    url = postgresql_backend.empty()
    database = Database(url)
    with database.write() as connection:
        assert connection.sqlalchemy.exec_driver_sql("SHOW lock_timeout").scalar_one() == "5s"
    database.close()
    postgresql_backend.remove(url)


@pytest.mark.parametrize("encoding", ["UTF8", "SQL_ASCII"])
def test_postgresql_keeps_every_text_whatever_the_client_is_told_to_speak(
    postgresql_backend: Any, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    url = postgresql_backend.empty(encoding)
    monkeypatch.setenv("PGCLIENTENCODING", "latin1")
    database = Database(f"{url}&client_encoding=latin1")
    sent = "Gr\u00fc\u00dfe \u2014 \u65e5\u672c"
    with database.write() as connection:
        stored = connection.run("SELECT ?::text, octet_length(?::text)", (sent, sent)).fetchone()
        assert stored == (sent, len(sent.encode()))
        assert connection.execute(text("SELECT CAST(:sent AS text)").bindparams(sent=sent)).scalar_one() == sent
    database.close()
    postgresql_backend.remove(url)


def test_postgresql_in_an_encoding_that_lacks_letters_is_refused(postgresql_backend: Any) -> None:
    url = postgresql_backend.empty("LATIN1")
    database = Database(url)
    with pytest.raises(UnsafeConfiguration, match="LATIN1"), database.read():
        pass
    database.close()
    postgresql_backend.remove(url)


def test_the_pool_recovers_when_its_connections_were_cut(postgresql_backend: Any) -> None:
    url = postgresql_backend.migrated()
    database = Database(url)
    other = Database(url)
    with database.read() as connection:
        pid = connection.sqlalchemy.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    with other.write() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)").bindparams(pid=pid))
    time.sleep(2 * IDLE_SECONDS)
    with database.write() as connection:
        assert connection.sqlalchemy.execute(text("SELECT 1")).scalar_one() == 1
    database.close()
    other.close()
    postgresql_backend.remove(url)


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_nothing_is_written_into_a_file_that_is_no_longer_there(sqlite_backend: Any, change: str) -> None:
    url = sqlite_backend.migrated()
    path = Path(url.removeprefix("sqlite:///"))
    database = Database(url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE probe (x)"))
    copy = path.read_bytes()
    path.unlink()
    if change == "replaced":
        path.write_bytes(copy)
    with pytest.raises(StorageUnavailable, match="removed or replaced"), database.write() as connection:
        connection.execute(text("INSERT INTO probe VALUES (1)"))
    with pytest.raises(StorageUnavailable, match="removed or replaced"), database.read():
        pytest.fail("read from a deleted file")
    assert path.exists() == (change == "replaced")
    database.close()


def test_a_missing_file_is_not_made_where_it_is_only_looked_at(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="does not exist"):
        Database(f"sqlite:///{tmp_path}/none/exoscore.db", create=False)
    assert not (tmp_path / "none").exists()


def test_a_url_with_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(UnsafeConfiguration):
        Database("postgresql://user:password@host:port/x")
