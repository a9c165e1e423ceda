"""Whether answers get slower, or the server larger, as the log grows: p50 at a million entries against ten thousand.

Two servers on two databases of one kind, one short, one long, filled by the product itself, ended and started again.
Rounds alternate between them, first the one, then the other. Memory is what the server of the long log holds: after it
filled it, and after the rounds. Needs `wrk` and `taskset`.

    python -m tests.benchmarks growth [--kind pg sqlite] [--short N] [--long N] [--rounds N] [--seconds S]
    python -m tests.benchmarks growth --ten-million      once, entries without scores, on SQLite unless --kind says more
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import machine, wrk
from tests.benchmarks.filling import append, fill, settle
from tests.benchmarks.servers import PRODUCT, Databases, Server, home_of, serve

CONNECTIONS = (1, 16)
AIM = 1.25
"""How many times the short log's p50 the long one's may be."""

MEMORY_MIB = 250 * 1000**2 / 1024**2
"""What the server of the long log may hold: 250 MB."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The two servers, and the memory of the long one when it had just filled its log."""

    short: Server
    long: Server
    filled_mib: float


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print, one kind of database after the other."""
    given = _parse(arguments)
    machine.require("wrk", "taskset")
    machine.stay_off_the_server_core()
    for kind in given.kind:
        with tempfile.TemporaryDirectory(prefix="exoscore-growth-", dir=given.folder) as name, ExitStack() as stack:
            folder = Path(name)
            print(machine.describe(folder), flush=True)
            pair = prepare(kind, folder, stack, short=given.short, long=given.long, scores=given.scores)
            compare(pair, folder, rounds=given.rounds, seconds=given.seconds)


def prepare(kind: str, folder: Path, stack: ExitStack, *, short: int, long: int, scores: bool) -> Pair:
    """Both logs filled, their servers started afresh."""
    databases = Databases(folder, stack)
    found, memory = [], 0.0
    for name, entries in ((f"{kind}-short", short), (f"{kind}-long", long)):
        url = databases.make(kind, name, migrated=True)
        server = serve(name, folder, url)
        try:
            size = fill(server, entries if scores else 1, folder)
            memory = machine.resident_mib(server.process.pid)
        finally:
            server.stop()
        if not scores:
            size = append(home_of(name, folder), url, entries)
        print(f"  {PRODUCT[kind]}: {size} entries", flush=True)
        settle(server)
        again = serve(name, folder, url)
        stack.callback(again.stop)
        found.append(again)
    return Pair(found[0], found[1], memory)


def compare(pair: Pair, folder: Path, *, rounds: int, seconds: int) -> None:
    """Measure both in turn and print medians, ratios and memory."""
    for connections in CONNECTIONS:
        p50: dict[str, list[float]] = {pair.short.name: [], pair.long.name: []}
        for turn in range(rounds):
            for server in (pair.short, pair.long) if turn % 2 == 0 else (pair.long, pair.short):
                wrk.warm_up(server.target, folder, connections=connections)
                load = wrk.run(server.target, folder, connections=connections, seconds=seconds)
                p50[server.name].append(load.p50_ms)
        short, long = p50.values()
        found = statistics.median(b / a for a, b in zip(short, long, strict=True))
        met = "met" if found <= AIM else "MISSED"
        print(
            f"  {met}: {connections} connections, p50 {statistics.median(long):.2f} ms on "
            f"the long log, {statistics.median(short):.2f} ms on the short one: {found:.2f} times, aim at most {AIM}"
        )
    memory = max(pair.filled_mib, machine.resident_mib(pair.long.process.pid))
    print(
        f"  {'met' if memory <= MEMORY_MIB else 'MISSED'}: the server of the long log holds {memory:.0f} MiB "
        f"({pair.filled_mib:.0f} after filling it), aim at most {MEMORY_MIB:.0f}\n",
        flush=True,
    )


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks growth", description="speed and memory as the log grows")
    parser.add_argument("--kind", nargs="+", choices=tuple(PRODUCT), default=None)
    parser.add_argument("--short", type=int, default=10_000, help="entries")
    parser.add_argument("--long", type=int, default=1_000_000, help="entries")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of one measurement")
    parser.add_argument("--folder", type=Path, help="where the databases are made; the temporary folder by default")
    parser.add_argument("--ten-million", action="store_true")
    given = parser.parse_args(arguments)
    given.scores = not given.ten_million
    if given.ten_million:
        given.long = 10_000_000
    given.kind = given.kind or (["sqlite"] if given.ten_million else list(PRODUCT))
    return given
