"""A clock that steps back under the running service: the log's times do not, and the log says what happened."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from service.app import create_app, ensure_development_key
from service.settings import Settings
from service.store.engine import Database
from service.store.log_rows import list_entries
from tests.crash.load import Notebook


class SteppingClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(minutes=1)  # behind nothing that a start records

    def __call__(self) -> datetime:
        return self.now


Ask = Callable[[httpx.AsyncClient], Any]


def with_clock(settings: Settings, clock: SteppingClock, ask: Ask) -> None:
    """Run `ask` against the whole application, whose only clock is `clock`."""
    app = create_app(settings)
    app.state.services = replace(app.state.services, clock=clock)
    ensure_development_key(settings, app.state.services)
    headers = {"Authorization": f"Bearer {(settings.home / 'dev-key').read_text()}"}

    async def run() -> None:
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client,
        ):
            await ask(client)

    asyncio.run(run())


@pytest.mark.parametrize("step", [timedelta(milliseconds=900), timedelta(hours=1), timedelta(hours=23)], ids=str)
def test_a_clock_that_steps_back_is_recorded_once_and_no_time_decreases(
    database_url: str, opened: Database, tmp_path: Path, tb_request: dict[str, Any], step: timedelta
) -> None:
    settings = Settings(home=tmp_path / "home", database_url=SecretStr(database_url))
    clock, notebook = SteppingClock(), Notebook()
    right = clock.now

    async def ask(client: httpx.AsyncClient) -> None:
        async def post(key: str) -> httpx.Response:
            return await client.post("/v1/scores", json=request, headers={"idempotency-key": key})

        request = tb_request | {"specimen": tb_request["specimen"] | {"collected_at": "2015-03-04T08:00:00Z"}}
        for key, now in [("a", right), ("b", right - step), ("c", right - step), ("d", right + step), ("e", right)]:
            clock.now = now
            notebook.keep(key, await post(key))
        assert notebook.open_keys == set(), notebook.refusals[0].text
        replay = await post("b")
        assert (replay.status_code, replay.json()["audit"]["index"]) == (200, notebook.receipts["b"].index)

    with_clock(settings, clock, ask)
    found = notebook.settle(opened)
    with opened.read() as connection:
        rows = list_entries(connection, log_id=found.head.log_id, start=0, limit=100)
    entries = [json.loads(row.entry) for row in rows]
    told = [entry["detail"]["behind_us"] // 1000 for entry in entries if entry["kind"] == "clock.regressed"]
    late = int(step.total_seconds() * 1000)
    assert told == ([late, late] if late > 1000 else [])
