"""The erasure of a subject: what goes, what the log says of it, and what happens when it comes at a bad moment."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import literal, select, text

from service.audit.entry import Entry
from service.domain.score_life import Erasure
from service.errors import NotFound
from service.store.engine import Database
from service.store.erasure import count_subject
from service.store.log_reader import LogOpener
from service.store.scores import list_scores
from service.store.tables import score
from service.workflows.erase_subject import (
    ATTEMPTS,
    ERASE_SUBJECT,
    Erased,
    SubjectChanged,
    _Rows,
    erase_subject,
    scrub,
    scrub_regularly,
)
from service.workflows.verify_log import verify_all
from tests.workflows.recorder import Recorder

ERASURE = Erasure("S-1", "legal_order")


@pytest.fixture
def recorder(database_url: str) -> Iterator[Recorder]:
    recorder = Recorder(database_url)
    yield recorder
    recorder.close()


def erase(recorder: Recorder, **how: Any) -> Erased:
    return asyncio.run(erase_subject(recorder.services, ERASURE, actor="system:cli", **how))


def erasures(recorder: Recorder) -> list[Entry]:
    with recorder.database.read() as connection:
        rows = connection.sqlalchemy.execute(text("SELECT entry FROM audit_entry ORDER BY log_id, seq"))
        found = [Entry.parse(entry) for (entry,) in rows]
    return [entry for entry in found if entry.kind == "subject.erased"]


def remaining(recorder: Recorder) -> list[str]:
    with recorder.database.read() as connection:
        return [one.score_id for one in list_scores(connection, limit=99)]


def test_everything_goes_newest_first_and_the_log_names_every_place(recorder: Recorder) -> None:
    first = recorder.score("S-1")
    kept = [recorder.score("S-2"), recorder.score("S-3", value=None)]
    second = recorder.score("S-1", replaces=first, reason="other")
    recorder.score("S-1", value=None)
    recorder.retract(recorder.score("S-1"))
    old = recorder.places[first].origin
    indices = [recorder.places[one].index for one in recorder.subjects["S-1"]]
    recorder.reopen()
    recorder.score("S-1", replaces=second, reason="other")
    recorder.score("S-1")
    new = recorder.places[recorder.subjects["S-1"][-1]].origin
    kept.append(recorder.score("S-2"))
    done = erase(recorder, chunk=3)
    assert (done.count, done.purged) == (6, True)
    assert remaining(recorder) == kept
    said = erasures(recorder)
    assert [(one.detail or {}) for one in said] == [
        {"origin": new, "ranges": [[1, 2]]},
        {"origin": old, "ranges": [[indices[1], indices[3]]]},
        {"origin": old, "ranges": [[indices[0], indices[0]]]},
    ]
    assert all((one.reason, one.record, one.in_, one.out) == ("legal_order", None, None, None) for one in said)
    assert "S-1" not in json.dumps([one.encode().decode() for one in said])
    assert done.receipt.origin == new
    assert verify_all(LogOpener(recorder.url), deep=True).lines() == []


def test_where_nothing_is_stored_nothing_is_recorded(recorder: Recorder) -> None:
    recorder.score("S-2")
    with pytest.raises(NotFound):
        erase(recorder)
    assert erasures(recorder) == []
    assert len(remaining(recorder)) == 1


def test_a_score_that_came_meanwhile_stops_the_transaction(recorder: Recorder) -> None:
    score_id = recorder.score("S-1")
    entry = Entry("subject.erased", recorder.now, "system:cli", "test", reason="legal_order")
    recorder.score("S-1")
    for rows in (_Rows("S-1", (score_id,), 1), _Rows("S-1", (score_id, "0" * 36), 2)):
        with pytest.raises(SubjectChanged):
            recorder.committer.submit(ERASE_SUBJECT, rows, entry).result()
    assert len(remaining(recorder)) == 2
    assert erase(recorder).count == 2


def test_an_erasure_that_never_gets_an_end_says_so(recorder: Recorder, make_orphan: Any) -> None:
    recorder.score("S-1")
    make_orphan(recorder, "S-1")
    with pytest.raises(SubjectChanged):
        erase(recorder)
    assert ATTEMPTS > 1
    with recorder.database.read() as connection:
        assert count_subject(connection, "S-1") == 2


@pytest.fixture
def make_orphan() -> Any:
    """A function that stores a score without a place in the log, as only an administrator can."""

    def make(recorder: Recorder, subject: str) -> None:
        rest = [column.name for column in score.columns if column.name != "score_id"]
        orphan = select(literal("0" * 36), *(score.c[name] for name in rest)).where(score.c.subject_id == subject)
        with recorder.database.write() as connection:
            connection.execute(score.insert().from_select(["score_id", *rest], orphan))

    return make


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_reader_keeps_the_bytes_and_the_next_time_finds_them(recorder: Recorder) -> None:
    recorder.score("S-1")
    with Database(recorder.url).read() as reading:
        reading.sqlalchemy.execute(text("SELECT count(*) FROM score")).one()
        assert not erase(recorder).purged
    assert b"A-S-1" in files(recorder)

    async def regularly() -> None:
        scrubbing = asyncio.create_task(scrub_regularly(recorder.services, 0.01))
        while b"A-S-1" in files(recorder):
            await asyncio.sleep(0.01)
        scrubbing.cancel()
        with suppress(asyncio.CancelledError):
            await scrubbing

    asyncio.run(regularly())


def files(recorder: Recorder) -> bytes:
    path = Path(recorder.url.removeprefix("sqlite:///"))
    return b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_database_that_is_away_is_not_scrubbed(recorder: Recorder) -> None:
    path = Path(recorder.url.removeprefix("sqlite:///"))
    path.rename(path.with_suffix(".away"))
    assert not scrub(recorder.services)
    path.with_suffix(".away").rename(path)
    assert scrub(recorder.services)


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_postgresql_is_left_to_its_own_vacuum(recorder: Recorder) -> None:
    asyncio.run(scrub_regularly(recorder.services, 3600))
    assert scrub(recorder.services)
