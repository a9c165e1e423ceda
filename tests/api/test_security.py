"""Who may call what."""

import json
import time
from typing import Any

import httpx
import pytest

from service.workflows.keys import SCOPES

Server = Any
ROUTES = [
    ("POST", "/v1/scores"),
    ("GET", "/v1/scores"),
    ("GET", "/v1/scores/x"),
    ("POST", "/v1/scores/search"),
    ("POST", "/v1/scores/x/retraction"),
    ("POST", "/v1/erasures"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/x"),
    ("GET", "/v1/models/x/versions/1.0.0"),
    ("GET", "/v1/models/x/versions/1.0.0/panel"),
    ("GET", "/v1/models/x/versions/1.0.0/card"),
    ("GET", "/v1/scores/x/proof"),
    ("GET", "/v1/audit/key"),
    ("GET", "/v1/audit/checkpoint"),
    ("GET", "/v1/audit/entries"),
    ("GET", "/v1/audit/entries/0/proof"),
    ("GET", "/v1/audit/consistency"),
]
NO_KEYS = {
    "absent": {},
    "other scheme": {"authorization": "Basic x"},
    "malformed": {"authorization": "Bearer x"},
    "unknown": {"authorization": "Bearer exo_0000000000000000_" + "A" * 43},
    "not ASCII": {"authorization": "Bearer é".encode("latin-1")},
}


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=[" ".join(route) for route in ROUTES])
@pytest.mark.parametrize("headers", NO_KEYS.values(), ids=NO_KEYS.keys())
def test_every_route_asks_for_a_key(server: Server, method: str, path: str, headers: dict[str, Any]) -> None:
    with server.stranger() as client:
        response = client.request(method, path, headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_exactly_health_and_the_description_are_open(server: Server) -> None:
    with server.stranger() as client:
        paths = client.get("/openapi.json").json()["paths"]
        for path, operations in paths.items():
            for method in operations:
                concrete = path.replace("{", "").replace("}", "")
                status = client.request(method, concrete).status_code
                assert (status == 200) == path.startswith("/health/"), (method, path)
        assert client.get("/docs").status_code == 200


BODIES = {"malformed": b"{", "oversized": b" " * 2_000_000, "valid": b"{}"}


@pytest.mark.parametrize("path", ["/v1/scores", "/v1/scores/search", "/v1/scores/x/retraction", "/v1/erasures"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_nothing_of_a_body_is_told_without_a_key(server: Server, path: str, body: bytes) -> None:
    with server.stranger() as client:
        response = client.post(path, content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


@pytest.fixture
def narrow_key(server: Server) -> str:
    made = server.command("key", "create", "--name", "narrow", "--scope", "models:read", "--json")
    return json.loads(made.stdout)["key"]


NEEDED = (
    dict.fromkeys(ROUTES, "models:read")
    | {
        ("POST", "/v1/scores"): "scores:write",
        ("GET", "/v1/scores"): "scores:read",
        ("GET", "/v1/scores/x"): "scores:read",
        ("POST", "/v1/scores/search"): "scores:read",
        ("GET", "/v1/scores/x/proof"): "scores:read",
        ("POST", "/v1/scores/x/retraction"): "scores:write",
        ("POST", "/v1/erasures"): "subjects:erase",
    }
    | {route: "audit:read" for route in ROUTES if route[1].startswith("/v1/audit/")}
)


@pytest.fixture(scope="module")
def keys_lacking(server: Server) -> dict[str, str]:
    """For each scope a route may need, a key with every scope but that one."""
    lacking = {}
    for scope in set(NEEDED.values()):
        others = [other for other in SCOPES if other != scope]
        made = server.command("key", "create", "--name", f"not {scope}", "--scope", *others, "--json")
        lacking[scope] = json.loads(made.stdout)["key"]
    return lacking


@pytest.mark.parametrize(("route", "scope"), NEEDED.items(), ids=[" ".join(route) for route in NEEDED])
def test_every_route_asks_for_its_scope(
    server: Server, keys_lacking: dict[str, str], route: tuple[str, str], scope: str
) -> None:
    method, path = route
    with server.client(keys_lacking[scope]) as client:
        response = client.request(method, path)
    assert (response.status_code, response.json()["code"]) == (403, "scope_missing")
    assert scope in response.json()["detail"]


def test_a_revoked_key_is_refused_at_once(server: Server, narrow_key: str) -> None:
    with server.client(narrow_key) as client:
        assert client.get("/v1/models").status_code == 200
        assert server.command("key", "revoke", narrow_key.split("_")[1]).returncode == 0
        assert client.get("/v1/models").status_code == 401


def test_a_key_with_another_secret_is_refused(server: Server) -> None:
    kind, key_id, secret = server.key.split("_", 2)
    changed = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    with server.client(f"{kind}_{key_id}_{changed}") as client:
        assert client.get("/v1/models").status_code == 401


def test_idempotency_keys_of_two_callers_do_not_meet(server: Server, tb_request: dict[str, Any]) -> None:
    made = server.command("key", "create", "--name", "second", "--scope", "scores:write", "scores:read", "--json")
    headers = {"idempotency-key": "accession-1"}
    with server.client() as one, server.client(json.loads(made.stdout)["key"]) as two:
        first = one.post("/v1/scores", json=tb_request, headers=headers)
        second = two.post("/v1/scores", json=tb_request, headers=headers)
    assert second.status_code == 201
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere/marker", 404), ("DELETE", "/v1/scores", 405)])
def test_routing_errors_are_problems_too(server: Server, method: str, path: str, status: int) -> None:
    with server.stranger() as client:
        response = client.request(method, path)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert "marker" not in response.text


def logged_up_to(server: Server, response: httpx.Response) -> str:
    """The server's log, as soon as the line of this answer stands in it."""
    until = time.monotonic() + 10
    while response.headers["x-request-id"] not in (text := server.log.read_text()):
        assert time.monotonic() < until, "the line never came"
        time.sleep(0.01)
    return text


def test_logs_hold_route_templates_and_no_identifiers(server: Server, tb_request: dict[str, Any]) -> None:
    tb_request["subject"]["id"], tb_request["specimen"]["id"] = "PHI-subject", "PHI-specimen"
    with server.client() as client:
        answer = client.post("/v1/scores", json=tb_request, headers={"idempotency-key": "PHI-accession"})
        client.get(answer.headers["location"])
        client.post("/v1/scores/search", json={"subject": "PHI-subject"})
        client.post("/v1/scores", json=tb_request | {"model": "PHI-model"})
        last = client.get("/v1/scores/PHI-path")
    text = logged_up_to(server, last)
    assert "PHI" not in text
    assert answer.json()["id"] not in text
    routes = {json.loads(line).get("route") for line in text.splitlines() if line.startswith("{")}
    assert {"/v1/scores", "/v1/scores/{score_id}", "/v1/scores/search"} <= routes
