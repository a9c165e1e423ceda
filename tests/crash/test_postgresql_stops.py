"""PostgreSQL goes away under the running service: after a crash there are scores again without a restart, and an older
copy of the database that comes back instead of the newest one is not written to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.store.engine import Database
from tests.crash.book import verify
from tests.crash.load import Notebook, callers, meaning, post, replayed


def test_postgresql_crashes_under_load_and_the_service_recovers(
    start_server: Callable[..., Any], own_postgresql: Any, tb_request: dict[str, Any], soak: bool
) -> None:
    server = start_server(own_postgresql.url)
    notebook = Notebook()
    with server.client() as client:
        for number in range(50 if soak else 2):
            with callers(server, tb_request, notebook, 6, name=str(number)):
                notebook.wait_for_receipts(40)
                own_postgresql.stop()
                notebook.wait_for_refusals(20)
                readiness = client.get("/health/ready")
                assert (readiness.status_code, readiness.json()["code"]) == (503, "storage_unavailable")
                assert client.get("/health/live").status_code == 200
                own_postgresql.start()
                notebook.wait_for_receipts(40)
                assert client.get("/health/ready").status_code == 200
            notebook.ask_again(server, tb_request)
    assert server.process.poll() is None
    assert notebook.lost == 0
    codes = {"storage_unavailable", "overloaded", "registry_changed"}
    assert meaning(notebook.refusals) <= {(503, code, "1") for code in codes}
    replayed(server, tb_request, notebook, every=10)
    database = Database(own_postgresql.url)
    notebook.settle(database)
    database.close()
    verify(own_postgresql.url)


def test_an_older_copy_of_the_database_is_not_extended(
    start_server: Callable[..., Any], own_postgresql: Any, tb_request: dict[str, Any], tmp_path: Path
) -> None:
    server = start_server(own_postgresql.url)
    notebook = Notebook()
    with server.client() as client:
        notebook.keep("in the copy", post(client, tb_request, "in the copy"))
        own_postgresql.stop()
        own_postgresql.copy_to(tmp_path / "copy")
        own_postgresql.start()
        notebook.keep("lost", post(client, tb_request, "lost"))
        own_postgresql.stop()
        own_postgresql.copy_to(tmp_path / "newest")
        own_postgresql.replace_by(tmp_path / "copy")
        own_postgresql.start()
        for key in ("lost", "new"):
            refused = post(client, tb_request, key)
            assert refused is not None
            assert (refused.status_code, refused.json()["code"]) == (503, "log_forked")
        assert client.get("/health/ready").status_code == 503
        own_postgresql.stop()
        own_postgresql.replace_by(tmp_path / "newest")
        own_postgresql.start()
        replayed(server, tb_request, notebook)
        notebook.keep("new", post(client, tb_request, "new"))
    database = Database(own_postgresql.url)
    notebook.settle(database)
    database.close()
    verify(own_postgresql.url)
