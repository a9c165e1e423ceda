"""The servers under measurement, each a process on the server's core: the product as `exoscore serve`, the yardsticks.

Databases are made afresh in the given folder: SQLite files, and one PostgreSQL server that makes every COMMIT durable
(asserted by asking it), shared by the product and the afternoon, each with a database of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import psycopg

from service.store.postgresql import DURABILITY
from tests.benchmarks.machine import ON_SERVER_CORE, Unmeasurable
from tests.benchmarks.wrk import Target
from tests.conftest import ROOT, Postgresql, clean_environment, migrate_to_head

PRODUCT = {"pg": "exoscore, PostgreSQL", "sqlite": "exoscore, SQLite"}
YARDSTICKS = {
    "echo": "FastAPI echo",
    "echo-model": "FastAPI echo, answer from a model",
    "afternoon-pg": "afternoon, PostgreSQL",
    "afternoon-sqlite": "afternoon, SQLite",
}


SEGMENTS = 120
"""Segments of write-ahead log that are there before anything is measured: nearly 2 GB, minutes of full load."""


@dataclass(frozen=True, slots=True)
class Server:
    """One running server: its short name, its process, where its requests go, and the database behind it."""

    name: str
    process: subprocess.Popen[str]
    target: Target
    database_url: str | None = None

    def stop(self) -> None:
        """End it by a signal and wait: what it took in is stored, then it is gone."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)
        if self.process.stdout is not None:
            self.process.stdout.close()


class Databases:
    """Fresh databases for servers of one benchmark; PostgreSQL starts when the first is asked of it.

    Its write-ahead log is that of a server which has run for a while: segments are there to be used again. A fresh one
    makes each segment of 16 MiB when it is needed, and whoever commits then waits for all of it to reach the disk.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._postgresql: Postgresql | None = None

    def make(self, kind: str, name: str, *, migrated: bool) -> str:
        """The URL of a new database of `kind` (pg or sqlite)."""
        if kind == "sqlite":
            url = f"sqlite:///{self._folder / name}.db"
            if migrated:
                migrate_to_head(url)
            return url
        if self._postgresql is None:
            self._postgresql = Postgresql(self._folder / "postgresql")
            self._stack.callback(self._postgresql.close)
            _season(self._postgresql.empty())
        url = self._postgresql.migrated() if migrated else self._postgresql.empty()
        _require_durable(url)
        return url


def settle(database_url: str) -> None:
    """Let PostgreSQL write its pages and take back the segments of its log that it needs no more, which it would
    otherwise do in the middle of a measurement."""
    if not database_url.startswith("sqlite"):
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")


def _season(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET min_wal_size = '2GB'")
        connection.execute("ALTER SYSTEM SET max_wal_size = '8GB'")
        connection.execute("SELECT pg_reload_conf()")
        for _ in range(SEGMENTS):
            connection.execute("SELECT pg_logical_emit_message(true, 'benchmark', 'fill')")
            connection.execute("SELECT pg_switch_wal()")
        connection.execute("CHECKPOINT")


def _require_durable(url: str) -> None:
    with psycopg.connect(url) as connection:
        for name in DURABILITY:
            row = connection.execute(f"SHOW {name}").fetchone()
            if row is None or row[0] != "on":
                raise Unmeasurable(f"PostgreSQL runs with {name} = {row and row[0]}: its figures would mean nothing.")


@contextmanager
def opened(name: str, folder: Path, databases: Databases, answer: Path | None = None) -> Iterator[Server]:
    """A server by its short name; yardsticks need the file with a real answer of the product."""
    server = _product(name, folder, databases) if name in PRODUCT else _yardstick(name, folder, databases, answer)
    try:
        yield server
    finally:
        server.stop()


def home_of(name: str, folder: Path) -> Path:
    """Where the product keeps its keys when it is served under this name from this folder."""
    return folder / f"home-{name}"


def serve(name: str, folder: Path, database_url: str) -> Server:
    """The product on a migrated database, with a home of its name and the example request it prints. Served again
    from the same folder under the same name, it finds its keys."""
    home = home_of(name, folder)
    environment = clean_environment(home) | {"EXOSCORE_DATABASE_URL": database_url}
    command = [sys.executable, "-m", "service.cli", "serve", "--port", "0"]
    process, origin = start(name, folder, command, environment)
    example = json.loads((home / "example.json").read_text())
    body = json.dumps(example, separators=(",", ":")).encode()
    return Server(name, process, Target(origin, (home / "dev-key").read_text(), body), database_url)


def real_answer(server: Server) -> bytes:
    """What the product answers to the request of the benchmark."""
    headers = {"Authorization": f"Bearer {server.target.key}", "Content-Type": "application/json"}
    request = Request(f"{server.target.origin}/v1/scores", data=server.target.body, headers=headers)
    with urlopen(request) as response:
        return bytes(response.read())


def example_target(server: Server, of: Server) -> Target:
    """The target of a yardstick, sent what the product `of` is sent."""
    return Target(server.target.origin, of.target.key, of.target.body)


def _product(name: str, folder: Path, databases: Databases) -> Server:
    return serve(name, folder, databases.make(name, name, migrated=True))


def _yardstick(name: str, folder: Path, databases: Databases, answer: Path | None) -> Server:
    app, _, kind = name.partition("-") if name.startswith("afternoon") else (name, "", "")
    url = databases.make(kind, name, migrated=False) if kind else None
    command = [sys.executable, "-m", "tests.benchmarks.yardsticks", app, "--answer", str(answer)]
    if url is not None:
        command += ["--database-url", url]
    process, origin = start(name, folder, command, dict(os.environ))
    return Server(name, process, Target(origin, "", b""), url)


def start(
    name: str,
    folder: Path,
    command: list[str],
    environment: dict[str, str],
    *,
    cwd: Path = ROOT,
    core: Sequence[str] = ON_SERVER_CORE,
) -> tuple[subprocess.Popen[str], str]:
    """Start a server on its core and wait until it says where it answers; its log goes to a file of the folder."""
    log = folder / f"{name}.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*core, *command], env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=stderr, text=True
        )
    assert process.stdout is not None
    printed = ""
    while "Ready." not in printed:
        line = process.stdout.readline()
        if not line:
            process.wait()
            raise Unmeasurable(f"{name} did not start: {printed}{log.read_text()}")
        printed += line
    found = re.search(r"http://\S+:\d+", printed)
    assert found is not None, printed
    return process, found[0]
