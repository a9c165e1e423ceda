"""What callers see while the database holds the committer up: 409 for one key twice, 503 for a full queue."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from service.store.engine import Database
from tests.held_head import held_head

Start = Callable[..., Any]


def post(server: Any, request: dict[str, Any], key: str | None = None) -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    with server.client() as client:
        return client.post("/v1/scores", json=request, headers=headers)


def until_two_wait(url: str) -> None:
    """Return when two writers wait for a lock: one for the head of the log, one for the other's claim of the key."""
    database = Database(url)
    blocked = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(100):
        with database.read() as connection:
            if connection.sqlalchemy.execute(blocked).scalar_one() >= 2:
                break
        time.sleep(0.05)
    else:
        raise AssertionError("the two requests never met")
    database.close()


def stored(server: Any) -> list[str]:
    with server.client() as client:
        return [item["id"] for item in client.get("/v1/scores", params={"limit": 500}).json()["items"]]


def test_a_second_request_with_a_running_key_is_409(
    start_server: Start, database_url: str, tb_request: dict[str, Any]
) -> None:
    server = start_server(database_url)
    with ThreadPoolExecutor(2) as pool:
        with held_head(database_url):
            both = [pool.submit(post, server, tb_request, "k") for _ in range(2)]
            done, waiting = wait(both, return_when=FIRST_COMPLETED)
            (refused,) = [one.result() for one in done]
            assert (refused.status_code, refused.json()["code"]) == (409, "request_in_progress")
        (first,) = [one.result() for one in waiting]
    assert first.status_code == 201
    replay = post(server, tb_request, "k")
    assert (replay.status_code, replay.json()["id"]) == (200, first.json()["id"])


def test_of_two_replicas_with_one_key_one_stores_and_the_other_replays(
    start_server: Start, postgresql_backend: Any, tb_request: dict[str, Any]
) -> None:
    url = postgresql_backend.migrated()
    servers = [start_server(url)]
    servers.append(start_server(url, key=servers[0].key))
    with ThreadPoolExecutor(2) as pool:
        with held_head(url):
            waiting = [pool.submit(post, server, tb_request, "k") for server in servers]
            until_two_wait(url)
        answers = [future.result() for future in waiting]
    assert sorted(answer.status_code for answer in answers) == [200, 201]
    assert answers[0].json() == answers[1].json()
    assert len(stored(servers[0])) == 1


def test_a_full_queue_refuses_with_retry_after_and_loses_nothing(
    start_server: Start, database_url: str, environment: dict[str, str], tb_request: dict[str, Any]
) -> None:
    small = environment | {"EXOSCORE_DATABASE_URL": database_url, "EXOSCORE_QUEUE_CAPACITY": "1"}
    server = start_server(database_url, environment=small)
    with ThreadPoolExecutor(8) as pool:
        with held_head(database_url):
            waiting = [pool.submit(post, server, tb_request) for _ in range(8)]
            wait(waiting, return_when=FIRST_COMPLETED)  # nobody but one who is refused is answered now
        answers = [future.result() for future in waiting]
    refused = [answer for answer in answers if answer.status_code == 503]
    assert refused
    assert {answer.json()["code"] for answer in refused} == {"overloaded"}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    accepted = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert accepted == set(stored(server))
    assert len(accepted) + len(refused) == 8


def test_nothing_is_stored_behind_a_caller_who_was_refused(
    start_server: Start, database_url: str, tb_request: dict[str, Any]
) -> None:
    server = start_server(database_url)
    with ThreadPoolExecutor(6) as pool:
        with held_head(database_url):
            answers = list(pool.map(lambda _: post(server, tb_request), range(6)))
        assert {answer.status_code for answer in answers} == {503}
        assert {answer.json()["code"] for answer in answers} <= {"storage_unavailable", "overloaded"}
        with server.client() as client:
            assert client.get("/health/ready").status_code == 503
        assert stored(server) == []
        assert post(server, tb_request).status_code == 201
        assert len(stored(server)) == 1
        with server.client() as client:
            assert client.get("/health/ready").status_code == 200


@pytest.mark.parametrize("waiting", [1, 5])
def test_a_stopping_server_finishes_what_it_took_in(
    start_server: Start, database_url: str, tb_request: dict[str, Any], waiting: int
) -> None:
    server = start_server(database_url)
    with ThreadPoolExecutor(waiting) as pool:
        with held_head(database_url):
            futures = [pool.submit(post, server, tb_request) for _ in range(waiting)]
            time.sleep(0.5)
            stopping = threading.Thread(target=server.stop)
            stopping.start()
            time.sleep(0.3)
        answers = [future.result() for future in futures]
        stopping.join()
    assert [answer.status_code for answer in answers] == [201] * waiting
    assert len({json.loads(answer.content)["audit"]["index"] for answer in answers}) == waiting


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/erasures", {"subject": "S-other", "reason": "subject_request"}),
        ("retraction", {"reason": "assay_failure"}),
    ],
    ids=["erasure", "retraction"],
)
def test_what_locks_scores_never_waits_for_a_key_meanwhile(
    start_server: Start, postgresql_backend: Any, tb_request: dict[str, Any], path: str, body: dict[str, str]
) -> None:
    url = postgresql_backend.migrated()
    server = start_server(url)
    other = tb_request | {"subject": tb_request["subject"] | {"id": "S-other"}}
    kept, locked = post(server, tb_request, "k").json()["id"], post(server, other).json()["id"]

    def lock_score() -> Any:
        with server.client() as client:
            return client.post(path if path.startswith("/") else f"/v1/scores/{locked}/{path}", json=body)

    # As another replica does it: first the claim of a key, then a score.
    with psycopg.connect(url) as replica, ThreadPoolExecutor(3) as pool:
        replica.execute("SELECT FROM idempotency WHERE score_id = %s FOR UPDATE", (kept,))
        with held_head(url):
            waiting = []
            for send, arguments in ((post, (server, tb_request)), (lock_score, ()), (post, (server, tb_request, "k"))):
                waiting.append(pool.submit(send, *arguments))
                time.sleep(0.3)
        time.sleep(0.3)
        replica.execute("SELECT FROM score WHERE score_id = %s FOR UPDATE", (locked,))
        replica.rollback()
        assert [one.result().status_code for one in waiting] == [201, 201, 200]
    postgresql_backend.remove(url)
