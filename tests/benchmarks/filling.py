"""Logs of a wanted length, filled by the product itself: whatever stands in them went through its own front door.

`fill` sends fresh scores, the truest load and about 5 KB of database an entry; `append` has the product's committer
record reads of one score, where ten million entries are wanted and neither time nor disk for as many scores is there.
The log ends up a little longer than asked for.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import psycopg
from pydantic import SecretStr

from service.app import close_services, open_services
from service.audit.entry import Entry
from service.settings import Settings
from service.workflows.recording import NO_ROWS
from tests.benchmarks import wrk
from tests.benchmarks.accounting import claimed_size
from tests.benchmarks.machine import Unmeasurable
from tests.benchmarks.servers import Server

CONNECTIONS = 64
SLICE_SECONDS = 20
AT_ONCE = 4096
TOLD_EVERY = 1_000_000


def fill(server: Server, entries: int, folder: Path) -> int:
    """Load the server until its log holds `entries`; returns how many it holds. Says how it gets on."""
    assert server.database_url is not None
    size, seconds = claimed_size(server.database_url), 1.0
    while size < entries:
        wrk.run(server.target, folder, connections=CONNECTIONS, seconds=seconds)
        grown = claimed_size(server.database_url)
        if grown == size:
            raise Unmeasurable(f"{server.name}: scores add no entries to the log.")
        rate = (grown - size) / seconds
        size, seconds = grown, min(SLICE_SECONDS, max(1.0, (entries - grown) / rate))
        print(f"    {server.name}: {size} of {entries} entries, {rate:.0f}/s", flush=True)
    return size


def append(home: Path, database_url: str, entries: int) -> int:
    """Extend the log of a database that no server is using until it holds `entries`; returns how many it holds. `home`
    is that of its server, because a log is extended by its own key only."""
    services = open_services(Settings(home=home, database_url=SecretStr(database_url)), serving=False)
    size = claimed_size(database_url)
    try:
        while size < entries:
            read = Entry("score.read", services.clock(), "system:service", services.site, record="0" * 36)
            waiting = [services.committer.submit(NO_ROWS, None, read) for _ in range(AT_ONCE)]
            size = waiting[-1].result().index + 1
            if size // TOLD_EVERY != (size - AT_ONCE) // TOLD_EVERY:
                print(f"    {size} of {entries} entries", flush=True)
    finally:
        close_services(services)
    return size


def settle(server: Server) -> None:
    """Let the database finish what filling left to it, so that it does not do so while something is measured."""
    assert server.database_url is not None
    if server.database_url.startswith("postgresql"):
        with psycopg.connect(server.database_url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")
    os.sync()
    time.sleep(1)
