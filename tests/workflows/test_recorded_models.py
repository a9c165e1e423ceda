"""An alias that was moved by hand and moved back leaves scores behind that nobody asked for: they are found."""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import update

from service.store.engine import Database
from service.store.tables import model_alias
from tests.conftest import RunningServer
from tests.registry.artifacts import KEY_NAME, PUBLISHER, TB, release
from tests.registry.attacks import zipped
from tests.workflows.registering import PASSPHRASE


def point(url: str, version: str) -> None:
    database = Database(url)
    with database.write() as connection:
        connection.execute(update(model_alias).where(model_alias.c.name == TB).values(version=version))
    database.close()


def test_a_score_under_an_alias_that_was_moved_by_hand_is_found(
    start_server: Callable[..., RunningServer],
    environment: dict[str, str],
    database_url: str,
    tb_request: dict[str, Any],
    tmp_path: Any,
) -> None:
    where = environment | {
        "EXOSCORE_TRUSTED_PUBLISHERS": PUBLISHER.vkey(KEY_NAME),
        "EXOSCORE_DATABASE_URL": database_url,
    }
    server = start_server(database_url, environment=where)
    (tmp_path / "new.zip").write_bytes(zipped(release(TB, "2.0.0")))
    typed = f"{PASSPHRASE}\n"
    assert server.command("model", "register", str(tmp_path / "new.zip")).returncode == 0
    added = server.command("person", "add", "Ada", "--passphrase-stdin", "--json", stdin=typed)
    signed = ("--person", json.loads(added.stdout)["id"], "--reason", "It is sound.", "--passphrase-stdin")
    approved = server.command("model", "approve", f"{TB}@2.0.0", *signed, stdin=typed)
    assert approved.returncode == 0, approved.stdout
    with server.client() as client:
        for model, version in ((TB, "1.1.0"), (f"{TB}@production", "1.1.0"), (f"{TB}@2.0.0", "2.0.0")):
            answer = client.post("/v1/scores", json=tb_request | {"model": model})
            assert answer.json()["model"]["version"] == version
    assert server.command("audit", "verify", "--deep").returncode == 0
    server.stop()
    point(database_url, "2.0.0")
    server = start_server(database_url, environment=where)
    with server.client() as client:
        assert client.post("/v1/scores", json=tb_request | {"model": TB}).json()["model"]["version"] == "2.0.0"
    point(database_url, "1.1.0")
    found = server.command("audit", "verify", "--deep")
    assert found.returncode == 1
    assert "not by the version that was asked for" in found.stdout
