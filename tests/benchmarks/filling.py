"""Logs of a wanted length, filled by the product itself: whatever stands in them went through its own front door.

`scores` sends fresh scores, the truest load and about 5 KB of database an entry; `reads` gets one stored score again
and again, each an entry of its own, where ten million are wanted and the disk is small. The log ends up a little
longer than asked for.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import psycopg

from tests.benchmarks import wrk
from tests.benchmarks.accounting import claimed_size
from tests.benchmarks.machine import Unmeasurable
from tests.benchmarks.servers import Server, real_answer

How = Literal["scores", "reads"]
CONNECTIONS = 64
SLICE_SECONDS = 20


def fill(server: Server, entries: int, folder: Path, how: How = "scores") -> int:
    """Load the server until its log holds `entries`; returns how many it holds. Says how it gets on."""
    assert server.database_url is not None
    target, size, seconds = _target(server, how), claimed_size(server.database_url), 1.0
    while size < entries:
        wrk.run(target, folder, connections=CONNECTIONS, seconds=seconds)
        grown = claimed_size(server.database_url)
        if grown == size:
            raise Unmeasurable(f"{server.name}: {how} add no entries to the log.")
        rate = (grown - size) / seconds
        size, seconds = grown, min(SLICE_SECONDS, max(1.0, (entries - grown) / rate))
        print(f"    {server.name}: {size} of {entries} entries, {rate:.0f}/s", flush=True)
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


def _target(server: Server, how: How) -> wrk.Target:
    if how == "scores":
        return server.target
    score_id = json.loads(real_answer(server))["id"]
    return replace(server.target, method="GET", path=f"/v1/scores/{score_id}", body=b"")
