"""The log over HTTP: what it hands out is checked by code that shares nothing with the service."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.audit.independent import grown, leaf, opened, proven, tree_root

Server = Any
NOWHERE = "exoscore/0000000000000000"


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def key(client: httpx.Client) -> str:
    return client.get("/v1/audit/key").text


def all_entries(client: httpx.Client) -> list[bytes]:
    """Every entry of the open log, page by page."""
    found: list[bytes] = []
    asked: dict[str, Any] = {"limit": 3}
    while True:
        page = client.get("/v1/audit/entries", params=asked).json()
        assert [item["index"] for item in page["items"]] == [*range(len(found), len(found) + len(page["items"]))]
        found += [base64.b64decode(item["entry"]) for item in page["items"]]
        if page["next_cursor"] is None:
            return found
        asked["cursor"] = page["next_cursor"]


def test_checkpoint_key_and_entries_agree(client: httpx.Client, key: str, tb_request: dict[str, Any]) -> None:
    for _ in range(4):
        client.post("/v1/scores", json=tb_request)
    response = client.get("/v1/audit/checkpoint")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    origin, size, root = opened(response.text, key)
    entries = all_entries(client)[:size]
    assert tree_root([leaf(entry) for entry in entries]) == root
    assert json.loads(entries[0])["record"] == origin
    for route in ("key", "checkpoint"):
        named = client.get(f"/v1/audit/{route}", params={"origin": origin})
        assert named.text.startswith(origin)


def test_a_score_is_proved_by_a_file_and_a_key(client: httpx.Client, key: str, tb_request: dict[str, Any]) -> None:
    answer = client.post("/v1/scores", json=tb_request).json()
    proof = client.get(f"/v1/scores/{answer['id']}/proof")
    assert proof.headers["content-type"] == "text/plain; charset=utf-8"
    index, entry = proven(proof.text, key)
    assert (index, json.loads(entry)["record"]) == (answer["audit"]["index"], answer["id"])
    assert proven(client.get(f"/v1/audit/entries/{index}/proof").text, key) == (index, entry)
    assert opened(answer["audit"]["checkpoint"], key)[1] > index


def test_every_entry_is_proved(client: httpx.Client, key: str) -> None:
    for index, entry in enumerate(all_entries(client)):
        assert proven(client.get(f"/v1/audit/entries/{index}/proof").text, key) == (index, entry)


def test_a_checkpoint_kept_is_consistent_with_every_later_one(
    client: httpx.Client, key: str, tb_request: dict[str, Any]
) -> None:
    client.post("/v1/scores", json=tb_request)
    _, old, old_root = opened(client.get("/v1/audit/checkpoint").text, key)
    for _ in range(3):
        answer = client.post("/v1/scores", json=tb_request).json()
        _, new, root = opened(answer["audit"]["checkpoint"], key)
        proof = client.get("/v1/audit/consistency", params={"from": old, "to": new}).json()
        assert (proof["from"], proof["to"]) == (old, new)
        steps = [base64.b64decode(step) for step in proof["hashes"]]
        assert grown(old, new, old_root, steps) == (old_root, root)
    assert client.get("/v1/audit/consistency", params={"from": 0, "to": 2}).json()["hashes"] == []


def test_every_pair_of_sizes_has_its_consistency_proof(client: httpx.Client) -> None:
    leaves = [leaf(entry) for entry in all_entries(client)][:7]
    for new in range(1, len(leaves) + 1):
        for old in range(1, new + 1):
            hashes = client.get("/v1/audit/consistency", params={"from": old, "to": new}).json()["hashes"]
            steps, old_root = [base64.b64decode(step) for step in hashes], tree_root(leaves[:old])
            assert grown(old, new, old_root, steps) == (old_root, tree_root(leaves[:new]))


REFUSED = {
    "entries from beyond": ("/v1/audit/entries?from=99999999", 422, "/from", "out_of_range"),
    "no number": ("/v1/audit/entries?from=x", 422, "/from", "wrong_type"),
    "no page": ("/v1/audit/entries?limit=0", 422, "/limit", "out_of_range"),
    "too large a page": ("/v1/audit/entries?limit=501", 422, "/limit", "out_of_range"),
    "far too large a number": ("/v1/audit/entries?from=99999999999999999999", 422, "/from", "wrong_type"),
    "a foreign cursor": ("/v1/audit/entries?cursor=eA", 422, "/cursor", "invalid_cursor"),
    "a cursor of another log": ("/v1/audit/entries?cursor=OTkuMA", 422, "/cursor", "invalid_cursor"),
    "cursor and from": ("/v1/audit/entries?cursor=OTkuMA&from=0", 422, "/cursor", "not_together"),
    "an unknown parameter": ("/v1/audit/checkpoint?marker=1", 422, "", "unknown_field"),
    "a parameter twice": ("/v1/audit/entries?limit=1&limit=2", 422, "", "duplicate_parameter"),
    "no sizes": ("/v1/audit/consistency", 422, "/from", "missing_field"),
    "sizes the wrong way": ("/v1/audit/consistency?from=2&to=1", 422, "/from", "out_of_range"),
    "an older size beyond": ("/v1/audit/consistency?from=99999999", 422, "/from", "out_of_range"),
    "a newer size beyond": ("/v1/audit/consistency?from=1&to=99999999", 422, "/to", "out_of_range"),
    "an unknown origin": (f"/v1/audit/checkpoint?origin={NOWHERE}", 404, "", "not_found"),
    "an entry beyond": ("/v1/audit/entries/99999999/proof", 404, "", "not_found"),
    "an entry without a number": ("/v1/audit/entries/marker/proof", 404, "", "not_found"),
    "an unknown score": ("/v1/scores/01900000-0000-7000-8000-000000000000/proof", 404, "", "not_found"),
    "no score": ("/v1/scores/marker/proof", 404, "", "not_found"),
}


@pytest.mark.parametrize(("path", "status", "pointer", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_exist_is_refused_with_a_remedy(
    client: httpx.Client, path: str, status: int, pointer: str, code: str
) -> None:
    response = client.get(path)
    (problem,) = response.json()["errors"]
    assert (response.status_code, problem["pointer"], problem["code"]) == (status, pointer, code)
    assert problem["remedy"]
    assert "marker" not in response.text


def test_entries_begin_where_they_are_asked_for(client: httpx.Client) -> None:
    page = client.get("/v1/audit/entries", params={"from": 1, "limit": 1}).json()
    assert [item["index"] for item in page["items"]] == [1]
    _, size, _ = opened(client.get("/v1/audit/checkpoint").text, client.get("/v1/audit/key").text)
    assert client.get("/v1/audit/entries", params={"from": size}).json() == {"items": [], "next_cursor": None}
