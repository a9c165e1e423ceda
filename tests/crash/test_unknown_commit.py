"""A COMMIT whose answer is lost: the log itself says whether it happened, and the caller is told."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from service.store.engine import Database
from tests.crash.book import verify
from tests.crash.load import Notebook, callers, post
from tests.crash.proxy import Fate, Line, line_to


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for the name of a socket."""
    with tempfile.TemporaryDirectory(prefix="exoscore-test-") as folder:
        yield Path(folder)


@pytest.fixture
def url(postgresql_backend: Any) -> Iterator[str]:
    url = postgresql_backend.migrated()
    yield url
    postgresql_backend.remove(url)


@contextmanager
def served(start_server: Callable[..., Any], url: str, folder: Path) -> Iterator[tuple[Any, Line]]:
    """A server whose database is at the other end of a line."""
    with line_to(url, folder) as (line, behind):
        server = start_server(behind)
        yield server, line
        server.stop()


def settle(server: Any, request: dict[str, Any], notebook: Notebook, url: str) -> None:
    notebook.ask_again(server, request)
    database = Database(url)
    notebook.settle(database)
    database.close()
    verify(url)


@pytest.mark.parametrize(
    ("fate", "status"),
    [(Fate.ANSWERED, 201), (Fate.UNSENT, 503), (Fate.LATE, 201), (Fate.SILENT, 503)],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_log_says_what_became_of_a_commit(
    start_server: Callable[..., Any], url: str, short_folder: Path, tb_request: dict[str, Any], fate: Fate, status: int
) -> None:
    notebook = Notebook()
    with served(start_server, url, short_folder) as (server, line), server.client() as client:
        notebook.keep("before", post(client, tb_request, "before"))
        line.cut_at_next_commit(fate)
        answer = post(client, tb_request, "k")
        assert line.cut.is_set()
        assert answer is not None
        assert answer.status_code == status
        notebook.keep("k", answer)
        line.let_go()
        if status == 503:
            assert (answer.json()["code"], answer.headers["retry-after"]) == ("storage_unavailable", "1")
            assert len(client.get("/v1/scores").json()["items"]) == 1
        notebook.keep("after", post(client, tb_request, "after"))
        assert client.get("/health/ready").status_code == 200
        settle(server, tb_request, notebook, url)
    indices = [notebook.receipts[key].index for key in ("before", "k", "after")]
    first = indices[0]
    # Where it was refused, "k" is stored at the second try, after "after"; the list in between is an entry, too.
    assert indices == ([first, first + 1, first + 2] if status == 201 else [first, first + 3, first + 2])


def test_commits_are_lost_under_load(
    start_server: Callable[..., Any], url: str, short_folder: Path, tb_request: dict[str, Any], soak: bool
) -> None:
    notebook = Notebook()
    with served(start_server, url, short_folder) as (server, line):
        with callers(server, tb_request, notebook, 6):
            for number in range(300 if soak else 9):
                notebook.wait_for_receipts(10)
                line.cut_at_next_commit((Fate.ANSWERED, Fate.UNSENT, Fate.LATE)[number % 3])
                assert line.cut.wait(30)
            notebook.wait_for_receipts(10)
        settle(server, tb_request, notebook, url)
    assert notebook.lost == 0
    assert {answer.status_code for answer in notebook.refusals} <= {503}
