"""Start-up of the service: seconds to the first durable score, resident memory, and what was not imported.

Each run is a fresh process of this checkout on SQLite. `first start` begins with an empty home: it migrates, makes the
keys and scores. `restart` finds all that. `FastAPI echo` is the yardstick: an empty application on the same server.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNS = 7
ECHO = """
import uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/")
async def echo() -> dict[str, int]:
    return {"ok": 1}
uvicorn.run(app, port=8907, loop="uvloop", http="httptools", log_level="error")
"""


def main(_arguments: Sequence[str] = ()) -> None:
    """Print medians of interleaved runs."""
    first, again, echo, memory, learned = [], [], [], [], []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as home:
            first.append(serve(Path(home))[0])
            seconds, resident, imported = serve(Path(home))
            again.append(seconds)
            memory.append(resident)
            learned.append(imported)
        echo.append(yardstick())
    base = statistics.median(echo)
    print(f"start-up, median of {RUNS} interleaved runs")
    for name, times in (("first start", first), ("restart", again), ("FastAPI echo", echo)):
        middle = statistics.median(times)
        print(f"  {name:13} {middle:.2f} s to the first answer ({middle / base:.1f} of echo)")
    print(f"  resident memory after the first score: {statistics.median(memory):.0f} MiB")
    print(f"  scikit-learn mapped into the serving process: {'yes' if any(learned) else 'no'}\n")


def serve(home: Path, further: Mapping[str, str] | None = None) -> tuple[float, float, bool]:
    """Seconds to the first durable score, resident MiB after it, and whether scikit-learn was loaded; `further` are
    variables of the environment."""
    environment = {"PATH": os.environ["PATH"], "EXOSCORE_HOME": str(home), **(further or {})}
    started = time.perf_counter()
    command = [sys.executable, "-m", "service.cli", "serve", "--port", "8906"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log)
    try:
        answer = wait_for(lambda: score(home))
        seconds = time.perf_counter() - started
        assert json.loads(answer)["status"] == "final"
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
        imported = "sklearn" in Path(f"/proc/{process.pid}/maps").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    return seconds, resident, imported


def yardstick() -> float:
    """Seconds until an empty FastAPI application answers."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", ECHO], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: urllib.request.urlopen("http://127.0.0.1:8907/").read())
        return time.perf_counter() - started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def score(home: Path) -> bytes:
    """One scored example; raises OSError while the server is not up."""
    key, body = (home / "dev-key").read_text(), (home / "example.json").read_bytes()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request("http://127.0.0.1:8906/v1/scores", data=body, headers=headers)
    return urllib.request.urlopen(request).read()


def wait_for(ask: Callable[[], bytes]) -> bytes:
    """The answer of `ask`, tried every 5 ms for at most 20 s."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return ask()
        except urllib.error.HTTPError:
            raise  # the server is up, and refused
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
