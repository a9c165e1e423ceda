"""Denied access over real HTTP, on both databases: counted on every route, recorded at the latest when serving ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
from sqlalchemy import text

from service.audit.entry import Entry
from service.store.engine import Database

Start = Callable[..., Any]
UNKNOWN = {"authorization": "Bearer exo_0000000000000000_" + "PHI" * 14 + "x"}


def denied(url: str) -> list[Entry]:
    database = Database(url)
    with database.read() as connection:
        rows = connection.sqlalchemy.execute(text("SELECT entry FROM audit_entry ORDER BY seq"))
        entries = [Entry.parse(entry) for (entry,) in rows]
    database.close()
    return [one for one in entries if one.kind == "access.denied"]


def test_every_refusal_is_counted_and_nothing_of_it_is_kept(
    start_server: Start, database_url: str, tb_request: dict[str, Any]
) -> None:
    server = start_server(database_url)
    made = server.command("key", "create", "--name", "narrow", "--scope", "models:read", "--json")
    narrow = json.loads(made.stdout)
    for headers in ({}, UNKNOWN, {"authorization": "Basic PHI"}):
        assert httpx.post(f"{server.origin}/v1/scores", json=tb_request, headers=headers).status_code == 401
        assert httpx.get(f"{server.origin}/v1/scores/PHI", headers=headers).status_code == 401
    with server.client(narrow["key"]) as client:
        assert client.post("/v1/scores", json=tb_request).status_code == 403
        assert client.get("/v1/scores", params={"model": "PHI"}).status_code == 403
        assert client.post("/v1/erasures", json={"subject": "PHI"}).status_code == 403
        assert client.get("/v1/models").status_code == 200
        assert client.get("/v1/models/PHI").status_code == 404
    assert denied(database_url) == []
    server.stop()
    entries = denied(database_url)
    assert {(one.reason, one.record, json.dumps(one.detail)) for one in entries} == {
        ("unauthenticated", None, '{"count": 6}'),
        ("scope_missing", narrow["id"], '{"count": 3}'),
    }
    assert len(entries) == 2
    assert {one.actor for one in entries} == {"system:service"}
    assert not any(b"PHI" in one.encode() or b"/v1" in one.encode() for one in entries)
