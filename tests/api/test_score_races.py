"""Amendments and retractions of one score at once: exactly one wins, on both databases, also across replicas."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from service.store.engine import Database
from tests.conftest import ROOT, clean_environment, end, launch
from tests.held_head import held_head

Request = dict[str, Any]


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "replicas"])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """One server on each kind of database, then two on one PostgreSQL database; each test has a subject of its own."""
    kind = "sqlite" if request.param == "sqlite" else "postgresql"
    backend = request.getfixturevalue(f"{kind}_backend")
    url = backend.migrated()
    environment = clean_environment(tmp_path_factory.mktemp(request.param) / "home") | {"EXOSCORE_DATABASE_URL": url}
    command = [sys.executable, "-m", "service.cli"]
    started = [launch(command, environment, ROOT, None)]
    if request.param == "replicas":
        started.append(launch(command, environment, ROOT, started[0].key))
    yield started
    for server in started:
        end(server)
    backend.remove(url)


@pytest.fixture
def tb_request(tb_request: Request) -> Request:
    """The request of a subject whom no other test knows."""
    return tb_request | {"subject": tb_request["subject"] | {"id": f"S-{uuid.uuid4()}"}}


def url_of(servers: list[Any]) -> str:
    return str(servers[0].environment["EXOSCORE_DATABASE_URL"])


def race(servers: list[Any], sent: list[tuple[str, Request]]) -> list[httpx.Response]:
    """Send all requests while the head is held, to each of the servers in turn, then let go."""

    def post(number: int) -> httpx.Response:
        path, body = sent[number]
        headers = {"idempotency-key": f"race-{uuid.uuid4()}"}
        with servers[number % len(servers)].client() as client:
            return client.post(path, json=body, headers=headers)

    with ThreadPoolExecutor(len(sent)) as pool:
        with held_head(url_of(servers)):
            waiting = [pool.submit(post, number) for number in range(len(sent))]
            time.sleep(0.5)
        return [one.result() for one in waiting]


def claims(url: str) -> int:
    database = Database(url)
    with database.read() as connection:
        count: int = connection.sqlalchemy.exec_driver_sql("SELECT count(*) FROM idempotency").scalar_one()
    database.close()
    return count


AMEND, RETRACT = "amend", "retract"


@pytest.mark.parametrize(
    "kinds",
    [[AMEND] * 6, [RETRACT] * 4, [AMEND, RETRACT] * 3, [RETRACT, AMEND] * 3],
    ids=["amendments", "retractions", "amendments first", "retractions first"],
)
def test_of_those_that_come_at_once_one_wins(servers: list[Any], tb_request: Request, kinds: list[str]) -> None:
    with servers[0].client() as client:
        old = client.post("/v1/scores", json=tb_request).json()["id"]
        amendment = tb_request | {"replaces": old, "reason": "other"}
        retraction = {"reason": "entered_in_error"}
        before = claims(url_of(servers))
        answers = race(
            servers,
            [("/v1/scores", amendment) if k == AMEND else (f"/v1/scores/{old}/retraction", retraction) for k in kinds],
        )
        texts = [one.text for one in answers]
        assert sorted(one.status_code for one in answers) == [201] + [409] * (len(kinds) - 1), texts
        (winner,) = [one.json() for one in answers if one.status_code == 201]
        shown = client.get(f"/v1/scores/{old}").json()
        refusals = {one.json()["code"] for one in answers if one.status_code == 409}
        if "retracted" in winner and winner["id"] == old:
            assert (shown["superseded_by"], shown["retracted"]) == (None, winner["retracted"])
            assert refusals == {"retracted"}
            assert claims(url_of(servers)) == before
        else:
            assert (shown["superseded_by"], shown["retracted"]) == (winner["id"], None)
            assert refusals == {"superseded"}
            assert claims(url_of(servers)) == before + 1
        pointers = {(one.request.url.path, one.json()["errors"][0]["pointer"]) for one in answers if one.is_error}
        assert pointers <= {("/v1/scores", "/replaces"), (f"/v1/scores/{old}/retraction", "")}


def test_an_erasure_leaves_nothing_that_came_at_once(servers: list[Any], tb_request: Request) -> None:
    erasure = {"subject": tb_request["subject"]["id"], "reason": "legal_order"}
    with servers[0].client() as client:
        old = [client.post("/v1/scores", json=tb_request).json()["id"] for _ in range(3)]
        amendments = [tb_request | {"replaces": one, "reason": "other"} for one in old]
        sent: list[tuple[str, Request]] = [("/v1/scores", amendments[0]), ("/v1/erasures", erasure)]
        sent += [("/v1/scores", amendments[1]), (f"/v1/scores/{old[2]}/retraction", {"reason": "entered_in_error"})]
        sent += [("/v1/scores", amendments[2]), ("/v1/erasures", erasure)]
        answers = race(servers, sent)
        statuses = [(path, one.status_code, one.text) for (path, _), one in zip(sent, answers, strict=True)]
        erased = [one for path, *one in statuses if path == "/v1/erasures"]
        assert {status for status, _ in erased} <= {201, 404}, erased
        assert 201 in {status for status, _ in erased}
        assert all(status in (201, 404, 409) for path, status, _ in statuses), statuses
        left = client.post("/v1/scores/search", json={"subject": erasure["subject"]}).json()["items"]
        assert left == []
        assert client.post("/v1/scores", json=tb_request).status_code == 201
    assert servers[0].command("audit", "verify", "--deep").returncode == 0
