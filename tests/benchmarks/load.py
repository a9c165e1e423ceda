"""`POST /v1/scores` under load, against an echo and an afternoon's work: requests a second, p50, p99, and their ratios.

Needs `wrk` and `taskset`, Debian's packages wrk and util-linux; says so where one is missing. Each round measures every
server at every number of connections, in an order that turns from round to round, each time after a warm-up. The
clock of a machine swings, so a ratio is taken within a round, and the median of the rounds' ratios is what counts.

    python -m tests.benchmarks load [--quick] [--rounds N] [--seconds S] [--only pg16 ...] [--json FILE]
    python -m tests.benchmarks load --profile pg       where the time of one server goes, see profiling.py

`--only` takes names of servers (pg, sqlite, afternoon-pg, afternoon-sqlite, echo-model), numbers of connections, or
both in one word (pg16); echo is always measured.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.benchmarks import machine, profiling, report, wrk
from tests.benchmarks.accounting import Ledger
from tests.benchmarks.machine import CpuTimes
from tests.benchmarks.servers import PRODUCT, YARDSTICKS, Databases, Server, example_target, opened, real_answer

CONNECTIONS = (1, 16, 64)
TRIES = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: what wrk saw, and what the processors did meanwhile.

    `cpu_us` is the server's processor time for a request; `foreign` the share of the server's core that others took.
    """

    round: int
    server: str
    connections: int
    rate: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: float
    foreign: float
    resident_mib: float


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print; raises Unmeasurable where a server refused, broke or lost anything."""
    given = _parse(arguments)
    machine.require("wrk", "taskset")
    machine.stay_off_the_server_core()
    with tempfile.TemporaryDirectory(prefix="exoscore-load-") as name, ExitStack() as stack:
        folder = Path(name)
        print(machine.describe(folder), flush=True)
        if given.profile is not None:
            server = start({given.profile}, folder, stack)[given.profile]
            profiling.profile(server, folder, connections=given.profile_connections)
            return
        plan = plan_of(given.only)
        servers = start({name for name, _ in plan}, folder, stack)
        ledgers = {name: Ledger.open(server) for name, server in servers.items() if name in PRODUCT}
        samples = measure(servers, ledgers, plan, folder, rounds=given.rounds, seconds=given.seconds)
        for ledger in ledgers.values():
            ledger.run_by_name(folder)
        for server in servers.values():
            server.stop()
        for ledger in ledgers.values():
            print(ledger.settle())
        report.show(samples, rounds=given.rounds, seconds=given.seconds)
        if given.json is not None:
            given.json.write_text(json.dumps([asdict(sample) for sample in samples], indent=1) + "\n")


def plan_of(only: Sequence[str]) -> list[tuple[str, int]]:
    """Which server is measured at how many connections; all of them where `only` names none."""
    names = (*YARDSTICKS, *PRODUCT)
    wanted = {(name, count) for name in names for count in CONNECTIONS} if not only else set()
    for word in only:
        found = re.fullmatch(r"([a-z-]*?)(\d*)", word)
        name, digits = (found[1], found[2]) if found else ("?", "")
        if name and name not in names:
            raise machine.Unmeasurable(f"--only knows no server of the name {name!r}; there are {', '.join(names)}.")
        counts = (int(digits),) if digits else CONNECTIONS
        wanted |= {(chosen, count) for chosen in ([name] if name else names) for count in counts}
    wanted |= {("echo", count) for _, count in wanted}
    return sorted(wanted, key=lambda item: (item[1], names.index(item[0])))


def start(names: set[str], folder: Path, stack: ExitStack) -> dict[str, Server]:
    """Every wanted server, running; a product is started first, because yardsticks send an answer of its size."""
    databases = Databases(folder, stack)
    model = next((name for name in PRODUCT if name in names), "sqlite")
    product = stack.enter_context(opened(model, folder, databases))
    answer = folder / "answer.json"
    answer.write_bytes(real_answer(product))
    print(f"request {len(product.target.body)} bytes, answer {len(answer.read_bytes())} bytes", flush=True)
    servers = {model: product} if model in names else {}
    for name in sorted(names - {model}):
        server = stack.enter_context(opened(name, folder, databases, answer))
        if name in YARDSTICKS:
            server = Server(name, server.process, example_target(server, product), server.database_url)
        servers[name] = server
    return servers


def measure(
    servers: dict[str, Server],
    ledgers: dict[str, Ledger],
    plan: list[tuple[str, int]],
    folder: Path,
    *,
    rounds: int,
    seconds: float,
) -> list[Sample]:
    """All samples, in the order they were taken."""
    samples = []
    for turn in range(rounds):
        for count in sorted({connections for _, connections in plan}):
            names = [name for name, connections in plan if connections == count]
            shift = turn % len(names)
            for name in names[shift:] + names[:shift]:
                samples.append(_calmest(servers[name], ledgers.get(name), folder, turn, count, seconds))
                print(report.line(samples[-1]), flush=True)
    return samples


def _calmest(
    server: Server, ledger: Ledger | None, folder: Path, turn: int, connections: int, seconds: float
) -> Sample:
    """A sample that others did not disturb, or else the least disturbed of a few; its own speed plays no part."""
    tried = []
    for _ in range(TRIES):
        tried.append(_sample(server, ledger, folder, turn, connections, seconds))
        if tried[-1].foreign <= report.FOREIGN:
            break
    return min(tried, key=lambda sample: sample.foreign)


def _sample(server: Server, ledger: Ledger | None, folder: Path, turn: int, connections: int, seconds: float) -> Sample:
    warm = wrk.warm_up(server.target, folder, connections=connections)
    before = CpuTimes.of(server.process.pid)
    load = wrk.run(server.target, folder, connections=connections, seconds=seconds)
    after = CpuTimes.of(server.process.pid)
    if ledger is not None:
        ledger.note(warm, connections)
        ledger.note(load, connections)
    used, busy = after.process - before.process, after.core - before.core
    return Sample(
        turn,
        server.name,
        connections,
        load.rate,
        load.p50_ms,
        load.p99_ms,
        load.max_ms,
        cpu_us=used / load.requests * 1e6,
        foreign=max(0.0, busy - used) / load.seconds,
        resident_mib=machine.resident_mib(server.process.pid),
    )


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks load", description="POST /v1/scores under load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of one measurement")
    parser.add_argument("--quick", action="store_true", help="2 rounds of 2 seconds, for development")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="such as pg16, sqlite, 64")
    parser.add_argument("--json", type=Path, help="keep every sample in this file")
    parser.add_argument("--profile", choices=(*PRODUCT, *YARDSTICKS), help="profile one server instead")
    parser.add_argument("--profile-connections", type=int, default=16)
    given = parser.parse_args(arguments)
    if given.quick:
        given.rounds, given.seconds = 2, 2
    return given
