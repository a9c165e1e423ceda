"""The log in the database: opened once, appended in one order by many writers, and never changed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text, update

from service.audit.committer import Committer
from service.audit.entry import Entry, leaf_hash, timestamp
from service.audit.log import Head, LogWriter, encoded
from service.audit.note import Checkpoint, Signer, open_checkpoint
from service.audit.outcome import SilentObserver
from service.audit.submissions import NoRows
from service.audit.tree import root_of
from service.errors import Conflict, LogDamaged, LogNotOpen, SigningKeyMismatch, StorageUnavailable
from service.store import audit_log, log_rows
from service.store.audit_log import SqlLogStorage, SqlTransaction
from service.store.bulk import insert_many
from service.store.engine import Database
from service.store.scores import ScoreRow, find_score
from service.store.tables import audit_entry
from service.store.tables import audit_log as audit_log_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
NO_ROWS = NoRows()
WRITER = """
import sys
from datetime import UTC, datetime
from service.audit.committer import Committer
from service.audit.submissions import NoRows
from service.audit.outcome import SilentObserver
from service.audit.entry import Entry
from service.audit.log import LogWriter
from service.audit.note import Signer
from service.store.audit_log import SqlLogStorage
from service.store.engine import Database

database = Database(sys.argv[1])
writer = LogWriter(Signer.from_pem(sys.argv[2].encode()), "default")
storage = SqlLogStorage(database)
print("ready", flush=True)
sys.stdin.readline()
now = datetime.now(UTC)
storage.open(writer, site="default", now=now)
committer = Committer(storage, writer, SilentObserver())
committer.start()
rows = NoRows()
found = []
for _ in range(8):
    futures = [committer.submit(rows, None, Entry("score.read", now, "system:cli", "default")) for _ in range(5)]
    found += [future.result().index for future in futures]
print(*found)
committer.close()
database.close()
"""
CRASHER = """
import os, signal, sys
from service.audit.committer import Committer
from service.audit.outcome import SilentObserver
from service.audit.entry import Entry, parse_timestamp
from service.audit.log import LogWriter
from service.audit.note import Signer
from service.store.audit_log import SqlLogStorage
from service.store.engine import Database
from service.store.scores import ScoreRow, insert_scores, link_scores

AT = "2026-11-23T05:51:19.123456Z"
ROW = ScoreRow("1" * 36, "s", "s", "m", "1", "d", "final", 0.5, None, AT, "key:k", None, b"{}", b"{}", b"s" * 32)

class Rows:
    changes_registry = False
    alone = False

    def insert(self, transaction, rows):
        insert_scores(transaction.connection, rows)
        return [None]

    def link(self, transaction, rows, places):
        link_scores(transaction.connection, [(ROW.score_id, places[0].log_id, places[0].seq)])
        os.kill(os.getpid(), signal.SIGKILL)

writer = LogWriter(Signer.from_pem(sys.argv[2].encode()), "default")
committer = Committer(SqlLogStorage(Database(sys.argv[1])), writer, SilentObserver())
committer.start()
committer.submit(Rows(), ROW, Entry("score.reported", parse_timestamp(AT), "key:k", "default")).result()
"""


def count(database: Database, table: str) -> int:
    with database.read() as connection:
        return int(connection.sqlalchemy.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


def entries(database: Database) -> tuple[log_rows.EntryRow, ...]:
    """The entries of the open log, which is not the first where another process lost the race to begin it."""
    with database.read() as connection:
        opened = log_rows.find_open(connection)
        assert opened is not None
        return log_rows.list_entries(connection, log_id=opened.log_id, start=0, limit=10_000)


def head(database: Database) -> Head | None:
    with database.read() as connection:
        return log_rows.find_open(connection)


def test_no_log_is_open_at_first(database: Database, writer: LogWriter, entry: Entry) -> None:
    assert head(database) is None
    committer = Committer(SqlLogStorage(database), writer, SilentObserver())
    committer.start()
    with pytest.raises(LogNotOpen):
        committer.submit(NO_ROWS, None, entry).result()
    committer.close()


def test_opening_records_and_signs_itself(database: Database, writer: LogWriter, entry: Entry) -> None:
    found = SqlLogStorage(database).open(writer, site="zurich", now=entry.at, token=lambda length: "ab" * length)
    assert found == head(database)
    assert (found.log_id, found.origin, found.size, found.last_recorded_at) == (
        1,
        "exoscore/abababababababab",
        1,
        entry.at,
    )
    (first,) = entries(database)
    assert first.leaf_hash == leaf_hash(first.entry)
    recorded = json.loads(first.entry)
    assert (recorded["kind"], recorded["site"], recorded["record"]) == ("log.opened", "zurich", found.origin)
    assert recorded["at"] == timestamp(entry.at)
    assert found.vkey is not None
    assert found.note is not None
    assert recorded["out"] == sha256(found.vkey.encode()).hexdigest()
    assert open_checkpoint(found.note, found.vkey) == Checkpoint(found.origin, 1, first.leaf_hash)


def test_opening_again_finds_the_same_log(database: Database, writer: LogWriter, entry: Entry) -> None:
    storage = SqlLogStorage(database)
    first = storage.open(writer, site="default", now=entry.at)
    assert storage.open(writer, site="default", now=entry.at + timedelta(days=1)) == first
    assert len(entries(database)) == 1


def test_another_key_does_not_open_the_log(database: Database, storage: SqlLogStorage, entry: Entry) -> None:
    stranger = LogWriter(Signer.generate(), "default")
    with pytest.raises(SigningKeyMismatch):
        storage.open(stranger, site="default", now=entry.at)


@pytest.mark.parametrize("own", [True, False], ids=["own key", "another key"])
def test_a_log_that_another_process_is_just_beginning_is_waited_for(
    database: Database, signed_by: Signer, entry: Entry, own: bool
) -> None:
    storage = SqlLogStorage(database)
    late = LogWriter(signed_by if own else Signer.generate(), "default")
    with ThreadPoolExecutor(1) as pool:
        with storage.transaction() as transaction:
            first = LogWriter(signed_by, "default")
            begun = audit_log.begin(transaction, first, site="a", now=entry.at, actor="system:service", follows=None)
            waiting = pool.submit(storage.open, late, site="b", now=entry.at)
            time.sleep(0.3)
            assert not waiting.done()
        if own:
            assert waiting.result() == begun == head(database)
        else:
            assert isinstance(waiting.exception(), SigningKeyMismatch)
    assert len(entries(database)) == 1


@pytest.mark.parametrize("size", [2, 300])
def test_a_log_from_before_signatures_is_signed_from_its_first_entry_on(
    database: Database, storage: SqlLogStorage, writer: LogWriter, signed_by: Signer, entry: Entry, size: int
) -> None:
    with database.write() as connection:
        leaves = [encoded(entry) for _ in range(size - 1)]
        insert_many(connection, audit_entry, [(1, n, leaf.hash, leaf.entry) for n, leaf in enumerate(leaves, 1)])
        unsigned = {"vkey": None, "root": None, "note": None, "size": size}
        connection.execute(update(audit_log_table).values(unsigned))
    found = storage.open(LogWriter(signed_by, "default"), site="default", now=entry.at)
    with database.read() as connection:
        root = root_of(log_rows.StoredHashes(connection, 1), size)
    assert found.note is not None
    assert open_checkpoint(found.note, signed_by.vkey(found.origin)) == Checkpoint(found.origin, size, root)
    assert count(database, "audit_tile") == size // 256


def test_a_score_its_entry_and_the_head_agree(
    database: Database, save: Callable[[ScoreRow], int], make_row: Callable[..., ScoreRow]
) -> None:
    row = make_row()
    assert save(row) == 1
    with database.read() as connection:
        stored = find_score(connection, row.score_id)
    assert stored is not None
    assert (stored.row, stored.log_id, stored.seq) == (row, 1, 1)
    last = entries(database)[-1]
    found = head(database)
    assert found is not None
    assert (found.size, timestamp(found.last_recorded_at)) == (2, json.loads(last.entry)["at"])


def test_a_clock_that_steps_back_is_raised_to_the_log(
    database: Database, committer: Committer[SqlTransaction], entry: Entry
) -> None:
    early = Entry("score.read", entry.at - timedelta(hours=1), "key:k1", "default")
    receipt = committer.submit(NO_ROWS, None, early).result()
    assert receipt.recorded_at == entry.at
    regressed, read = [json.loads(row.entry) for row in entries(database)[-2:]]
    assert (regressed["kind"], regressed["detail"]) == ("clock.regressed", {"behind_us": 3_600_000_000})
    assert (read["at"], receipt.index) == (timestamp(entry.at), 2)


def test_entries_are_read_in_ranges(
    database: Database, save: Callable[[ScoreRow], int], make_row: Callable[..., ScoreRow]
) -> None:
    for _ in range(4):
        save(make_row())
    with database.read() as connection:
        found = log_rows.list_entries(connection, log_id=1, start=2, limit=2)
        assert log_rows.list_entries(connection, log_id=2, start=0, limit=9) == ()
    assert [row.seq for row in found] == [2, 3]


def test_commit_that_fails_stores_nothing_and_says_so(
    database: Database,
    database_url: str,
    committer: Committer[SqlTransaction],
    make_row: Callable[..., ScoreRow],
    score_rows: Any,
    entry: Entry,
    break_commit: Callable[[str], None],
) -> None:
    break_commit(database_url)
    future = committer.submit(score_rows, make_row(), entry)
    with pytest.raises(StorageUnavailable):
        future.result()
    assert [count(database, table) for table in ("score", "score_log", "commit_probe")] == [0, 0, 0]
    assert len(entries(database)) == 1
    with database.write() as connection:
        connection.execute(text("DROP TRIGGER commit_fails" + ("" if database.embedded else " ON audit_entry")))
    assert committer.submit(score_rows, make_row(), entry).result().index == 1


def test_a_full_disk_stores_nothing_and_recovers(sqlite_backend: Any, writer: LogWriter, entry: Entry) -> None:
    database = Database(sqlite_backend.migrated())
    storage = SqlLogStorage(database)
    storage.open(writer, site="default", now=entry.at)
    committer = Committer(storage, writer, SilentObserver())
    committer.start()
    long = Entry("score.read", entry.at, "key:k1", "default", record="r" * 60_000)
    with database.write() as connection:
        pages = connection.sqlalchemy.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.sqlalchemy.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageUnavailable):
        committer.submit(NO_ROWS, None, long).result()
    assert len(entries(database)) == 1
    with database.write() as connection:
        connection.sqlalchemy.exec_driver_sql("PRAGMA max_page_count=100000")
    assert committer.submit(NO_ROWS, None, long).result().index == 1
    committer.close()
    database.close()


def test_rows_that_refuse_reach_the_caller_as_they_are(
    database: Database, committer: Committer[SqlTransaction], entry: Entry
) -> None:
    refusal = Conflict("superseded already")

    class Refusing(NoRows):
        def insert(self, transaction: object, rows: object) -> list[Exception | None]:
            return [refusal]

    assert committer.submit(Refusing(), None, entry).exception() is refusal
    assert len(entries(database)) == 1


def test_four_threads_append_without_gaps(
    database: Database, storage: SqlLogStorage, make_row: Callable[..., ScoreRow],
    score_rows: Any, signed_by: Signer, entry: Entry,
) -> None:  # fmt: skip
    def append(_: int) -> list[int]:
        committer = Committer(storage, LogWriter(signed_by, "default"), SilentObserver())
        committer.start()
        futures = [committer.submit(score_rows, make_row(), entry) for _ in range(10)]
        committer.close()
        return [future.result().index for future in futures]

    with ThreadPoolExecutor(4) as pool:
        indices = [index for found in pool.map(append, range(4)) for index in found]
    assert sorted(indices) == list(range(1, 41))
    assert [row.seq for row in entries(database)] == list(range(41))
    assert count(database, "score_log") == 40


@contextmanager
def processes(code: str, url: str, signer: Signer, number: int) -> Iterator[list[subprocess.Popen[str]]]:
    arguments = [sys.executable, "-c", code, url, signer.pem().decode()]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(arguments, cwd=ROOT, **pipes) for _ in range(number)]
    yield started
    for process in started:
        process.communicate()


def test_two_processes_share_one_log(database: Database, database_url: str, signed_by: Signer) -> None:
    with processes(WRITER, database_url, signed_by, 2) as writers:
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        indices = [int(index) for writer in writers for index in writer.stdout.readline().split()]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert sorted(indices) == list(range(1, 81))
    times = [json.loads(row.entry)["at"] for row in entries(database)]
    assert times == sorted(times)
    assert len(times) == 81


def test_a_killed_writer_leaves_nothing(
    database: Database, database_url: str, committer: Committer[SqlTransaction], signed_by: Signer, entry: Entry
) -> None:
    with processes(CRASHER, database_url, signed_by, 1) as crashed:
        pass
    assert crashed[0].returncode == -9
    assert [count(database, table) for table in ("score", "score_log", "audit_entry")] == [0, 0, 1]
    assert committer.submit(NO_ROWS, None, entry).result().index == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET entry = entry",
        "DELETE FROM audit_entry",
        "DELETE FROM audit_log",
        "INSERT INTO audit_log SELECT 2, 'o', NULL, 1, NULL, NULL, last_recorded_at, 'open', 0 FROM audit_log",
        "INSERT INTO audit_entry SELECT log_id, 1, leaf_hash, substr(entry, 1, 0) FROM audit_entry",
        "INSERT INTO audit_entry SELECT log_id, 1, substr(leaf_hash, 2), entry FROM audit_entry",
        "INSERT INTO audit_entry SELECT 7, 1, leaf_hash, entry FROM audit_entry",
        "UPDATE audit_log SET size = 0",
        "UPDATE audit_log SET state = 'closed'",
    ],
    ids=["update", "delete", "head", "second log", "no bytes", "short hash", "no such log", "size", "state"],
)
def test_the_database_refuses(database: Database, storage: SqlLogStorage, statement: str) -> None:
    with pytest.raises(StorageUnavailable), database.write() as connection:
        connection.execute(text(statement))
    assert len(entries(database)) == 1


@pytest.mark.parametrize("size", [65_535, 65_536], ids=["longest", "too long"])
def test_entries_are_shorter_than_64_kib(database: Database, storage: SqlLogStorage, size: int) -> None:
    statement = text("INSERT INTO audit_entry VALUES (1, 1, :leaf, :entry)")
    bound = statement.bindparams(leaf=b"l" * 32, entry=b"e" * size)
    if size > 65_535:
        with pytest.raises(StorageUnavailable), database.write() as connection:
            connection.execute(bound)
        return
    with database.write() as connection:
        assert connection.execute(bound).rowcount == 1


def test_sqlite_refuses_to_replace_an_entry(sqlite_backend: Any, writer: LogWriter, entry: Entry) -> None:
    database = Database(sqlite_backend.migrated())
    SqlLogStorage(database).open(writer, site="default", now=entry.at)
    before = entries(database)
    with pytest.raises(StorageUnavailable), database.write() as connection:
        connection.execute(
            text("INSERT OR REPLACE INTO audit_entry SELECT log_id, seq, leaf_hash, x'00' FROM audit_entry")
        )
    assert entries(database) == before
    database.close()


def test_postgresql_refuses_to_truncate(postgresql_backend: Any, writer: LogWriter, entry: Entry) -> None:
    url = postgresql_backend.migrated()
    database = Database(url)
    SqlLogStorage(database).open(writer, site="default", now=entry.at)
    with pytest.raises(StorageUnavailable), database.write() as connection:
        connection.execute(text("TRUNCATE audit_entry CASCADE"))
    assert len(entries(database)) == 1
    database.close()
    postgresql_backend.remove(url)


def test_a_sealed_log_is_not_silently_followed_by_another(
    database: Database, storage: SqlLogStorage, writer: LogWriter, entry: Entry
) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE audit_log SET state = 'sealed'"))
    with pytest.raises(LogNotOpen):
        storage.open(writer, site="default", now=entry.at)


@pytest.mark.parametrize("change", ["size = 100", "size = 1", f"last_recorded_at = '{'x' * 27}'"])
def test_a_log_that_contradicts_itself_is_not_extended(
    database: Database, storage: SqlLogStorage, committer: Committer[SqlTransaction], entry: Entry, change: str
) -> None:
    committer.submit(NO_ROWS, None, entry).result()
    with database.write() as connection:
        connection.sqlalchemy.exec_driver_sql(f"UPDATE audit_log SET {change}")
    with pytest.raises(LogDamaged), storage.transaction() as transaction:
        transaction.lock_head()
