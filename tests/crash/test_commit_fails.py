"""A COMMIT that really fails: the caller gets 5xx, and nothing was stored."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select

from service.store.engine import Database
from service.store.tables import audit_entry, idempotency, score, score_log

TABLES = (score, score_log, idempotency, audit_entry)


def counts(database: Database) -> list[int]:
    with database.read() as connection:
        return [connection.select(select(func.count()).select_from(table)).scalar_one() for table in TABLES]


def test_a_failing_commit_is_5xx_and_leaves_no_row(
    start_server: Callable[..., Any],
    database_url: str,
    database: Database,
    break_commit: Callable[[str], None],
    mend_commit: Callable[[str], None],
    tb_request: dict[str, Any],
) -> None:
    server = start_server(database_url)
    before = counts(database)
    assert before[:3] == [0, 0, 0]
    break_commit(database_url)
    with server.client() as client:
        failed = client.post("/v1/scores", json=tb_request, headers={"idempotency-key": "k"})
        assert (failed.status_code, failed.json()["code"]) == (503, "storage_unavailable")
        assert failed.headers["retry-after"] == "1"
        assert "id" not in failed.json()
        assert counts(database) == before
        mend_commit(database_url)
        again = client.post("/v1/scores", json=tb_request, headers={"idempotency-key": "k"})
        assert again.status_code == 201
        assert counts(database) == [1, 1, 1, before[3] + 1]
