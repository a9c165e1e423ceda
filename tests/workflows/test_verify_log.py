"""What an administrator can do to a log and to the rows beside it, and what `verify --deep` says of it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from service.audit.entry import Entry, Prior
from service.audit.submissions import NoRows
from service.errors import Conflict, InputRejected
from service.registry.lifecycle import plan
from service.store.log_reader import LogOpener
from service.store.models import VersionRow
from service.workflows.transitions import MOVE_MODELS, Signatory, drafted, find_standing
from service.workflows.verify_log import Verification, parse_witness, verify_all
from tests.workflows.recorder import Recorder
from tests.workflows.tampered import TAMPERED, TRANSITIONS
from tests.workflows.tampering import COLUMNS, Administrator, administrator


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def history(request: pytest.FixtureRequest) -> Iterator[Recorder]:
    """A log with every kind of row, made once; who changes it puts it back."""
    backend = request.getfixturevalue(f"{request.param}_backend")
    recorder = Recorder(backend.migrated())
    recorder.everything()
    yield recorder
    recorder.close()
    backend.remove(recorder.url)


@pytest.fixture(scope="module")
def admin(history: Recorder) -> Iterator[Administrator]:
    admin = administrator(history.url)
    yield admin
    admin.close()


@pytest.fixture
def fresh(database_url: str) -> Iterator[Recorder]:
    recorder = Recorder(database_url)
    yield recorder
    recorder.close()


@pytest.fixture
def fresh_admin(fresh: Recorder) -> Iterator[Administrator]:
    admin = administrator(fresh.url)
    yield admin
    admin.close()


def verified(recorder: Recorder, **how: Any) -> Verification:
    return verify_all(LogOpener(recorder.url), deep=True, **how)


def test_a_history_with_every_kind_of_row_is_sound(history: Recorder) -> None:
    found = verified(history)
    assert found.lines() == []
    assert found.sound
    assert [log.state for log in found.logs] == ["sealed", "open"]
    assert found.records is not None
    assert (found.records.scores, found.records.retractions) == (17, 2)
    assert (found.records.keys, found.records.persons, found.records.versions) == (5, 3, 4)
    assert json.loads(json.dumps(found.document()))["first_break"] is None


def test_the_number_of_processes_changes_nothing(history: Recorder) -> None:
    one, two = (verified(history, jobs=jobs).document() for jobs in (1, 2))
    del one["seconds"], two["seconds"]
    assert one == two


def test_progress_is_told_for_each_log_and_for_the_rows(history: Recorder) -> None:
    told: list[tuple[int, int]] = []
    found = verified(history, progress=lambda done, total: told.append((done, total)))
    sizes = [log.size for log in found.logs]
    assert told == [(size, size) for size in (*sizes, sum(sizes))]


def test_the_quick_verification_leaves_the_rows_alone(history: Recorder) -> None:
    found = verify_all(LogOpener(history.url), deep=False)
    assert found.sound
    assert found.records is None
    assert found.document()["records"] is None


@pytest.mark.parametrize(("statement", "said"), TAMPERED.values(), ids=TAMPERED.keys())
def test_what_an_administrator_changes_is_named(
    history: Recorder, admin: Administrator, copied: Callable[[], None], statement: str, said: str
) -> None:
    admin.run(statement)
    lines = verified(history).lines()
    assert any(said in line for line in lines), lines


@pytest.fixture
def copied(history: Recorder, admin: Administrator) -> Iterator[None]:
    """Puts every table back when the test is over."""
    names = (
        "audit_log",
        "audit_entry",
        "audit_tile",
        "audit_anchor",
        "score",
        "score_log",
        "score_retraction",
        "api_key",
        "person",
        "artifact_part",
        "model_version",
        "model_alias",
        "model_transition",
        "model_acknowledgement",
    )
    for name in names:
        admin.run(f"CREATE TABLE kept_{name} AS SELECT * FROM {name}")
    yield
    for name in names:
        admin.run(f"DELETE FROM {name}")
        admin.run(f"INSERT INTO {name} SELECT * FROM kept_{name}")
        admin.run(f"DROP TABLE kept_{name}")
    assert verified(history).sound


REENCODED = {
    "sqlite": "UPDATE model_transition SET statement = CAST(replace(CAST(statement AS TEXT), ',', ', ') AS BLOB)",
    "postgresql": "UPDATE model_transition SET statement = "
    "convert_to(replace(convert_from(statement, 'UTF8'), ',', ', '), 'UTF8')",
}


def test_a_statement_that_says_the_same_in_other_bytes_is_another_one(
    history: Recorder, admin: Administrator, copied: None
) -> None:
    kind = "sqlite" if history.url.startswith("sqlite") else "postgresql"
    admin.run(REENCODED[kind])
    lines = [line for line in verified(history).lines() if "model_transition" in line]
    assert len(lines) == TRANSITIONS
    assert all("is not the one that the entry commits to" in line for line in lines)


def test_bytes_that_no_version_names_are_passed_over(history: Recorder, admin: Administrator, copied: None) -> None:
    digest = "sha256:" + "0" * 64
    admin.run(
        f"INSERT INTO artifact_part SELECT '{digest}', 0, salt FROM model_transition WHERE log_id = 1 AND seq = 26"
    )
    assert verified(history).sound


def test_a_score_by_a_version_that_was_not_in_force_is_reported(fresh: Recorder) -> None:
    row = fresh.version("1.0.0")
    fresh.score("S-1", model=row)
    fresh.bring(row, "approved")
    fresh.score("S-2", model=row)
    fresh.score("S-3", model=replace(row, digest="sha256:" + "0" * 64))
    fresh.score("S-4", model=replace(row, version="2.0.0"))
    fresh.score("S-5", model=replace(row, name="unheard-of"))
    fresh.bring(row, "retired")
    fresh.score("S-6", model=row)
    lines = verified(fresh).lines()
    assert [line.partition(": ")[2] for line in lines] == [
        f"model_version {place}: The score was made by a version that was not in force." for place in (3, 6, 7, 10)
    ]


def promote(recorder: Recorder, row: VersionRow, alias: str, **said: Any) -> None:
    """Promote a version as no release of ours would: with these words about its warnings."""
    with recorder.database.read() as connection:
        found = find_standing(connection, row.name, row.version)
    assert found is not None
    version, standing = found
    move = plan(row.version, alias, standing)
    recorder.committer.submit(
        MOVE_MODELS, *drafted(recorder.services, version, move, standing, Signatory("system:cli"), said)
    ).result()


def test_a_promotion_over_a_warning_that_nobody_acknowledged_is_reported(fresh: Recorder) -> None:
    row = fresh.version("1.0.0", "approved")
    promote(fresh, row, "old")
    assert verified(fresh).sound, "an earlier release asked for none"
    promote(fresh, row, "shadow")
    promote(fresh, row, "bold", warnings=["no_external_validation"])
    promote(fresh, row, "mute")
    promote(fresh, row, "blind", warnings=[])
    assert [line.partition(": ")[2] for line in verified(fresh).lines()] == [
        "model_transition 6: A version was promoted with a warning that nobody had acknowledged.",
        "model_transition 7: A version was promoted without a word of its warnings.",
        "A version was promoted over other warnings than its own.",
    ]


def test_an_acknowledgement_of_no_warning_or_of_no_version_is_reported(fresh: Recorder) -> None:
    row, ada = fresh.version("1.0.0", "approved"), fresh.person("Ada Lovelace")
    fresh.acknowledge(row, ada, "no_external_validation")
    assert verified(fresh).sound
    fresh.acknowledge(row, ada, "of_something_else")
    with pytest.raises(Conflict):
        fresh.acknowledge(replace(row, digest="sha256:" + "0" * 64), ada, "index_not_probability")
    assert verified(fresh).lines() == ["model_acknowledgement: What was acknowledged is no warning of the version."]


@pytest.mark.parametrize("column", ["acknowledgement_id", "name", "version", "statement", "salt"])
def test_an_acknowledgement_of_other_types_is_a_finding_and_no_traceback(sqlite_backend: Any, column: str) -> None:
    recorder = Recorder(sqlite_backend.migrated())
    recorder.version("1.0.0", "approved", "production")
    recorder.close()
    admin = administrator(recorder.url)
    for value in ("x'ff'", "CAST(x'ff' AS TEXT)", f"CAST({column} AS TEXT)", f"CAST({column} AS BLOB)"):
        admin.run(f"CREATE TABLE kept AS SELECT {column} AS kept FROM model_acknowledgement")
        if admin.run(f"UPDATE model_acknowledgement SET {column} = {value} WHERE typeof({value}) <> typeof({column})"):
            assert any("The stored acknowledgement is not the one" in line for line in verified(recorder).lines())
        admin.run(f"UPDATE model_acknowledgement SET {column} = (SELECT kept FROM kept); DROP TABLE kept")
    assert verified(recorder).sound
    admin.close()
    sqlite_backend.remove(recorder.url)


@pytest.mark.parametrize("column", ["transition_id", "name", "version", "statement", "salt"])
def test_a_transition_of_other_types_is_a_finding_and_no_traceback(sqlite_backend: Any, column: str) -> None:
    recorder = Recorder(sqlite_backend.migrated())
    recorder.version("1.0.0", "approved", "production")
    recorder.close()
    admin = administrator(recorder.url)
    for value in ("x'ff'", "CAST(x'ff' AS TEXT)", f"CAST({column} AS TEXT)", f"CAST({column} AS BLOB)"):
        admin.run(f"CREATE TABLE kept AS SELECT rowid AS place, {column} AS kept FROM model_transition")
        change = f"UPDATE model_transition SET {column} = {value} WHERE seq = 2 AND typeof({value}) <> typeof({column})"
        if admin.run(change):
            assert any("The stored transition is not the one" in line for line in verified(recorder).lines())
        admin.run(
            f"UPDATE model_transition SET {column} = (SELECT kept FROM kept WHERE place = model_transition.rowid); "
            "DROP TABLE kept"
        )
    assert verified(recorder).sound
    admin.close()
    sqlite_backend.remove(recorder.url)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        *(("model_version", column) for column in ("name", "version", "digest", "signature_digest", "state")),
        *(("model_alias", column) for column in ("name", "alias", "version")),
        *(("artifact_part", column) for column in ("digest", "part", "content")),
    ],
)
def test_a_registry_of_other_types_is_a_finding_and_no_traceback(sqlite_backend: Any, table: str, column: str) -> None:
    recorder = Recorder(sqlite_backend.migrated())
    recorder.version("1.0.0", "approved", "production")
    recorder.close()
    admin = administrator(recorder.url)
    for value in ("x'ff'", "CAST(x'ff' AS TEXT)", "7", f"CAST({column} AS BLOB)"):
        admin.run(f"CREATE TABLE kept AS SELECT rowid AS place, {column} AS kept FROM {table}")
        change = f"UPDATE {table} SET {column} = {value} WHERE rowid = 1 AND typeof({value}) <> typeof({column})"
        if admin.run(change):
            found = verified(recorder)
            assert any(table in line for line in found.lines()), value
            json.dumps(found.document())
        admin.run(f"UPDATE {table} SET {column} = (SELECT kept FROM kept WHERE place = {table}.rowid); DROP TABLE kept")
    assert verified(recorder).sound
    admin.close()
    sqlite_backend.remove(recorder.url)


def test_a_witness_finds_what_agrees_with_itself(fresh: Recorder) -> None:
    fresh.read(3)
    with LogOpener(fresh.url)() as reader:
        (head,) = reader.heads()
    fresh.read(3)
    assert verified(fresh, witness=parse_witness(head.note.encode())).sound
    forged = fresh.signer.sign(head.origin, f"{head.origin}\n9\n{'A' * 43}=\n")
    assert "witness 7..8" in verified(fresh, witness=[forged]).lines()[0]
    other = head.note.replace(head.origin, "exoscore/0000000000000000")
    assert "not here" in verified(fresh, witness=[other]).lines()[0]


@pytest.mark.parametrize("content", [b"", b"\xff\n", b"torn"], ids=["empty", "no text", "torn"])
def test_a_witness_file_without_checkpoints_is_refused(content: bytes) -> None:
    with pytest.raises(InputRejected):
        parse_witness(content)


def test_a_row_deleted_with_its_entry_saying_so_is_sound_and_without_is_not(fresh: Recorder) -> None:
    for subject in ("told", "untold", "told"):
        fresh.score(subject)
    fresh.erase("told")
    assert verified(fresh).sound
    fresh.erase("untold", say=False)
    assert verified(fresh).lines() == [
        f"{next(iter(fresh.places.values())).origin}: score 2: No score is stored for this entry, "
        "and no erasure says why."
    ]


ERASURES: dict[str, tuple[dict[str, Any] | None, str]] = {
    "still there": ({"ranges": [[1, 1]]}, "score 1: What was erased is still stored"),
    "never there": ({"ranges": [[0, 0]]}, "score 0: What was erased"),
    "behind itself": ({"ranges": [[3, 3]]}, "audit_entry 3: The erasure names places behind"),
    "another log": ({"origin": "exoscore/0", "ranges": [[1, 1]]}, "audit_entry 3: The erasure does not name"),
    "no pairs": ({"ranges": [1, 1]}, "audit_entry 3: The erasure does not name"),
    "no order": ({"ranges": [[1, 0]]}, "audit_entry 3: The erasure does not name"),
    "no list": ({"ranges": 1}, "audit_entry 3: The erasure does not name"),
    "nothing": (None, "audit_entry 3: The erasure does not name"),
}


@pytest.mark.parametrize(("detail", "said"), ERASURES.values(), ids=ERASURES.keys())
def test_an_erasure_that_is_none_is_reported(fresh: Recorder, detail: dict[str, Any] | None, said: str) -> None:
    fresh.score("S")
    origin = fresh.places[fresh.score("S")].origin
    said_of = None if detail is None else {"origin": origin} | detail
    entry = Entry("subject.erased", fresh.now, "system:cli", "test", reason="legal_order", detail=said_of)
    fresh.committer.submit(NoRows(), None, entry).result()
    (line,) = verified(fresh).lines()
    assert said in line


ENTRIES = {
    "a retraction without a row": Entry("score.retracted", Recorder.now, "system:cli", "test", prior=Prior("x", 1)),
    "a retraction of nothing": Entry("score.retracted", Recorder.now, "system:cli", "test"),
    "a revocation of no key": Entry("key.revoked", Recorder.now, "system:cli", "test", record="0" * 16),
    "a key without a row": Entry("key.created", Recorder.now, "system:cli", "test", record="0" * 16),
    "a person without a row": Entry("person.added", Recorder.now, "system:cli", "test", record="0" * 16),
    "a change of nobody": Entry("person.changed", Recorder.now, "system:cli", "test", record="0" * 16),
    "a revocation of nobody": Entry("person.revoked", Recorder.now, "system:cli", "test", record="0" * 16),
    "a transition without a row": Entry(
        "model.approved", Recorder.now, "system:cli", "test", record="0" * 16, detail={"from": None, "to": None}
    ),
    "a score without a row": Entry("score.reported", Recorder.now, "system:cli", "test"),
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
def test_an_entry_about_a_row_that_never_was_is_reported(fresh: Recorder, entry: Entry) -> None:
    fresh.committer.submit(NoRows(), None, entry).result()
    assert not verified(fresh).sound


def test_a_key_created_or_revoked_twice_is_reported(fresh: Recorder) -> None:
    key_id = fresh.key()
    fresh.revoke(key_id)
    for kind in ("key.created", "key.revoked"):
        entry = Entry(kind, fresh.now + timedelta(seconds=1), "system:cli", "test", record=key_id)
        fresh.committer.submit(NoRows(), None, entry).result()
    lines = verified(fresh).lines()
    assert any("created twice" in line for line in lines)
    assert any("revoked twice" in line for line in lines)


def test_a_person_added_twice_or_revoked_with_a_key_in_force_is_reported(fresh: Recorder) -> None:
    person_id = fresh.person()
    fresh.key("first", person_id=person_id)
    for kind in ("person.added", "person.revoked", "person.changed"):
        entry = Entry(kind, fresh.now, "system:cli", "test", record=person_id)
        fresh.committer.submit(NoRows(), None, entry).result()
    fresh.key("second", person_id=person_id)
    lines = verified(fresh).lines()
    for place, said in (
        ("person 3", "added twice"),
        ("person 4", "who had a key in force"),
        ("person 5", "changed or revoked who was not in force"),
        ("api_key 6", "for a person who was not in force"),
        ("person 1", "stored as revoked at another time"),
    ):
        assert any(place in line and said in line for line in lines), (said, lines)


@pytest.mark.parametrize("column", ["passphrase_salt", "passphrase_hash", "name", "created_at"])
def test_a_person_of_other_types_is_a_finding_and_no_traceback(sqlite_backend: Any, column: str) -> None:
    recorder = Recorder(sqlite_backend.migrated())
    recorder.person()
    recorder.close()
    admin = administrator(recorder.url)
    for value in ("x'ff'", "CAST(x'ff' AS TEXT)", "7", f"CAST({column} AS TEXT)", f"CAST({column} AS BLOB)"):
        admin.run(f"CREATE TABLE kept AS SELECT {column} AS kept FROM person")
        if admin.run(f"UPDATE person SET {column} = {value} WHERE typeof({value}) <> typeof({column})"):
            assert any("person 1: The stored person" in line for line in verified(recorder).lines())
        admin.run(f"UPDATE person SET {column} = (SELECT kept FROM kept); DROP TABLE kept")
    assert verified(recorder).sound
    admin.close()
    sqlite_backend.remove(recorder.url)


@pytest.mark.parametrize("column", ["note", "origin", "vkey", "state", "last_recorded_at"])
def test_text_that_is_none_is_a_finding_and_no_traceback(sqlite_backend: Any, column: str) -> None:
    recorder = Recorder(sqlite_backend.migrated())
    recorder.score()
    recorder.close()
    admin = administrator(recorder.url)
    for value in ("x'ff'", "CAST(x'ff' AS TEXT)", "7"):
        admin.run(f"UPDATE audit_log SET {column} = {value}")
        found = verified(recorder)
        assert not found.sound
        json.dumps(found.document())
    admin.close()
    sqlite_backend.remove(recorder.url)


@pytest.mark.parametrize("column", ["log_id", "seq"])
def test_a_place_that_is_no_number_is_a_finding(sqlite_backend: Any, column: str) -> None:
    recorder = Recorder(sqlite_backend.migrated())
    recorder.retract(recorder.score())
    recorder.close()
    admin = administrator(recorder.url)
    for table in ("score_log", "score_retraction", "audit_entry"):
        admin.run(f"UPDATE {table} SET {column} = 'x' WHERE rowid = (SELECT max(rowid) FROM {table})")
        assert any(table in line for line in verified(recorder).lines())
    admin.close()
    sqlite_backend.remove(recorder.url)


def test_a_database_without_a_log_is_not_sound(database_url: str) -> None:
    assert verify_all(LogOpener(database_url), deep=True).lines() == ["head: The database holds no log."]


def test_many_findings_are_cut_off(fresh: Recorder, fresh_admin: Administrator) -> None:
    for _ in range(3):
        fresh.read(400)
    fresh_admin.run("UPDATE audit_entry SET entry = leaf_hash WHERE seq > 0")
    records = verified(fresh).records
    assert records is not None
    assert len(records.findings) == 1000


def test_single_bytes_of_every_column_are_found(history: Recorder, admin: Administrator) -> None:
    """One of each on both databases; `tests/crash` has many."""
    chance = random.Random(1)
    for table, column in COLUMNS:
        change = next(change for _ in range(1000) if (change := admin.change_byte(chance, table, column)))
        assert not verified(history).sound, change[0]
        admin.restore(change[1])
    assert verified(history).sound
