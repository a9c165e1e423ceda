"""No byte of an answer leaves before COMMIT, and a caller who leaves while it runs costs nobody a score.

A framework that commits after the handler has returned passes every other test; so these look at the socket itself.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from service.store.engine import Database
from tests.crash.load import Notebook, post
from tests.held_head import held_head

Start = Callable[..., Any]

RESET = struct.pack("ii", 1, 0)
"""The option of a socket whose closing throws the connection away (SO_LINGER, on, zero seconds)."""


def until_it_waits(database: Database) -> None:
    """Return when the service's transaction waits for the head; SQLite cannot be asked, and waits soon enough."""
    if database.embedded:
        time.sleep(0.5)
        return
    blocked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(200):
        with database.read() as connection:
            if connection.sqlalchemy.execute(blocked).scalar_one():
                return
        time.sleep(0.02)
    raise AssertionError("nobody waited for the head")


def send(server: Any, request: dict[str, Any], key: str) -> socket.socket:
    """Send a whole request; the socket on which its answer will come."""
    place = urlsplit(server.origin)
    assert place.hostname is not None
    body = json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode()
    head = (
        f"POST /v1/scores HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {server.key}\r\n"
        f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection((place.hostname, place.port), timeout=30)
    connection.sendall(head.encode() + body)
    return connection


def known_key(server: Any) -> None:
    """Have the server look the key up, so that requests sent next meet nothing but the head of the log."""
    with server.client() as client:
        assert client.get("/v1/models").status_code == 200
        assert client.post("/v1/scores", json={}).status_code == 422


def test_no_byte_of_an_answer_leaves_before_commit(
    start_server: Start, database_url: str, opened: Database, tb_request: dict[str, Any]
) -> None:
    server = start_server(database_url)
    known_key(server)
    with ExitStack() as sockets:
        with held_head(database_url):
            connections = [sockets.enter_context(send(server, tb_request, f"k{number}")) for number in range(4)]
            until_it_waits(opened)
            assert select.select(connections, [], [], 0.5)[0] == []
        for connection in connections:
            assert connection.recv(12) == b"HTTP/1.1 201"


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_caller_who_leaves_during_commit_finds_the_score_again(
    start_server: Start, database_url: str, opened: Database, tb_request: dict[str, Any], reset: bool
) -> None:
    server = start_server(database_url)
    known_key(server)
    notebook, keys = Notebook(), [f"k{number}" for number in range(4)]
    with held_head(database_url):
        connections = [send(server, tb_request, key) for key in keys]
        until_it_waits(opened)
        time.sleep(0.3)  # time for the server to read the others as well
        for connection in connections:
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.close()
        time.sleep(0.3)  # and to notice, and to do the wrong thing
    again = {}
    with server.client() as client:
        for key in keys:
            while (answer := post(client, tb_request, key)) is not None and answer.status_code == 409:
                time.sleep(0.02)
            notebook.keep(key, answer)
            assert answer is not None
            again[key] = answer.status_code
        assert len(client.get("/v1/scores").json()["items"]) == len(keys)
    # One of them waited for the head when its caller left; of the others a slow server may have read nothing.
    assert 200 in again.values()
    assert set(again.values()) <= {200, 201}
    notebook.settle(opened)
    server.stop()
    assert "Traceback" not in server.log.read_text()
