"""A COMMIT that really fails: the caller gets 5xx, and nothing was stored."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

ServerFactory = Callable[[str], Any]

# A constraint that is only checked at COMMIT, and a trigger that breaks it with every score.
BREAK = {
    "sqlite": [
        "CREATE TABLE breaker (parent TEXT REFERENCES score(score_id) DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TRIGGER break_commit AFTER INSERT ON score BEGIN INSERT INTO breaker VALUES ('no such score'); END",
    ],
    "postgresql": [
        "CREATE TABLE breaker (parent TEXT REFERENCES score(score_id) DEFERRABLE INITIALLY DEFERRED)",
        "CREATE FUNCTION break_commit() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO breaker VALUES ('no such score'); RETURN NULL; END $$",
        "CREATE TRIGGER break_commit AFTER INSERT ON score FOR EACH ROW EXECUTE FUNCTION break_commit()",
    ],
}
MEND = {"sqlite": "DROP TRIGGER break_commit", "postgresql": "DROP TRIGGER break_commit ON score"}
TABLES = ("score", "score_log", "idempotency")


def counts(engine: sa.Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            t: connection.execute(sa.text(f"SELECT count(*) FROM {t}")).scalar_one() for t in (*TABLES, "audit_entry")
        }


def test_a_failing_commit_is_5xx_and_leaves_no_row(
    start_server: ServerFactory, database_url: str, tb_request: dict[str, Any]
) -> None:
    server = start_server(database_url)
    engine = sa.create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    kind = engine.dialect.name
    with engine.begin() as connection:
        for statement in BREAK[kind]:
            connection.execute(sa.text(statement))
    before = counts(engine)
    with server.client() as client:
        failed = client.post("/v1/scores", json=tb_request, headers={"idempotency-key": "k"})
        assert (failed.status_code, failed.json()["code"]) == (503, "storage_unavailable")
        assert failed.headers["retry-after"] == "1"
        assert counts(engine) == before
        assert all(before[table] == 0 for table in TABLES)
        with engine.begin() as connection:
            connection.execute(sa.text(MEND[kind]))
        again = client.post("/v1/scores", json=tb_request, headers={"idempotency-key": "k"})
        assert again.status_code == 201
        assert counts(engine) == {
            "score": 1,
            "score_log": 1,
            "idempotency": 1,
            "audit_entry": before["audit_entry"] + 1,
        }
    engine.dispose()
