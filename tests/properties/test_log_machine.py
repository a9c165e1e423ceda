"""The log is whole after anything, and one tree however its entries were batched."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from service.audit.entry import Entry, leaf_hash
from service.audit.log import LogWriter, encoded
from service.audit.tree import Frontier
from service.store.audit_log import SqlLogStorage
from service.store.engine import Database
from service.store.log_rows import list_entries
from tests.crash.book import check
from tests.properties.log_machine import AT, SIGNER, SOAK, PostgresqlMachine, SqliteMachine

MACHINE = settings(max_examples=300 if SOAK else 12, stateful_step_count=40 if SOAK else 12)

BATCHES = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 2)), min_size=1, max_size=6)
"""Batches by their sizes, and which of three writers extends the log by each."""


def test_any_split_into_batches_gives_one_root(backend: Any) -> None:
    @settings(max_examples=200 if SOAK else 10)
    @given(batches=BATCHES, jitter=st.lists(st.integers(-400, 400), min_size=7, max_size=7))
    def split(batches: list[tuple[int, int]], jitter: list[int]) -> None:
        write_in_batches(backend, batches, jitter)

    split()


def write_in_batches(backend: Any, batches: list[tuple[int, int]], jitter: list[int]) -> None:
    url = backend.migrated()
    database = Database(url)
    storage = SqlLogStorage(database)
    writers = [LogWriter(SIGNER, "default") for _ in range(3)]
    head = storage.open(writers[0], site="default", now=AT, token=lambda length: "ab" * length)
    number = sum(size for size, _ in batches)
    times = [AT + timedelta(milliseconds=n + jitter[n % 7]) for n in range(number)]
    entries = [Entry("score.read", at, "key:k", "default", record=str(n)) for n, at in enumerate(times)]
    waiting = iter(entries)
    for size, chosen in batches:
        batch = [next(waiting) for _ in range(size)]
        with storage.transaction() as transaction:
            locked = transaction.lock_head()
            extension = writers[chosen].extend(transaction, locked, batch, [encoded(entry) for entry in batch])
        writers[chosen].keep(extension)
    with database.read() as connection:
        first = list_entries(connection, log_id=head.log_id, start=0, limit=1)[0]
    tree, latest = Frontier(), AT
    tree.append(first.leaf_hash)
    for entry in entries:
        latest = max(latest, entry.at)
        tree.append(leaf_hash(replace(entry, at=latest).encode()))
    assert check(database).head.root == tree.root()
    database.close()
    backend.remove(url)


def test_the_log_is_whole_after_anything_on_sqlite(sqlite_backend: Any) -> None:
    run_state_machine_as_test(lambda: SqliteMachine(sqlite_backend), settings=MACHINE)


def test_the_log_is_whole_after_anything_on_postgresql(postgresql_backend: Any) -> None:
    run_state_machine_as_test(lambda: PostgresqlMachine(postgresql_backend), settings=MACHINE)
