"""What a server that has started leaves to Python's garbage collector."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WATCHED = """
import gc, json, os, signal, sys
from service import cli

def tell(*_):
    # Objects that were frozen are not among those that the collector goes through.
    left = gc.get_objects()
    said = {
        "on": gc.isenabled(),
        "frozen": gc.get_freeze_count(),
        "left": len(left),
        "modules": [one.__name__ for one in left if type(one) is type(sys)],
        "ours": sorted({type(one).__qualname__ for one in left if str(type(one).__module__).startswith("service.")}),
        "collections": [one["collections"] for one in gc.get_stats()],
    }
    with open(sys.argv[1] + ".new", "w") as file:
        json.dump(said, file)
    os.rename(sys.argv[1] + ".new", sys.argv[1])

signal.signal(signal.SIGUSR1, tell)
sys.exit(cli.main(sys.argv[2:]))
"""
"""`exoscore`, with a signal that makes it say what its collector has to go through."""


LASTING = {"Services", "Front", "Committer", "Manifest", "LinearScorer", "ModelVersion", "Panel"}
"""What start-up makes and every request uses."""


def ask(server: Any, path: Path) -> dict[str, Any]:
    path.unlink(missing_ok=True)
    server.process.send_signal(signal.SIGUSR1)
    until = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until, "the server did not say"
        time.sleep(0.01)
    said: dict[str, Any] = json.loads(path.read_text())
    return said


def test_what_start_up_made_is_never_looked_through_and_what_requests_make_is(
    start_server: Callable[..., Any], tmp_path: Path, tb_request: dict[str, Any]
) -> None:
    path = tmp_path / "said"
    server = start_server(None, command=[sys.executable, "-c", WATCHED, str(path)])
    started = ask(server, path)
    assert started["on"]
    # What runs beside the requests may have made something of its own by now.
    assert (started["modules"], LASTING & set(started["ours"])) == ([], set())
    assert started["left"] < started["frozen"] / 100
    with server.client() as client:
        for _ in range(300):
            assert client.post("/v1/scores", json=tb_request).status_code == 201
    busy = ask(server, path)
    assert busy["on"]
    assert busy["collections"][0] > started["collections"][0]
    assert LASTING.isdisjoint(busy["ours"])
    assert busy["left"] < started["frozen"] / 100
