"""A second server on one SQLite file. The design has one; who starts another by mistake must not lose anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from service.store.engine import Database
from tests.crash.book import verify
from tests.crash.load import Notebook, callers, meaning


def test_two_servers_on_one_sqlite_file_keep_one_log(
    start_server: Callable[..., Any], tmp_path: Path, tb_request: dict[str, Any], soak: bool
) -> None:
    url = f"sqlite:///{tmp_path / 'data' / 'exoscore.db'}"
    servers = [start_server(url), start_server(url)]
    assert servers[0].key == servers[1].key
    notebook = Notebook()
    with callers(servers[0], tb_request, notebook, 3, "a"), callers(servers[1], tb_request, notebook, 3, "b"):
        for number in range(20 if soak else 2):
            notebook.wait_for_receipts(30)
            created = servers[0].command("key", "create", "--name", f"k{number}", "--scope", "scores:read")
            assert created.returncode == 0, created.stderr
        notebook.wait_for_receipts(30)
        servers[0].process.kill()
        servers[0].process.wait()
        notebook.wait_for_receipts(30)
    assert meaning(notebook.refusals) <= {(503, code, "1") for code in ("storage_unavailable", "overloaded")}
    notebook.ask_again(servers[1], tb_request)
    database = Database(url)
    notebook.settle(database)
    database.close()
    verify(url)


def test_a_second_server_with_another_key_does_not_start(
    start_server: Callable[..., Any], environment: dict[str, str], tmp_path: Path, run_exoscore: Callable[..., Any]
) -> None:
    url = f"sqlite:///{tmp_path / 'data' / 'exoscore.db'}"
    start_server(url)
    stranger = environment | {"EXOSCORE_HOME": str(tmp_path / "other"), "EXOSCORE_DATABASE_URL": url}
    refused = run_exoscore("serve", "--port", "0", environment=stranger)
    assert refused.returncode == 3
    assert "signing key" in refused.stdout + refused.stderr
    database = Database(url)
    Notebook().settle(database)
    database.close()
