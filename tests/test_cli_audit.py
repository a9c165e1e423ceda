"""`exoscore audit …` beside a running server, on a log that the service wrote: statuses, texts and files.

Every command runs as a process of its own at least once (`reopen` in test_witness.py); what else is asked of it, in
this one.
"""

from __future__ import annotations

import base64
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.audit.independent import exported, grown, leaf, opened, proven, tree_root
from tests.conftest import ROOT, clean_environment, command_here, end, launch
from tests.workflows.tampering import administrator

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Server = Any


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lived(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own, whose database nobody else changes."""
    backend = request.getfixturevalue(f"{request.param}_backend")
    url = backend.migrated()
    environment = clean_environment(tmp_path_factory.mktemp(request.param) / "home") | {"EXOSCORE_DATABASE_URL": url}
    server = launch([sys.executable, "-m", "service.cli"], environment, ROOT, None)
    yield server
    end(server)
    backend.remove(url)


@pytest.fixture(scope="module")
def scores(lived: Server) -> list[str]:
    """The ids of scores that went through amendment, retraction and erasure; of the last nothing is left."""
    values = {"20a": 1.9, "20b": 0.4, "26a": -0.3, "106a": 0.8, "191": 0.1, "486": -1.2}
    request: dict[str, Any] = {
        "model": "tb-exosomal-mirna@1.0.0",
        "subject": {"id": "S-1", "age_years": 47, "sex": "female"},
        "specimen": {
            "id": "A-1",
            "type": "plasma",
            "collected_at": "2025-03-04T08:00:00Z",
            "anticoagulant": "edta",
            "isolation": "precipitation",
        },
        "measurements": [
            {"analyte": f"hsa-miR-{name}-5p", "value": value, "unit": "{zscore}"} for name, value in values.items()
        ],
    }
    haemolysed = [
        {"code": "cq", "analyte": "hsa-miR-23a-3p", "value": 30.0, "unit": "{Cq}"},
        {"code": "cq", "analyte": "hsa-miR-451a", "value": 20.0, "unit": "{Cq}"},
    ]
    with lived.client() as client:

        def post(**change: Any) -> str:
            response = client.post("/v1/scores", json=request | change, headers={"idempotency-key": str(len(change))})
            assert response.status_code in (200, 201), response.text
            return str(response.json()["id"])

        first = post()
        assert post() == first
        second = post(replaces=first, reason="measurement_corrected")
        third = post(replaces=second, reason="other", quality=haemolysed)
        assert client.post(f"/v1/scores/{third}/retraction", json={"reason": "assay_failure"}).status_code == 201
        subject = request["subject"] | {"id": "S-2"}
        gone = post(subject=subject, reason=None, replaces=None, quality=None)
        post(subject=subject, replaces=gone, reason="other", reason_text="x", covariates=None)
        client.get("/v1/scores")
        client.get(f"/v1/scores/{first}")
        erased = client.post("/v1/erasures", json={"subject": "S-2", "reason": "subject_request"})
        assert erased.json()["erased"] == 2, erased.text
    made = json.loads(lived.command("key", "create", "--name", "n", "--scope", "models:read", "--json").stdout)
    assert lived.command("key", "revoke", made["id"]).returncode == 0
    return [first, second, third, gone]


@pytest.fixture
def audit(lived: Server) -> Run:
    """Runs an audit command in this process."""
    return lambda *arguments: lived.command("audit", *arguments)


@pytest.fixture
def process(lived: Server) -> Run:
    """Runs an audit command as a process of its own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = lived.command_apart("audit", *arguments)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return run


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def test_what_the_service_wrote_is_sound_to_the_last_column(process: Run, scores: list[str]) -> None:
    text = process("verify", "--deep")
    assert (text.returncode, text.stderr) == (0, "")
    assert "sound" in text.stdout
    found = document(process("verify", "--deep", "--jobs", "2", "--json"))
    assert found["sound"] is True
    assert (found["records"]["scores"], found["records"]["retractions"], found["records"]["keys"]) == (3, 1, 2)
    assert [log["state"] for log in found["logs"]] == ["open"]


def test_a_process_of_its_own_says_the_same(audit: Run, process: Run, scores: list[str]) -> None:
    for arguments in (("checkpoint",), ("prove", scores[0]), ("consistency", "2", "5"), ("prove", scores[3])):
        here, there = audit(*arguments), process(*arguments)
        assert (there.returncode, there.stdout, there.stderr) == (here.returncode, here.stdout, here.stderr)


def test_checkpoint_proof_and_consistency_stand_on_their_own(
    audit: Run, process: Run, scores: list[str], tmp_path: Path
) -> None:
    shown = document(audit("checkpoint", "--json"))
    key, note = shown["key"], audit("checkpoint").stdout
    assert opened(note, key) == (shown["origin"], shown["size"], bytes.fromhex(shown["root"]))
    assert audit("checkpoint", "--origin", shown["origin"]).stdout == note
    for score_id in scores[:3]:
        proof = audit("prove", score_id).stdout
        _, entry = proven(proof, key)
        assert json.loads(entry)["record"] == score_id
    assert document(audit("prove", score_id, "--json")) == {"proof": proof}
    consistency = document(audit("consistency", "2", "5", "--json"))
    folder = tmp_path / "export"
    assert process("export", str(folder)).returncode == 0
    leaves = [leaf(entry) for entry in exported(folder)[1]]
    roots = tree_root(leaves[:2]), tree_root(leaves[:5])
    steps = [base64.b64decode(step) for step in consistency["hashes"]]
    assert grown(2, 5, roots[0], steps) == roots
    assert audit("consistency", "2", "5").stdout.splitlines() == ["from 2", "to 5", *consistency["hashes"]]


def test_a_person_at_a_terminal_sees_how_far_it_is(audit: Run, scores: list[str], lived: Server) -> None:
    terminal, its_end = pty.openpty()
    command = [sys.executable, "-m", "service.cli", "audit", "verify"]
    done = subprocess.run(command, env=lived.environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=its_end, check=True)
    os.close(its_end)
    assert os.read(terminal, 1000).startswith(b"\r100 %")
    assert b"%" not in done.stdout
    os.close(terminal)


def test_a_proof_file_is_checked_without_the_database(
    audit: Run, scores: list[str], run_exoscore: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    proof, key = tmp_path / "one.tlog-proof", tmp_path / "export" / "key"
    assert audit("prove", scores[0], "--out", str(proof)).returncode == 0
    assert audit("export", str(tmp_path / "export")).returncode == 0

    def check(file: Path, key: Path, *more: str, run: Run = command_here) -> subprocess.CompletedProcess[str]:
        return run("audit", "check", str(file), "--key", str(key), *more, environment=environment)

    assert check(proof, key, run=run_exoscore).returncode == 0
    found = json.loads(check(proof, key, "--json").stdout)
    assert (found["proved"], found["entry"]["record"]) == (True, scores[0])
    proof.write_bytes(proof.read_bytes().replace(b"\nindex ", b"\nindex 1", 1))
    for file, with_key in ((proof, key), (key, key), (proof, proof)):
        refused = check(file, with_key)
        assert (refused.returncode, "NOT proved" in refused.stdout) == (1, True)
    assert json.loads(check(proof, key, "--json").stdout) == {"proved": False}
    assert check(tmp_path / "nowhere", key).returncode == 1
    assert not Path(environment["EXOSCORE_HOME"]).exists()


def test_every_log_is_exported_into_a_folder_of_its_own(audit: Run, tmp_path: Path) -> None:
    items = document(audit("export", str(tmp_path), "--all", "--json"))["items"]
    for item in items:
        origin, entries = exported(Path(item["folder"]))
        assert (origin, len(entries)) == (item["origin"], item["size"])
        assert Path(item["folder"]) == tmp_path / origin.partition("/")[2]
    assert audit("export", str(tmp_path), "--all", "--origin", "x").returncode == 1


REFUSED = {
    "an erased score": (("prove", "{gone}"), 1),
    "no score": (("prove", "marker"), 1),
    "an unknown log": (("checkpoint", "--origin", "marker"), 1),
    "sizes the wrong way": (("consistency", "3", "2"), 1),
    "a size beyond": (("consistency", "1", "99999999"), 1),
    "no size": (("consistency", "-1", "2"), 2),
    "no processes": (("verify", "--jobs", "0"), 2),
    "no witness file": (("verify", "--witness", "{tmp}/nowhere"), 1),
    "a folder with other things": (("export", "{tmp}"), 1),
}


@pytest.mark.parametrize(("arguments", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_done_is_refused(
    audit: Run, scores: list[str], tmp_path: Path, arguments: tuple[str, ...], status: int
) -> None:
    (tmp_path / "letter").touch()
    done = audit(*(argument.format(gone=scores[3], tmp=tmp_path) for argument in arguments))
    assert done.returncode == status
    assert "marker" not in done.stdout


def test_a_witness_is_held_against_the_log(audit: Run, scores: list[str], tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    witness.write_text(audit("checkpoint").stdout, encoding="utf-8")
    assert audit("verify", "--witness", str(witness)).returncode == 0
    witness.write_text(witness.read_text(encoding="utf-8").replace("exoscore/", "exoscore/x"), encoding="utf-8")
    found = audit("verify", "--witness", str(witness))
    assert (found.returncode, "not here" in found.stdout) == (1, True)


def test_an_empty_home_is_an_environment_that_failed(run_exoscore: Run, environment: dict[str, str]) -> None:
    done = run_exoscore("audit", "verify", environment=environment)
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    for command in (("verify",), ("checkpoint",), ("export", "x"), ("prove", "x")):
        assert command_here("audit", *command, environment=environment).returncode == 3
    assert not Path(environment["EXOSCORE_HOME"]).exists()


def test_a_reopened_log_and_the_one_it_follows_are_sound_together(
    start_server: Callable[..., Server], tb_request: dict[str, Any], tmp_path: Path
) -> None:
    server = start_server(None)
    with server.client() as client:
        before = client.post("/v1/scores", json=tb_request).json()["id"]
    server.stop()
    (server.home / "signing-key").unlink()
    assert server.command_apart("audit", "reopen", "--force").returncode == 0
    again = start_server(None)
    with again.client() as client:
        amendment = {"replaces": before, "reason": "other"}
        after = client.post("/v1/scores", json=tb_request | amendment).json()["id"]
    found = document(again.command("audit", "verify", "--deep", "--json"))
    assert found["sound"], found
    assert [log["state"] for log in found["logs"]] == ["sealed", "open"]
    items = document(again.command("audit", "export", str(tmp_path / "all"), "--all", "--json"))["items"]
    keys = [(Path(item["folder"]) / "key").read_text() for item in items]
    for score_id, key in zip((before, after), keys, strict=True):
        assert json.loads(proven(again.command("audit", "prove", score_id).stdout, key)[1])["record"] == score_id
    assert {exported(Path(item["folder"]))[0] for item in items} == {log["origin"] for log in found["logs"]}


def test_the_first_break_is_named(audit: Run, process: Run, scores: list[str], lived: Server) -> None:
    admin = administrator(lived.environment["EXOSCORE_DATABASE_URL"])
    admin.run(f"UPDATE score SET value = 0.5 WHERE score_id = '{scores[0]}'")
    assert audit("verify").returncode == 0
    deep = process("verify", "--deep")
    assert deep.returncode == 1
    assert "Columns are not what the entry and the committed bytes say: value." in deep.stdout.splitlines()[0]
    admin.run("UPDATE audit_entry SET entry = leaf_hash WHERE seq = 2")
    admin.close()
    broken = audit("verify", "--json")
    assert broken.returncode == 1
    assert document(broken)["first_break"].partition(": ")[2].startswith("row 2: ")
    assert "BROKEN" in audit("verify", "--deep").stdout
