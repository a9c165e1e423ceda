"""Reading a log that is not there, not signed or not sound."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from service.audit.entry import Entry
from service.audit.submissions import NoRows
from service.domain.log_query import ConsistencyQuery, EntriesQuery
from service.errors import LogDamaged, LogNotOpen
from service.store.engine import Database
from service.workflows import read_log
from service.workflows.services import Services

READS: dict[str, Callable[[Database], object]] = {
    "checkpoint": lambda database: read_log.show_checkpoint(database, None),
    "proof": lambda database: read_log.prove_entry(database, None, 0),
    "list": lambda database: read_log.list_log(database, EntriesQuery(None, 0, 5, None)),
    "consistency": lambda database: read_log.prove_consistency(database, ConsistencyQuery(None, 1, None)),
}


@pytest.fixture
def log(services: Services) -> Database:
    """A log of four entries without the triggers that protect it."""
    for _ in range(3):
        entry = Entry("score.read", services.clock(), "system:cli", "test")
        services.committer.submit(NoRows(), None, entry).result()
    database = services.database
    with database.write() as connection:
        target = ("_no_update", "_no_delete") if database.embedded else ("_append_only ON audit_entry",)
        for name in target:
            connection.sqlalchemy.exec_driver_sql(f"DROP TRIGGER audit_entry{name}")
    return database


def change(database: Database, statement: str) -> None:
    with database.write() as connection:
        if database.embedded:
            connection.sqlalchemy.exec_driver_sql("PRAGMA ignore_check_constraints=ON")
        connection.sqlalchemy.exec_driver_sql(statement)


@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_nothing_is_read_before_a_log_is_open(database: Database, read: Callable[[Database], object]) -> None:
    with pytest.raises(LogNotOpen):
        read(database)


def test_nothing_is_read_of_a_log_that_is_not_signed(log: Database) -> None:
    change(log, "UPDATE audit_log SET note = NULL")
    with pytest.raises(LogNotOpen):
        read_log.show_checkpoint(log, None)


@pytest.mark.parametrize("column", ["note = 'x'", "size = size + 1"])
@pytest.mark.parametrize("read", READS.values(), ids=READS.keys())
def test_a_head_that_is_not_its_checkpoint_is_not_shown(
    log: Database, read: Callable[[Database], object], column: str
) -> None:
    change(log, f"UPDATE audit_log SET {column}")
    with pytest.raises(LogDamaged):
        read(log)


@pytest.mark.parametrize(
    ("statement", "reads"),
    [
        ("UPDATE audit_entry SET entry = leaf_hash WHERE seq = 0", ["proof"]),
        ("UPDATE audit_entry SET leaf_hash = (SELECT root FROM audit_log) WHERE seq = 1", ["proof", "consistency"]),
        ("DELETE FROM audit_entry WHERE seq = 0", ["proof", "list", "consistency"]),
    ],
    ids=["entry", "leaf", "missing"],
)
def test_what_the_checkpoint_does_not_bear_out_is_not_handed_out(
    log: Database, statement: str, reads: list[str]
) -> None:
    change(log, statement)
    for name in reads:
        with pytest.raises(LogDamaged):
            READS[name](log)


@pytest.mark.parametrize("column", ["entry", "leaf_hash"])
def test_text_in_the_place_of_bytes_is_damage(log: Database, column: str) -> None:
    if not log.embedded:
        pytest.skip("PostgreSQL holds its columns to their types")
    change(log, f"UPDATE audit_entry SET {column} = 'text'")
    for name in ("proof", "list") if column == "entry" else ("proof", "consistency"):
        with pytest.raises(LogDamaged):
            READS[name](log)
