"""Amendments over real HTTP, on both databases: old and new both stay, linked, and a chain has one head."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from service.audit.entry import Entry, Prior
from service.audit.log import LogWriter
from service.audit.note import Checkpoint, Signer
from service.store.audit_log import SqlLogStorage, begin
from service.store.engine import Database
from service.store.log_rows import find_open, list_entries

Server = Any
Request = dict[str, Any]
Start = Callable[..., Any]


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def entry_at(url: str, index: int) -> Entry:
    database = Database(url)
    with database.read() as connection:
        head = find_open(connection)
        assert head is not None
        (row,) = list_entries(connection, log_id=head.log_id, start=index, limit=1)
    database.close()
    return Entry.parse(row.entry)


def amended(request: Request, replaces: str, **changes: Any) -> Request:
    return request | {"replaces": replaces, "reason": "measurement_corrected"} | changes


def test_old_and_new_both_stay_and_are_linked(server: Server, client: httpx.Client, tb_request: Request) -> None:
    old = client.post("/v1/scores", json=tb_request).json()
    before = client.get(f"/v1/scores/{old['id']}")
    tb_request["measurements"][0]["value"] = -1.0
    response = client.post("/v1/scores", json=amended(tb_request, old["id"].upper(), reason_text="pipette"))
    new = response.json()
    assert response.status_code == 201, response.text
    assert (new["supersedes"], new["superseded_by"]) == (old["id"], None)
    after = client.get(f"/v1/scores/{old['id']}")
    assert after.json()["superseded_by"] == new["id"]
    assert after.json()["score"] == old["score"] != new["score"]
    assert after.headers["etag"] != before.headers["etag"]
    assert client.get(f"/v1/scores/{new['id']}").json()["supersedes"] == old["id"]
    found = client.post("/v1/scores/search", json={"since": old["created_at"]}).json()["items"]
    assert {item["id"]: item["superseded_by"] for item in found}[old["id"]] == new["id"]
    entry = entry_at(server.environment["EXOSCORE_DATABASE_URL"], new["audit"]["index"])
    origin = new["audit"]["checkpoint"].split("\n")[0]
    assert (entry.kind, entry.record, entry.reason) == ("score.amended", new["id"], "measurement_corrected")
    assert entry.prior == Prior(origin, old["audit"]["index"])


def test_an_amendment_without_a_number_is_one_too(server: Server, client: httpx.Client, tb_request: Request) -> None:
    old = client.post("/v1/scores", json=tb_request).json()
    haemolysed = [
        {"code": "cq", "analyte": "hsa-miR-23a-3p", "value": 30.0, "unit": "{Cq}"},
        {"code": "cq", "analyte": "hsa-miR-451a", "value": 20.0, "unit": "{Cq}"},
    ]
    new = client.post("/v1/scores", json=amended(tb_request, old["id"], quality=haemolysed)).json()
    assert (new["status"], new["supersedes"]) == ("not_reportable", old["id"])
    assert entry_at(server.environment["EXOSCORE_DATABASE_URL"], new["audit"]["index"]).kind == "score.amended"


def test_only_the_head_of_a_chain_is_amended(client: httpx.Client, tb_request: Request) -> None:
    chain = [client.post("/v1/scores", json=tb_request).json()["id"]]
    for _ in range(2):
        chain.append(client.post("/v1/scores", json=amended(tb_request, chain[-1])).json()["id"])
    for earlier in chain[:-1]:
        refused = client.post("/v1/scores", json=amended(tb_request, earlier))
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (409, "superseded")
        assert problem["errors"][0]["pointer"] == "/replaces"
    shown = [client.get(f"/v1/scores/{one}").json()["superseded_by"] for one in chain]
    assert shown == [*chain[1:], None]


@pytest.mark.parametrize("other", ["subject", "specimen", "both"])
def test_an_amendment_keeps_subject_and_specimen(client: httpx.Client, tb_request: Request, other: str) -> None:
    old = client.post("/v1/scores", json=tb_request).json()["id"]
    changed = ["subject", "specimen"] if other == "both" else [other]
    for part in changed:
        tb_request[part] = tb_request[part] | {"id": f"marker-{uuid.uuid4()}"}
    refused = client.post("/v1/scores", json=amended(tb_request, old))
    assert refused.status_code == 422
    assert [(one["pointer"], one["code"]) for one in refused.json()["errors"]] == [
        ("/replaces", f"other_{part}") for part in changed
    ]
    assert "marker" not in refused.text
    assert client.get(f"/v1/scores/{old}").json()["superseded_by"] is None


def test_an_amendment_is_replayed_with_its_key(client: httpx.Client, tb_request: Request) -> None:
    old = client.post("/v1/scores", json=tb_request).json()["id"]
    headers = {"idempotency-key": str(uuid.uuid4())}
    request = amended(tb_request, old)
    first, again = (client.post("/v1/scores", json=request, headers=headers) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    newer = client.post("/v1/scores", json=amended(tb_request, first.json()["id"])).json()["id"]
    replay = client.post("/v1/scores", json=request, headers=headers)
    assert (replay.status_code, replay.json()["superseded_by"]) == (200, newer)


def test_a_refused_amendment_leaves_its_key_free(client: httpx.Client, tb_request: Request) -> None:
    old = client.post("/v1/scores", json=tb_request).json()["id"]
    assert client.post("/v1/scores", json=amended(tb_request, old)).status_code == 201
    headers = {"idempotency-key": str(uuid.uuid4())}
    assert client.post("/v1/scores", json=amended(tb_request, old), headers=headers).status_code == 409
    assert client.post("/v1/scores", json=tb_request, headers=headers).status_code == 201


def begin_next_log(server: Any, url: str) -> None:
    """Seal the open log of a stopped server, and begin one that follows it."""
    writer = LogWriter(Signer.from_pem((server.home / "signing-key").read_bytes()), "default")
    database = Database(url)
    with SqlLogStorage(database).transaction() as transaction:
        head = transaction.lock_head()
        assert head.root is not None
        transaction.seal(head.log_id)
        follows = Checkpoint(head.origin, head.size, head.root)
        begin(
            transaction, writer, site="default", now=head.last_recorded_at, actor="system:cli", follows=follows,
            generation=head.generation,
        )  # fmt: skip
    database.close()


def test_a_chain_that_goes_on_in_the_next_log_names_the_old_one(
    start_server: Start, database_url: str, tb_request: Request
) -> None:
    server = start_server(database_url)
    with server.client() as client:
        old = client.post("/v1/scores", json=tb_request).json()
    server.stop()
    begin_next_log(server, database_url)
    with start_server(database_url, key=server.key).client() as client:
        new = client.post("/v1/scores", json=amended(tb_request, old["id"])).json()
        assert client.get(f"/v1/scores/{old['id']}").json()["superseded_by"] == new["id"]
    first, second = (answer["audit"]["checkpoint"].split("\n")[0] for answer in (old, new))
    assert entry_at(database_url, new["audit"]["index"]).prior == Prior(first, old["audit"]["index"])
    assert first != second
