"""The `exoscore model` commands that change the registry, beside a running server and at a real terminal."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import exoscore
from tests.registry.artifacts import KEY_NAME, PGD, TB, bundled_files, digest, misjudged, release, write
from tests.registry.attacks import zipped
from tests.served_registry import TRUSTING, Person, Registry, served
from tests.terminals import at_terminal
from tests.workflows.registering import PASSPHRASE, REASON

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A server on each kind of database, with two people who may sign."""
    backend = request.getfixturevalue(f"{request.param}_backend")
    url = backend.migrated()
    with served(url, tmp_path_factory.mktemp(request.param) / "home") as registry:
        registry.people += [registry.person(name, "models:approve") for name in ("Zoë Müller", "木村 拓哉")]
        yield registry
    backend.remove(url)


@pytest.fixture
def zoe(registry: Registry) -> Person:
    return registry.people[0]


@pytest.fixture
def run(registry: Registry) -> Run:
    """Runs a command in this process, beside the server; standard input is the passphrase, unless told otherwise."""

    def command(*arguments: str, stdin: str | None = PASSPHRASE) -> subprocess.CompletedProcess[str]:
        done = registry.command(*arguments, stdin=stdin)
        assert PASSPHRASE not in done.stdout + done.stderr
        return done

    return command


@pytest.fixture
def model(registry: Registry) -> str:
    """A name that no model has."""
    return registry.version().replace("1.", "graft-").removesuffix(".0")


WARNINGS = ("cohort_relative_input", "index_not_probability", "no_external_validation")
"""What the version of these tests warns of."""


def folder_of(tmp_path: Path, model: str, version: str, **changes: Any) -> str:
    return str(write(tmp_path / model / version, release(PGD, version, name=model, **changes)))


def signing(person: Person | str) -> tuple[str, ...]:
    person_id = person if isinstance(person, str) else person.id
    return ("--person", person_id, "--reason", REASON, "--passphrase-stdin")


def document(done: subprocess.CompletedProcess[str], status: int = 0) -> dict[str, Any]:
    assert done.returncode == status, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def code(done: subprocess.CompletedProcess[str], status: int = 1) -> str:
    return str(document(done, status)["code"])


def test_a_version_goes_its_whole_way_beside_a_running_server(
    registry: Registry, run: Run, zoe: Person, model: str, tmp_path: Path, pgd_request: dict[str, Any]
) -> None:
    folder = folder_of(tmp_path, model, "1.9.0")
    registered = run("model", "register", folder)
    assert registered.stdout.splitlines() == [
        f"{model}@1.9.0 registered: verified, signed by {KEY_NAME}",
        digest((Path(folder) / "manifest.json").read_bytes()),
    ]
    archive = tmp_path / "artifact.zip"
    archive.write_bytes(zipped(release(PGD, "1.9.0", name=model)))
    assert "is registered already: verified" in run("model", "register", str(archive)).stdout
    archive.write_bytes(zipped(release(PGD, "1.10.0", name=model, signed=False)))
    found = document(run("model", "register", str(archive), "--json"))
    assert (found["version"], found["state"], found["publisher"], found["fault"]) == ("1.10.0", "verified", None, None)

    approved = run("model", "approve", f"{model}@1.9.0", *signing(zoe))
    assert approved.returncode == 0, approved.stdout
    first, second = approved.stdout.splitlines()
    assert first == f"{model}@1.9.0: approved"
    assert second.startswith(f"signed by {zoe.name}, 20")
    assert second.endswith("Z, meaning approval")
    noted = run("model", "acknowledge", f"{model}@1.9.0", *WARNINGS, *signing(zoe)).stdout.splitlines()
    assert noted[0] == f"{model}@1.9.0: acknowledged {', '.join(WARNINGS)}"
    assert noted[1].startswith(f"signed by {zoe.name}, 20")
    assert noted[1].endswith("Z, meaning review")
    assert noted[2:] == ["no warning is open"]
    promoted = document(
        run("model", "promote", f"{model}@1.9.0", *signing(zoe), "--meaning", "responsibility", "--json")
    )
    assert (promoted["alias"], promoted["state"], promoted["dropped"]) == ("production", "approved", [])
    assert (promoted["signature"]["printed_name"], promoted["signature"]["person"]) == (zoe.name, zoe.id)
    assert (promoted["signature"]["meaning"], promoted["signature"]["reason"]) == ("responsibility", REASON)
    with registry.client() as client:

        def scored() -> str:
            return str(client.post("/v1/scores", json=pgd_request | {"model": model}).json()["model"]["version"])

        # A server looks at the database before it shows what is in force.
        assert client.get(f"/v1/models/{model}").json()["aliases"] == {"production": "1.9.0"}
        assert scored() == "1.9.0"
        for command, *codes in (("acknowledge", *WARNINGS), ("approve",), ("promote",)):
            assert run("model", command, f"{model}@1.10.0", *codes, *signing(zoe)).returncode == 0
        assert scored() == "1.10.0"
        assert "alias canary" in run("model", "promote", f"{model}@1.9.0", *signing(zoe), "--alias", "canary").stdout
        assert "alias production" in run("model", "promote", f"{model}@1.9.0", *signing(zoe)).stdout
        assert scored() == "1.9.0"
    withdrawn = document(run("model", "withdraw", f"{model}@1.9.0", *signing(zoe), "--json"))
    assert (withdrawn["alias"], withdrawn["dropped"]) == (None, ["canary", "production"])
    assert withdrawn["signature"]["meaning"] == "responsibility"
    assert document(run("model", "retire", f"{model}@1.10.0", *signing(zoe), "--json"))["state"] == "retired"
    told = run("model", "history", model).stdout.splitlines()
    assert [line.split("  ")[2] for line in told[:-2]] == [
        "registered", "verified", "registered", "verified", "approved", f"acknowledged {', '.join(WARNINGS)}",
        "promoted to production (before: none)", f"acknowledged {', '.join(WARNINGS)}", "approved",
        "promoted to production (before: 1.9.0)", "promoted to canary (before: none)",
        "promoted to production (before: 1.10.0)", "promoted, out of canary, production", "retired",
    ]  # fmt: skip
    assert told[5].endswith(f"by {zoe.name} (review)  {REASON}")
    assert told[6].endswith(f"by {zoe.name} (responsibility)  {REASON}")
    assert told[-2:] == [f"{model}@1.9.0  approved", f"{model}@1.10.0  retired"]


def test_versions_are_listed_in_their_order(
    run: Run, registry: Registry, zoe: Person, model: str, tmp_path: Path
) -> None:
    for version in ("1.10.0", "1.9.0", "1.10.0-rc.1"):
        assert run("model", "register", folder_of(tmp_path, model, version)).returncode == 0
    assert run("model", "approve", f"{model}@1.10.0", *signing(zoe)).returncode == 0
    assert run("model", "acknowledge", f"{model}@1.10.0", *WARNINGS, *signing(zoe)).returncode == 0
    assert run("model", "promote", f"{model}@1.10.0", *signing(zoe)).returncode == 0
    ordered = ["1.9.0", "1.10.0-rc.1", "1.10.0"]
    items = [one for one in document(run("model", "list", "--json"))["items"] if one["name"] == model]
    assert [one["version"] for one in items] == ordered
    assert [(one["state"], one["aliases"]) for one in items] == [
        ("verified", []), ("verified", []), ("approved", ["production"]),
    ]  # fmt: skip
    text = [line for line in run("model", "list").stdout.splitlines() if line.startswith(f"{model}@")]
    assert text == [
        f"{model}@1.9.0  verified  -  (not acknowledged: {', '.join(WARNINGS)})",
        f"{model}@1.10.0-rc.1  verified  -  (not acknowledged: {', '.join(WARNINGS)})",
        f"{model}@1.10.0  approved  production",
    ]
    assert [one["version"] for one in document(run("model", "show", model, "--json"))["versions"]] == ordered
    assert "alias production -> 1.10.0" in run("model", "show", model).stdout
    history = document(run("model", "history", model, "--json"))
    assert [one["version"] for one in history["versions"]] == ordered
    assert history["aliases"] == {"production": "1.10.0"}
    shown = document(run("model", "show", f"{model}@production", "--json"))
    assert [one["printed_name"] for one in shown["signatures"]] == [zoe.name, zoe.name]
    for arguments in (("card", f"{model}@1.10.0"), ("compare", f"{model}@1.9.0", f"{model}@1.10.0")):
        assert zoe.name.split()[0] in run("model", *arguments).stdout
    at = history["items"][-1]["at"]
    assert document(run("model", "history", model, "--as-of", at, "--json"))["aliases"] == history["aliases"]
    early = document(run("model", "history", model, "--as-of", "2020-01-01T00:00:00Z", "--json"))
    assert (early["versions"], early["items"]) == ([], [])
    assert code(run("model", "history", model, "--as-of", "yesterday", "--json")) == "input_rejected"


def test_who_registers_as_a_person_signs_for_it_and_does_not_approve_it(
    registry: Registry, run: Run, zoe: Person, model: str, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, model, "1.0.0")
    before = registry.stored()
    owner = ("--person", zoe.id, "--passphrase-stdin", "--json")
    assert code(run("model", "register", folder, *owner, stdin="zwölf böse Zeichen")) == "signature_refused"
    for stranger in ("f" * 16, "a b", "x\udcff"):
        refused = run("model", "register", folder, "--person", stranger, "--passphrase-stdin", "--json")
        assert code(refused) == "signature_refused"
    assert registry.stored().rows == before.rows
    assert document(run("model", "register", folder, *owner))["state"] == "verified"
    items = document(run("model", "history", model, "--json"))["items"]
    assert {(one["person"], one["actor"]) for one in items} == {(zoe.id, f"person:{zoe.id}")}
    refused = run("model", "approve", f"{model}@1.0.0", *signing(zoe), "--json")
    assert (code(refused), "somebody else" in refused.stdout) == ("conflict", True)
    assert run("model", "approve", f"{model}@1.0.0", *signing(registry.people[1])).returncode == 0


def test_what_is_turned_down_says_why(run: Run, zoe: Person, model: str, tmp_path: Path) -> None:
    assert run("model", "register", folder_of(tmp_path, model, "1.0.0")).returncode == 0
    rejected = document(run("model", "reject", f"{model}@1.0.0", *signing(zoe), "--json"))
    assert (rejected["state"], rejected["signature"]["meaning"]) == ("rejected", "review")
    (line,) = (one for one in run("model", "list").stdout.splitlines() if one.startswith(f"{model}@"))
    assert line == f"{model}@1.0.0  rejected  -  ({REASON})"
    wrong = str(write(tmp_path / "wrong", misjudged(PGD, "8.0.0")))
    for _ in range(2):
        done = run("model", "register", wrong)
        assert done.returncode == 1
        assert "rejected" in done.stdout
        assert "values differ" in done.stdout


def test_what_is_refused_exits_1_and_names_its_reason(
    registry: Registry, run: Run, zoe: Person, model: str, tmp_path: Path
) -> None:
    unsigned = str(write(tmp_path / "unsigned", release(TB, "1.1.0", signed=False)))
    refused = document(run("model", "register", unsigned, "--json"), 1)
    assert (refused["code"], refused["errors"][0]["code"]) == ("artifact_rejected", "unsigned_joblib")
    assert registry.stored().entries[-1].detail == {"refused": "unsigned_joblib"}
    other = str(write(tmp_path / "other", release(PGD, "1.0.0", title="Another title")))
    assert code(run("model", "register", other, "--json")) == "version_exists"
    for path in (str(tmp_path / "nothing"), str(tmp_path)):
        assert code(run("model", "register", path, "--json")) == "artifact_rejected"
    assert run("model", "register", folder_of(tmp_path, model, "1.0.0")).returncode == 0
    before = registry.stored()
    for arguments, expected in (
        (("approve", f"{model}@9.9.9"), "model_not_found"),
        (("approve", "nothing@1.0.0"), "model_not_found"),
        (("approve", model), "input_rejected"),
        (("approve", f"{model}@"), "input_rejected"),
        (("approve", "@1.0.0"), "input_rejected"),
        (("promote", f"{model}@1.0.0"), "conflict"),
        (("retire", f"{model}@1.0.0"), "conflict"),
        (("withdraw", f"{model}@1.0.0"), "conflict"),
        (("promote", f"{model}@1.0.0", "--alias", "Not one"), "input_rejected"),
        (("promote", f"{model}@1.0.0", "--alias", "verified"), "input_rejected"),
    ):
        assert code(run("model", *arguments, *signing(zoe), "--json")) == expected, arguments
    assert code(run("model", "history", "nothing", "--json")) == "model_not_found"
    blank = ("--person", zoe.id, "--reason", " ", "--passphrase-stdin", "--json")
    assert code(run("model", "approve", f"{model}@1.0.0", *blank)) == "input_rejected"
    assert registry.stored() == before
    wrong = run("model", "approve", f"{model}@1.0.0", *signing(zoe), "--json", stdin="zwölf böse Zeichen")
    assert code(wrong) == "signature_refused"
    assert "böse" not in wrong.stdout + wrong.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("approve", "m@1.0.0"),
        ("approve", "m@1.0.0", "--person", "p"),
        ("approve", "--person", "p", "--reason", "r"),
        ("approve", "m@1.0.0", "--person", "p", "--reason", "r", "--meaning", "love"),
        ("approve", "m@1.0.0", "--person", "p", "--reason", "r", "--passphrase", PASSPHRASE),
        ("approve", "m@1.0.0", "--person", "p", "--reason", "r", PASSPHRASE),
        ("approve", "m@1.0.0", "--person", "p", "--reason", "r", "--alias", "production"),
        ("register",),
        ("history",),
    ],
    ids=lambda arguments: " ".join(arguments[:1] + arguments[-1:]),
)
def test_wrong_usage_exits_2(registry: Registry, arguments: tuple[str, ...]) -> None:
    assert registry.command("model", *arguments).returncode == 2


def test_without_a_database_nothing_is_made_and_the_environment_is_to_blame(
    environment: dict[str, str], tmp_path: Path
) -> None:
    home = Path(environment["EXOSCORE_HOME"])
    done = exoscore("model", "history", PGD, "--json", environment=environment)
    assert (code(done, 3), home.exists()) == ("storage_unavailable", False)
    away = environment | {"EXOSCORE_DATABASE_URL": "postgresql://user:sesame@127.0.0.1:1/none"}
    folder = str(write(tmp_path / PGD / "1.0.0", bundled_files(PGD)))
    for arguments in (("register", folder), ("history", PGD)):
        done = exoscore("model", *arguments, "--json", environment=away)
        assert code(done, 3) == "storage_unavailable"
        assert "sesame" not in done.stdout + done.stderr


def test_a_command_needs_no_server_and_keeps_its_process_only_as_long_as_it_runs(
    environment: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    where = environment | TRUSTING | {"EXOSCORE_DATABASE_URL": database_url}

    def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = exoscore(*arguments, environment=where, stdin=stdin)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    made = document(run("person", "add", "Ada Lovelace", "--passphrase-stdin", "--json", stdin=PASSPHRASE))
    assert run("model", "register", folder_of(tmp_path, "graft", "1.0.0")).returncode == 0
    asked = run("model", "approve", "graft@1.0.0", "--person", made["id"], "--reason", REASON, "--json")
    assert document(asked, 1)["errors"][0]["code"] == "unread_passphrase"
    arguments = ("model", "approve", "graft@1.0.0", "--person", made["id"], "--reason", REASON)
    status, shown = at_terminal(where, *arguments, typed=[PASSPHRASE])
    assert status == 0, shown
    assert "signed by Ada Lovelace" in shown
    assert PASSPHRASE not in shown
    assert shown.count("(not shown)") == 1
    verified = run("audit", "verify", "--deep")
    assert (verified.returncode, "1 versions" in verified.stdout) == (0, True), verified.stdout


def test_what_was_done_is_sound(registry: Registry) -> None:
    verified = registry.command("audit", "verify", "--deep")
    assert (verified.returncode, verified.stderr) == (0, "")
