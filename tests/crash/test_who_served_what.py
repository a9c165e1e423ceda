"""Two replicas, versions that come and go under load, one replica paused in between: the log says who served what.

The time at which a score was recorded is asked for as an outsider asks: its entry in the log says when, the history of
the model says which version was in production then, and that has to be the version the score names.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from service.audit.entry import Entry, timestamp
from service.store.engine import Database
from service.store.tables import audit_entry, score, score_log
from service.workflows.model_history import find_history, replayed
from tests.crash.book import verify
from tests.crash.load import PATIENCE, Notebook, callers
from tests.laboratory import TRUSTING, Laboratory
from tests.registry.artifacts import TB
from tests.registry.successors import successor

CALLERS = 3
FOLLOWED_SECONDS = 2.0
PAUSE_SECONDS = 1.5
PROVED = 40
"""One receipt of so many is proved: what other tests hold takes longer here than all the rest."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller was told: whose caller (`a.0`), the version, and when."""

    caller: str
    version: str
    at: float


@dataclass
class Diary(Notebook):
    """A notebook that also knows which version answered whom, in the order of the answers."""

    told: list[Told] = field(default_factory=list)

    def keep(self, key: str, answer: httpx.Response | None) -> None:
        """Write down one answer."""
        if answer is not None and answer.status_code == 201:
            caller = key.rpartition(".")[0]
            self.told.append(Told(caller, answer.json()["model"]["version"], time.monotonic()))
        super().keep(key, answer)

    def wait_until_all_were_told(self, version: str, *names: str) -> list[Told]:
        """Wait until every caller of these servers was told a version from now on; the first answers that did so."""
        start, wanted = len(self.told), {f"{name}.{number}" for name in names for number in range(CALLERS)}
        found: dict[str, Told] = {}

        def reached() -> bool:
            for one in self.told[start:]:
                if one.caller in wanted and one.version == version:
                    found.setdefault(one.caller, one)
            return found.keys() == wanted

        self.wait_for(reached)
        return list(found.values())


@contextmanager
def paused(server: Any) -> Iterator[None]:
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


def insist(laboratory: Laboratory, server: Any, version: str, to: str) -> None:
    """Sign for a transition until it is made: a paused replica may hold what every writer needs."""
    deadline = time.monotonic() + PATIENCE
    while (answer := laboratory.ask(server, TB, version, to)).status_code != 201:
        assert (answer.status_code, time.monotonic() < deadline) == (503, True), answer.text


@dataclass(frozen=True, slots=True)
class Recorded:
    """A stored score: its id, the version it names, its index in the log and when it was recorded."""

    score_id: str
    version: str
    index: int
    at: datetime


def recorded_scores(database: Database) -> list[Recorded]:
    """All of them, in the order of the log."""
    same = (audit_entry.c.log_id == score_log.c.log_id) & (audit_entry.c.seq == score_log.c.seq)
    statement = (
        select(score.c.score_id, score.c.model_version, score_log.c.seq, audit_entry.c.entry)
        .join(score_log, score_log.c.score_id == score.c.score_id)
        .join(audit_entry, same)
        .order_by(score_log.c.seq)
    )
    with database.read() as connection:
        rows = connection.select(statement).all()
    return [Recorded(score_id, version, seq, Entry.parse(entry).at) for score_id, version, seq, entry in rows]


def at_the_edges(scores: list[Recorded]) -> list[Recorded]:
    """The scores on both sides of each change of version, and the first and the last of all."""
    edges = [one for pair in pairwise(scores) if pair[0].version != pair[1].version for one in pair]
    return [scores[0], *edges, scores[-1]]


def ask_an_outsider(server: Any, found: Recorded) -> None:
    """Assert by HTTP alone that the version in production when a score was recorded is the version it names."""
    with server.client() as client:
        answer = client.get(f"/v1/scores/{found.score_id}").json()
        page = client.get("/v1/audit/entries", params={"from": answer["audit"]["index"], "limit": 1}).json()
        at = json.loads(b64decode(page["items"][0]["entry"]))["at"]
        history = client.get(f"/v1/models/{TB}/history", params={"as_of": at}).json()
    assert (answer["model"]["version"], at) == (found.version, timestamp(found.at))
    assert history["aliases"]["production"] == found.version


@pytest.fixture
def bare_request(tb_request: dict[str, Any]) -> dict[str, Any]:
    return tb_request | {"model": TB}


@pytest.mark.parametrize("skew", [0, 3600], ids=["one clock", "an hour apart"])
def test_the_version_that_answered_is_the_one_in_force_when_the_score_was_recorded(
    start_server: Callable[..., Any],
    postgresql_backend: Any,
    environment: dict[str, str],
    bare_request: dict[str, Any],
    skew: float,
    soak: bool,
) -> None:
    url, diary = postgresql_backend.migrated(), Diary()
    trusting = environment | TRUSTING
    first = start_server(url, environment=trusting)
    wrong_clock = [sys.executable, "-m", "tests.crash.skewed", str(skew)]
    second = start_server(url, environment=trusting, key=first.key, command=wrong_clock if skew else None)
    laboratory = Laboratory.at(first)
    laboratory.sign(first, TB, "1.0.0", "production")
    for number, version in enumerate(("2.1.0", "2.2.0", "2.3.0"), start=1):
        laboratory.register(first, successor(version, by=number / 8))
    with callers(first, bare_request, diary, CALLERS, "a"), callers(second, bare_request, diary, CALLERS, "b"):
        diary.wait_until_all_were_told("1.0.0", "a", "b")
        laboratory.sign(first, TB, "2.1.0", "approved", "production")
        diary.wait_until_all_were_told("2.1.0", "a", "b")
        laboratory.sign(second, TB, "2.2.0", "approved", "production")
        diary.wait_until_all_were_told("2.2.0", "a", "b")
        assert not diary.refusals, diary.refusals[0].text
        for _ in range(20 if soak else 2):
            with paused(second):
                time.sleep(PAUSE_SECONDS)
                insist(laboratory, first, "2.1.0", "production")
                diary.wait_until_all_were_told("2.1.0", "a")
            diary.wait_until_all_were_told("2.1.0", "a", "b")
            insist(laboratory, second, "2.2.0", "production")
            diary.wait_until_all_were_told("2.2.0", "a", "b")
        pardoned = len(diary.refusals)
        laboratory.sign(second, TB, "2.3.0", "approved", "production")
        signed_at = time.monotonic()
        last = diary.wait_until_all_were_told("2.3.0", "a", "b")
        assert max(one.at for one in last) - signed_at < FOLLOWED_SECONDS
    assert len(diary.refusals) == pardoned
    assert {answer.status_code for answer in diary.refusals} <= {503}
    assert {answer.json()["code"] for answer in diary.refusals} <= {"storage_unavailable", "overloaded"}
    assert diary.lost == 0
    diary.ask_again(first, bare_request)
    agree(url, first, diary)
    postgresql_backend.remove(url)


def agree(url: str, server: Any, diary: Diary) -> None:
    """Assert that answers, scores, log and history say the same."""
    database = Database(url)
    diary.settle(database, proving=list(diary.receipts.values())[::PROVED])
    scores, history = recorded_scores(database), find_history(database, TB)
    for one in scores:
        then = replayed(TB, [happened for happened in history.happened if happened.at <= one.at])
        assert then.aliases["production"] == one.version, one
    assert {one.version for one in scores} == {"1.0.0", "2.1.0", "2.2.0", "2.3.0"}
    for one in at_the_edges(scores):
        ask_an_outsider(server, one)
        assert find_history(database, TB, one.at).aliases["production"] == one.version
    # As near to a transition as times can be: a microsecond earlier the version before it was in force.
    for happened in history.happened:
        if happened.said.get("alias") == "production" and happened.said["from"] is not None:
            before = find_history(database, TB, happened.at - timedelta(microseconds=1))
            assert before.aliases["production"] == happened.said["from"]
    database.close()
    verify(url)
