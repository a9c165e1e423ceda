import asyncio
import hmac
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Gone, IdempotencyMismatch, InputRejected, RequestInProgress, Unauthenticated
from service.store import idempotency as store
from service.workflows.idempotency import Running, Ticket, forget_expired, purge, stored_under
from service.workflows.key_cache import Caller
from service.workflows.keys import authenticate, create_key, keyed_hash, revoke_key
from service.workflows.services import Services

PEPPER = b"p" * 32


def issue(header: str = "k", key_id: str = "a", route: str = "r", body: bytes = b"{}") -> Ticket:
    return Ticket.issue(PEPPER, key_id, route, header, body)


def test_a_key_means_the_same_quoted_and_bare() -> None:
    assert issue('"accession-1"') == issue("accession-1")


@pytest.mark.parametrize("other", [{"header": "l"}, {"key_id": "b"}, {"route": "s"}], ids=["key", "caller", "route"])
def test_keys_are_scoped_to_caller_and_route(other: dict[str, Any]) -> None:
    assert issue(**other).key_hmac != issue().key_hmac


def test_the_hashes_are_keyed_and_kept_apart() -> None:
    assert Ticket.issue(b"q" * 32, "a", "r", "k", b"{}").key_hmac != issue().key_hmac
    assert issue(body=b"[]").body_hmac != issue().body_hmac
    assert issue(body=b"[]").key_hmac == issue().key_hmac


@pytest.mark.parametrize("header", ["", '""', '"', "x" * 256, "a\tb", "é"])
def test_an_unusable_key_is_refused(header: str) -> None:
    with pytest.raises(InputRejected):
        issue(header)


def test_a_running_key_is_held_until_its_request_ends() -> None:
    in_flight: set[bytes] = set()
    with Running(in_flight, issue()):
        with pytest.raises(RequestInProgress), Running(in_flight, issue()):
            raise AssertionError("two at once")
        with Running(in_flight, issue("other")):
            pass
    assert in_flight == set()


def claim(services: Services, ticket: Ticket) -> None:
    with services.database.write() as connection:
        row = ticket.claim("0" * 36, services.clock(), services.idempotency_ttl)
        store.claim(connection, [row], services.clock())


@pytest.fixture
def caller(services: Services) -> Caller:
    """A caller whose key is in force."""
    _, key = create_key(services, name="LIMS", scopes=["scores:write"], actor="system:cli")
    return authenticate(services, key)


def test_another_body_is_refused_while_the_key_is_remembered(services: Services, caller: Caller, clock: Any) -> None:
    claim(services, issue())
    with pytest.raises(IdempotencyMismatch):
        stored_under(services, caller, issue(body=b"[]"))
    clock.now += timedelta(hours=24)
    assert stored_under(services, caller, issue(body=b"[]")) is None


def test_a_key_whose_score_is_gone_says_that_it_was_erased(services: Services, caller: Caller) -> None:
    claim(services, issue())
    with pytest.raises(Gone):
        stored_under(services, caller, issue())


def test_nothing_is_told_to_whose_key_was_revoked_meanwhile(services: Services, caller: Caller) -> None:
    claim(services, issue())
    revoke_key(services, key_id=caller.key_id, actor="system:cli")
    for ticket in (issue(), issue(body=b"[]"), issue("another")):
        with pytest.raises(Unauthenticated):
            stored_under(services, caller, ticket)


def test_expired_keys_are_deleted_and_others_stay(services: Services, clock: Any) -> None:
    claim(services, issue("old"))
    clock.now += timedelta(hours=23)
    claim(services, issue("new"))
    clock.now += timedelta(hours=1)
    assert purge(services) == 1
    with services.database.read() as connection:
        assert store.find(connection, issue("new").key_hmac, services.clock()) is not None


async def for_a_while(services: Services, seconds: float) -> None:
    task = asyncio.create_task(forget_expired(services, 0.01))
    await asyncio.sleep(seconds)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_the_purge_goes_on_while_the_database_is_away(services: Services, clock: Any) -> None:
    claim(services, issue())
    clock.now += timedelta(hours=25)
    with services.database.write() as connection:
        connection.sqlalchemy.exec_driver_sql("ALTER TABLE idempotency RENAME TO away")
    asyncio.run(for_a_while(services, 0.2))
    with services.database.write() as connection:
        connection.sqlalchemy.exec_driver_sql("ALTER TABLE away RENAME TO idempotency")
    asyncio.run(for_a_while(services, 0.2))
    assert purge(services) == 0


@given(st.binary(max_size=130), st.sampled_from(["api-key", "idempotency-key"]), st.binary(max_size=200))
def test_a_keyed_hash_is_an_hmac_under_the_pepper(pepper: bytes, purpose: str, data: bytes) -> None:
    whole = f"exoscore/{purpose}/v1\0".encode() + data
    assert keyed_hash(pepper, purpose, data) == hmac.digest(pepper, whole, "sha256")
