"""Shadows behind a real server, on both databases: from the promotion to the comparison, and whatever a shadow does."""

from __future__ import annotations

import json
import signal
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from service.store.engine import Database
from service.store.shadows import ShadowRow
from service.store.tables import shadow_score
from tests.api.test_erasures import HAEMOLYSED, everything_in, of
from tests.conftest import RunningServer
from tests.registry import odd_estimators as odd
from tests.registry.artifacts import KEY_NAME, PUBLISHER, write
from tests.workflows.shadow_models import NAME, Files, Sleeper, around, shifted

Request = dict[str, Any]
PASSPHRASE = "zwölf gute Zeichen"
PATH = f"/v1/models/{NAME}"


class Site:
    """A server, somebody who scores and somebody who signs."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.lims = server.client()
        arguments = ("person", "add", "Zoë Müller", "--passphrase-stdin", "--json")
        made = server.command(*arguments, stdin=PASSPHRASE)
        person = json.loads(made.stdout)["id"]
        key = ("key", "create", "--name", "portal", "--person", person, "--scope", "models:approve", "--json")
        self.portal = server.client(json.loads(server.command(*key).stdout)["key"])

    def close(self) -> None:
        self.lims.close()
        self.portal.close()

    def bring(self, files: Files, *places: str) -> None:
        """Register an artifact and sign for it."""
        version = json.loads(files["manifest.json"])["version"]
        registered = self.server.command("model", "register", str(write(self.folder / NAME / version, files)))
        assert registered.returncode == 0, registered.stdout
        for to in places:
            self.sign(version, to)

    def sign(self, version: str, to: str) -> None:
        body = {"to": to, "reason": "A test.", "meaning": "approval", "passphrase": PASSPHRASE}
        answer = self.portal.post(f"{PATH}/versions/{version}/transitions", json=body)
        assert answer.status_code == 201, answer.text

    def score(self, request: Request, **how: Any) -> dict[str, Any]:
        answer = self.lims.post("/v1/scores", json=request, **how)
        assert answer.status_code == (200 if how.get("headers", {}).get("x-again") else 201), answer.text
        return dict(answer.json())

    def compared(self, count: int) -> dict[str, Any]:
        """The comparison, when it tells of so many inputs."""
        limit = time.monotonic() + 90
        while True:
            found = self.lims.get(f"{PATH}/shadow").json()
            done = sum(sum(item["statuses"].values()) for item in found["items"])
            if done >= count:
                assert done == count
                return dict(found)
            assert time.monotonic() < limit, self.server.log.read_text()[-2000:]
            time.sleep(0.1)

    def rows(self) -> dict[str, ShadowRow]:
        database = Database(self.server.environment["EXOSCORE_DATABASE_URL"])
        with database.read() as connection:
            rows = [ShadowRow(*row) for row in connection.select(select(shadow_score))]
        database.close()
        return {row.score_id: row for row in rows}


@pytest.fixture
def site(
    start_server: Callable[..., RunningServer], database_url: str, environment: dict[str, str], tmp_path: Path
) -> Iterator[Site]:
    settings = {"EXOSCORE_TRUSTED_PUBLISHERS": PUBLISHER.vkey(KEY_NAME), "EXOSCORE_SHADOW_MEMORY_MIB": "512"}
    made = Site(start_server(database_url, environment=environment | settings), tmp_path / "artifacts")
    yield made
    made.close()


def test_a_shadow_scores_what_others_are_answered(site: Site, tb_request: Request) -> None:
    before = site.lims.get(f"{PATH}/shadow").json()
    assert before == {"name": NAME, "shadow": None, "items": [], "next_cursor": None}
    early = site.score(of(tb_request, "early", "A-0", 0.5))
    site.bring(shifted("1.5.0", by=-0.5), "approved")
    site.bring(shifted(high=5.0), "approved", "shadow")
    requests = [of(tb_request, "S-1", f"A-{number}", number / 7 - 2) for number in range(30)]
    requests += [of(tb_request, "S-2", "A-1", 5.25), of(tb_request, "S-2", "A-2", 1.5, quality=HAEMOLYSED)]
    answers = [site.score(request, headers={"idempotency-key": f"n-{n}"}) for n, request in enumerate(requests)]
    again = site.score(requests[0], headers={"idempotency-key": "n-0", "x-again": "yes"})
    assert again["id"] == answers[0]["id"]
    amended = requests[1] | {"replaces": answers[1]["id"], "reason": "other"}
    answers.append(site.score(amended))
    other = site.score(of(tb_request, "S-3", "A-1", 0.25, model=f"{NAME}@1.5.0"))
    named = [site.score(request | {"model": f"{NAME}@2.0.0"}) for request in requests[:30]]
    found = site.compared(len(answers) + 1)
    assert {answer["model"]["version"] for answer in answers} == {"1.0.0"}
    rows = site.rows()
    assert set(rows) == {answer["id"] for answer in [*answers, other]}
    assert early["id"] not in rows
    for answer, direct in zip(answers[:30], named, strict=True):
        row, score = rows[answer["id"]], direct["score"]
        assert row[3:7] == ("2.0.0", direct["status"], score["value"], score["category"]["code"])
    by_production = {item["production"]: item for item in found["items"]}
    assert (set(by_production), found["shadow"]) == ({"1.0.0", "1.5.0"}, "2.0.0")
    item = by_production["1.0.0"]
    differences = [d["score"]["value"] - a["score"]["value"] for a, d in zip(answers[:30], named, strict=True)]
    differences.append(differences[1])
    assert (item["shadow"], item["n"]) == ("2.0.0", 31)
    assert item["mean_difference"] == pytest.approx(sum(differences) / 31)
    assert item["mean_abs_difference"] == pytest.approx(sum(map(abs, differences)) / 31)
    assert item["max_abs_difference"] == pytest.approx(max(map(abs, differences)))
    assert item["statuses"] == {"final": 31, "indeterminate": 0, "not_reportable": 1, "refused": 1, "failed": 0}
    assert (item["first"], item["last"]) == (answers[0]["created_at"], answers[-1]["created_at"])
    pairs = [(a["score"]["category"], d["score"]["category"]) for a, d in zip(answers[:30], named, strict=True)]
    changed = [(a["code"], d["code"]) for a, d in [*pairs, pairs[1]] if a["code"] != d["code"]]
    assert changed
    assert item["category_changes"] == [{"from": changed[0][0], "to": changed[0][1], "n": len(changed)}]
    assert json.loads(site.server.command("model", "shadow", NAME, "--json").stdout) == found
    text = site.server.command("model", "shadow", NAME).stdout
    assert "shadow 2.0.0" in text
    assert "2.0.0 beside 1.0.0" in text
    assert "compared 31" in text
    site.sign("2.0.0", "withdrawn")
    site.score(of(tb_request, "S-3", "A-2", 0.125))
    assert site.compared(len(answers) + 1) == found | {"shadow": None}


def test_an_erasure_leaves_nothing_of_what_a_shadow_scored(site: Site, tb_request: Request) -> None:
    site.bring(shifted(), "approved", "shadow")
    gone = [site.score(of(tb_request, "subject-gone", "A-1", 1.23456789 + number / 1000)) for number in range(40)]
    kept = [site.score(of(tb_request, "S-1", "A-1", 0.5)) for _ in range(20)]
    site.compared(60)
    url, rows = site.server.environment["EXOSCORE_DATABASE_URL"], site.rows()

    def traces(answer: dict[str, Any]) -> list[bytes]:
        value = rows[answer["id"]].value
        assert value is not None
        return [struct.pack(">d", value) if url.startswith("sqlite") else str(value).encode()]

    before = everything_in(url)
    assert [one for answer in gone for one in traces(answer) if one not in before] == []
    erased = site.lims.post("/v1/erasures", json={"subject": "subject-gone", "reason": "subject_request"})
    assert (erased.status_code, erased.json()["purged"]) == (201, True)
    after = everything_in(url)
    assert [one for answer in gone for one in traces(answer) if one in after] == []
    assert set(site.rows()) == {answer["id"] for answer in kept}
    assert site.compared(20)["items"][0]["n"] == 20
    assert site.server.command("audit", "verify", "--deep").returncode == 0


def children_of(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_whatever_a_shadow_does_everybody_is_answered(site: Site, tb_request: Request) -> None:
    """It hangs until it is ended, ends by itself, eats memory, raises: each costs its own row and no answer."""
    site.bring(around(Sleeper()), "approved", "shadow")
    values = [0.5, odd.SLEEPS, odd.KILLS, odd.EATS, odd.FAILS, odd.NO_NUMBER]
    answers = [site.score(of(tb_request, "S-1", "A-1", value)) for value in (*values, *[1.0] * 40)]
    # It stood still while these were answered: an input that hangs is waited for much longer than they took.
    assert sum(row.status == "failed" for row in site.rows().values()) == 0
    (item,) = site.compared(len(answers))["items"]
    statuses = [site.rows()[answer["id"]].status for answer in answers]
    assert statuses == ["final", *["failed"] * 5, *["final"] * 40]
    assert (item["statuses"]["failed"], item["n"]) == (5, 41)
    log = [json.loads(line) for line in site.server.log.read_text().splitlines()]
    ended = [line for line in log if line["event"] == "shadow_ended"]
    assert {line["model"] for line in ended} == {f"{NAME}@3.0.0"}
    assert len(ended) >= 2
    assert {line["status"] for line in log if line["event"] == "request" and line["route"] == "/v1/scores"} == {201}
    assert "zq-marker" not in site.server.log.read_text()
    site.score(of(tb_request, "S-1", "A-1", odd.SLEEPS))
    children = children_of(site.server.process.pid)
    assert children
    assert site.server.stop() == -signal.SIGTERM
    assert [pid for pid in children if runs(pid)] == []


def test_who_may_ask_and_for_what(site: Site) -> None:
    unknown = site.lims.get("/v1/models/marker/shadow")
    assert (unknown.status_code, unknown.json()["code"], "marker" in unknown.text) == (404, "model_not_found", False)
    assert site.portal.get(f"{PATH}/shadow").status_code == 403
    with site.server.stranger() as stranger:
        assert stranger.get(f"{PATH}/shadow").status_code == 401
    refused = site.server.command("model", "shadow", "marker", "--json")
    assert (refused.returncode, json.loads(refused.stdout)["code"]) == (1, "model_not_found")
    assert "none" in site.server.command("model", "shadow", NAME).stdout
