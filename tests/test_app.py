"""What makes a start safe or refuses it: production settings, database durability, schemas, damaged artifacts."""

import json
import logging
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.app import close_services, open_services
from service.audit.note import Signer
from service.audit.submissions import HALF, WHOLE
from service.errors import Overloaded, RegistryChanged, StorageUnavailable
from service.settings import Settings
from service.workflows.log_observer import LogObserver
from tests.conftest import command_here

TYPED = "ein gutes Kennwort\n"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def production(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Settings that production mode accepts."""
    secrets = {"PEPPER": b"0123456789abcdef" * 2, "SIGNING_KEY": Signer.generate().pem()}
    for name, content in secrets.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    files = {f"EXOSCORE_{name}_FILE": str(tmp_path / name) for name in secrets}
    return environment | {"EXOSCORE_ENV": "production"} | files


def test_production_without_an_approved_version_answers_503(
    start_server: Callable[..., Any],
    production: dict[str, str],
    database_url: str,
    tb_request: dict[str, Any],
) -> None:
    where = production | {"EXOSCORE_DATABASE_URL": database_url}
    made = command_here(
        "key", "create", "--name", "lims", "--scope", "scores:write", "models:read", "--json", environment=where
    )
    server = start_server(database_url, environment=where, key=json.loads(made.stdout)["key"])
    assert "curl" not in server.banner
    with server.client() as client:
        for model in ("tb-exosomal-mirna", "tb-exosomal-mirna@1.0.0"):
            response = client.post("/v1/scores", json=tb_request | {"model": model})
            assert (response.status_code, response.json()["code"]) == (503, "no_active_model")
        versions = client.get("/v1/models/tb-exosomal-mirna").json()["versions"]
        assert {version["state"] for version in versions} == {"verified"}
        assert client.get("/health/ready").json() == {"status": "ready", "versions_in_force": 0}


def test_in_production_a_person_puts_a_shipped_version_in_force(
    start_server: Callable[..., Any], production: dict[str, str], database_url: str, tb_request: dict[str, Any]
) -> None:
    where = production | {"EXOSCORE_DATABASE_URL": database_url}
    phrase = "zwölf gute Zeichen"
    made = command_here("person", "add", "Zoë Müller", "--passphrase-stdin", "--json", environment=where, stdin=phrase)
    scopes = ("models:approve", "models:read", "scores:write")
    owner = ("--person", json.loads(made.stdout)["id"])
    key = command_here("key", "create", "--name", "p", *owner, "--scope", *scopes, "--json", environment=where)
    server = start_server(database_url, environment=where, key=json.loads(key.stdout)["key"])
    signed = {"reason": "The evaluation holds.", "meaning": "approval", "passphrase": phrase}
    request = tb_request | {"model": "tb-exosomal-mirna"}
    with server.client() as client:
        path = "/v1/models/tb-exosomal-mirna/versions/1.0.0"
        # In production nothing is acknowledged by the service.
        codes = client.get(path).json()["open_warnings"]
        assert codes == ["demonstration_only", "no_external_validation", "arm_assumed"]
        assert client.post(f"{path}/acknowledgements", json=signed | {"codes": codes}).status_code == 201
        for to in ("approved", "production"):
            assert client.post("/v1/scores", json=request).json()["code"] == "no_active_model"
            assert client.post(f"{path}/transitions", json=signed | {"to": to}).status_code == 201
        assert client.post("/v1/scores", json=request).json()["model"]["version"] == "1.0.0"
        history = client.get("/v1/models/tb-exosomal-mirna/history").json()
        about = [item for item in history["items"] if item["version"] == "1.0.0"]
        actors = [(item["kind"], item["printed_name"] or item["actor"]) for item in about]
        assert actors == [
            ("registered", "system:bundled"),
            ("verified", "system:bundled"),
            ("acknowledged", "Zoë Müller"),
            ("approved", "Zoë Müller"),
            ("promoted", "Zoë Müller"),
        ]
        assert client.get("/health/ready").json()["versions_in_force"] == 1


def test_production_lists_every_unsafe_setting_at_once(run_exoscore: Run, environment: dict[str, str]) -> None:
    home = Path(environment["EXOSCORE_HOME"])
    home.mkdir()
    (home / "dev-key").write_text("x")
    unsafe = environment | {"EXOSCORE_ENV": "production", "EXOSCORE_LOG_LEVEL": "DEBUG"}
    result = run_exoscore("serve", environment=unsafe)
    assert result.returncode == 3
    for text in ("EXOSCORE_PEPPER_FILE", "EXOSCORE_SIGNING_KEY_FILE", "development key", "DEBUG"):
        assert text in result.stdout
    assert not (home / "exoscore.db").exists()


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        ("openssl genpkey -algorithm X25519", "not an Ed25519 key"),
        ("echo marker", "not an Ed25519 key"),
        ("false", "status 1"),
    ],
    ids=["another kind of key", "no key", "nothing"],
)
def test_production_names_a_signing_key_it_cannot_use_beside_all_else(
    run_exoscore: Run, production: dict[str, str], command: str, refusal: str
) -> None:
    del production["EXOSCORE_SIGNING_KEY_FILE"]
    given = {"EXOSCORE_SIGNING_KEY_COMMAND": command, "EXOSCORE_LOG_LEVEL": "DEBUG"}
    result = run_exoscore("serve", "--json", environment=production | given)
    codes = [problem["code"] for problem in json.loads(result.stdout)["errors"]]
    assert (result.returncode, codes) == (3, ["debug_logging", "signing_key"])
    assert refusal in result.stdout
    assert "marker" not in result.stdout + result.stderr


def test_production_refuses_one_secret_for_both(run_exoscore: Run, production: dict[str, str]) -> None:
    pepper = Path(production["EXOSCORE_PEPPER_FILE"])
    pepper.write_bytes(Path(production["EXOSCORE_SIGNING_KEY_FILE"]).read_bytes())
    result = run_exoscore("serve", "--json", environment=production)
    assert [problem["code"] for problem in json.loads(result.stdout)["errors"]] == ["shared_secret"]


def test_production_serves_with_a_signing_key_from_a_command(
    start_server: Callable[..., Any], production: dict[str, str], database_url: str
) -> None:
    path = production.pop("EXOSCORE_SIGNING_KEY_FILE")
    where = production | {"EXOSCORE_SIGNING_KEY_COMMAND": f"cat {path}"}
    with start_server(database_url, environment=where, key="none").client() as client:
        assert client.get("/health/ready").status_code == 200


@pytest.mark.parametrize("beside", [True, False])
def test_production_warns_of_a_witness_beside_the_database(
    start_server: Callable[..., Any], production: dict[str, str], tmp_path: Path, beside: bool
) -> None:
    url = f"sqlite:///{tmp_path / 'exoscore.db'}"
    witness = tmp_path / "witness" if beside else tmp_path / "elsewhere" / "witness"
    witness.parent.mkdir(exist_ok=True)
    where = production | {"EXOSCORE_DATABASE_URL": url, "EXOSCORE_WITNESS_FILE": str(witness)}
    server = start_server(url, environment=where, key="none")
    assert ("witness_beside_database" in server.log.read_text()) == beside


def test_production_refuses_a_database_from_development(
    start_server: Callable[..., Any], run_exoscore: Run, production: dict[str, str], database_url: str
) -> None:
    server = start_server(database_url)
    server.stop()
    (server.home / "dev-key").unlink()
    secrets = {
        "EXOSCORE_PEPPER_FILE": str(server.home / "pepper"),
        "EXOSCORE_SIGNING_KEY_FILE": str(server.home / "signing-key"),
    }
    where = production | secrets | {"EXOSCORE_DATABASE_URL": database_url}
    result = run_exoscore("serve", environment=where)
    assert result.returncode == 3
    (revoke,) = re.findall(r"`exoscore (key revoke [0-9a-f]+)`", result.stdout)
    assert command_here(*revoke.split(), environment=where).returncode == 0
    added = command_here("person", "add", "Ada", "--passphrase-stdin", "--json", environment=where, stdin=TYPED)
    signed = ("--person", json.loads(added.stdout)["id"], "--reason", "Production begins.", "--passphrase-stdin")
    refused = run_exoscore("serve", environment=where).stdout
    retire = re.findall(r"`exoscore (model retire \S+)`", refused)
    assert len(retire) == len(list(Path("model_artifacts").glob("*/*/manifest.json")))
    assert "no person approved it" in refused
    for command in retire:
        assert command_here(*command.split(), *signed, environment=where, stdin=TYPED).returncode == 0
    with start_server(database_url, environment=where, key="none").client() as client:
        assert client.get("/health/ready").status_code == 200


def test_production_refuses_postgresql_without_durability(
    run_exoscore: Run, production: dict[str, str], postgresql_backend: Any
) -> None:
    url = postgresql_backend.migrated()
    options = "&options=-csynchronous_commit%3Doff"
    result = run_exoscore("serve", environment=production | {"EXOSCORE_DATABASE_URL": url + options})
    postgresql_backend.remove(url)
    assert (result.returncode, "synchronous_commit" in result.stdout) == (3, True)


def test_postgresql_on_an_old_schema_is_refused_with_the_command(
    run_exoscore: Run, environment: dict[str, str], postgresql_backend: Any
) -> None:
    url = postgresql_backend.empty()
    result = run_exoscore("serve", environment=environment | {"EXOSCORE_DATABASE_URL": url})
    postgresql_backend.remove(url)
    assert result.returncode == 3
    assert "exoscore db upgrade" in result.stdout


def test_sqlite_is_durable_and_migrated_by_itself(
    start_server: Callable[..., Any], environment: dict[str, str]
) -> None:
    server = start_server(None)
    with sqlite3.connect(server.home / "exoscore.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
    connection.close()


def test_a_lost_schema_makes_the_server_unready(start_server: Callable[..., Any]) -> None:
    server = start_server(None)
    with sqlite3.connect(server.home / "exoscore.db") as connection:
        connection.execute("DROP TABLE alembic_version")
    connection.close()
    with server.client() as client:
        ready = client.get("/health/ready")
        assert (ready.status_code, ready.json()["code"]) == (503, "schema_outdated")


DAMAGE = {
    "flipped byte in the manifest": ("manifest.json", lambda raw: raw.replace(b'"title"', b'"titlE"', 1)),
    "truncated golden vectors": ("golden.json", lambda raw: raw[: len(raw) // 2]),
    "flipped byte in the estimator": ("estimator.joblib", lambda raw: raw[:-1] + bytes([raw[-1] ^ 1])),
}


@pytest.mark.parametrize(("name", "change"), DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_version_is_rejected_and_the_others_keep_serving(
    start_server: Callable[..., Any],
    checkout: Path,
    tb_request: dict[str, Any],
    pgd_request: dict[str, Any],
    name: str,
    change: Callable[[bytes], bytes],
) -> None:
    path = checkout / "model_artifacts" / "tb-exosomal-mirna" / "1.0.0" / name
    path.write_bytes(change(path.read_bytes()))
    server = start_server(None, cwd=checkout)
    with server.client() as client:
        assert client.post("/v1/scores", json=pgd_request).status_code == 201
        shown = client.get("/v1/models/tb-exosomal-mirna/versions/1.0.0").json()
        assert shown["state"] == "rejected"
        assert shown["reason"]
        exact = client.post("/v1/scores", json=tb_request | {"model": "tb-exosomal-mirna@1.0.0"})
        assert (exact.status_code, exact.json()["code"]) == (409, "version_not_in_force")
        bare = client.post("/v1/scores", json=tb_request | {"model": "tb-exosomal-mirna"})
        assert (bare.status_code, bare.json()["code"]) == (503, "no_active_model")
        for part in ("panel", "card"):
            assert client.get(f"/v1/models/tb-exosomal-mirna/versions/1.0.0/{part}").status_code == 409


def test_a_swapped_manifest_is_rejected(start_server: Callable[..., Any], checkout: Path) -> None:
    models = checkout / "model_artifacts"
    shutil.copy(models / "pgd-klkb1-inotrope/1.0.0/manifest.json", models / "tb-exosomal-mirna/1.0.0/manifest.json")
    server = start_server(None, cwd=checkout)
    with server.client() as client:
        assert client.get("/v1/models/tb-exosomal-mirna/versions/1.0.0").json()["state"] == "rejected"
        assert client.get("/v1/models/pgd-klkb1-inotrope/versions/1.0.0").json()["state"] == "approved"


def test_a_serving_process_never_imports_the_learning_library(tmp_path: Path, tb_request: dict[str, Any]) -> None:
    program = """
import asyncio, json, sys, httpx
from service.app import create_app, ensure_development_key
from service.settings import load_settings
settings = load_settings()
app = create_app(settings)
ensure_development_key(settings, app.state.services)
key = (settings.home / "dev-key").read_text()
async def main():
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
            answer = await client.post("/v1/scores", content=sys.stdin.read(), headers={
                "authorization": f"Bearer {key}", "content-type": "application/json"})
            assert answer.status_code == 201, answer.text
asyncio.run(main())
print(json.dumps(sorted(name for name in ("sklearn", "scipy", "joblib") if name in sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(tb_request),
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "EXOSCORE_HOME": str(tmp_path / "home")},
        cwd=Path(__file__).parents[1],
    )
    assert json.loads(done.stdout) == []


def test_a_removed_database_is_503_and_not_ready(start_server: Callable[..., Any], tb_request: dict[str, Any]) -> None:
    server = start_server(None)
    with server.client() as client:
        assert client.post("/v1/scores", json=tb_request).status_code == 201
        for path in server.home.glob("exoscore.db*"):
            path.unlink()
        refused = client.post("/v1/scores", json=tb_request)
        assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
        assert client.get("/health/ready").status_code == 503


def test_an_altered_score_is_not_shown(start_server: Callable[..., Any], tb_request: dict[str, Any]) -> None:
    server = start_server(None)
    with server.client() as client:
        sent = {"url": "/v1/scores", "json": tb_request, "headers": {"idempotency-key": "k"}}
        answer = client.post(**sent).json()
        with sqlite3.connect(server.home / "exoscore.db") as connection:
            connection.execute("UPDATE score SET answer = CAST(replace(answer, '\"final\"', '\"FINAL\"') AS BLOB)")
        connection.close()
        for response in (client.get(f"/v1/scores/{answer['id']}"), client.post(**sent)):
            assert (response.status_code, response.json()["code"]) == (500, "record_damaged")
            assert "FINAL" not in response.text


def test_storage_failures_are_logged_with_their_kind_at_any_level(
    start_server: Callable[..., Any], environment: dict[str, str], tb_request: dict[str, Any]
) -> None:
    server = start_server(None, environment=environment | {"EXOSCORE_LOG_LEVEL": "ERROR"})
    with sqlite3.connect(server.home / "exoscore.db") as connection:
        connection.execute("DROP TABLE score_log")
    connection.close()
    with server.client() as client:
        assert client.post("/v1/scores", json=tb_request).status_code == 503
        assert client.get("/health/ready").json()["code"] == "storage_unavailable"
    (line,) = [json.loads(text) for text in server.log.read_text().splitlines()]
    assert (line["event"], line["level"], line["error_type"]) == ("commit_failed", "error", "StorageUnavailable")
    assert "SQLITE_ERROR" in line["reason"]


def test_the_viewer_is_for_development_only(
    start_server: Callable[..., Any], production: dict[str, str], database_url: str
) -> None:
    server = start_server(database_url, environment=production | {"EXOSCORE_DATABASE_URL": database_url}, key="none")
    with server.client() as client:
        assert client.get("/docs").status_code == 404
        assert client.get("/openapi.json").status_code == 200


def test_half_is_committed_at_a_time_where_the_database_works_beside_the_service(
    database_url: str, tmp_path: Path
) -> None:
    services = open_services(Settings(home=tmp_path / "home", database_url=SecretStr(database_url)), serving=False)
    assert services.committer.share == (WHOLE if database_url.startswith("sqlite") else HALF)
    close_services(services)


def test_a_full_queue_is_told_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    seconds = [10.0]
    observer = LogObserver(lambda: seconds[0])
    with caplog.at_level(logging.ERROR, logger="exoscore"):
        for now in (10.0, 10.1, 10.9, 11.0, 11.5, 12.5):
            seconds[0] = now
            observer.failed(Overloaded("full", "later"))
        observer.failed(StorageUnavailable("gone", "later"))
        observer.failed(RegistryChanged("moved", "look again", generation=1))
    assert [record.__dict__["fields"]["error_type"] for record in caplog.records] == [
        *(3 * ["Overloaded"]),
        "StorageUnavailable",
    ]
