"""A version that one replica cannot load: nothing answers in its name there, the reason is shown, all else goes on."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from service.store.engine import Database
from service.store.tables import artifact_part
from service.workflows.artifact_files import ALTERED
from tests.crash.load import PATIENCE
from tests.laboratory import TRUSTING, Laboratory
from tests.registry.artifacts import TB, digest
from tests.registry.successors import successor

VERSION = f"/v1/models/{TB}/versions/2.0.0"


def replace_bytes(url: str, old: str, content: bytes) -> None:
    """Alter a stored file behind the service's back; it is kept under the digest it had."""
    database = Database(url)
    with database.write() as connection:
        connection.execute(update(artifact_part).where(artifact_part.c.digest == old).values(content=content))
    database.close()


def until_alias(server: Any, version: str) -> None:
    """Return when a replica has seen that the alias moved."""
    deadline = time.monotonic() + PATIENCE
    with server.client() as client:
        while client.get(f"/v1/models/{TB}").json()["aliases"]["production"] != version:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture
def bare_request(tb_request: dict[str, Any]) -> dict[str, Any]:
    return tb_request | {"model": TB}


def test_what_one_replica_cannot_load_answers_nobody_there_and_everything_else_goes_on(
    start_server: Callable[..., Any],
    postgresql_backend: Any,
    environment: dict[str, str],
    bare_request: dict[str, Any],
    pgd_request: dict[str, Any],
) -> None:
    url, files = postgresql_backend.migrated(), successor("2.0.0", by=0.25)
    sound = start_server(url, environment=environment | TRUSTING)
    broken = start_server(url, environment=environment | TRUSTING, key=sound.key)
    laboratory = Laboratory.at(sound)
    laboratory.register(sound, files)
    broken.process.send_signal(signal.SIGSTOP)
    laboratory.sign(sound, TB, "2.0.0", "approved", "production")
    golden = digest(files["golden.json"])
    replace_bytes(url, golden, files["golden.json"].replace(b'"typical"', b'"unusual"', 1))
    broken.process.send_signal(signal.SIGCONT)
    until_alias(broken, "2.0.0")

    with broken.client() as client, sound.client() as other:
        refused = client.post("/v1/scores", json=bare_request)
        assert (refused.status_code, refused.json()["code"]) == (503, "version_unusable")
        assert ALTERED in refused.json()["detail"]
        assert client.post("/v1/scores", json=bare_request | {"model": f"{TB}@2.0.0"}).status_code == 503
        # The version before it still answers under its own name, and the other model as ever.
        assert client.post("/v1/scores", json=bare_request | {"model": f"{TB}@1.0.0"}).status_code == 201
        assert client.post("/v1/scores", json=pgd_request).status_code == 201
        shown = client.get(VERSION).json()
        assert (shown["state"], shown["reason"]) == ("approved", ALTERED)
        # Where it was loaded before, it answers.
        answer = other.post("/v1/scores", json=bare_request)
        assert (answer.status_code, answer.json()["model"]["version"]) == (201, "2.0.0")
        assert other.get(VERSION).json()["reason"] is None
        assert {one.get("/health/ready").status_code for one in (client, other)} == {200}
        said = [json.loads(line) for line in broken.log.read_text().splitlines() if "version_rejected" in line]
        assert [(line["model"], line["reason"]) for line in said] == [(f"{TB}@2.0.0", ALTERED)]

        # Going back needs nothing of the version that is broken.
        laboratory.sign(broken, TB, "1.0.0", "production")
        for one in (client, other):
            answer = one.post("/v1/scores", json=bare_request)
            assert (answer.status_code, answer.json()["model"]["version"]) == (201, "1.0.0")
        # Nobody can put it in production from here, until its bytes are whole again.
        assert laboratory.ask(broken, TB, "2.0.0", "production").status_code == 422
        replace_bytes(url, golden, files["golden.json"])
        laboratory.sign(broken, TB, "2.0.0", "production")
        answer = client.post("/v1/scores", json=bare_request)
        assert (answer.status_code, answer.json()["model"]["version"]) == (201, "2.0.0")
    postgresql_backend.remove(url)
