"""Restored backups, cut logs, lost databases and other keys, as an operator meets them: real processes."""

from __future__ import annotations

import json
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from service.audit.note import Checkpoint, Signer, parse_checkpoint, parse_note, split_notes
from service.store.engine import Database
from tests.conftest import command_here

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Start = Callable[..., Any]
Environment = dict[str, str]

KEEP = """
import pathlib, sys
path = pathlib.Path(sys.argv[1])
if sys.argv[2] == "list":
    sys.stdout.write(path.read_text())
elif path.with_name("refuse").exists():
    sys.exit("marker")
else:
    with path.open("a") as file:
        file.write(("\\n" if file.tell() else "") + sys.stdin.read())
"""


def notes(path: Path) -> list[Checkpoint]:
    return [parse_checkpoint(parse_note(note).text) for note in split_notes(path.read_bytes())]


def post(server: Any, request: dict[str, Any], times: int = 1) -> dict[str, Any]:
    with server.client() as client:
        for _ in range(times):
            response = client.post("/v1/scores", json=request)
            assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()["audit"]
    return answer


@pytest.fixture
def score(start_server: Start, tb_request: dict[str, Any]) -> Callable[..., Path]:
    """A function that serves a database for a few scores and stops; the path of the witness."""

    def run(url: str | None, times: int = 1, environment: Environment | None = None) -> Path:
        server = start_server(url, environment=environment)
        post(server, tb_request, times)
        server.stop()
        home: Path = server.home
        return home / "witness"

    return run


@pytest.fixture
def backup(backend: Any) -> Iterator[Callable[[str], str]]:
    """A function that copies a database as it is now; the copy is served as if it had been restored."""
    made: list[str] = []

    def copy(url: str) -> str:
        made.append(backend.copy(url))
        return made[-1]

    yield copy
    for url in made:
        backend.remove(url)


@pytest.fixture
def refused(run_exoscore: Run, environment: Environment) -> Callable[..., dict[str, Any]]:
    """A function that runs a command which the environment has to fail; what it said."""

    def run(*arguments: str, **more: str) -> dict[str, Any]:
        result = run_exoscore(*(arguments or ("serve", "--port", "0")), "--json", environment=environment | more)
        assert (result.returncode, result.stderr) == (3, ""), result.stdout + result.stderr
        said: dict[str, Any] = json.loads(result.stdout)
        return said

    return run


@pytest.fixture
def reopen(environment: Environment) -> Callable[..., dict[str, Any]]:
    """A function that reopens the log of a database; what it said."""

    def run(**more: str) -> dict[str, Any]:
        result = command_here("audit", "reopen", "--json", environment=environment | more)
        assert (result.returncode, result.stderr) == (0, ""), result.stdout + result.stderr
        said: dict[str, Any] = json.loads(result.stdout)
        return said

    return run


def test_a_restored_backup_is_refused_until_it_is_reopened(
    score: Any, backup: Any, refused: Any, reopen: Any, environment: Environment, database_url: str
) -> None:
    witness = score(database_url)
    assert stat.S_IMODE(witness.stat().st_mode) == 0o600
    before = notes(witness)[-1]
    restored = {"EXOSCORE_DATABASE_URL": backup(database_url)}
    score(database_url, 2)
    after = notes(witness)[-1]
    assert after.size > before.size
    # Whatever would add to the log is refused, not only the server.
    for command in ((), ("key", "create", "--name", "k", "--scope", "admin")):
        said = refused(*command, **restored)
        assert said["code"] == "log_forked"
        assert f"{after.size} entries, and the log has only {before.size}." in said["detail"]
        assert "exoscore audit reopen" in said["detail"]
    assert notes(witness)[-1] == after
    done = reopen(**restored)
    assert done["sealed"] == {"origin": before.origin, "size": before.size}
    assert (done["witnessed"], done["key_rotated"], len(done["found"])) == (True, False, 1)
    again = command_here("audit", "reopen", environment=environment | restored)
    assert (again.returncode, "nothing to repair" in again.stdout) == (1, True)
    score(restored["EXOSCORE_DATABASE_URL"])
    assert notes(witness)[-1].origin == done["opened"]["origin"]
    # The database that was replaced does not know the log that was begun since.
    assert refused(EXOSCORE_DATABASE_URL=database_url)["code"] == "log_forked"


def test_a_cut_tail_is_refused_until_it_is_reopened(
    score: Any, refused: Any, reopen: Any, database_url: str, run_exoscore: Run, environment: Environment
) -> None:
    witness = score(database_url, 2)
    database = Database(database_url)
    with database.write() as connection:
        seat_belt = "audit_entry_no_delete" if database.embedded else "audit_entry_append_only ON audit_entry"
        for statement in (
            f"DROP TRIGGER {seat_belt}",
            "DELETE FROM score_log",
            "DELETE FROM audit_entry WHERE seq > (SELECT max(seq) FROM model_transition)",
        ):
            connection.sqlalchemy.execute(text(statement))
    database.close()
    where = {"EXOSCORE_DATABASE_URL": database_url}
    assert refused(**where)["code"] == "log_forked"
    shown = run_exoscore("audit", "reopen", environment=environment | where)
    assert shown.returncode == 0
    for sentence in ("found: The entries of the log do not end", "sealed exoscore/", "under the same key"):
        assert sentence in shown.stdout
    score(database_url)
    assert len({checkpoint.origin for checkpoint in notes(witness)}) == 2


def test_in_development_a_lost_database_leaves_witness_and_key_aside(
    score: Any, start_server: Start, run_exoscore: Run, environment: Environment, tb_request: dict[str, Any]
) -> None:
    witness = score(None)
    for path in witness.parent.glob("exoscore.db*"):
        path.unlink()
    server = start_server(None)
    (line,) = [line for line in server.banner.splitlines() if "aside" in line]
    for pattern in ("witness.*.old", "dev-key.*.old"):
        (aside,) = witness.parent.glob(pattern)
        assert aside.name in line
    post(server, tb_request)
    server.stop()
    assert len({checkpoint.origin for checkpoint in notes(witness)}) == 1
    for path in witness.parent.glob("exoscore.db*"):
        path.unlink()
    made = run_exoscore("key", "create", "--name", "k", "--scope", "admin", "--json", environment=environment)
    assert json.loads(made.stdout)["name"] == "k"
    assert "aside" in made.stderr


@pytest.fixture
def production(environment: Environment, tmp_path: Path) -> Environment:
    """Settings that production mode accepts, on the embedded database."""
    for name, content in {"PEPPER": b"0123456789abcdef" * 2, "SIGNING_KEY": Signer.generate().pem()}.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
        environment |= {f"EXOSCORE_{name}_FILE": str(tmp_path / name)}
    return environment | {"EXOSCORE_ENV": "production"}


def test_in_production_a_lost_database_is_refused_and_then_cites_the_witness(
    start_server: Start, refused: Any, reopen: Any, production: Environment
) -> None:
    server = start_server(None, environment=production, key="none")
    server.stop()
    before = notes(server.home / "witness")[-1]
    for path in server.home.glob("exoscore.db*"):
        path.unlink()
    said = refused(**production)
    assert (said["code"], "holds no audit log" in said["detail"]) == ("log_forked", True)
    done = reopen(**production)
    assert (done["sealed"], done["key_rotated"]) == (None, False)
    second = start_server(None, environment=production, key="none")
    second.stop()
    origins = dict.fromkeys(checkpoint.origin for checkpoint in notes(server.home / "witness"))
    assert list(origins) == [before.origin, done["opened"]["origin"]]


def test_another_key_is_refused_until_the_log_is_reopened_with_it(
    start_server: Start,
    refused: Any,
    reopen: Any,
    environment: Environment,
    tmp_path: Path,
    tb_request: dict[str, Any],
    database_url: str,
) -> None:
    where = {"EXOSCORE_DATABASE_URL": database_url}
    running = start_server(database_url)
    post(running, tb_request)
    (tmp_path / "new").write_bytes(Signer.generate().pem())
    new = where | {"EXOSCORE_SIGNING_KEY_COMMAND": shlex.join(["cat", str(tmp_path / "new")])}
    said = refused(**new)
    assert (said["code"], "exoscore audit reopen" in said["detail"]) == ("signing_key_mismatch", True)
    done = reopen(**new)
    assert (done["key_rotated"], done["found"], done["opened"]["size"]) == (True, [], 2)
    # The replica with the old key answers nothing that it cannot record.
    with running.client() as client:
        response = client.post("/v1/scores", json=tb_request)
        assert (response.status_code, response.json()["code"]) == (503, "signing_key_mismatch")
        assert client.get("/health/ready").status_code == 503
    running.stop()
    assert refused(**where)["code"] == "signing_key_mismatch"
    renewed = start_server(None, environment=environment | new)
    assert f"{done['opened']['origin']}\n" in post(renewed, tb_request)["checkpoint"]


def test_a_command_keeps_the_checkpoints(
    start_server: Start, refused: Any, environment: Environment, tmp_path: Path, tb_request: dict[str, Any]
) -> None:
    kept = tmp_path / "kept"
    kept.touch()
    command = shlex.join([sys.executable, "-c", KEEP, str(kept)])
    where = {"EXOSCORE_WITNESS_COMMAND": command, "EXOSCORE_WITNESS_SECONDS": "0.1"}
    server = start_server(None, environment=environment | where)
    answer = post(server, tb_request)
    deadline = time.monotonic() + 30
    while notes(kept)[-1:] != [parse_checkpoint(parse_note(answer["checkpoint"]).text)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    (tmp_path / "refuse").touch()
    post(server, tb_request)
    while "witness_failed" not in server.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    line = json.loads(next(line for line in server.log.read_text().splitlines() if "witness_failed" in line))
    assert (line["level"], "status 1 on `append`" in line["reason"]) == ("error", True)
    assert "marker" not in server.log.read_text()
    with server.client() as client:
        assert client.get("/health/ready").status_code == 200
    (tmp_path / "refuse").unlink()
    last = parse_checkpoint(parse_note(post(server, tb_request)["checkpoint"]).text)
    server.stop()
    assert notes(kept)[-1] == last
    assert not (server.home / "witness").exists()
    kept.unlink()
    assert refused(**where)["code"] == "witness_unavailable"


def test_two_replicas_with_a_witness_each(
    start_server: Start,
    refused: Any,
    reopen: Any,
    environment: Environment,
    tmp_path: Path,
    tb_request: dict[str, Any],
    postgresql_backend: Any,
) -> None:
    url = postgresql_backend.migrated()
    mine = [{"EXOSCORE_WITNESS_FILE": str(tmp_path / name / "witness")} for name in ("one", "two")]
    servers = [start_server(url, environment=environment | own) for own in mine]
    for server in servers:
        post(server, tb_request, 2)
        server.stop()
    last = [notes(tmp_path / name / "witness")[-1] for name in ("one", "two")]
    assert last[0].origin == last[1].origin
    restored = postgresql_backend.copy(url)
    for server in [start_server(url, environment=environment | own) for own in mine]:
        post(server, tb_request)
        server.stop()
    for own in mine:
        assert refused(EXOSCORE_DATABASE_URL=restored, **own)["code"] == "log_forked"
    done = reopen(EXOSCORE_DATABASE_URL=restored, **mine[0])
    for own in mine:
        server = start_server(restored, environment=environment | own)
        assert done["opened"]["origin"] in post(server, tb_request)["checkpoint"]
        server.stop()
    for used in (url, restored):
        postgresql_backend.remove(used)
