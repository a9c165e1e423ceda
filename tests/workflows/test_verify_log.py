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
from service.errors import InputRejected
from service.store.log_reader import LogOpener
from service.workflows.verify_log import Verification, parse_witness, verify_all
from tests.workflows.recorder import Recorder
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


SPARED = "(SELECT l.score_id FROM score_log l WHERE l.log_id = 1 AND l.seq = 4)"
STANDING = "(SELECT l.score_id FROM score_log l WHERE l.log_id = 1 AND l.seq = 3)"
PERSONS = 20  # the place of the first person in the first log
MODELS = 26  # the place of the first transition in the first log, which registered the version in production
VERIFIED, APPROVED, PROMOTED = MODELS + 1, MODELS + 2, MODELS + 3
BY_SECOND = 34  # the place of the score by the version that was in production for a while
FIRST, SECOND = (f"(SELECT digest FROM model_version WHERE version = '{number}')" for number in ("1.0.0", "1.1.0"))
TRANSITIONS = 19
TAMPERED = {
    "an entry": ("UPDATE audit_entry SET entry = leaf_hash WHERE log_id = 1 AND seq = 7", "row 7"),
    "a leaf": ("UPDATE audit_entry SET leaf_hash = (SELECT root FROM audit_log WHERE log_id = 1) "
               "WHERE log_id = 1 AND seq = 7", "row 7"),
    "an entry gone": ("DELETE FROM audit_entry WHERE log_id = 1 AND seq = 7", "row 7"),
    "the tail gone": ("DELETE FROM audit_entry WHERE log_id = 2 AND seq >= 10", "row 10..17"),
    "a tile": ("UPDATE audit_tile SET root = (SELECT root FROM audit_log WHERE log_id = 1)", "256-range 0..255"),
    "a tile gone": ("DELETE FROM audit_tile", "256-range 0..255"),
    "the root": ("UPDATE audit_log SET root = (SELECT root FROM audit_tile) WHERE log_id = 2", "head"),
    "another log's note": ("UPDATE audit_log SET note = (SELECT note FROM audit_log WHERE log_id = 1) "
                           "WHERE log_id = 2", "head"),
    "an anchor's note": ("UPDATE audit_anchor SET note = 'x' WHERE log_id = 1 AND size = 1", "interval 0"),
    "an anchor's time": ("UPDATE audit_anchor SET recorded_at = '2026-11-23T05:51:19.123457Z' "
                         "WHERE log_id = 1 AND size = 1", "interval 0"),
    "an anchor of no log": ("UPDATE audit_anchor SET log_id = 9 WHERE log_id = 1", "audit_anchor has rows"),
    "sealed again": ("UPDATE audit_log SET state = 'sealed'", "state"),
    "the generation": ("UPDATE audit_log SET registry_generation = 3 WHERE log_id = 2", "audit_log"),
    "the sealed generation": ("UPDATE audit_log SET registry_generation = 2 WHERE log_id = 1", "audit_log"),
    "a value": (f"UPDATE score SET value = 0.30000000000000016 WHERE score_id = {SPARED}", "score 4"),
    "a value taken": (f"UPDATE score SET value = NULL, status = 'not_reportable' WHERE score_id = {SPARED}",
                      "status, value"),
    "a category": ("UPDATE score SET category = 'low' WHERE category IS NOT NULL", "category"),
    "a subject": (f"UPDATE score SET subject_id = 'S-7' WHERE score_id = {SPARED}", "subject_id"),
    "a specimen": (f"UPDATE score SET specimen_id = 'A-7' WHERE score_id = {SPARED}", "specimen_id"),
    "a time": (f"UPDATE score SET created_at = '2026-11-23T05:51:19.123457Z' WHERE score_id = {SPARED}", "created_at"),
    "an actor": (f"UPDATE score SET actor = 'system:cli' WHERE score_id = {SPARED}", "actor"),
    "a model": (f"UPDATE score SET model_name = 'other' WHERE score_id = {SPARED}", "model_name"),
    "an answer": (f"UPDATE score SET answer = request WHERE score_id = {SPARED}", "commits to: answer"),
    "a request and an answer": (f"UPDATE score SET request = answer, answer = request WHERE score_id = {SPARED}",
                                "request, answer"),
    "a salt": (f"UPDATE score SET salt = request WHERE score_id = {SPARED}", "score 4"),
    "a chain": ("UPDATE score SET supersedes = NULL WHERE supersedes IS NOT NULL", "supersedes"),
    "a chain made": (f"UPDATE score SET supersedes = 'x' WHERE score_id = {SPARED}", "supersedes"),
    "a place": (f"UPDATE score_log SET seq = 1 WHERE score_id = {SPARED}", "score_log 1"),
    "two places": ("UPDATE score_log SET seq = -1 WHERE log_id = 1 AND seq = 4; "
                   "UPDATE score_log SET seq = 4 WHERE log_id = 1 AND seq = 5; "
                   "UPDATE score_log SET seq = 5 WHERE seq = -1", "score 4"),
    "a place gone": (f"DELETE FROM score_log WHERE score_id = {SPARED}", "score 4: No score is stored"),
    "a place of another": ("UPDATE score_log SET score_id = 'x' WHERE log_id = 1 AND seq = 4", "score 4"),
    "a score gone": (f"DELETE FROM score WHERE score_id = {SPARED}", "score 4: The place"),
    "a score and its place gone": (f"DELETE FROM score WHERE score_id = {SPARED}; "
                                   "DELETE FROM score_log WHERE log_id = 1 AND seq = 4", "score 4: No score"),
    "a retraction gone": ("DELETE FROM score_retraction WHERE log_id = 1", "score_retraction"),
    "a retraction of another": (f"UPDATE score_retraction SET score_id = {STANDING} WHERE log_id = 1",
                                "score_retraction"),
    "a retraction made": (f"INSERT INTO score_retraction VALUES ({STANDING}, 1, 4)", "score_retraction 4"),
    "scopes": ("UPDATE api_key SET scopes = 'admin'", "api_key 1"),
    "scopes in another order": ("UPDATE api_key SET scopes = 'scores:write scores:read'", "api_key 1"),
    "a key's name": ("UPDATE api_key SET name = 'x'", "api_key 1"),
    "a key in force again": ("UPDATE api_key SET revoked_at = NULL", "api_key"),
    "a key revoked": ("UPDATE api_key SET revoked_at = created_at WHERE revoked_at IS NULL", "api_key"),
    "a key gone": ("DELETE FROM api_key WHERE revoked_at IS NULL", "api_key 1: The key of this entry"),
    "a key made": ("INSERT INTO api_key SELECT 'x', name, salt, scopes, api_key.created_at, NULL, development, NULL "
                   f"FROM api_key, score WHERE api_key.name = 'three' AND score_id = {SPARED}",
                   "api_key: A key is stored"),
    "a key given to a person": ("UPDATE api_key SET person_id = (SELECT person_id FROM person WHERE revoked_at IS NULL "
                                "AND name LIKE 'Z%') WHERE name = 'three'", "api_key 1: The stored key"),
    "a key given to another": ("UPDATE api_key SET person_id = (SELECT person_id FROM person WHERE name LIKE 'Ada%') "
                               "WHERE name = 'portal'", f"api_key {PERSONS + 3}: The stored key"),
    "a person's key taken away": ("UPDATE api_key SET person_id = NULL WHERE name = 'portal'",
                                  f"api_key {PERSONS + 3}: The stored key"),
    "a person's name": ("UPDATE person SET name = 'Ada King' WHERE name LIKE 'Ada%'", f"person {PERSONS + 5}: The"),
    "a passphrase of another": ("UPDATE person SET passphrase_hash = (SELECT passphrase_hash FROM person "
                                "WHERE name LIKE 'Ada%') WHERE name LIKE 'Z%'", f"person {PERSONS}: The"),
    "a salt of another": ("UPDATE person SET passphrase_salt = (SELECT passphrase_salt FROM person WHERE name LIKE "
                          "'Ada%') WHERE name LIKE 'Z%'", f"person {PERSONS}: The"),
    "a person in force again": ("UPDATE person SET revoked_at = NULL", "person 12: A person is stored as revoked"),
    "a person revoked": ("UPDATE person SET revoked_at = created_at WHERE name LIKE 'Z%'",
                         f"person {PERSONS}: A person is stored as revoked"),
    "a person's time": ("UPDATE person SET created_at = '2026-11-23T05:51:19.123457Z' WHERE name LIKE 'Z%'",
                        f"person {PERSONS}: The"),
    "a person gone": ("DELETE FROM person WHERE name LIKE 'Z%'", f"person {PERSONS}: The person of this entry"),
    "a person made": ("INSERT INTO person SELECT 'ffffffffffffffff', 'Eve', passphrase_salt, passphrase_hash, "
                      "created_at, NULL FROM person WHERE name LIKE 'Z%'", "person: A person is stored whom no entry"),
    "an alias moved": ("UPDATE model_alias SET version = '1.1.0' WHERE alias = 'production'",
                       "model_alias: An alias is stored as something else"),
    "an alias gone": ("DELETE FROM model_alias WHERE alias = 'canary'", "model_alias: An alias that was recorded is"),
    "an alias made": ("INSERT INTO model_alias VALUES ('pgd-klkb1-inotrope', 'shadow', '1.0.0')",
                      "model_alias: An alias is stored that no entry"),
    "an alias renamed": ("UPDATE model_alias SET alias = 'shadow' WHERE alias = 'canary'",
                         "model_alias: An alias is stored that no entry"),
    "a retired version approved": ("UPDATE model_version SET state = 'approved' WHERE state = 'retired'",
                                   "model_version: A version is stored as something else"),
    "a rejected version approved": ("UPDATE model_version SET state = 'approved' WHERE version = '1.3.0'",
                                    "model_version: A version is stored as something else"),
    "a version set back": ("UPDATE model_version SET state = 'verified' WHERE version = '1.0.0'",
                           "model_version: A version is stored as something else"),
    "a version made": ("INSERT INTO model_version SELECT name, '9.0.0', digest, signature_digest, state "
                       "FROM model_version WHERE version = '1.0.0'", "A version is stored that no entry"),
    "a version gone": ("DELETE FROM model_version WHERE version = '1.2.0'",
                       "model_version: A version that was recorded is not"),
    "a version renamed": ("UPDATE model_version SET version = '1.2.1' WHERE version = '1.2.0'",
                          "model_version: A version is stored that no entry"),
    "a model renamed": ("UPDATE model_version SET name = 'other' WHERE version = '1.2.0'",
                        "model_version: A version is stored that no entry"),
    "another version's content": (f"UPDATE model_version SET digest = {SECOND} WHERE version = '1.0.0'",
                                  "model_version: A version is stored as something else"),
    "a signature taken away": ("UPDATE model_version SET signature_digest = NULL WHERE version = '1.0.0'",
                               "model_version: A version is stored as something else"),
    "a signature given": ("UPDATE model_version SET signature_digest = (SELECT signature_digest FROM model_version "
                          "WHERE version = '1.0.0') WHERE version = '1.1.0'",
                          "model_version: A version is stored as something else"),
    "an approval gone": (f"DELETE FROM model_transition WHERE log_id = 1 AND seq = {APPROVED}",
                         f"model_transition {APPROVED}: The transition of this entry is not stored"),
    "a registration gone": (f"DELETE FROM model_transition WHERE log_id = 1 AND seq = {MODELS}",
                            f"model_transition {VERIFIED}: The transition does not begin where"),
    "every transition gone": ("DELETE FROM model_transition", f"model_transition {PROMOTED}: The transition of this"),
    "an approval without which a score was made": (
        "DELETE FROM model_transition WHERE version = '1.1.0' AND log_id = 1 AND seq = 32",
        f"model_version {BY_SECOND}: The score was made by a version that was not in force"),
    "a transition made": ("INSERT INTO model_transition SELECT '00000000-0000-7000-8000-000000000000', name, version, "
                          "1, 3, statement, salt FROM model_transition WHERE log_id = 1 AND seq = 28",
                          "model_transition 3: A row names an entry that did not record it"),
    "a transition elsewhere": ("UPDATE model_transition SET log_id = 2, seq = 3 WHERE log_id = 1 AND seq = 28",
                               f"model_transition {APPROVED}: The transition of this entry is not stored"),
    "two transitions' places": (f"UPDATE model_transition SET seq = -1 WHERE log_id = 1 AND seq = {MODELS}; "
                                f"UPDATE model_transition SET seq = {MODELS} WHERE log_id = 1 AND seq = {VERIFIED}; "
                                f"UPDATE model_transition SET seq = {VERIFIED} WHERE log_id = 1 AND seq = -1",
                                f"model_transition {MODELS}: The stored transition is not the one"),
    "a transition's version": (f"UPDATE model_transition SET version = '1.2.0' WHERE log_id = 1 AND seq = {APPROVED}",
                               f"model_transition {APPROVED}: The stored transition is not the one"),
    "a transition's model": (f"UPDATE model_transition SET name = 'other' WHERE log_id = 1 AND seq = {APPROVED}",
                             f"model_transition {APPROVED}: The stored transition is not the one"),
    "a transition's id": ("UPDATE model_transition SET transition_id = '00000000-0000-7000-8000-000000000000' "
                          f"WHERE log_id = 1 AND seq = {APPROVED}",
                          f"model_transition {APPROVED}: The stored transition is not the one"),
    "another's statement": (f"UPDATE model_transition SET statement = (SELECT statement FROM model_transition "
                            f"WHERE log_id = 1 AND seq = {PROMOTED}) WHERE log_id = 1 AND seq = {APPROVED}",
                            f"model_transition {APPROVED}: The stored transition is not the one"),
    "another's salt": (f"UPDATE model_transition SET salt = (SELECT salt FROM model_transition WHERE log_id = 1 AND "
                       f"seq = {PROMOTED}) WHERE log_id = 1 AND seq = {APPROVED}",
                       f"model_transition {APPROVED}: The stored transition is not the one"),
    "a manifest altered": (f"UPDATE artifact_part SET content = (SELECT statement FROM model_transition WHERE log_id = "
                           f"1 AND seq = {MODELS}) WHERE digest = {FIRST}", "artifact_part: The bytes of 1 files"),
    "a manifest gone": (f"DELETE FROM artifact_part WHERE digest = {FIRST}", "artifact_part: The bytes of 1 files"),
    "a manifest of another": (f"UPDATE artifact_part SET content = (SELECT content FROM artifact_part WHERE digest = "
                              f"{SECOND}) WHERE digest = {FIRST}", "artifact_part: The bytes of 1 files"),
    "a part in another's place": (f"UPDATE artifact_part SET part = 1 WHERE digest = {FIRST}",
                                  "artifact_part: The bytes of 1 files"),
    "a part too many": (f"INSERT INTO artifact_part SELECT digest, 1, content FROM artifact_part "
                        f"WHERE digest = {SECOND}", "artifact_part: The bytes of 1 files"),
    "every byte gone": ("DELETE FROM artifact_part", "artifact_part: The bytes of 7 files"),
}  # fmt: skip


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
