"""The one route in front of the router: it must look to callers and operators like every other."""

import asyncio
import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from service.api.access_log import AccessLog, new_uuid4
from service.api.front import Front
from service.api.problems import install_problem_handlers
from service.api.routes_scores import plain_routes

Server = Any
Request = dict[str, Any]


def line_of(server: Server, request_id: str) -> dict[str, Any]:
    """The log line of a request."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        for text in server.log.read_text().splitlines():
            line: dict[str, Any] = json.loads(text)
            if line.get("request_id") == request_id and line["event"] == "request":
                return line
        time.sleep(0.01)
    raise AssertionError("the line never came")


def test_every_answer_has_the_same_headers_and_the_same_log_line(server: Server, tb_request: Request) -> None:
    with server.client() as client:
        scored = client.post("/v1/scores", json=tb_request)
        refused = client.post("/v1/scores", json={})
        read = client.get(scored.headers["location"])
    assert scored.headers["cache-control"] == "no-store"
    assert scored.headers["content-type"] == read.headers["content-type"] == "application/json"
    assert {"date", "content-length", "x-request-id"} <= set(scored.headers) & set(refused.headers) & set(read.headers)
    lines = [line_of(server, response.headers["x-request-id"]) for response in (scored, refused, read)]
    assert len({tuple(line) for line in lines}) == 1
    assert [line["status"] for line in lines] == [201, 422, 200]
    assert [line["code"] for line in lines] == [None, refused.json()["code"], None]
    assert [line["route"] for line in lines] == ["/v1/scores", "/v1/scores", "/v1/scores/{score_id}"]
    assert {line["actor"] for line in lines} == {f"key:{server.key.split('_')[1]}"}
    assert refused.json()["instance"] == f"urn:uuid:{refused.headers['x-request-id']}"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "post"])
def test_another_method_is_told_which_there_are(server: Server, method: str) -> None:
    with socket.create_connection((urlsplit(server.origin).hostname, urlsplit(server.origin).port), 10) as connection:
        connection.sendall(f"{method} /v1/scores HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    if method == "post":  # methods are case-sensitive (RFC 9110, section 9.1); the parser refuses it
        assert answer.startswith(b"HTTP/1.1 400")
    else:
        assert answer.startswith(b"HTTP/1.1 405")
        assert sorted(allowed(answer)) == ["GET", "HEAD", "POST"]


def allowed(answer: bytes) -> list[str]:
    head = answer.partition(b"\r\n\r\n")[0].decode().lower()
    (value,) = [line.removeprefix("allow: ") for line in head.splitlines() if line.startswith("allow: ")]
    return value.upper().split(", ")


@pytest.mark.parametrize("path", ["/v1/scores/", "//v1/scores", "/v1/Scores"])
def test_a_path_that_is_nearly_the_same_is_not_the_route(server: Server, tb_request: Request, path: str) -> None:
    with server.client() as client:
        assert client.post(server.origin + path, json=tb_request).status_code in (404, 405)


@pytest.mark.parametrize("path", ["/v1/scores?x=1", "/v1/%73cores"])
def test_a_path_that_means_the_same_is(server: Server, tb_request: Request, path: str) -> None:
    with server.client() as client:
        assert client.post(server.origin + path, json=tb_request).status_code == 201


@pytest.mark.parametrize("sent", [b"", b"{"], ids=["nothing", "a part"])
def test_a_caller_that_leaves_before_the_end_of_the_body_is_logged_as_gone(server: Server, sent: bytes) -> None:
    before = server.log.read_text().count('"status":499')
    with socket.create_connection((urlsplit(server.origin).hostname, urlsplit(server.origin).port), 10) as connection:
        head = (
            f"POST /v1/scores HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        )
        connection.sendall(head.encode() + sent)
        time.sleep(0.2)
    until = time.monotonic() + 10
    while server.log.read_text().count('"status":499') == before:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_body_in_pieces_is_one_body(server: Server, tb_request: Request) -> None:
    body = json.dumps(tb_request).encode()
    with server.client() as client:
        pieces = iter([body[:10], b"", body[10:500], body[500:]])
        response = client.post("/v1/scores", content=pieces, headers={"content-type": "application/json"})
    assert response.status_code == 201


@pytest.fixture
def short_lived(server: Server) -> tuple[str, str]:
    """A key and its id."""
    made = server.command("key", "create", "--name", "short", "--scope", "scores:write", "--json")
    key = json.loads(made.stdout)
    return key["key"], key["id"]


def test_a_revoked_key_sees_no_replay_and_soon_nothing_else(
    server: Server, tb_request: Request, short_lived: tuple[str, str]
) -> None:
    key, key_id = short_lived
    with server.client(key) as client:
        sent: dict[str, Any] = {"url": "/v1/scores", "json": tb_request, "headers": {"idempotency-key": "k"}}
        assert [client.post(**sent).status_code for _ in range(2)] == [201, 200]
        assert server.command("key", "revoke", key_id).returncode == 0
        assert client.post(**sent).status_code == 401
        time.sleep(2)
        assert client.post("/v1/scores", json={}).status_code == 401


def test_what_comes_right_after_a_revocation_is_not_stored(
    server: Server, tb_request: Request, short_lived: tuple[str, str]
) -> None:
    key, key_id = short_lived
    of_its_own = tb_request | {"subject": tb_request["subject"] | {"id": key_id}}
    with server.client(key) as client:
        assert client.post("/v1/scores", json=tb_request).status_code == 201  # the key is known from now on
        assert server.command("key", "revoke", key_id).returncode == 0
        assert client.post("/v1/scores", json=of_its_own).status_code == 401
    with server.client() as client:
        assert client.post("/v1/scores/search", json={"subject": key_id}).json()["items"] == []


def test_the_revocation_of_another_key_is_no_hindrance(
    server: Server, tb_request: Request, short_lived: tuple[str, str]
) -> None:
    with server.client() as client:
        assert client.post("/v1/scores", json=tb_request).status_code == 201
        assert server.command("key", "revoke", short_lived[1]).returncode == 0
        assert client.post("/v1/scores", json=tb_request).status_code == 201


@pytest.mark.parametrize("mounted_at", ["", "/x"])
def test_a_defect_is_answered_as_everywhere_also_under_a_prefix(mounted_at: str) -> None:
    app = Front()  # without its services
    app.router.routes.extend(plain_routes)
    install_problem_handlers(app)
    app.add_middleware(AccessLog)

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, root_path=mounted_at)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post(f"{mounted_at}/v1/scores", json={"subject": {"id": "S-104"}})

    response = asyncio.run(post())
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert response.json()["instance"] == f"urn:uuid:{response.headers['x-request-id']}"
    assert "S-104" not in response.text


@pytest.mark.parametrize("byte", range(0, 256, 5))
def test_a_request_id_is_a_random_uuid_of_version_4(byte: int) -> None:
    made = uuid.UUID(new_uuid4(bytes([byte]) * 16))
    assert (made.version, made.variant) == (4, uuid.RFC_4122)
    assert made.bytes[:6] == bytes([byte]) * 6
    assert made.bytes[9:] == bytes([byte]) * 7


TRACED = """
import asyncio, httpx
from opentelemetry import trace

class Provider(trace.TracerProvider):
    def get_tracer(self, *names, **more):
        print("traced")
        return trace.NoOpTracer()

trace.set_tracer_provider(Provider())
from service.app import create_app
from service.settings import load_settings
app = create_app(load_settings())

async def main():
    async with app.router.lifespan_context(app), httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://t"
    ) as client:
        print((await client.get("/health/live")).status_code)

asyncio.run(main())
"""


def test_the_framework_traces_nothing_past_the_log(environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", TRACED]
    done = subprocess.run(
        command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["200"]


def test_a_server_that_is_stopped_has_logged_every_request(
    start_server: Callable[..., Any], tb_request: Request
) -> None:
    server = start_server(None)
    with server.client() as client:
        ids = [client.post("/v1/scores", json=tb_request).headers["x-request-id"] for _ in range(20)]
    server.stop()
    logged = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert [line["request_id"] for line in logged if line["event"] == "request"] == ids
