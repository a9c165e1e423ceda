"""The key of a person over real HTTP, on both databases: it works until the person is revoked, on every route."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from tests.conftest import exoscore

Server = Any
PASSPHRASE = "zwölf gute Zeichen"


@pytest.fixture
def portal(server: Server) -> tuple[str, str]:
    """A new person's id and key."""
    name = f"Zoë {time.monotonic_ns()} Müller"
    arguments = ("person", "add", name, "--passphrase-stdin", "--json")
    person_id = json.loads(exoscore(*arguments, environment=server.environment, stdin=PASSPHRASE).stdout)["id"]
    scopes = ("scores:write", "models:read")
    made = server.command("key", "create", "--name", "portal", "--person", person_id, "--scope", *scopes, "--json")
    return person_id, json.loads(made.stdout)["key"]


def test_a_revoked_person_s_key_is_refused_within_two_seconds(
    server: Server, portal: tuple[str, str], tb_request: dict[str, Any]
) -> None:
    person_id, key = portal
    with server.client(key) as client:
        answers: list[httpx.Response] = [client.post("/v1/scores", json=tb_request) for _ in range(3)]
        assert [one.status_code for one in answers] == [201] * 3
        assert server.command("person", "revoke", person_id).returncode == 0
        revoked_at = time.monotonic()
        # Nothing is stored any more from here on; what is refused anyway may be told for two seconds.
        assert client.post("/v1/scores", json=tb_request).status_code == 401
        assert client.get("/v1/models").status_code == 401
        while client.post("/v1/scores", json={}).status_code != 401:
            assert time.monotonic() - revoked_at < 2.5
            time.sleep(0.05)
    with server.client() as client:
        assert client.post("/v1/scores", json=tb_request).status_code == 201


def test_neither_passphrase_nor_name_is_in_the_log_of_a_server(server: Server, portal: tuple[str, str]) -> None:
    with server.client(portal[1]) as client:
        assert client.get("/v1/models").status_code == 200
    text = server.log.read_text()
    assert PASSPHRASE not in text
    assert "Müller" not in text
