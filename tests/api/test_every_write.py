"""Every write of the service is recorded: whatever it changes, the same transaction extends the audit log.

All routes and commands that write are driven for real. A table that is added is watched without a word here; a route
that writes has to be driven here, and the last of these tests asks for it.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.registry.artifacts import PGD, bundled_files, rebuilt
from tests.watched import APART, PostgresqlWatch, SqliteWatch, Watch, commands, tables_of, unrecorded

Request = dict[str, Any]
ADA, BEA = "zwölf gute Zeichen", "andere gute Zeichen"
WRITTEN = APART - {"alembic_version", "shadow_score"} | {
    "audit_log", "audit_entry", "audit_anchor", "score", "score_log", "score_retraction", "api_key", "person",
    "model_version", "model_alias", "model_transition", "model_acknowledgement",
}  # fmt: skip
"""Tables that all of this writes, at the least."""

WARNINGS = ["cohort_relative_input", "index_not_probability", "no_external_validation"]
"""What the published equation warns of."""

HAEMOLYSED = [
    {"code": "cq", "analyte": "hsa-miR-23a-3p", "value": 30.0, "unit": "{Cq}"},
    {"code": "cq", "analyte": "hsa-miR-451a", "value": 20.0, "unit": "{Cq}"},
]


@pytest.fixture
def watch(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Watch:
    """The watch over the database of this test."""
    if database_url.startswith("sqlite"):
        (tmp_path / "watch").mkdir()
        return SqliteWatch(database_url, tmp_path / "watch")
    return PostgresqlWatch(database_url)


def artifact(version: str) -> dict[str, bytes]:
    """The published equation as another version of itself, which nobody signed."""
    files = bundled_files(PGD)
    return rebuilt(files, json.loads(files["manifest.json"]) | {"version": version}, signed=False)


def zipped(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


def score(client: httpx.Client, request: Request, *, status: int = 201, key: str | None = None, **more: Any) -> str:
    answer = client.post("/v1/scores", json=request | more, headers={} if key is None else {"idempotency-key": key})
    assert answer.status_code == status, answer.text
    return str(answer.json().get("id", ""))


def drive_scores(client: httpx.Client, tb_request: Request) -> None:
    subject = tb_request["subject"]
    first = score(client, tb_request, key="k")
    assert score(client, tb_request, key="k", status=200) == first
    score(client, tb_request, key="k", status=422, subject=subject | {"id": "S-2"})
    score(client, tb_request, status=422, measurements=[])
    score(client, tb_request, quality=HAEMOLYSED)
    second = score(client, tb_request, replaces=first, reason="measurement_corrected")
    score(client, tb_request, status=409, replaces=first, reason="measurement_corrected")
    for status in (201, 409):
        assert client.post(f"/v1/scores/{second}/retraction", json={"reason": "assay_failure"}).status_code == status
    for path in ("", f"/{second}", f"/{second}/proof", f"/{'0' * 8}-0000-0000-0000-{'0' * 12}"):
        client.get(f"/v1/scores{path}")
    assert client.post("/v1/scores/search", json={"subject": subject["id"]}).status_code == 200
    score(client, tb_request, key="other", subject=subject | {"id": "S-3"})
    for status in (201, 404):
        assert client.post("/v1/erasures", json={"subject": "S-3", "reason": "legal_order"}).status_code == status


def drive_denials(machine: httpx.Client, stranger: httpx.Client, tb_request: Request) -> None:
    score(machine, tb_request, status=403)
    assert stranger.get("/v1/scores").status_code == 401


def sign(client: httpx.Client, version: str, to: str, passphrase: str, *, status: int = 201) -> None:
    signed = {"to": to, "meaning": "approval", "reason": "A test.", "passphrase": passphrase}
    answer = client.post(f"/v1/models/{PGD}/versions/{version}/transitions", json=signed)
    assert answer.status_code == status, answer.text


def drive_models(machine: httpx.Client, signing: httpx.Client) -> None:
    for version, status in (("2.0.0", 201), ("2.0.0", 200), ("3.0.0", 201)):
        packed = zipped(artifact(version))
        answer = machine.post("/v1/models", content=packed, headers={"content-type": "application/zip"})
        assert answer.status_code == status, answer.text
    refused = zipped(artifact("4.0.0") | {"golden.json": b"{}"})
    assert machine.post("/v1/models", content=refused, headers={"content-type": "application/zip"}).is_error
    sign(signing, "2.0.0", "approved", "not a passphrase of anybody", status=403)
    sign(signing, "2.0.0", "approved", ADA)
    sign(signing, "2.0.0", "production", ADA, status=409)
    for passphrase, status in (("not a passphrase of anybody", 403), (ADA, 201), (ADA, 200)):
        signed = {"codes": WARNINGS, "reason": "A test.", "passphrase": passphrase}
        answer = signing.post(f"/v1/models/{PGD}/versions/2.0.0/acknowledgements", json=signed)
        assert answer.status_code == status, answer.text
    for to in ("production", "shadow", "withdrawn", "retired"):
        sign(signing, "2.0.0", to, ADA)
    sign(signing, "3.0.0", "rejected", ADA)


def person(run: Callable[..., str], name: str, passphrase: str) -> str:
    return str(json.loads(run("person", "add", name, "--passphrase-stdin", "--json", typed=passphrase))["id"])


def key(run: Callable[..., str], *arguments: str) -> Any:
    return json.loads(run("key", "create", "--name", "a", "--json", *arguments))


def drive_commands(run: Callable[..., str], folder: Path) -> None:
    bea = person(run, "Bea", BEA)
    run("person", "passphrase", bea, "--passphrase-stdin", typed=f"wrong {BEA}\n{ADA}", status=1)
    run("person", "passphrase", bea, "--passphrase-stdin", typed=f"{BEA}\n{ADA}")
    key(run, "--person", bea, "--scope", "models:read")
    for version in ("5.0.0", "6.0.0"):
        (folder / version).mkdir(parents=True)
        for name, data in artifact(version).items():
            (folder / version / name).write_bytes(data)
        run("model", "register", str(folder / version))
    signed = ("--person", bea, "--reason", "A test.", "--passphrase-stdin")
    run("model", "acknowledge", f"{PGD}@5.0.0", *WARNINGS, *signed, typed=ADA)
    for step in ("approve", "promote", "withdraw", "retire"):
        run("model", step, f"{PGD}@5.0.0", *signed, typed=ADA)
    run("model", "reject", f"{PGD}@6.0.0", *signed, typed=ADA)
    run("key", "revoke", key(run, "--scope", "models:read")["id"])
    run("person", "revoke", bea)
    run("subject", "erase", "S-104", "--reason", "subject_request")
    for step in (("audit", "verify", "--deep"), ("key", "list"), ("audit", "reopen", "--force"), ("db", "upgrade")):
        run(*step)


class Called:
    """The operations that were called with success."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, str]] = []

    def note(self, response: httpx.Response) -> None:
        if response.is_success:
            self._calls.append((response.request.method, response.request.url.path))

    def missing(self, document: dict[str, Any]) -> set[str]:
        """The operations of an OpenAPI document that may write and were not."""
        return {
            f"{method.upper()} {path}"
            for path, methods in document["paths"].items()
            for method in methods.keys() - {"get", "head", "options"}
            if not self._matches(method.upper(), path)
        }

    def _matches(self, method: str, template: str) -> bool:
        pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)))
        return any(called == method and pattern.fullmatch(path) for called, path in self._calls)


def drive(server: Any, run: Callable[..., str], tb_request: Request, called: Called) -> None:
    """Every route, with the keys that it takes: the server's own, a person's, and a machine's."""
    ada = person(run, "Ada", ADA)
    keys = [key(run, "--person", ada, "--scope", "models:approve"), key(run, "--scope", "models:register")]
    with (
        server.client() as client,
        server.client(keys[0]["key"]) as signing,
        server.client(keys[1]["key"]) as machine,
        server.stranger() as stranger,
    ):
        for one in (client, signing, machine):
            one.event_hooks["response"].append(called.note)
        drive_scores(client, tb_request)
        drive_models(machine, signing)
        drive_denials(machine, stranger, tb_request)
        assert called.missing(stranger.get("/openapi.json").json()) == set(), "these have to be driven above"


def test_whatever_is_written_extends_the_log_in_the_same_transaction(
    start_server: Callable[..., Any],
    environment: dict[str, str],
    database_url: str,
    watch: Watch,
    tb_request: Request,
    tmp_path: Path,
) -> None:
    called = Called()
    with commands(watch, environment | {"EXOSCORE_DATABASE_URL": database_url}) as process:
        server = start_server(database_url, command=watch.command)
        drive(server, process.run, tb_request, called)
        server.stop()
        drive_commands(process.run, tmp_path / "artifacts")
        server = start_server(database_url, command=watch.command)
        with server.client() as client:
            score(client, tb_request)
        server.stop()
    transactions = watch.transactions()
    assert unrecorded(transactions) == []
    assert len(transactions) > 50
    assert tables_of(transactions) >= WRITTEN
    assert {written for one in transactions for written in one} >= {"DELETE score", "UPDATE api_key", "UPDATE person"}


def test_the_watch_sees_what_goes_past_the_log(environment: dict[str, str], database_url: str, watch: Watch) -> None:
    with commands(watch, environment | {"EXOSCORE_DATABASE_URL": database_url}) as process:
        key(process.run, "--scope", "admin")
    for statement in ("SELECT count(*) FROM api_key", "UPDATE alembic_version SET version_num = version_num"):
        watch.write(statement)
        assert unrecorded(watch.transactions()) == []
    for statement in ("UPDATE api_key SET name = 'x'", "DELETE FROM api_key"):
        watch.write(statement)
    found = unrecorded(watch.transactions())
    assert sorted(map(sorted, found)) == [["DELETE api_key"], ["UPDATE api_key"]]
