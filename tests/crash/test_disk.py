"""A disk that is full, or fails to write, under the service on SQLite: 503 meanwhile, nothing acknowledged is lost, and
there are scores again as soon as the disk is well."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_FSIZE, prlimit
from typing import Any

import pytest

from service.store.engine import Database
from tests.crash.book import verify
from tests.crash.load import Notebook, callers, meaning, replayed

UNAVAILABLE = (503, "storage_unavailable", "1")
DISK_BYTES = 8 * 1024 * 1024


def url_in(folder: Path) -> str:
    return f"sqlite:///{folder / 'exoscore.db'}"


def settle(server: Any, request: dict[str, Any], notebook: Notebook, url: str) -> None:
    notebook.ask_again(server, request)
    replayed(server, request, notebook, every=5)
    database = Database(url)
    notebook.settle(database)
    database.close()
    verify(url)


def fill(path: Path) -> None:
    """Write a file until there is no room for one more page of the database."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


@pytest.mark.parametrize("room", [0, 100_000], ids=["no byte more", "a little more"])
def test_a_write_that_fails_is_503_and_the_service_recovers(
    start_server: Callable[..., Any], tmp_path: Path, tb_request: dict[str, Any], room: int
) -> None:
    """The kernel refuses every write behind a certain size of the file, which SQLite knows as an I/O error."""
    url = url_in(tmp_path / "data")
    server = start_server(url)
    notebook = Notebook()
    with callers(server, tb_request, notebook, 4), server.client() as client:
        notebook.wait_for_receipts(20)
        size = (tmp_path / "data" / "exoscore.db-wal").stat().st_size + room
        prlimit(server.process.pid, RLIMIT_FSIZE, (size, RLIM_INFINITY))
        notebook.wait_for_refusals(20)
        assert client.get("/health/ready").status_code == 503
        prlimit(server.process.pid, RLIMIT_FSIZE, (RLIM_INFINITY, RLIM_INFINITY))
        notebook.wait_for_receipts(20)
        assert client.get("/health/ready").status_code == 200
    assert (notebook.lost, meaning(notebook.refusals)) == (0, {UNAVAILABLE})
    settle(server, tb_request, notebook, url)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes; only an administrator may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("making a small file system needs an administrator")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_503_and_the_service_recovers(
    start_server: Callable[..., Any], environment: dict[str, str], small_disk: Path, tb_request: dict[str, Any]
) -> None:
    url = url_in(small_disk)
    # The log of the server and its secrets lie there too, as they do on a machine with one disk.
    server = start_server(url, environment=environment | {"EXOSCORE_HOME": str(small_disk / "home")})
    notebook, ballast = Notebook(), small_disk / "ballast"
    with callers(server, tb_request, notebook, 4), server.client() as client:
        notebook.wait_for_receipts(20)
        fill(ballast)
        notebook.wait_for_refusals(20)
        assert client.get("/health/ready").status_code == 503
        ballast.unlink()
        notebook.wait_for_receipts(20)
        assert client.get("/health/ready").status_code == 200
    assert (notebook.lost, meaning(notebook.refusals)) == (0, {UNAVAILABLE})
    settle(server, tb_request, notebook, url)
    server.stop()
