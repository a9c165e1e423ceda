"""Retractions over real HTTP, on both databases: the score stays readable and says why it must not be used."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from service.audit.entry import Entry, Prior, timestamp
from service.store.engine import Database
from service.store.log_rows import find_open, list_entries

Server = Any
Request = dict[str, Any]
REASON = {"reason": "assay_failure"}


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def entry_at(server: Server) -> Iterator[Callable[[int], Entry]]:
    """A function that reads one entry of the server's log."""
    database = Database(server.environment["EXOSCORE_DATABASE_URL"])

    def read(index: int) -> Entry:
        with database.read() as connection:
            head = find_open(connection)
            assert head is not None
            (row,) = list_entries(connection, log_id=head.log_id, start=index, limit=1)
        return Entry.parse(row.entry)

    yield read
    database.close()


def test_a_retracted_score_stays_readable_and_says_so(
    client: httpx.Client, entry_at: Callable[[int], Entry], tb_request: Request
) -> None:
    score = client.post("/v1/scores", json=tb_request).json()
    location = f"/v1/scores/{score['id']}"
    before = client.get(location)
    response = client.post(f"{location}/retraction", json=REASON)
    answer = response.json()
    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    assert answer["id"] == score["id"]
    assert set(answer) == {"id", "retracted", "audit"}
    assert answer["retracted"]["index"] == answer["audit"]["index"]
    entry = entry_at(answer["audit"]["index"])
    origin = score["audit"]["checkpoint"].split("\n")[0]
    assert (entry.kind, entry.record, entry.reason) == ("score.retracted", score["id"], "assay_failure")
    assert entry.prior == Prior(origin, score["audit"]["index"])
    assert answer["retracted"] == {
        "reason": "assay_failure", "at": timestamp(entry.at), "index": answer["audit"]["index"],
    }  # fmt: skip
    after = client.get(location)
    assert after.json()["retracted"] == answer["retracted"]
    assert after.json()["score"] == score["score"]
    assert after.headers["etag"] != before.headers["etag"]
    assert client.get(location, headers={"if-none-match": before.headers["etag"]}).status_code == 200
    page = client.get("/v1/scores", params={"since": score["created_at"]}).json()["items"]
    assert {item["id"]: item["retracted"] for item in page}[score["id"]] == answer["retracted"]


def test_a_replay_shows_the_retraction_of_now(client: httpx.Client, tb_request: Request) -> None:
    headers = {"idempotency-key": "retracted-later"}
    score = client.post("/v1/scores", json=tb_request, headers=headers).json()
    retracted = client.post(f"/v1/scores/{score['id']}/retraction", json=REASON).json()["retracted"]
    replay = client.post("/v1/scores", json=tb_request, headers=headers)
    assert (replay.status_code, replay.json()["retracted"]) == (200, retracted)


def test_a_score_is_retracted_once_and_not_amended_after(client: httpx.Client, tb_request: Request) -> None:
    score = client.post("/v1/scores", json=tb_request).json()["id"]
    assert client.post(f"/v1/scores/{score}/retraction", json=REASON).status_code == 201
    again = client.post(f"/v1/scores/{score}/retraction", json=REASON)
    assert (again.status_code, again.json()["code"]) == (409, "retracted")
    amended = client.post("/v1/scores", json=tb_request | {"replaces": score, "reason": "other"})
    assert (amended.status_code, amended.json()["code"]) == (409, "retracted")
    assert amended.json()["errors"][0]["pointer"] == "/replaces"


def test_a_superseded_score_is_not_retracted(client: httpx.Client, tb_request: Request) -> None:
    old = client.post("/v1/scores", json=tb_request).json()["id"]
    new = client.post("/v1/scores", json=tb_request | {"replaces": old, "reason": "other"}).json()["id"]
    refused = client.post(f"/v1/scores/{old}/retraction", json=REASON)
    assert (refused.status_code, refused.json()["code"]) == (409, "superseded")
    assert client.post(f"/v1/scores/{new}/retraction", json=REASON).status_code == 201
    assert client.get(f"/v1/scores/{old}").json()["retracted"] is None


@pytest.mark.parametrize("path", ["0190b0c0-0000-7000-8000-000000000000", "marker"])
def test_an_unknown_score_is_not_retracted(client: httpx.Client, path: str) -> None:
    refused = client.post(f"/v1/scores/{path}/retraction", json=REASON)
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert "marker" not in refused.text


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"{", 400, ""),
        (b"[]", 400, ""),
        (b"{}", 422, "/reason"),
        (json.dumps({"reason": "marker"}).encode(), 422, "/reason"),
        (json.dumps({"reason": "measurement_corrected"}).encode(), 422, "/reason"),
        (json.dumps(REASON | {"marker": 1}).encode(), 422, ""),
    ],
    ids=["not JSON", "not an object", "no reason", "unknown reason", "reason of an amendment", "unknown field"],
)
def test_a_wrong_retraction_is_refused_without_echo(
    client: httpx.Client, tb_request: Request, body: bytes, status: int, pointer: str
) -> None:
    score = client.post("/v1/scores", json=tb_request).json()["id"]
    headers = {"content-type": "application/json"}
    refused = client.post(f"/v1/scores/{score}/retraction", content=body, headers=headers)
    assert refused.status_code == status
    assert pointer in [one["pointer"] for one in refused.json()["errors"]]
    assert "marker" not in refused.text
    assert client.get(f"/v1/scores/{score}").json()["retracted"] is None
