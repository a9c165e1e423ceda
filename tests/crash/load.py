"""Callers who write over HTTP at once, each request under an idempotency key of its own, and who keep every answer.

What was not answered with a score is kept too: its caller does not know whether it was stored, and asks again with the
same key, as a laboratory's system does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition, Event, Thread
from typing import Any

import httpx

from service.store.engine import Database
from tests.crash.book import Found, Receipt, check

PATIENCE = 60
"""Seconds after which something that has to happen is said not to happen."""


@dataclass
class Notebook:
    """Everything callers were told: receipts by idempotency key, keys without a score, and what was answered instead.

    `lost` counts the requests whose connection ended without an answer."""

    receipts: dict[str, Receipt] = field(default_factory=dict)
    open_keys: set[str] = field(default_factory=set)
    refusals: list[httpx.Response] = field(default_factory=list)
    lost: int = 0
    changed: Condition = field(default_factory=Condition)

    def keep(self, key: str, answer: httpx.Response | None) -> None:
        """Write down one answer, or that there was none."""
        with self.changed:
            if answer is None:
                self.lost += 1
                self.open_keys.add(key)
            elif answer.status_code in (200, 201):
                found = answer.json()
                receipt = Receipt(found["id"], found["audit"]["index"], found["audit"]["checkpoint"])
                earlier = self.receipts.setdefault(key, receipt)
                assert (earlier.record, earlier.index) == (receipt.record, receipt.index)
                self.open_keys.discard(key)
            else:
                self.refusals.append(answer)
                self.open_keys.add(key)
            self.changed.notify_all()

    def wait_for(self, reached: Callable[[], bool]) -> None:
        """Wait until `reached` holds."""
        with self.changed:
            assert self.changed.wait_for(reached, PATIENCE), [refusal.text for refusal in self.refusals[-3:]]

    def wait_for_receipts(self, more: int) -> None:
        """Wait until `more` further scores were acknowledged."""
        enough = len(self.receipts) + more
        self.wait_for(lambda: len(self.receipts) >= enough)

    def wait_for_refusals(self, more: int) -> None:
        """Wait until `more` further requests were refused."""
        enough = len(self.refusals) + more
        self.wait_for(lambda: len(self.refusals) >= enough)

    def ask_again(self, server: Any, request: dict[str, Any]) -> None:
        """Send what was not answered once more; each is answered with a score now."""
        with server.client() as client:
            for key in sorted(self.open_keys):
                self.keep(key, post(client, request, key))
        assert not self.open_keys, self.refusals[-1].text

    def settle(self, database: Database, *, proving: Iterable[Receipt] | None = None) -> Found:
        """Assert that the database holds one score for every key at the place that was acknowledged, and that the
        receipts `proving`, by default all, hold."""
        found = check(database, self.receipts.values() if proving is None else proving)
        assert all(found.records[receipt.index] == receipt.record for receipt in self.receipts.values())
        with database.read() as connection:
            stored = connection.sqlalchemy.exec_driver_sql("SELECT count(*) FROM score").scalar_one()
        assert len({receipt.record for receipt in self.receipts.values()}) == len(self.receipts) == stored
        return found


def post(client: httpx.Client, request: dict[str, Any], key: str) -> httpx.Response | None:
    """One request; None where the connection ended without an answer."""
    try:
        return client.post("/v1/scores", json=request, headers={"idempotency-key": key})
    except httpx.TransportError:
        return None


def replayed(server: Any, request: dict[str, Any], notebook: Notebook, every: int = 1) -> None:
    """Assert that each score (or one of `every` so many) is there to be read, and that its key gives it again."""
    with server.client() as client:
        for key, receipt in list(notebook.receipts.items())[::every]:
            found = client.get(f"/v1/scores/{receipt.record}")
            assert (found.status_code, found.json()["audit"]["index"]) == (200, receipt.index)
            again = post(client, request, key)
            assert again is not None
            assert (again.status_code, again.json()["id"]) == (200, receipt.record)


@contextmanager
def callers(server: Any, request: dict[str, Any], notebook: Notebook, number: int, name: str = "") -> Iterator[None]:
    """Let `number` callers write until the block ends, or until their server is gone."""
    stop = Event()

    def call(caller: int) -> None:
        with server.client() as client:
            sent = 0
            while not stop.is_set():
                key = f"{name}.{caller}.{sent}"
                answer = post(client, request, key)
                notebook.keep(key, answer)
                sent += 1
                if answer is None and server.process.poll() is not None:
                    return
                if answer is None or answer.status_code >= 400:
                    time.sleep(0.05)

    threads = [Thread(target=call, args=(caller,)) for caller in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def meaning(answers: list[httpx.Response]) -> set[tuple[int, str, str | None]]:
    """Status, code and Retry-After of problems."""
    return {(one.status_code, json.loads(one.content)["code"], one.headers.get("retry-after")) for one in answers}
