"""Every look at scores is recorded before anything is shown, over real HTTP, on both databases."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from service.audit.entry import Entry
from service.store.engine import Database
from service.workflows.read_scores import commit_to_page

Server = Any
Request = dict[str, Any]
Start = Callable[..., Any]


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def reads(server: Server) -> Iterator[Callable[[], list[Entry]]]:
    """A function that answers with the reads that were recorded since it was asked last."""
    database = Database(server.environment["EXOSCORE_DATABASE_URL"])
    after = -1

    def since() -> list[Entry]:
        nonlocal after
        statement = text("SELECT seq, entry FROM audit_entry WHERE seq > :after ORDER BY seq")
        with database.read() as connection:
            rows = connection.sqlalchemy.execute(statement, {"after": after}).all()
        after = max([after, *(seq for seq, _ in rows)])
        found = [Entry.parse(entry) for _, entry in rows]
        return [one for one in found if one.kind == "score.read"]

    since()
    yield since
    database.close()


def test_a_score_is_recorded_each_time_it_is_read(
    server: Server, client: httpx.Client, reads: Callable[[], list[Entry]], tb_request: Request
) -> None:
    location = client.post("/v1/scores", json=tb_request).headers["location"]
    assert reads() == []
    shown = client.get(location)
    unchanged = client.get(location, headers={"if-none-match": shown.headers["etag"]})
    assert (shown.status_code, unchanged.status_code) == (200, 304)
    recorded = reads()
    assert [one.record for one in recorded] == [shown.json()["id"]] * 2
    assert {one.actor for one in recorded} == {f"key:{server.key.split('_')[1]}"}
    assert {(one.in_, one.out, one.prior, one.reason) for one in recorded} == {(None, None, None, None)}
    for path in ("0190b0c0-0000-7000-8000-000000000000", "marker"):
        assert client.get(f"/v1/scores/{path}").status_code == 404
    assert reads() == []


def test_a_page_is_recorded_with_a_commitment_that_the_pepper_opens(
    server: Server, client: httpx.Client, reads: Callable[[], list[Entry]], tb_request: Request
) -> None:
    tb_request["subject"]["id"] = f"S-{uuid.uuid4()}"
    for _ in range(3):
        client.post("/v1/scores", json=tb_request)
    pages = [
        client.post("/v1/scores/search", json={"subject": tb_request["subject"]["id"]}),
        client.post("/v1/scores/search", json={"subject": tb_request["subject"]["id"]}),
        client.get("/v1/scores", params={"limit": 2}),
        client.post("/v1/scores/search", json={"subject": "nobody"}),
    ]
    shown = [[item["id"] for item in page.json()["items"]] for page in pages]
    assert [len(ids) for ids in shown] == [3, 3, 2, 0]
    recorded = reads()
    pepper = (server.home / "pepper").read_bytes()
    assert [one.out for one in recorded] == [
        commit_to_page(pepper, entry.record or "", ids) for entry, ids in zip(recorded, shown, strict=True)
    ]
    assert len({one.record for one in recorded}) == len({one.out for one in recorded}) == 4
    assert all(uuid.UUID(one.record).version == 7 for one in recorded)
    assert client.get("/v1/scores", params={"limit": 0}).status_code == 422
    assert client.get("/v1/scores", params={"cursor": "marker"}).status_code == 422
    assert reads() == []


def test_what_cannot_be_recorded_is_not_shown(
    start_server: Start, database_url: str, break_commit: Callable[[str], None], tb_request: Request
) -> None:
    server = start_server(database_url)
    with server.client() as client:
        posted = client.post("/v1/scores", json=tb_request)
        tag = client.get(posted.headers["location"]).headers["etag"]
        break_commit(database_url)
        answers = [
            client.get(posted.headers["location"]),
            client.get(posted.headers["location"], headers={"if-none-match": tag}),
            client.get("/v1/scores"),
            client.post("/v1/scores/search", json={"subject": tb_request["subject"]["id"]}),
        ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(503, "storage_unavailable")] * 4
    assert not any(posted.json()["id"] in one.text for one in answers)
