"""Who records something under a key is asked for the key again when the registry has changed meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from service.domain.score_query import ScoreQuery
from service.errors import Unauthenticated
from service.store.log_rows import find_open
from service.workflows.keys import authenticate, create_key, revoke_key
from service.workflows.read_scores import show_page
from service.workflows.services import Services


@pytest.fixture
def keys(services: Services) -> list[str]:
    """Two keys."""
    scopes = ("scores:read",)
    return [create_key(services, name=name, scopes=scopes, actor="system:cli")[1] for name in ("one", "two")]


def size(services: Services) -> int:
    with services.database.read() as connection:
        head = find_open(connection)
    assert head is not None
    return head.size


def test_a_key_that_was_revoked_meanwhile_reads_nothing(services: Services, keys: list[str]) -> None:
    caller = authenticate(services, keys[0])
    revoke_key(services, key_id=caller.key_id, actor="system:cli")
    before = size(services)
    with pytest.raises(Unauthenticated):
        asyncio.run(show_page(services, caller, ScoreQuery()))
    assert size(services) == before


def test_another_key_s_revocation_is_no_hindrance(services: Services, keys: list[str]) -> None:
    caller, other = (authenticate(services, key) for key in keys)
    revoke_key(services, key_id=other.key_id, actor="system:cli")
    before = size(services)
    assert asyncio.run(show_page(services, caller, ScoreQuery())) == {"items": [], "next_cursor": None}
    assert size(services) == before + 1
