"""What the audit log holds of a request: commitments that open to the bytes that came and went, and no person."""

import json
from typing import Any

import pytest

from service.audit.entry import commitment, leaf_hash
from service.store.engine import Database
from service.store.log_rows import EntryRow, find_open, list_entries
from service.store.scores import StoredScore, find_score

Server = Any


@pytest.fixture
def opened(server: Server) -> Database:
    database = Database(server.environment["EXOSCORE_DATABASE_URL"])
    yield database
    database.close()


def entry_at(database: Database, index: int) -> EntryRow:
    with database.read() as connection:
        head = find_open(connection)
        assert head is not None
        (row,) = list_entries(connection, log_id=head.log_id, start=index, limit=1)
    return row


def score_with(database: Database, score_id: str) -> StoredScore:
    with database.read() as connection:
        stored = find_score(connection, score_id)
    assert stored is not None
    return stored


HAEMOLYSED = [
    {"code": "cq", "analyte": "hsa-miR-23a-3p", "value": 30.0, "unit": "{Cq}"},
    {"code": "cq", "analyte": "hsa-miR-451a", "value": 20.0, "unit": "{Cq}"},
]


@pytest.mark.parametrize(
    ("quality", "kind"), [([], "score.reported"), (HAEMOLYSED, "score.withheld")], ids=["reported", "withheld"]
)
def test_the_entry_of_a_score_commits_to_the_bytes_that_came_and_went(
    server: Server, opened: Database, tb_request: dict[str, Any], quality: list[Any], kind: str
) -> None:
    tb_request["subject"]["id"], tb_request["specimen"]["id"] = "PHI-subject", "PHI-specimen"
    sent = b" " + json.dumps(tb_request | ({"quality": quality} if quality else {}), indent=1).encode()
    with server.client() as client:
        response = client.post("/v1/scores", content=sent, headers={"content-type": "application/json"})
    answer = response.json()
    row, stored = entry_at(opened, answer["audit"]["index"]), score_with(opened, answer["id"])
    entry = json.loads(row.entry)
    assert stored.row.request == sent
    assert response.content.startswith(stored.row.answer[:-1])
    assert entry["in"] == commitment(stored.row.salt, sent)
    assert entry["out"] == commitment(stored.row.salt, stored.row.answer)
    assert row.leaf_hash == leaf_hash(row.entry)
    assert (entry["kind"], entry["record"], entry["v"]) == (kind, answer["id"], 1)
    assert entry["model"] == f"{answer['model']['name']}@{answer['model']['version']}"
    assert entry["model_digest"] == answer["model"]["digest"]
    assert entry["actor"] == f"key:{server.key.split('_')[1]}"
    assert (row.log_id, row.seq) == (stored.log_id, stored.seq)
    assert b"PHI" not in row.entry


def test_every_column_of_a_score_can_be_recomputed_from_the_committed_bytes(
    server: Server, opened: Database, tb_request: dict[str, Any]
) -> None:
    with server.client() as client:
        stored = score_with(opened, client.post("/v1/scores", json=tb_request).json()["id"])
    request, answer, row = json.loads(stored.row.request), json.loads(stored.row.answer), stored.row
    assert (row.subject_id, row.specimen_id) == (request["subject"]["id"], request["specimen"]["id"])
    assert (row.score_id, row.status, row.created_at) == (answer["id"], answer["status"], answer["created_at"])
    assert (row.model_name, row.model_version, row.model_digest) == tuple(
        answer["model"][name] for name in ("name", "version", "digest")
    )
    assert (row.value, row.category) == (answer["score"]["value"], answer["score"]["category"]["code"])
    assert row.supersedes is None


def test_two_equal_requests_have_unlike_commitments(
    server: Server, opened: Database, tb_request: dict[str, Any]
) -> None:
    with server.client() as client:
        indices = [client.post("/v1/scores", json=tb_request).json()["audit"]["index"] for _ in range(2)]
    first, second = (json.loads(entry_at(opened, index).entry)["in"] for index in indices)
    assert first != second


def test_keys_leave_entries_and_a_revocation_raises_the_generation(server: Server, opened: Database) -> None:
    def head() -> tuple[int, int]:
        with opened.read() as connection:
            found = connection.sqlalchemy.exec_driver_sql("SELECT size, registry_generation FROM audit_log").one()
        return found[0], found[1]

    made = json.loads(server.command("key", "create", "--name", "PHI", "--scope", "models:read", "--json").stdout)
    size, generation = head()
    assert server.command("key", "revoke", made["id"]).returncode == 0
    assert head() == (size + 1, generation + 1)
    assert server.command("key", "revoke", made["id"]).returncode == 1
    assert head() == (size + 1, generation + 1)
    created, revoked = (json.loads(entry_at(opened, index).entry) for index in (size - 1, size))
    assert [(e["kind"], e["record"], e["actor"]) for e in (created, revoked)] == [
        ("key.created", made["id"], "system:cli"),
        ("key.revoked", made["id"], "system:cli"),
    ]
    assert "PHI" not in json.dumps([created, revoked])


@pytest.mark.parametrize(
    "change", [{"model": "none"}, {"measurements": []}, {"specimen": None}], ids=["404", "empty", "null"]
)
def test_a_refused_request_leaves_log_and_tables_as_they_were(
    server: Server, opened: Database, tb_request: dict[str, Any], change: dict[str, Any]
) -> None:
    def rows() -> list[int]:
        with opened.read() as connection:
            tables = ("audit_entry", "score", "score_log", "idempotency")
            return [connection.sqlalchemy.exec_driver_sql(f"SELECT count(*) FROM {t}").scalar_one() for t in tables]

    before = rows()
    with server.client() as client:
        refused = client.post("/v1/scores", json=tb_request | change, headers={"idempotency-key": "refused"})
    assert refused.status_code in (404, 422)
    assert rows() == before


def test_the_log_begins_with_its_opening(opened: Database) -> None:
    first = entry_at(opened, 0)
    assert json.loads(first.entry)["kind"] == "log.opened"
    assert first.leaf_hash == leaf_hash(first.entry)
