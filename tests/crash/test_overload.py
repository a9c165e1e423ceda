"""More callers than the queue takes in: some are refused at once, every other one is stored, and no one twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.store.engine import Database
from tests.crash.load import Notebook, callers, meaning


def test_what_is_too_much_is_refused_and_the_rest_is_stored(
    start_server: Callable[..., Any],
    database_url: str,
    opened: Database,
    environment: dict[str, str],
    tb_request: dict[str, Any],
    soak: bool,
) -> None:
    server = start_server(database_url, environment=environment | {"EXOSCORE_QUEUE_CAPACITY": "2"})
    notebook = Notebook()
    with callers(server, tb_request, notebook, 24):
        notebook.wait_for_refusals(2000 if soak else 20)
        notebook.wait_for_receipts(2000 if soak else 20)
    assert (notebook.lost, meaning(notebook.refusals)) == (0, {(503, "overloaded", "1")})
    notebook.ask_again(server, tb_request)
    notebook.settle(opened)
