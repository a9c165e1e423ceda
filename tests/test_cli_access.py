"""The `exoscore person` and `exoscore key` commands, as processes with standard input and at a real terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from service.store.engine import Database
from tests.conftest import ROOT, command_here
from tests.terminals import at_terminal

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PASSPHRASE, NEW = "zwölf gute Zeichen", "andere gute Zeichen"


@pytest.fixture
def where(environment: dict[str, str], database_url: str) -> dict[str, str]:
    """The environment of commands on a migrated database."""
    return environment | {"EXOSCORE_DATABASE_URL": database_url}


@pytest.fixture
def exoscore(run_exoscore: Run, where: dict[str, str]) -> Run:
    """Runs a command as a process; `lines` are its standard input."""

    def run(*arguments: str, lines: str = "") -> subprocess.CompletedProcess[str]:
        done = run_exoscore(*arguments, environment=where, stdin=lines)
        assert "Traceback" not in done.stderr, done.stderr
        assert PASSPHRASE not in done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def here(where: dict[str, str]) -> Run:
    """Runs a command in this process."""
    return lambda *arguments: command_here(*arguments, environment=where)


@pytest.fixture
def zoe(exoscore: Run) -> str:
    """The id of a person."""
    made = exoscore("person", "add", "Zoë Müller", "--passphrase-stdin", "--json", lines=f"{PASSPHRASE}\n")
    assert made.returncode == 0, made.stdout
    shown = json.loads(made.stdout)
    assert shown["name"] == "Zoë Müller"
    return str(shown["id"])


def codes(done: subprocess.CompletedProcess[str]) -> set[str]:
    assert done.returncode == 1, done.stdout + done.stderr
    found = json.loads(done.stdout)
    return {found["code"], *(one["code"] for one in found["errors"])}


def test_a_person_lives_from_the_first_key_to_the_revocation(exoscore: Run, here: Run, zoe: str) -> None:
    made = json.loads(
        here("key", "create", "--name", "portal", "--person", zoe, "--scope", "models:approve", "--json").stdout
    )
    assert made["person"] == zoe
    assert here("key", "create", "--name", "lims", "--scope", "scores:write").returncode == 0
    listed = here("key", "list").stdout
    assert f"person {zoe}  portal: models:approve" in listed
    assert "machine  lims: scores:write" in listed
    assert {one["person"] for one in json.loads(here("key", "list", "--json").stdout)["items"]} == {zoe, None}
    changed = exoscore("person", "passphrase", zoe, "--passphrase-stdin", lines=f"{PASSPHRASE}\r\n{NEW}")
    assert (changed.returncode, "Zoë Müller is changed" in changed.stdout) == (0, True)
    assert "in force" in here("person", "list").stdout
    revoked = json.loads(here("person", "revoke", zoe, "--json").stdout)
    assert revoked == {"id": zoe, "revoked": True, "keys": [made["id"]]}
    (item,) = json.loads(here("person", "list", "--json").stdout)["items"]
    assert set(item) == {"id", "name", "created_at", "revoked_at"}
    assert item["revoked_at"] is not None
    for arguments in (
        ("person", "revoke", zoe, "--json"),
        ("key", "create", "--name", "x", "--person", zoe, "--scope", "admin", "--json"),
    ):
        assert codes(here(*arguments)) == {"not_found"}
    verified = here("audit", "verify", "--deep")
    assert "compared: 0 scores, 2 keys, 1 persons" in verified.stdout


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ("", "short_passphrase"),
        ("short\n", "short_passphrase"),
        ("x" * 5000, "invalid_passphrase"),
        ("zo\N{COMBINING DIAERESIS}e  MULLER-MAIER", "name_as_passphrase"),
    ],
    ids=["nothing", "short", "long", "name"],
)
def test_a_passphrase_that_may_not_be_one_adds_nobody(exoscore: Run, here: Run, lines: str, code: str) -> None:
    done = exoscore("person", "add", "Zöe Muller-Maier", "--passphrase-stdin", "--json", lines=lines)
    assert code in codes(done)
    assert here("person", "list").stdout == "no persons\n"


def test_a_wrong_passphrase_changes_nothing_and_is_on_record(exoscore: Run, zoe: str, database_url: str) -> None:
    done = exoscore("person", "passphrase", zoe, "--passphrase-stdin", "--json", lines=f"wrong {NEW}\n{NEW}\n")
    assert codes(done) == {"signature_refused"}
    assert json.loads(done.stderr.splitlines()[-1])["event"] == "passphrase_wrong"
    assert exoscore("person", "passphrase", zoe, "--passphrase-stdin", "--json", lines=PASSPHRASE).returncode == 1
    assert NEW not in done.stdout + done.stderr
    database = Database(database_url)
    with database.read() as connection:
        stored = b"".join(connection.sqlalchemy.execute(text("SELECT entry FROM audit_entry ORDER BY seq")).scalars())
    database.close()
    assert stored.count(b'"reason":"passphrase"') == 1
    assert b"Zo" not in stored


def test_text_that_is_none_is_refused(where: dict[str, str]) -> None:
    def run(arguments: list[bytes], data: bytes) -> subprocess.CompletedProcess[bytes]:
        command = [os.fsencode(sys.executable), b"-m", b"service.cli", b"person", *arguments]
        return subprocess.run(command, env=where, cwd=ROOT, input=data, capture_output=True, timeout=60, check=False)

    wrong_line = run([b"add", b"Ada", b"--passphrase-stdin"], b"\xff" * 20)
    assert (wrong_line.returncode, b"not UTF-8" in wrong_line.stdout) == (1, True)
    wrong_name = run([b"add", b"A\xff", b"--passphrase-stdin"], PASSPHRASE.encode())
    assert (wrong_name.returncode, b"/name" in wrong_name.stdout) == (1, True)
    wrong_id = run([b"revoke", b"\xff"], b"")
    assert (wrong_id.returncode, wrong_id.stderr) == (1, b"")


def test_without_a_terminal_a_passphrase_comes_from_standard_input_or_not_at_all(exoscore: Run, here: Run) -> None:
    done = exoscore("person", "add", "Ada", "--json", lines=f"{PASSPHRASE}\n{PASSPHRASE}\n")
    assert codes(done) == {"input_rejected", "unread_passphrase"}
    assert "--passphrase-stdin" in done.stdout
    assert here("person", "list").stdout == "no persons\n"


@pytest.mark.parametrize("arguments", [("a passphrase",), ("--passphrase", "a passphrase")], ids=["bare", "option"])
def test_a_passphrase_is_never_an_argument(here: Run, arguments: tuple[str, ...]) -> None:
    assert here("person", "add", "Ada", *arguments).returncode == 2


def test_at_a_terminal_a_passphrase_is_asked_for_twice_and_not_shown(where: dict[str, str], here: Run) -> None:
    status, shown = at_terminal(where, "person", "add", "Zoë Müller", "--json", typed=[PASSPHRASE, PASSPHRASE])
    assert (status, shown.count("(not shown)")) == (0, 2)
    assert PASSPHRASE not in shown
    person_id = json.loads(shown.splitlines()[-1])["id"]
    status, shown = at_terminal(where, "person", "passphrase", person_id, typed=[PASSPHRASE, NEW, NEW])
    assert (status, "is changed" in shown) == (0, True)
    status, shown = at_terminal(where, "person", "passphrase", person_id, typed=[NEW, PASSPHRASE, NEW])
    assert (status, "were not the same" in shown) == (1, True)
    assert PASSPHRASE not in shown
    assert NEW not in shown


def test_the_passphrase_is_in_no_file(exoscore: Run, zoe: str, environment: dict[str, str], database_url: str) -> None:
    exoscore("person", "passphrase", zoe, "--passphrase-stdin", lines=f"{PASSPHRASE}\n{NEW}")
    if not database_url.startswith("sqlite"):
        pytest.skip("the files of PostgreSQL are its own")
    folders = [Path(environment["EXOSCORE_HOME"]), Path(database_url.removeprefix("sqlite:///")).parent]
    stored = b"".join(path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file())
    assert "Zoë Müller".encode() in stored
    for secret in (PASSPHRASE, NEW):
        assert secret.encode() not in stored
