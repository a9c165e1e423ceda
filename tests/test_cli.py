"""The `exoscore` command as people and programs run it: exit statuses, text and JSON.

Every command is run as a process of its own; what else is asked of some of them, in this one.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.audit.note import Signer
from tests.conftest import command_here

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def exoscore(run_exoscore: Run, environment: dict[str, str]) -> Run:
    def run(*arguments: str, stdin: str | None = None, **more: str) -> "subprocess.CompletedProcess[str]":
        done = run_exoscore(*arguments, environment=environment | more, stdin=stdin)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


@pytest.fixture
def here(environment: dict[str, str]) -> Run:
    """Runs a command in this process."""
    return lambda *arguments, **more: command_here(*arguments, environment=environment | more)


def test_models_are_listed_for_people_and_for_programs(exoscore: Run) -> None:
    text = exoscore("model", "list")
    assert "tb-exosomal-mirna@1.1.0  approved  production" in text.stdout
    items = json.loads(exoscore("model", "list", "--json").stdout)["items"]
    assert {(item["state"], item["reason"]) for item in items} == {("approved", None)}
    assert [f"{item['name']}@{item['version']}" for item in items] == [
        "ad-plasma-ev-protein@1.0.0",
        "brain-tumour-ev-multiomic@1.0.0",
        "crc-plasma-ev-mirna@1.0.0",
        "pgd-klkb1-inotrope@1.0.0",
        "tb-exosomal-mirna@1.0.0",
        "tb-exosomal-mirna@1.1.0",
    ]


def test_a_model_and_its_versions_are_shown(exoscore: Run, here: Run) -> None:
    assert "alias production -> 1.1.0" in exoscore("model", "show", "tb-exosomal-mirna").stdout
    for reference in ("tb-exosomal-mirna@1.0.0", "tb-exosomal-mirna@production"):
        shown = json.loads(here("model", "show", reference, "--json").stdout)
        assert shown["manifest"]["name"] == "tb-exosomal-mirna"
    unknown = here("model", "show", "nothing")
    assert (unknown.returncode, "model_not_found" in unknown.stdout) == (1, True)


def test_the_card_is_printed_in_three_forms(exoscore: Run, here: Run) -> None:
    assert exoscore("model", "card", "tb-exosomal-mirna").stdout.startswith("# ")
    assert "<html" in here("model", "card", "tb-exosomal-mirna@1.0.0", "--format", "html").stdout
    assert json.loads(here("model", "card", "pgd-klkb1-inotrope", "--json").stdout)


def test_verify_tells_a_sound_artifact_from_a_damaged_one(
    exoscore: Run, here: Run, tmp_path: Path, artifacts: Path
) -> None:
    sound = artifacts / "tb-exosomal-mirna" / "1.0.0"
    assert "verified" in exoscore("model", "verify", str(sound)).stdout
    assert json.loads(here("model", "verify", str(sound), "--json").stdout)["verified"] is True
    damaged = tmp_path / "tb-exosomal-mirna" / "1.0.0"
    shutil.copytree(sound, damaged)
    golden = damaged / "golden.json"
    golden.write_bytes(golden.read_bytes()[:-10])
    result = exoscore("model", "verify", str(damaged), "--json")
    assert (result.returncode, json.loads(result.stdout)["code"]) == (1, "artifact_rejected")


def test_a_publisher_signs_and_an_operator_verifies(exoscore: Run, here: Run, tmp_path: Path, artifacts: Path) -> None:
    folder = Path(shutil.copytree(artifacts / "tb-exosomal-mirna" / "1.0.0", tmp_path / "tb-exosomal-mirna" / "1.0.0"))
    assert "signed by exoscore-release-2026" in here("model", "verify", str(folder)).stdout
    (folder / "signature").unlink()
    refused = here("model", "verify", str(folder), "--json")
    assert (refused.returncode, json.loads(refused.stdout)["errors"][0]["code"]) == (1, "unsigned_joblib")
    pem = tmp_path / "publisher.pem"
    pem.write_bytes(Signer.generate().pem())
    signed = exoscore("model", "sign", str(folder), "--key", str(pem), "--name", "lab-2026", "--json")
    vkey = json.loads(signed.stdout)["key"]
    assert vkey.startswith("lab-2026+")
    stranger = here("model", "verify", str(folder), "--json")
    assert json.loads(stranger.stdout)["errors"][0]["code"] == "unknown_publisher"
    trusting = {"EXOSCORE_TRUSTED_PUBLISHERS": f" {vkey}\n"}
    assert "signed by lab-2026" in exoscore("model", "verify", str(folder), **trusting).stdout
    archive = shutil.make_archive(str(tmp_path / "artifact"), "zip", folder)
    assert here("model", "verify", archive).returncode == 1
    assert json.loads(here("model", "verify", archive, "--json", **trusting).stdout)["publisher"] == "lab-2026"
    assert vkey in here("model", "sign", str(folder), "--key", str(pem), "--name", "lab-2026").stdout


def test_an_equation_without_a_signature_is_verified_as_unsigned(here: Run, tmp_path: Path, artifacts: Path) -> None:
    name = "pgd-klkb1-inotrope"
    folder = Path(shutil.copytree(artifacts / name / "1.0.0", tmp_path / name / "1.0.0"))
    (folder / "signature").unlink()
    assert "unsigned" in here("model", "verify", str(folder)).stdout
    assert json.loads(here("model", "verify", str(folder), "--json").stdout)["publisher"] is None


def test_what_cannot_be_signed_is_told(here: Run, tmp_path: Path, artifacts: Path) -> None:
    pem = tmp_path / "key"
    name = "tb-exosomal-mirna"
    folder = shutil.copytree(artifacts / name / "1.0.0", tmp_path / name / "1.0.0")
    sound = ["model", "sign", str(folder), "--name", "x", "--key"]
    assert here(*sound, str(pem)).returncode == 1
    pem.write_text("sesame")
    result = here(*sound, str(pem))
    assert (result.returncode, "sesame" in result.stdout, "ed25519" in result.stdout) == (1, False, True)
    pem.write_bytes(Signer.generate().pem())
    assert "white space" in here(*sound[:3], "--name", "a b", "--key", str(pem)).stdout
    assert here("model", "sign", str(tmp_path), "--name", "x", "--key", str(pem)).returncode == 1


def test_a_preview_gives_the_service_s_numbers_and_stores_nothing(
    exoscore: Run, tmp_path: Path, tb_request: dict[str, Any], environment: dict[str, str]
) -> None:
    path = tmp_path / "request.json"
    path.write_text(json.dumps(tb_request))
    answer = json.loads(exoscore("score", str(path)).stdout)
    assert (answer["preview"], answer["id"]) == (True, None)
    assert 0 < answer["score"]["value"] < 1
    piped = json.loads(exoscore("score", "-", "--json", stdin=json.dumps(tb_request)).stdout)
    assert piped["score"] == answer["score"]
    assert not Path(environment["EXOSCORE_HOME"]).exists()


def test_a_preview_can_name_another_model(
    exoscore: Run, tb_request: dict[str, Any], pgd_request: dict[str, Any]
) -> None:
    stdin = json.dumps(pgd_request | {"model": "tb-exosomal-mirna"})
    answer = json.loads(exoscore("score", "-", "--model", "pgd-klkb1-inotrope@1.0.0", stdin=stdin).stdout)
    assert answer["model"]["name"] == "pgd-klkb1-inotrope"
    wrong = exoscore("score", "-", "--model", "pgd-klkb1-inotrope", stdin="[]")
    assert (wrong.returncode, "malformed_body" in wrong.stdout) == (1, True)


def test_a_refused_preview_lists_every_problem(exoscore: Run, tb_request: dict[str, Any]) -> None:
    tb_request["subject"]["age_years"] = 3
    tb_request["specimen"]["type"] = "urine"
    result = exoscore("score", "-", stdin=json.dumps(tb_request))
    assert result.returncode == 1
    assert "/subject/age_years" in result.stdout
    assert "/specimen/type" in result.stdout


def test_a_missing_file_is_an_input_error(exoscore: Run) -> None:
    assert exoscore("score", "/nowhere/request.json").returncode == 1


@pytest.mark.parametrize("arguments", [(), ("nothing",), ("key", "create"), ("serve", "--port", "70000")])
def test_wrong_usage_exits_2(exoscore: Run, arguments: tuple[str, ...]) -> None:
    assert exoscore(*arguments).returncode == 2


def test_a_wrong_setting_exits_3(exoscore: Run) -> None:
    result = exoscore("model", "list", EXOSCORE_ENV="staging")
    assert (result.returncode, "EXOSCORE_ENV" in result.stdout) == (3, True)


def test_keys_are_created_listed_and_revoked(exoscore: Run, here: Run, empty_database_url: str) -> None:
    where = {"EXOSCORE_DATABASE_URL": empty_database_url}
    assert here("db", "upgrade", **where).returncode == 0
    made = json.loads(exoscore("key", "create", "--name", "lims", "--scope", "scores:write", "--json", **where).stdout)
    assert made["key"].startswith(f"exo_{made['id']}_")
    listed = exoscore("key", "list", "--json", **where).stdout
    assert made["key"] not in listed
    assert json.loads(listed)["items"][0]["scopes"] == ["scores:write"]
    assert "is revoked" in exoscore("key", "revoke", made["id"], **where).stdout
    assert "revoked" in here("key", "list", **where).stdout
    assert here("key", "revoke", made["id"], **where).returncode == 1
    shown = here("key", "create", "--name", "portal", "--scope", "scores:read", **where)
    assert "shown only now" in shown.stdout


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda home: home.write_text("a file"), "Error"),
        (lambda home: (home / "dev-key").mkdir(parents=True), "IsADirectoryError"),
        (lambda home: (home / "pepper").mkdir(parents=True), "cannot be read"),
        (lambda home: (home / "example.json").mkdir(parents=True), "IsADirectoryError"),
    ],
    ids=["home is a file", "dev-key is a folder", "pepper is a folder", "example is a folder"],
)
def test_a_home_that_cannot_be_used_exits_3(
    exoscore: Run, environment: dict[str, str], spoil: Callable[[Path], Any], named: str
) -> None:
    spoil(Path(environment["EXOSCORE_HOME"]))
    result = exoscore("serve", "--port", "0")
    assert result.returncode == 3
    assert named in result.stdout + result.stderr


def test_a_check_does_not_make_a_database(here: Run, environment: dict[str, str]) -> None:
    for command in (("db", "check"), ("key", "list")):
        assert here(*command).returncode == 3
    assert not Path(environment["EXOSCORE_HOME"]).exists()


@pytest.mark.parametrize("redirect", [">&-", "> /dev/full"], ids=["closed", "full"])
def test_an_output_that_cannot_be_written_is_no_traceback(environment: dict[str, str], redirect: str) -> None:
    command = f"{sys.executable} -m service.cli model card tb-exosomal-mirna {redirect}"
    root = Path(__file__).parents[1]
    done = subprocess.run(
        ["bash", "-c", command], env=environment, cwd=root, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == (3 if "full" in redirect else 0)


def test_any_text_can_be_printed_on_any_terminal(exoscore: Run, tb_request: dict[str, Any]) -> None:
    tb_request["subject"]["id"] = "é-患者"
    result = exoscore("score", "-", stdin=json.dumps(tb_request), PYTHONIOENCODING="ascii")
    assert (result.returncode, json.loads(result.stdout)["subject"]["id"]) == (0, "é-患者")


def test_a_key_with_wrong_name_and_scopes_names_both(here: Run) -> None:
    result = here("key", "create", "--name", "  ", "--scope", "everything", "--json")
    assert result.returncode == 1
    assert {item["code"] for item in json.loads(result.stdout)["errors"]} == {"unknown_scope", "invalid_name"}


def test_the_schema_is_upgraded_and_checked(exoscore: Run, here: Run, empty_database_url: str) -> None:
    where = {"EXOSCORE_DATABASE_URL": empty_database_url}
    embedded = empty_database_url.startswith("sqlite")
    # Nothing is there to look at on SQLite; PostgreSQL has a database without a schema.
    assert here("db", "check", **where).returncode == (3 if embedded else 1)  # no file, or a database without schema
    assert "upgraded from nothing" in exoscore("db", "upgrade", **where).stdout
    assert "nothing to do" in here("db", "upgrade", **where).stdout
    checked = exoscore("db", "check", "--json", **where)
    assert (checked.returncode, json.loads(checked.stdout)) == (0, {"current": True, "problems": []})


def test_an_unreachable_database_exits_3_without_its_password(exoscore: Run) -> None:
    url = "postgresql://user:sesame@127.0.0.1:1/none"
    result = exoscore("db", "upgrade", EXOSCORE_DATABASE_URL=url)
    assert (result.returncode, "storage_unavailable" in result.stdout) == (3, True)
    assert "sesame" not in result.stdout + result.stderr


def test_serve_in_an_empty_folder_of_an_old_home_moves_a_stale_key_aside(
    start_server: Callable[..., Any], environment: dict[str, str]
) -> None:
    home = Path(environment["EXOSCORE_HOME"])
    home.mkdir()
    (home / "dev-key").write_text("exo_0000000000000000_" + "A" * 43)
    server = start_server(None)
    assert "moved aside" in server.banner
    assert len(list(home.glob("dev-key.*.old"))) == 1
    with server.client() as client:
        assert client.get("/v1/models").status_code == 200


def test_the_printed_command_works_as_printed(start_server: Callable[..., Any]) -> None:
    server = start_server(None)
    (line,) = [text.strip() for text in server.banner.splitlines() if text.strip().startswith("curl ")]
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, check=True, cwd="/", env={"PATH": os.environ["PATH"]}
    )
    answer = json.loads(done.stdout)
    assert answer["subject"]["id"] == "synthetic-example"
    assert answer["status"] == "final"
    assert server.key not in server.banner


def test_a_restart_keeps_key_and_scores(start_server: Callable[..., Any], tb_request: dict[str, Any]) -> None:
    first = start_server(None)
    with first.client() as client:
        location = client.post("/v1/scores", json=tb_request).headers["location"]
    assert first.stop() in (0, -15)
    second = start_server(None)
    assert second.key == first.key
    with second.client() as client:
        assert client.get(location).status_code == 200
        assert client.post("/v1/scores", json=tb_request).status_code == 201


def test_a_taken_port_exits_3(start_server: Callable[..., Any], exoscore: Run) -> None:
    port = start_server(None).origin.rpartition(":")[2]
    assert exoscore("serve", "--port", port).returncode == 3


def test_development_refuses_an_open_host(exoscore: Run) -> None:
    result = exoscore("serve", "--host", "0.0.0.0")
    assert (result.returncode, "loopback" in result.stdout) == (3, True)
    assert exoscore("serve", "--host", "example.org").returncode == 3


def test_a_reader_that_goes_away_is_no_traceback(environment: dict[str, str]) -> None:
    command = f"{sys.executable} -m service.cli model card tb-exosomal-mirna --json | head -c 10"
    root = Path(__file__).parents[1]
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=environment,
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
