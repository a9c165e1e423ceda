"""How fast `exoscore audit verify` reads a log, with one process and with two, and how long an inclusion proof takes.

The log is on SQLite and filled by the product itself. Verification is the command as an operator runs it, its start
included; what it costs on a log of a handful of entries is subtracted for the rate. One process is pinned to the
server's core; two have both cores. Proofs are asked over HTTP at random places by one caller, from a server that has
just started. Needs `wrk` and `taskset`.

    python -m tests.benchmarks verify_speed [--entries N] [--how scores|reads] [--rounds N]
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmarks import machine
from tests.benchmarks.accounting import claimed_size
from tests.benchmarks.filling import fill, settle
from tests.benchmarks.machine import Unmeasurable
from tests.benchmarks.servers import Databases, Server, serve
from tests.conftest import ROOT, clean_environment

RATE, TWICE, PROOF_MS = 250_000, 1.8, 5.0
"""The aims: entries a second on one core, how many times that with two processes, milliseconds of a proof."""

PROOFS = 300


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks verify_speed", description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--how", choices=("scores", "reads"), default="scores", help="what fills the log")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    machine.require("wrk", "taskset")
    both = os.sched_getaffinity(0)
    with tempfile.TemporaryDirectory(prefix="exoscore-verify-") as path, ExitStack() as stack:
        folder, databases = Path(path), Databases(Path(path), stack)
        print(machine.describe(folder), flush=True)
        machine.stay_off_the_server_core()
        urls = {name: databases.make("sqlite", name, migrated=True) for name in ("empty", "full")}
        for name, entries in (("empty", 0), ("full", given.entries)):
            server = serve(name, folder, urls[name])
            try:
                fill(server, entries, folder, given.how)
            finally:
                server.stop()
            settle(server)
        os.sched_setaffinity(0, both)
        verification(folder, urls, claimed_size(urls["full"]), given.rounds)
        machine.stay_off_the_server_core()
        proofs(serve("full", folder, urls["full"]), claimed_size(urls["full"]))


def verification(folder: Path, urls: dict[str, str], entries: int, rounds: int) -> None:
    """Print entries a second with one process and with two."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(rounds):
        for jobs in (1, 2):
            start = _verify(folder, "empty", urls["empty"], jobs)
            rates[jobs].append(entries / (_verify(folder, "full", urls["full"], jobs) - start))
    one, two = statistics.median(rates[1]), statistics.median(rates[2])
    gain = statistics.median(b / a for a, b in zip(rates[1], rates[2], strict=True))
    print(f"{_met(one >= RATE)}: audit verify reads {one:.0f} of {entries} entries/s on one core, aim {RATE}")
    print(f"{_met(gain >= TWICE)}: with two processes {two:.0f}/s, {gain:.2f} times as many, aim {TWICE}")


def proofs(server: Server, entries: int) -> None:
    """Print what an inclusion proof takes over HTTP, then end the server."""
    connection = http.client.HTTPConnection(urlsplit(server.target.origin).netloc)
    headers, took, choose = {"Authorization": f"Bearer {server.target.key}"}, [], random.Random(7)
    try:
        for _ in range(PROOFS):
            started = time.perf_counter()
            connection.request("GET", f"/v1/audit/entries/{choose.randrange(entries)}/proof", headers=headers)
            response = connection.getresponse()
            response.read()
            took.append((time.perf_counter() - started) * 1000)
            if response.status != http.client.OK:
                raise Unmeasurable(f"a proof was answered with {response.status}.")
    finally:
        connection.close()
        server.stop()
    p50, p99 = statistics.median(took), statistics.quantiles(took, n=100)[98]
    print(f"{_met(p50 <= PROOF_MS)}: an inclusion proof takes {p50:.2f} ms (p99 {p99:.2f}), aim {PROOF_MS}")


def _verify(folder: Path, name: str, url: str, jobs: int) -> float:
    """Seconds of one verification, which must find nothing."""
    pinned = machine.ON_SERVER_CORE if jobs == 1 else []
    command = [*pinned, sys.executable, "-m", "service.cli", "audit", "verify", "--jobs", str(jobs), "--json"]
    environment = clean_environment(folder / f"home-{name}") | {"EXOSCORE_DATABASE_URL": url}
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise Unmeasurable(f"audit verify ended with {done.returncode}: {done.stdout[-500:]} {done.stderr[-500:]}")
    return seconds


def _met(found: bool) -> str:
    return "met" if found else "MISSED"
