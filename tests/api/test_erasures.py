"""Erasures over real HTTP, on both databases: afterwards nothing of the subject is stored anywhere."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.audit.entry import Entry
from service.store.engine import Database
from service.store.log_rows import find_open, list_entries
from service.store.scores import StoredScore, find_score

Server = Any
Request = dict[str, Any]
Start = Callable[..., Any]

HAEMOLYSED = [
    {"code": "cq", "analyte": "hsa-miR-23a-3p", "value": 30.0, "unit": "{Cq}"},
    {"code": "cq", "analyte": "hsa-miR-451a", "value": 20.0, "unit": "{Cq}"},
]


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


def of(request: Request, subject: str, specimen: str, value: float, **more: Any) -> Request:
    """The request for another person, with a value of its own."""
    measured = [request["measurements"][0] | {"value": value}, *request["measurements"][1:]]
    return request | {
        "subject": request["subject"] | {"id": subject},
        "specimen": request["specimen"] | {"id": specimen},
        "measurements": measured,
        **more,
    }


def stored(url: str, score_ids: list[str]) -> list[StoredScore | None]:
    database = Database(url)
    with database.read() as connection:
        found = [find_score(connection, one) for one in score_ids]
    database.close()
    return found


def everything_in(url: str) -> bytes:
    """All bytes in the files of SQLite; all values in all tables of PostgreSQL."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        return b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))
    database = Database(url)
    with database.read() as connection:
        run = connection.sqlalchemy.exec_driver_sql
        tables = run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").scalars().all()
        assert {"score", "score_log", "score_retraction", "idempotency", "audit_entry"} <= set(tables)
        values = [value for table in tables for row in run(f"SELECT * FROM {table}") for value in row]
    database.close()
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


def test_nothing_of_the_subject_is_left_and_everybody_else_s_is(
    start_server: Start, database_url: str, tb_request: Request
) -> None:
    server = start_server(database_url)
    subject, specimens = f"subject-{uuid.uuid4()}", [f"specimen-{uuid.uuid4()}" for _ in range(3)]
    headers = {"idempotency-key": "accession-1"}
    with server.client() as client:

        def post(request: Request, **how: Any) -> str:
            response = client.post("/v1/scores", json=request, **how)
            assert response.status_code == 201, response.text
            return str(response.json()["id"])

        def post_others(count: int) -> list[str]:
            return [post(of(tb_request, f"S-{uuid.uuid4()}", f"A-{uuid.uuid4()}", 0.5)) for _ in range(count)]

        others = post_others(110)
        first = of(tb_request, subject, specimens[0], 1.234567891)
        mine = [post(first, headers=headers)]
        others += post_others(10)
        mine.append(post(of(first, subject, specimens[0], 1.345678912, replaces=mine[0], reason="other")))
        mine.append(post(of(tb_request, subject, specimens[1], 1.456789123, quality=HAEMOLYSED)))
        mine.append(post(of(tb_request, subject, specimens[2], 1.567891234)))
        client.post(f"/v1/scores/{mine[3]}/retraction", json={"reason": "assay_failure"})
        others += post_others(110)
        rows = [one.row for one in stored(database_url, mine) if one is not None]
        traces = [subject, *specimens, "1.234567891", "1.345678912", "1.456789123", "1.567891234"]
        sought = [one.encode() for one in traces] + [part for row in rows for part in (row.salt, row.answer[-300:])]
        before = everything_in(database_url)
        assert [one for one in sought if one not in before and len(one) < 100] == []
        response = client.post("/v1/erasures", json={"subject": subject, "reason": "subject_request"})
        answer = response.json()
        assert response.status_code == 201, response.text
        assert (answer["erased"], answer["purged"]) == (4, True)
        after = everything_in(database_url)
        assert [one for one in sought if one in after] == []
        for score_id in mine:
            assert client.get(f"/v1/scores/{score_id}").status_code == 404
        assert client.post("/v1/scores/search", json={"subject": subject}).json()["items"] == []
        replay = client.post("/v1/scores", json=first, headers=headers)
        assert (replay.status_code, replay.json()["code"]) == (410, "erased")
        other_body = client.post("/v1/scores", json=tb_request, headers=headers)
        assert (other_body.status_code, other_body.json()["code"]) == (410, "erased")
        again = client.post("/v1/erasures", json={"subject": subject, "reason": "subject_request"})
        assert (again.status_code, again.json()["code"]) == (404, "not_found")
        late = client.post("/v1/scores", json=of(first, subject, specimens[0], 1, replaces=mine[1], reason="other"))
        assert (late.status_code, late.json()["errors"][0]["pointer"]) == (404, "/replaces")
        assert client.get(f"/v1/scores/{others[0]}").json()["score"] is not None
    assert None not in stored(database_url, others)
    verified = server.command("audit", "verify", "--deep")
    assert verified.returncode == 0, verified.stdout
    assert subject not in server.log.read_text()


def test_the_entry_says_what_was_erased_and_nothing_about_whom(
    server: Server, client: httpx.Client, tb_request: Request
) -> None:
    subject = f"PHI-{uuid.uuid4()}"
    score = client.post("/v1/scores", json=of(tb_request, subject, "PHI-specimen", 0.5)).json()
    answer = client.post("/v1/erasures", json={"subject": subject, "reason": "retention_expired"}).json()
    assert set(answer) == {"erased", "purged", "audit"}
    database = Database(server.environment["EXOSCORE_DATABASE_URL"])
    with database.read() as connection:
        head = find_open(connection)
        assert head is not None
        (row,) = list_entries(connection, log_id=head.log_id, start=answer["audit"]["index"], limit=1)
    database.close()
    entry, index = Entry.parse(row.entry), score["audit"]["index"]
    assert (entry.kind, entry.reason, entry.record) == ("subject.erased", "retention_expired", None)
    assert entry.actor == f"key:{server.key.split('_')[1]}"
    assert entry.detail == {"origin": head.origin, "ranges": [[index, index]]}
    assert b"PHI" not in row.entry


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"{", 400, ""),
        (json.dumps({"subject": "marker"}).encode(), 422, "/reason"),
        (json.dumps({"reason": "legal_order"}).encode(), 422, "/subject"),
        (json.dumps({"subject": "marker", "reason": "other"}).encode(), 422, "/reason"),
        (json.dumps({"subject": " ", "reason": "legal_order"}).encode(), 422, "/subject"),
        (json.dumps({"subject": "marker", "reason": "legal_order", "marker": 1}).encode(), 422, ""),
        (json.dumps({"subject": "marker", "reason": "legal_order"}).encode(), 404, ""),
    ],
    ids=["not JSON", "no reason", "no subject", "unknown reason", "blank", "unknown field", "unknown subject"],
)
def test_a_wrong_erasure_is_refused_without_echo(client: httpx.Client, body: bytes, status: int, pointer: str) -> None:
    response = client.post("/v1/erasures", content=body, headers={"content-type": "application/json"})
    assert response.status_code == status
    assert pointer in [one["pointer"] for one in response.json()["errors"]]
    assert "marker" not in response.text


def test_the_command_erases_beside_a_running_server(server: Server, client: httpx.Client, tb_request: Request) -> None:
    subject = f"PHI-{uuid.uuid4()}"
    made = [client.post("/v1/scores", json=of(tb_request, subject, "A-1", 0.5)).json()["id"] for _ in range(2)]
    done = server.command_apart("subject", "erase", subject, "--reason", "legal_order", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert (answer["erased"], answer["purged"]) == (2, True)
    assert [client.get(f"/v1/scores/{one}").status_code for one in made] == [404, 404]
    assert client.post("/v1/scores", json=tb_request).status_code == 201
    again = server.command("subject", "erase", subject, "--reason", "legal_order")
    assert (again.returncode, "PHI" in again.stdout + again.stderr) == (1, False)
    assert server.command("subject", "erase", subject, "--reason", "other").returncode == 1
    assert server.command("subject", "erase", subject).returncode == 2
    client.post("/v1/scores", json=of(tb_request, subject, "A-1", 0.5))
    text = server.command("subject", "erase", subject, "--reason", "legal_order").stdout
    assert text.startswith("1 scores erased, recorded as entry ")
