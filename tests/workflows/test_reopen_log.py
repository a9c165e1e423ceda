"""Reopening on both databases: what is sealed, what the new log says of it, and what goes on in it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from service.audit.committer import Committer
from service.audit.entry import Entry, Prior
from service.audit.log import Head, LogWriter
from service.audit.note import Checkpoint, Signer, open_checkpoint, parse_vkey, sign_checkpoint
from service.audit.outcome import SilentObserver
from service.audit.submissions import NoRows
from service.errors import Conflict, LogDamaged, LogForked, LogNotOpen, SigningKeyMismatch, WitnessUnavailable
from service.store.audit_log import SqlLogStorage
from service.store.engine import Database
from service.store.log_rows import find_head, find_newest, find_open, list_entries
from service.workflows.keys import create_key, revoke_key
from service.workflows.reopen_log import Reopened, reopen
from service.workflows.services import Services
from service.workflows.witness import CommandWitness, FileWitness, WitnessKeeper, require_witnessed

NO_ROWS = NoRows()

Again = Callable[..., Reopened]


@pytest.fixture
def witness(tmp_path: Path) -> FileWitness:
    return FileWitness(tmp_path / "witness")


@pytest.fixture
def again(services: Services, signer: Signer, witness: FileWitness) -> Again:
    """A function that reopens the log of `services`, by default under its own key."""

    def run(key: Signer = signer, **options: object) -> Reopened:
        given = {"site": "test", "now": services.clock(), **options}
        return reopen(SqlLogStorage(services.database), LogWriter(key, "test"), given.pop("witness", witness), **given)

    return run


def record(services: Services, times: int = 1, kind: str = "score.read") -> list[tuple[str, int]]:
    entry = Entry(kind, services.clock(), "system:cli", "test")
    receipts = [services.committer.submit(NO_ROWS, None, entry).result() for _ in range(times)]
    return [(receipt.origin, receipt.index) for receipt in receipts]


def open_head(database: Database) -> Head:
    with database.read() as connection:
        head = find_open(connection)
    assert head is not None
    return head


def sealed_head(database: Database, origin: str) -> Head:
    with database.read() as connection:
        head = find_head(connection, origin)
    assert head is not None
    return head


def opening(database: Database) -> list[Entry]:
    head = open_head(database)
    with database.read() as connection:
        return [Entry.parse(row.entry) for row in list_entries(connection, log_id=head.log_id, start=0, limit=10)]


def change(database: Database, statement: str, **values: object) -> None:
    with database.write() as connection:
        connection.sqlalchemy.execute(text(statement), values)


def test_a_sound_log_is_not_sealed_without_force(services: Services, again: Again) -> None:
    before = open_head(services.database)
    with pytest.raises(Conflict, match="sound"):
        again()
    assert open_head(services.database) == before
    done = again(force=True)
    assert (done.sealed, done.found, done.new_key, done.witnessed) == (before, (), False, True)


def test_the_new_log_cites_the_last_checkpoint_of_the_old_one(services: Services, again: Again, signer: Signer) -> None:
    record(services, 3)
    old = open_head(services.database)
    assert old.root is not None
    done = again(force=True)
    head = open_head(services.database)
    assert done.opened == Checkpoint(head.origin, 1, head.root or b"")
    assert head.origin != old.origin
    assert head.vkey == signer.vkey(head.origin)
    assert done.key_id == parse_vkey(head.vkey).key_id.hex()
    (first,) = opening(services.database)
    assert (first.kind, first.record, first.actor) == ("log.opened", head.origin, "system:cli")
    assert (first.prior, first.in_, first.detail) == (Prior(old.origin, 3), old.root.hex(), None)
    assert sealed_head(services.database, old.origin) == old


def test_a_running_writer_under_the_same_key_goes_on_in_the_new_log(services: Services, again: Again) -> None:
    record(services, 300)
    done = again(force=True)
    assert record(services, 2) == [(done.opened.origin, 1), (done.opened.origin, 2)]
    head = open_head(services.database)
    assert open_checkpoint(head.note or "", head.vkey or "").size == head.size == 3


def test_a_new_key_is_an_entry_and_the_old_key_can_add_nothing_more(services: Services, again: Again) -> None:
    old = open_head(services.database)
    key = Signer.generate()
    done = again(key)
    assert (done.new_key, done.found, done.opened.size) == (True, (), 2)
    first, second = opening(services.database)
    assert (first.kind, second.kind) == ("log.opened", "key.rotated")
    assert (second.record, second.prior) == (done.key_id, Prior(old.origin, 0))
    assert second.record == parse_vkey(key.vkey(done.opened.origin)).key_id.hex()
    with pytest.raises(SigningKeyMismatch):
        record(services)
    assert not services.committer.well
    assert open_head(services.database).size == 2


def test_the_registry_generation_is_carried_over(services: Services, again: Again) -> None:
    row, _ = create_key(services, name="k", scopes=["admin"], actor="system:cli")
    revoke_key(services, key_id=row.key_id, actor="system:cli")
    again(force=True)
    assert open_head(services.database).generation == 1


def test_what_the_witness_holds_and_the_log_lacks_is_on_record(
    services: Services, again: Again, signer: Signer, witness: FileWitness
) -> None:
    old = open_head(services.database)
    lost = Checkpoint(old.origin, 9, b"r" * 32)
    witness.keep(sign_checkpoint(signer, lost))
    with pytest.raises(LogForked):
        require_witnessed(services.database, witness)
    done = again()
    assert done.found == ("The witness holds a checkpoint of 9 entries, and the log has only 1.",)
    (first,) = opening(services.database)
    assert first.prior == Prior(old.origin, 0)
    assert first.detail == {"witnessed": {"origin": old.origin, "size": 9, "root": lost.root.hex()}}
    require_witnessed(services.database, witness)


def test_a_backup_from_before_a_reopening_is_refused_and_reopened(
    services: Services, again: Again, signer: Signer, witness: FileWitness, tmp_path: Path
) -> None:
    elsewhere = FileWitness(tmp_path / "elsewhere")
    for one in (witness, elsewhere):
        one.keep(sign_checkpoint(signer, Checkpoint("exoscore/ffffffffffffffff", 4, b"r" * 32)))
        with pytest.raises(LogForked, match="4 entries that is not in the database"):
            require_witnessed(services.database, one)
    assert len(again().found) == 1
    for one in (witness, elsewhere):
        require_witnessed(services.database, one)


def test_a_database_that_lost_its_log_cites_the_witness(
    empty_database: Database, signer: Signer, witness: FileWitness, services: Services
) -> None:
    with pytest.raises(Conflict, match="no log to follow"):
        reopen(SqlLogStorage(empty_database), LogWriter(signer, "test"), witness, site="test", now=services.clock())
    lost = Checkpoint("exoscore/ffffffffffffffff", 4, b"r" * 32)
    witness.keep(sign_checkpoint(signer, lost))
    done = reopen(SqlLogStorage(empty_database), LogWriter(signer, "test"), witness, site="test", now=services.clock())
    assert (done.sealed, done.new_key, done.opened.size) == (None, False, 1)
    assert "holds no audit log" in done.found[0]
    (first,) = opening(empty_database)
    assert (first.prior, first.in_) == (Prior(lost.origin, 3), lost.root.hex())
    require_witnessed(empty_database, witness)


def test_a_lost_database_and_a_lost_key(
    empty_database: Database, signer: Signer, witness: FileWitness, services: Services
) -> None:
    lost = Checkpoint("exoscore/ffffffffffffffff", 4, b"r" * 32)
    witness.keep(sign_checkpoint(Signer.generate(), lost))
    with pytest.raises(LogForked, match="holds no audit log"):
        require_witnessed(empty_database, witness)
    done = reopen(SqlLogStorage(empty_database), LogWriter(signer, "test"), witness, site="test", now=services.clock())
    assert (done.new_key, len(done.found)) == (True, 2)
    assert [entry.kind for entry in opening(empty_database)] == ["log.opened", "key.rotated"]


def require_started(services: Services, signer: Signer, witness: FileWitness) -> None:
    """What a start does with the log."""
    require_witnessed(services.database, witness)
    SqlLogStorage(services.database).open(LogWriter(signer, "test"), site="test", now=services.clock())


DAMAGES = {
    "note": ("UPDATE audit_log SET note = 'x'", "signed checkpoint"),
    "root": ("UPDATE audit_log SET root = :root", "do not give the root"),
    "size": ("UPDATE audit_log SET size = 2", "do not end where its head says"),
    "time": ("UPDATE audit_log SET last_recorded_at = '2026-99-99T00:00:00.000000Z'", "no readable time"),
    "name": ("UPDATE audit_log SET origin = 'a b'", "does not cite it"),
    "vkey": ("UPDATE audit_log SET vkey = :vkey", "signed checkpoint"),
    "type of the root": ("UPDATE audit_log SET root = 'rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr'", "another type"),
    "type of the note": ("UPDATE audit_log SET note = CAST(note AS BLOB)", "another type"),
    "type of the key": ("UPDATE audit_log SET vkey = CAST(vkey AS BLOB)", "another type"),
    "type of the name": ("UPDATE audit_log SET origin = CAST(origin AS BLOB)", "another type"),
    "type of the size": ("UPDATE audit_log SET size = 'x'", "another type"),
    "type of the time": ("UPDATE audit_log SET last_recorded_at = zeroblob(27)", "no readable time"),
    "type of the generation": ("UPDATE audit_log SET registry_generation = 'x'", "another type"),
    "sealed": ("UPDATE audit_log SET state = 'sealed'", "no other one is open"),
}


@pytest.mark.parametrize(("statement", "sentence"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_log_is_sealed_as_it_is_and_work_goes_on(
    services: Services, again: Again, signer: Signer, witness: FileWitness, statement: str, sentence: str
) -> None:
    if (sentence == "another type" or "zeroblob" in statement) and not services.database.embedded:
        pytest.skip("PostgreSQL keeps values of one type in a column")
    record(services, 2)
    stranger = Signer.generate().vkey(open_head(services.database).origin)
    values = {"root": b"r" * 32, "vkey": stranger}
    change(services.database, statement, **{name: value for name, value in values.items() if f":{name}" in statement})
    if "sealed" not in statement and "'a b'" not in statement:
        with pytest.raises(LogDamaged):
            require_started(services, signer, witness)
    done = again()
    assert any(sentence in found for found in done.found)
    require_started(services, signer, witness)
    assert record(services)[0][0] == done.opened.origin


def test_a_log_from_before_signatures_can_be_followed(services: Services, again: Again) -> None:
    record(services, 2)
    old = open_head(services.database)
    change(services.database, "UPDATE audit_log SET vkey = NULL, root = NULL, note = NULL")
    assert again(force=True).new_key is False
    (first,) = opening(services.database)
    assert (first.prior, first.in_) == (Prior(old.origin, 2), (old.root or b"").hex())


def test_without_the_witness_nobody_can_tell(services: Services, again: Again) -> None:
    away = CommandWitness(["false"])
    with pytest.raises(WitnessUnavailable):
        again(witness=away)
    done = again(witness=away, force=True)
    assert (done.witnessed, len(done.found)) == (False, 2)


def test_only_one_of_two_begins_a_log(services: Services, again: Again, witness: FileWitness) -> None:
    class Meddling(FileWitness):
        def look(self, origin: str | None) -> object:
            again(force=True)
            return witness.look(origin)

    with pytest.raises(Conflict, match="Another process"):
        again(witness=Meddling(witness.path), force=True)
    assert record(services)[0][1] == 1


def test_writers_that_wait_for_the_head_meanwhile_go_on_in_the_new_log(
    services: Services, again: Again, signer: Signer
) -> None:
    """Replicas append while the log is sealed under their hands; none is refused, and nothing is lost."""
    storage = SqlLogStorage(services.database)
    found: list[tuple[str, int]] = []
    reopened = threading.Event()

    def replica() -> None:
        committer = Committer(storage, LogWriter(signer, "test"), SilentObserver())
        committer.start()
        own = replace(services, committer=committer)
        while not reopened.is_set():
            found.extend(record(own))
        found.extend(record(own))
        committer.close()

    threads = [threading.Thread(target=replica) for _ in range(3)]
    for thread in threads:
        thread.start()
    origins = [again(force=True).opened.origin for _ in range(3)]
    reopened.set()
    for thread in threads:
        thread.join()
    assert len(set(found)) == len(found)
    sizes = [sealed_head(services.database, origin).size for origin in origins]
    assert [sum(one == origin for one, _ in found) for origin in origins] == [size - 1 for size in sizes]
    assert sizes[-1] > 3


def test_the_keeper_follows_into_the_new_log(services: Services, again: Again, witness: FileWitness) -> None:
    keeper = WitnessKeeper(services.database, witness)
    keeper.hand_over()
    done = again(force=True)
    record(services)
    assert keeper.hand_over()
    newest = witness.look(None).newest
    assert newest is not None
    assert (newest.checkpoint.origin, newest.checkpoint.size) == (done.opened.origin, 2)


def test_a_sealed_log_alone_opens_nothing(services: Services, signer: Signer, witness: FileWitness) -> None:
    change(services.database, "UPDATE audit_log SET state = 'sealed'")
    require_witnessed(services.database, witness)
    assert not WitnessKeeper(services.database, witness).hand_over()
    with pytest.raises(LogNotOpen):
        SqlLogStorage(services.database).open(LogWriter(signer, "test"), site="test", now=services.clock())
    with services.database.read() as connection:
        assert find_newest(connection) is not None
