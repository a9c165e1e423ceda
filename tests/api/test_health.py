"""Liveness and readiness of a real server."""

from typing import Any

import httpx

Server = Any


def test_a_started_server_is_alive_and_ready(server: Server) -> None:
    assert httpx.get(server.origin + "/health/live").json() == {"status": "ok"}
    assert httpx.get(server.origin + "/health/ready").json() == {"status": "ready", "versions_in_force": 6}


def test_every_answer_carries_a_request_id(server: Server) -> None:
    first, second = (httpx.get(server.origin + "/health/live").headers["x-request-id"] for _ in range(2))
    assert first != second
