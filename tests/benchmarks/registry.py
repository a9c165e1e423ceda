"""The registry at work: how soon replicas serve what was promoted, whom loading holds up, what many versions cost.

following  Two replicas on one PostgreSQL. From the answer to a promotion through the first one until both have answered
           a score in the name of the promoted version: one that both have loaded, one that only the first has, and one
           whose estimator gets a process of its own. The longest of all counts.
loading    The slowest of the requests of sixteen connections while a version is registered, approved and promoted, in
           p99 without that; and, to compare, the slowest without that. The server has a core of its own, with what it
           starts; load and PostgreSQL have the other one, as in the benchmark `load`.
holding    Start-up and memory with a hundred registered versions of which twenty are in force and lowered.

What a forest costs is the benchmark `forest`. Elsewhere no process is pinned. The figures are those of a quiet machine.

    python -m tests.benchmarks registry [--only following loading holding] [--rounds N] [--seconds S] [--kind pg sqlite]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from sklearn.ensemble import RandomForestClassifier

from tests.benchmarks import holding, machine, wrk
from tests.benchmarks.servers import Databases, settle
from tests.benchmarks.wrk import Load, Target
from tests.conftest import ROOT, RunningServer, clean_environment, end, launch
from tests.laboratory import TRUSTING, Laboratory
from tests.registry.artifacts import TB
from tests.registry.fitted import LABELS, MATRIX
from tests.registry.successors import successor, unlowered

PARTS = ("following", "loading", "holding")
FOLLOWED_SECONDS, SLOWEST = 2.0, 2.0
"""The aims: of `following`, and how many times p99 the slowest request may take while a version is loaded."""

CONNECTIONS = 16
SWITCHES = 20
COME_BEFORE = 0.5
"""Seconds of load before a version is loaded."""

Make = Callable[[str], Mapping[str, bytes]]


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    given = _parse(arguments)
    machine.require("wrk", "taskset")
    with tempfile.TemporaryDirectory(prefix="exoscore-registry-") as name, ExitStack() as stack:
        folder = Path(name)
        print(machine.describe(folder, pinned=False), flush=True)
        databases = Databases(folder, stack)
        if "following" in given.only:
            follow(folder, databases.make("pg", "following", migrated=True), given.rounds)
        for kind in given.kind if "holding" in given.only else ():
            holding.hold(kind, folder, databases.make(kind, f"holding-{kind}", migrated=True), given.rounds)
        if "loading" in given.only:
            machine.stay_off_the_server_core()
            aside = folder / "loading"
            aside.mkdir()
            beside = Databases(aside, stack)
            for kind in given.kind:
                load(kind, aside, beside.make(kind, f"loading-{kind}", migrated=True), given)
    print()


@dataclass(slots=True)
class Desk:
    """A laboratory at one server, and versions that nobody has seen yet."""

    server: RunningServer
    laboratory: Laboratory
    fresh: Iterator[int]

    @classmethod
    def at(cls, server: RunningServer) -> Desk:
        """A new person at a server."""
        return cls(server, Laboratory.at(server), count(1))

    def make(self, make: Make) -> tuple[str, Mapping[str, bytes]]:
        """A version that nobody has seen yet: its number, and its artifact."""
        version = f"2.{next(self.fresh)}.0"
        return version, make(version)

    def register(self, files: Mapping[str, bytes]) -> None:
        """Register an artifact."""
        self.laboratory.register(self.server, files)

    def bring(self, make: Make, *places: str) -> str:
        """Register a new version and bring it to states and aliases; its number."""
        version, files = self.make(make)
        self.register(files)
        self.sign(version, *places)
        return version

    def sign(self, version: str, *places: str) -> None:
        """Bring a version to states and aliases."""
        self.laboratory.sign(self.server, TB, version, *places)


def lowered(version: str) -> Mapping[str, bytes]:
    """A lowered version with a coefficient of its own."""
    return successor(version, by=int(version.split(".")[1]) / 64)


def forest(version: str) -> Mapping[str, bytes]:
    """A version that needs a process of its own."""
    state = int(version.split(".")[1])
    return unlowered(version, RandomForestClassifier(20, random_state=state).fit(MATRIX, LABELS))


@contextmanager
def served(
    folder: Path, name: str, database_url: str, key: str | None = None, core: Sequence[str] = ()
) -> Iterator[RunningServer]:
    """The product; replicas have one name, and so one home and one pepper."""
    environment = clean_environment(folder / name) | TRUSTING | {"EXOSCORE_DATABASE_URL": database_url}
    server = launch([*core, sys.executable, "-m", "service.cli"], environment, ROOT, key)
    try:
        yield server
    finally:
        end(server)


def request_of(server: RunningServer) -> bytes:
    """The printed example, for whatever version is in production."""
    example = json.loads((server.home / "example.json").read_text()) | {"model": TB}
    return json.dumps(example, separators=(",", ":")).encode()


def follow(folder: Path, database_url: str, rounds: int) -> None:
    """Print how long two replicas took to answer with what was promoted."""
    with ExitStack() as stack:
        first = stack.enter_context(served(folder, "following", database_url))
        second = stack.enter_context(served(folder, "following", database_url, first.key))
        pool = stack.enter_context(ThreadPoolExecutor(2))
        desk = Desk.at(first)

        def until_both(version: str, promote: Callable[[], None]) -> float:
            promote()
            began = time.perf_counter()
            waiting = [pool.submit(_until, server, version) for server in (first, second)]
            return max(one.result() for one in waiting) - began

        known = [desk.bring(lowered, "approved") for _ in range(2)]
        took = {"loaded before": [until_both(v, lambda v=v: desk.sign(v, "production")) for v in known * SWITCHES]}
        for name, make in (("new, lowered", lowered), ("new, in a process of its own", forest)):
            took[name] = []
            for _ in range(rounds):
                version = desk.bring(make)
                took[name].append(until_both(version, lambda v=version: desk.sign(v, "approved", "production")))
                desk.sign(known[0], "production")
                desk.sign(version, "retired")
        for name, seconds in took.items():
            met = "met" if max(seconds) < FOLLOWED_SECONDS else "MISSED"
            print(
                f"{met}: both replicas served a version ({name}) {max(seconds):.2f} s after the answer at the latest, "
                f"{statistics.median(seconds):.3f} s at the median of {len(seconds)}; aim {FOLLOWED_SECONDS:.0f} s",
                flush=True,
            )


def _until(server: RunningServer, version: str) -> float:
    """The time at which a server has answered a score with a version."""
    body = request_of(server)
    with server.client() as client:
        while True:
            answer = client.post("/v1/scores", content=body, headers={"content-type": "application/json"})
            if answer.status_code == 201 and answer.json()["model"]["version"] == version:
                return time.perf_counter()


def load(kind: str, folder: Path, database_url: str, given: argparse.Namespace) -> None:
    """Print the slowest request while a version is loaded."""
    with served(folder, f"loading-{kind}", database_url, core=machine.ON_SERVER_CORE) as server:
        desk, target = Desk.at(server), Target(server.origin, server.key, request_of(server))
        # The forest goes to an alias of its own: what is to be slow is the loading, not the model.
        for name, make, alias in (("lowered", lowered, "production"), ("in a process of its own", forest, "tried")):
            pairs = []
            for _ in range(given.rounds):
                settle(database_url)
                wrk.warm_up(target, folder, connections=CONNECTIONS)
                quiet = wrk.run(target, folder, connections=CONNECTIONS, seconds=given.seconds)
                settle(database_url)
                pairs.append((quiet, _load_during(desk, target, folder, make, alias, given.seconds)))
            _show_loading(kind, name, pairs)


def _load_during(desk: Desk, target: Target, folder: Path, make: Make, alias: str, seconds: float) -> Load:
    version, files = desk.make(make)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(wrk.run, target, folder, connections=CONNECTIONS, seconds=seconds)
        time.sleep(COME_BEFORE)
        desk.register(files)
        desk.sign(version, "approved", alias)
        if running.done():
            raise machine.Unmeasurable("The version was not loaded before the load ended: give it more --seconds.")
        found = running.result()
    if alias == "production":
        desk.sign("1.0.0", "production")
    desk.sign(version, "retired")
    return found


def _show_loading(kind: str, name: str, pairs: list[tuple[Load, Load]]) -> None:
    def middle(figure: Callable[[Load, Load], float]) -> float:
        return statistics.median(figure(quiet, during) for quiet, during in pairs)

    found = middle(lambda quiet, during: during.max_ms / quiet.p99_ms)
    print(
        f"{'met' if found <= SLOWEST else 'MISSED'}: {kind}, while a version ({name}) is loaded the slowest request "
        f"takes {middle(lambda _, during: during.max_ms):.1f} ms, {found:.1f} times p99 without; aim {SLOWEST:.0f}. "
        f"Without: p99 {middle(lambda quiet, _: quiet.p99_ms):.1f} ms, "
        f"slowest {middle(lambda quiet, _: quiet.max_ms):.1f} ms; "
        f"p99 while it is loaded {middle(lambda _, during: during.p99_ms):.1f} ms",
        flush=True,
    )


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser: Any = argparse.ArgumentParser(prog="benchmarks registry", description="the registry at work")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--kind", nargs="+", choices=("pg", "sqlite"), default=("pg", "sqlite"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=25, help="of one measurement of `loading`")
    found: argparse.Namespace = parser.parse_args(arguments)
    return found
