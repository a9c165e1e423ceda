"""Registering an artifact: what is stored, what the same bytes and other bytes answer, and what a refusal leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import delete, update

from service.errors import ArtifactRejected, EstimatorUnavailable, ServiceError, StorageUnavailable, VersionExists
from service.registry.archive import MANIFEST, SIGNATURE
from service.registry.artifact import examine
from service.registry.lifecycle import register as registered
from service.store.log_reader import LogOpener
from service.store.models import PART_BYTES, VersionRow, read_bytes, store_bytes
from service.store.tables import artifact_part
from service.workflows.artifact_files import read_files, store_files
from service.workflows.describe import describe
from service.workflows.model_history import find_history
from service.workflows.register_model import Registration, move, register_model, register_zip
from service.workflows.services import Services
from service.workflows.transitions import Signatory
from service.workflows.verify_log import verify_all
from tests.registry.artifacts import KEY_NAME, PGD, TB, bundled_files, digest, misjudged, rebuilt, release
from tests.registry.attacks import zipped
from tests.registry.fitted import LABELS, MATRIX, document_of, files_of, lowered_files, pickled
from tests.workflows.registering import at_once, bring, person, register, stored

Files = dict[str, bytes]
MACHINE = Signatory("key:0123456789abcdef")


def put(services: Services, files: Files, signatory: Signatory = MACHINE, *, prove: bool = False) -> Registration:
    return register_model(services, lambda: files, signatory, prove=prove)


@pytest.fixture(autouse=True)
def sound(services: Services, database_url: str) -> Iterator[None]:
    """Whatever a test did, the deep verification agrees with it."""
    yield
    assert verify_all(LogOpener(database_url), deep=True).lines() == []


@pytest.mark.parametrize("name", [TB, PGD])
def test_a_genuine_artifact_is_registered_and_verified(services: Services, name: str) -> None:
    files = bundled_files(name)
    before = stored(services.database)
    done = register_zip(services, zipped(files), MACHINE)
    row = done.version
    assert (row.name, row.version, row.state) == (name, "1.0.0", "verified")
    assert (row.digest, row.signature_digest) == (digest(files[MANIFEST]), digest(files[SIGNATURE]))
    assert (done.created, done.publisher, done.fault) == (True, "exoscore-release-2026", None)
    after = stored(services.database)
    first, second = after.since(before)
    assert (first.kind, second.kind) == ("model.registered", "model.verified")
    assert (first.detail, second.detail) == (
        {"from": None, "to": "registered"},
        {"from": "registered", "to": "verified"},
    )
    for entry in (first, second):
        assert (entry.model, entry.model_digest, entry.actor) == (f"{name}@1.0.0", row.digest, MACHINE.actor)
    assert after.generation == before.generation + 2
    assert done.receipt is not None
    assert done.receipt.index == len(after.entries) - 1
    assert read_files(services.database, row) == files
    said = [one.said for one in find_history(services.database, name).happened]
    assert [one["publisher"] for one in said if "publisher" in one] == ["exoscore-release-2026"]
    assert {one["digest"] for one in said} == {row.digest}


def test_who_registered_and_who_published_is_on_record(services: Services) -> None:
    zoe = person(services, "Zoë Müller")
    row = put(services, release(PGD, "1.1.0"), Signatory("key:portal", zoe)).version
    unsigned = put(services, release(PGD, "1.2.0", signed=False)).version
    assert unsigned.signature_digest is None
    models = services.registry.load_all()
    first, second = (describe(models, PGD, one.version, services.database) for one in (row, unsigned))
    assert (first.publisher, second.publisher) == (KEY_NAME, None)
    persons = {one.said["version"]: one.said["person"] for one in find_history(services.database, PGD).happened}
    assert persons == {"1.1.0": zoe, "1.2.0": None}


def test_a_lowered_version_is_registered_with_its_proof(services: Services) -> None:
    from sklearn.linear_model import LogisticRegression

    from service.registry.lower import lower

    estimator = LogisticRegression().fit(MATRIX, LABELS)
    assert put(services, lowered_files(estimator, lower(estimator, width=6)), prove=True).version.state == "verified"
    files = lowered_files(estimator, lower(estimator, width=6))
    other = pickled(LogisticRegression(C=0.001).fit(MATRIX, LABELS))
    swapped = rebuilt(files | {"estimator.joblib": other}, json.loads(files[MANIFEST]) | {"version": "2.0.1"})
    done = put(services, swapped, prove=True)
    assert done.version.state == "rejected"
    assert done.fault is not None
    assert "do not give" in done.fault


def test_an_estimator_in_a_process_of_its_own_is_registered(services: Services) -> None:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(n_estimators=5, max_depth=3, random_state=1).fit(MATRIX, LABELS)
    assert put(services, files_of(forest, document_of()), prove=True).version.state == "verified"


def test_the_same_bytes_once_more_answer_the_same_and_record_nothing(services: Services) -> None:
    first = put(services, release(TB, "1.1.0"))
    before = stored(services.database)
    again = put(services, release(TB, "1.1.0"), Signatory("key:another"))
    assert again == replace(first, created=False, receipt=None)
    assert stored(services.database) == before
    bring(services, first.version, "approved")
    assert put(services, release(TB, "1.1.0")).version.state == "approved"


def test_the_publisher_on_record_is_the_one_of_the_first_upload(services: Services) -> None:
    assert put(services, release(PGD, "1.1.0", signed=False)).publisher is None
    assert put(services, release(PGD, "1.1.0")).publisher is None
    assert put(services, release(PGD, "1.2.0")).publisher == KEY_NAME
    assert put(services, release(PGD, "1.2.0", signed=False)).publisher == KEY_NAME


def test_what_was_interrupted_is_completed_by_the_same_bytes(services: Services) -> None:
    files = release(PGD, "1.1.0")
    artifact = examine(files, trusted=services.publishers)
    store_files(services.database, files)
    row = VersionRow(PGD, "1.1.0", artifact.digest, digest(files[SIGNATURE]), "registered")
    move(services, row, registered("1.1.0"), None, MACHINE, {"publisher": artifact.publisher})
    before = stored(services.database)
    done = put(services, files, Signatory("key:another"))
    assert (done.version.state, done.created, done.publisher) == ("verified", False, KEY_NAME)
    (entry,) = stored(services.database).since(before)
    assert (entry.kind, entry.actor) == ("model.verified", "key:another")
    assert put(services, files).receipt is None


def test_an_upload_that_broke_off_or_was_spoilt_is_written_over(services: Services) -> None:
    content = bytes(range(256)) * (PART_BYTES // 128)
    known = store_bytes(services.database, content)
    for statement in (
        delete(artifact_part).where(artifact_part.c.part == 1),
        update(artifact_part).where(artifact_part.c.part == 0).values(content=b"x"),
    ):
        with services.database.write() as connection:
            connection.execute(statement)
        with services.database.read() as connection:
            assert read_bytes(connection, known) is None
        assert store_bytes(services.database, content) == known
        with services.database.read() as connection:
            assert read_bytes(connection, known) == content
    empty = store_bytes(services.database, b"")
    with services.database.read() as connection:
        assert read_bytes(connection, empty) == b""
        assert read_bytes(connection, digest(b"nothing")) is None


def test_an_artifact_that_does_not_give_its_own_values_stays_rejected_with_the_reason(services: Services) -> None:
    files = misjudged(PGD, "1.1.0")
    done = put(services, files)
    assert (done.version.state, done.created) == ("rejected", True)
    assert done.fault is not None
    assert "values differ" in done.fault
    assert put(services, files) == replace(done, created=False, receipt=None)
    shown = describe(services.registry.load_all(), PGD, "1.1.0", services.database)
    assert (shown.version.state, shown.reason) == ("rejected", done.fault)
    assert shown.manifest is not None
    entry = stored(services.database).entries[-1]
    assert (entry.kind, entry.detail) == ("model.rejected", {"from": "registered", "to": "rejected"})
    assert b"differ" not in entry.encode()


Spoil = Callable[[], Files]
REFUSED: dict[str, tuple[Spoil, type[ServiceError], str]] = {
    "unsigned joblib": (lambda: release(TB, "1.1.0", signed=False), ArtifactRejected, "unsigned_joblib"),
    "a byte of a file": (
        lambda: bundled_files(TB) | {"golden.json": bundled_files(TB)["golden.json"] + b" "},
        ArtifactRejected,
        "digest_mismatch",
    ),
    "a file too many": (lambda: bundled_files(TB) | {"x": b""}, ArtifactRejected, "unlisted_file"),
    "no manifest": (lambda: {"golden.json": b"{}"}, ArtifactRejected, "missing_file"),
    "an unknown field": (lambda: release(PGD, "1.1.0", marker=1), ArtifactRejected, "extra_forbidden"),
    "other bytes": (lambda: release(PGD, "1.0.0", title="Another title"), VersionExists, "version_exists"),
    "a build of it": (lambda: release(PGD, "1.0.0+build.2"), VersionExists, "version_exists"),
}


@pytest.mark.parametrize(("spoil", "error", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refusal_leaves_one_entry_and_nothing_else(
    services: Services, spoil: Spoil, error: type[ServiceError], code: str
) -> None:
    put(services, bundled_files(PGD))
    before = stored(services.database)
    with pytest.raises(error) as refused:
        put(services, spoil(), Signatory("key:fedcba9876543210", "f" * 16))
    assert refused.value.remedy
    after = stored(services.database)
    (entry,) = after.since(before)
    assert (entry.kind, entry.record, entry.model, entry.model_digest) == ("model.rejected", None, None, None)
    assert (entry.detail, entry.actor) == ({"refused": code}, "key:fedcba9876543210")
    assert (after.rows, after.generation) == (before.rows, before.generation)


def test_a_zip_that_cannot_be_read_is_refused_and_on_record(services: Services) -> None:
    before = stored(services.database)
    with pytest.raises(ArtifactRejected):
        register_zip(services, b"PK\x03\x04 no zip", MACHINE)
    assert [entry.detail for entry in stored(services.database).since(before)] == [{"refused": "unsafe_archive"}]


def test_versions_are_told_apart_by_their_place_in_the_order(services: Services) -> None:
    for version in ("1.10.0", "1.9.0", "1.10.0-rc.1", "2.0.0+a"):
        assert put(services, release(PGD, version)).created
    for version in ("1.10.0+b", "2.0.0", "2.0.0+b", "1.10.0-rc.1+c"):
        with pytest.raises(VersionExists):
            put(services, release(PGD, version))
    assert list(find_history(services.database, PGD).states) == ["1.9.0", "1.10.0-rc.1", "1.10.0", "2.0.0+a"]


def test_without_a_database_that_commits_nothing_is_registered(
    services: Services, database_url: str, break_commit: Any, mend_commit: Any
) -> None:
    files = release(PGD, "1.1.0")
    break_commit(database_url)
    before = stored(services.database)
    with pytest.raises(StorageUnavailable):
        put(services, files)
    with pytest.raises(StorageUnavailable):
        put(services, release(TB, "1.1.0", signed=False))
    mend_commit(database_url)
    after = stored(services.database)
    assert (after.entries, after.rows["model_version"]) == (before.entries, 0)
    assert put(services, files).created


def meeting(files: Files, barrier: Barrier) -> Files:
    """The files, read by everybody at once."""
    barrier.wait(30)
    return files


@pytest.mark.parametrize("number", range(4))
def test_the_same_bytes_at_once_are_one_registration(services: Services, replica: Services, number: int) -> None:
    files, barrier = release(PGD, f"1.{number}.0"), Barrier(2)
    before = stored(services.database)
    read = partial(meeting, files, barrier)
    done = at_once([partial(register_model, one, read, MACHINE, prove=False) for one in (services, replica)])
    assert [one.version.state for one in done] == ["verified", "verified"]
    assert sorted(one.created for one in done) == [False, True]
    kinds = [entry.kind for entry in stored(services.database).since(before)]
    assert kinds == ["model.registered", "model.verified"]


def test_a_test_that_ends_after_another_one_leaves_what_that_one_found(services: Services, replica: Services) -> None:
    files, moments = release(PGD, "1.1.0"), iter(range(2))

    def clock() -> datetime:
        # The second time is that of the end of the self-test: the other process ends its own just before.
        if next(moments, 0) == 1:
            assert put(replica, files).version.state == "verified"
        return services.clock()

    done = put(replace(services, clock=clock), files)
    assert (done.version.state, done.created, done.receipt) == ("verified", True, None)
    kinds = [entry.kind for entry in stored(services.database).entries[1:]]
    assert kinds == ["model.registered", "model.verified"]


@pytest.mark.parametrize(
    ("other", "taken"), [("1.0.0", {"title": "Another title"}), ("1.0.0+build.2", {})], ids=["other bytes", "a build"]
)
def test_of_two_contents_for_one_version_at_once_one_is_refused(
    services: Services, replica: Services, other: str, taken: dict[str, Any]
) -> None:
    barrier = Barrier(2)
    before = stored(services.database)
    contents = [release(PGD, "1.0.0"), release(PGD, other, **taken)]
    reads = [partial(meeting, files, barrier) for files in contents]
    done = at_once(
        [
            partial(register_model, one, read, MACHINE, prove=False)
            for one, read in zip((services, replica), reads, strict=True)
        ]
    )
    assert sorted(type(one).__name__ for one in done) == ["Registration", "VersionExists"]
    kinds = sorted(entry.kind for entry in stored(services.database).since(before))
    assert kinds == ["model.registered", "model.rejected", "model.verified"]
    assert stored(services.database).rows["model_version"] == 1


def test_one_process_takes_one_artifact_at_a_time(services: Services) -> None:
    reads = [partial(release, PGD, f"1.{number}.0") for number in range(3)]
    done = at_once([partial(register_model, services, read, MACHINE, prove=False) for read in reads])
    assert all(one.created for one in done)


def test_a_process_that_fails_leaves_the_version_for_another_try(services: Services) -> None:
    from tests.registry.odd_estimators import KILLS, Odd

    files = files_of(Odd(), document_of())
    golden = json.loads(files["golden.json"])
    codes = list(golden["vectors"][0]["inputs"])
    golden["vectors"][0]["inputs"][codes[0]] = KILLS
    spoilt = rebuilt(files | {"golden.json": json.dumps(golden).encode()})
    for _ in range(2):
        with pytest.raises(EstimatorUnavailable):
            put(services, spoilt)
    assert find_history(services.database, "odd-model").states == {"2.0.0": "registered"}
    assert register(services, release(PGD, "1.1.0")).state == "verified"
