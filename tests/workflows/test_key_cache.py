import asyncio
from dataclasses import replace

import pytest

from service.errors import ScopeMissing, StorageUnavailable, Unauthenticated
from service.workflows.key_cache import CAPACITY, Caller, KeyCache
from service.workflows.keys import authenticate, create_key, recent_caller, revoke_key
from service.workflows.services import Services

A = Caller("a" * 16, frozenset({"scores:write"}), 3)


class Seconds:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def cache(seconds: Seconds) -> KeyCache:
    cache = KeyCache(seconds)
    cache.remember("key", A, seconds())
    return cache


def test_a_caller_is_known_for_a_second_by_everybody(cache: KeyCache, seconds: Seconds) -> None:
    seconds.now += 0.99
    assert [cache.find("key") for _ in range(3)] == [A] * 3
    assert cache.find("other") is None


def test_then_one_request_asks_again_and_the_others_go_on(cache: KeyCache, seconds: Seconds) -> None:
    seconds.now += 1
    assert [cache.find("key") for _ in range(3)] == [None, A, A]
    cache.remember("key", A, seconds())
    seconds.now += 0.5
    assert cache.find("key") == A


def test_after_two_seconds_nobody_is_known_even_if_nobody_came_back(cache: KeyCache, seconds: Seconds) -> None:
    seconds.now += 1
    cache.find("key")
    seconds.now += 0.99
    assert cache.find("key") == A
    seconds.now += 0.01
    assert [cache.find("key") for _ in range(2)] == [None, None]


def test_the_age_counts_from_before_the_database_was_asked(seconds: Seconds) -> None:
    cache = KeyCache(seconds)
    cache.remember("key", A, seconds() - 5)
    assert [cache.find("key") for _ in range(2)] == [None, None]


def test_a_newer_generation_empties_the_cache_and_older_callers_stay_out(cache: KeyCache, seconds: Seconds) -> None:
    cache.saw(3)
    assert cache.find("key") == A
    cache.saw(4)
    assert cache.find("key") is None
    cache.remember("key", A, seconds())
    assert cache.find("key") is None


def test_keys_can_be_forgotten_one_by_one_and_together(cache: KeyCache, seconds: Seconds) -> None:
    cache.remember("other", A, seconds())
    cache.drop("key")
    cache.drop("key")
    assert (cache.find("key"), cache.find("other")) == (None, A)
    cache.forget()
    assert cache.find("other") is None


def test_the_cache_is_bounded(cache: KeyCache, seconds: Seconds) -> None:
    for number in range(3 * CAPACITY):
        cache.remember(str(number), A, seconds())
    assert sum(cache.find(str(number)) is not None for number in range(3 * CAPACITY)) <= CAPACITY


def test_a_caller_without_the_scope_is_refused() -> None:
    A.require("scores:write")
    with pytest.raises(ScopeMissing):
        A.require("scores:read")


@pytest.fixture
def key(services: Services) -> str:
    return create_key(services, name="lims", scopes=["scores:write"], actor="system:cli")[1]


def change(services: Services, statement: str) -> None:
    with services.database.write() as connection:
        connection.sqlalchemy.exec_driver_sql(statement)


def test_a_caller_carries_the_generation_of_the_log(services: Services, key: str) -> None:
    assert authenticate(services, key).generation == 0
    other, _ = create_key(services, name="other", scopes=["admin"], actor="system:cli")
    revoke_key(services, key_id=other.key_id, actor="system:cli")
    assert authenticate(services, key).generation == 1


def test_a_known_caller_needs_no_database_and_an_unknown_one_does(services: Services, key: str) -> None:
    async def twice() -> None:
        caller = await recent_caller(services, key)
        change(services, "ALTER TABLE api_key RENAME TO away")
        assert await recent_caller(services, key) == caller
        services.keys.forget()
        with pytest.raises(StorageUnavailable):
            await recent_caller(services, key)

    asyncio.run(twice())


@pytest.mark.parametrize("presented", [None, "", "x", "exo_0000000000000000_" + "A" * 43])
def test_a_refused_key_is_never_kept(services: Services, presented: str | None) -> None:
    async def ask() -> None:
        for _ in range(2):
            with pytest.raises(Unauthenticated):
                await recent_caller(services, presented)

    asyncio.run(ask())
    assert services.keys.find(presented or "") is None


def test_the_request_that_meets_a_revocation_drops_the_key_for_all(
    services: Services, key: str, seconds: Seconds
) -> None:
    services = replace(services, keys=KeyCache(seconds))

    async def ask() -> None:
        caller = await recent_caller(services, key)
        revoke_key(services, key_id=caller.key_id, actor="system:cli")
        assert await recent_caller(services, key) == caller
        seconds.now += 1
        with pytest.raises(Unauthenticated):
            await recent_caller(services, key)
        assert services.keys.find(key) is None

    asyncio.run(ask())
