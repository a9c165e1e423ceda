"""A server that is killed while callers write: every score that was acknowledged is there, with its receipt."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from service.store.engine import Database
from tests.crash.book import verify
from tests.crash.load import Notebook, callers, replayed

CALLERS = 6
SHORT = {"sqlite": 3, "postgresql": 2}
LONG = {"sqlite": 100, "postgresql": 100}


@pytest.fixture
def rounds(request: pytest.FixtureRequest, soak: bool) -> int:
    """How often the server is killed."""
    return (LONG if soak else SHORT)[request.node.callspec.params["backend"]]


def test_killed_under_load_nothing_acknowledged_is_lost(
    start_server: Callable[..., Any], database_url: str, opened: Database, tb_request: dict[str, Any], rounds: int
) -> None:
    server = start_server(database_url)
    everything, lost = Notebook(), 0
    for number in range(rounds):
        fresh, chance = Notebook(), Random(number)
        with callers(server, tb_request, fresh, CALLERS, name=str(number)):
            fresh.wait_for_receipts(chance.randint(20, 60))
            # Where in the course of a commit the signal hits is left to chance; nothing is expected of the time.
            time.sleep(chance.uniform(0, 0.005))
            server.process.kill()
            server.process.wait()
        lost += fresh.lost
        server = start_server(database_url)
        fresh.ask_again(server, tb_request)
        replayed(server, tb_request, fresh)
        everything.receipts |= fresh.receipts
        everything.settle(opened, proving=fresh.receipts.values())
    assert lost > 0
    everything.settle(opened)
    verify(database_url)
