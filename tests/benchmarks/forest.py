"""A random forest behind the product against one `predict_proba` per request, and a linear model served beside it.

First the scorers alone: sixteen tasks on one event loop against sixteen threads that each call the estimator, which is
what a plain `def` of FastAPI does. Then over HTTP with `wrk`: the product, which stores every score, against an
application that stores nothing. At last p99 of the bundled linear model alone and while the forest is under load.
No process is pinned: the estimator's own process is there to use another core.

    python -m tests.benchmarks forest [--trees N] [--rounds N] [--seconds S] [--connections N] [--scorers]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from service.registry.build import proven_scorer
from service.registry.estimator_scorer import EstimatorScorer
from tests.benchmarks import machine, wrk
from tests.benchmarks.servers import Databases, Server, real_answer, start
from tests.benchmarks.wrk import Target
from tests.conftest import ROOT, clean_environment
from tests.registry.artifacts import KEY_NAME, PUBLISHER, signature_of
from tests.registry.fitted import WIDTH, document_of, files_of, manifest_of, vectors_of

NAME = "forest-demonstration"
TIMES, TAIL = 5.0, 2.0
"""The aims: how many times the rate of one `predict_proba` per request, and how many times its p99 alone the linear
model may have beside the forest."""


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and print."""
    given = _parse(arguments)
    estimator = forest(given.trees)
    files = artifact(estimator)
    print(f"forest of {given.trees} trees, {given.connections} callers, medians of {given.rounds} interleaved rounds")
    scorers(estimator, files, callers=given.connections, rounds=given.rounds, seconds=given.seconds)
    if given.scorers:
        return
    machine.require("wrk", "taskset")
    with tempfile.TemporaryDirectory(prefix="exoscore-forest-") as path, ExitStack() as stack:
        folder = Path(path)
        written = folder / "artifact"
        written.mkdir()
        for name, data in files.items():
            (written / name).write_bytes(data)
        servers(written, folder, stack, given)


def forest(trees: int) -> RandomForestClassifier:
    """A forest over as many inputs as the bundled model has, fitted on made-up values of 600 made-up specimens."""
    generator = np.random.default_rng(5)
    matrix = generator.normal(scale=2.0, size=(600, WIDTH)).clip(-9.9, 9.9)
    labels = (matrix[:, 0] - matrix[:, 3] + generator.normal(size=600) > 0).astype(int)
    return RandomForestClassifier(trees, random_state=0).fit(matrix, labels)


def artifact(estimator: RandomForestClassifier) -> dict[str, bytes]:
    """The forest's signed artifact: the bundled manifest with this estimator in place of its own."""
    files = files_of(estimator, document_of() | {"name": NAME, "version": "1.0.0"})
    return files | {"signature": signature_of(files["manifest.json"])}


def scorers(estimator: Any, files: dict[str, bytes], *, callers: int, rounds: int, seconds: float) -> None:
    """Print scores a second of the product's scorer and of one call for each, without any server."""
    manifest = manifest_of(files)
    scorer = proven_scorer(manifest, files, vectors_of(files))
    assert isinstance(scorer, EstimatorScorer)
    ours, theirs, shared = [], [], []
    try:
        for _ in range(rounds):
            before = scorer.stats()
            ours.append(asyncio.run(_tasks(scorer, callers, seconds)))
            after = scorer.stats()
            shared.append((after["rows"] - before["rows"]) / (after["calls"] - before["calls"]))
            theirs.append(_threads(estimator, callers, seconds))
    finally:
        scorer.close()
    gain = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    rate, other, rows = (statistics.median(figures) for figures in (ours, theirs, shared))
    print(f"{_met(gain >= TIMES)}: scorer alone {rate:.0f}/s with {rows:.1f} rows a call, ", end="")
    print(f"one call each {other:.0f}/s: {gain:.1f} times, aim {TIMES:.0f}", flush=True)


def servers(folder_of_artifact: Path, folder: Path, stack: ExitStack, given: argparse.Namespace) -> None:
    """Print requests a second of the product and of the yardstick, and p99 of the linear model alone and beside."""
    product = stack.enter_context(_Stopped(serve_with(folder_of_artifact, folder, stack)))
    linear = product.target
    body = json.dumps(json.loads(linear.body) | {"model": f"{NAME}@1.0.0"}, separators=(",", ":")).encode()
    ours = Target(linear.origin, linear.key, body)
    answer = folder / "answer.json"
    answer.write_bytes(real_answer(Server(product.name, product.process, ours)))
    command = [sys.executable, "-m", "tests.benchmarks.yardsticks", "forest", "--answer", str(answer)]
    command += ["--estimator", str(folder_of_artifact / "estimator.joblib")]
    process, origin = start("yardstick", folder, command, dict(os.environ), core=())
    yardstick = stack.enter_context(_Stopped(Server("yardstick", process, Target(origin, "", body))))
    rates, tails = [], []
    for _ in range(given.rounds):
        product_load = measure(ours, folder, given)
        other_load = measure(yardstick.target, folder, given)
        rates.append((product_load.rate, other_load.rate))
        alone = measure(linear, folder, given).p99_ms
        tails.append((alone, beside(linear, ours, folder, given)))
    _show(rates, tails)


def serve_with(folder_of_artifact: Path, folder: Path, stack: ExitStack) -> Server:
    """The product on SQLite, with the version of an artifact's folder in force beside the bundled ones."""
    place = folder / "checkout"
    for name in ("service", "migrations", "model_artifacts"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(folder_of_artifact, place / "model_artifacts" / NAME / "1.0.0")
    home, url = folder / "home", Databases(folder, stack).make("sqlite", "forest", migrated=True)
    environment = clean_environment(home) | {"EXOSCORE_DATABASE_URL": url, "PYTHONPATH": str(place)}
    environment["EXOSCORE_TRUSTED_PUBLISHERS"] = PUBLISHER.vkey(KEY_NAME)
    command = [sys.executable, "-m", "service.cli", "serve", "--port", "0"]
    process, origin = start("product", folder, command, environment, cwd=place, core=())
    example = json.loads((home / "example.json").read_text())
    body = json.dumps(example, separators=(",", ":")).encode()
    return Server("product", process, Target(origin, (home / "dev-key").read_text(), body), url)


def measure(target: Target, folder: Path, given: argparse.Namespace) -> wrk.Load:
    """A load after a warm-up."""
    wrk.warm_up(target, folder, connections=given.connections)
    return wrk.run(target, folder, connections=given.connections, seconds=given.seconds)


def beside(linear: Target, other: Target, folder: Path, given: argparse.Namespace) -> float:
    """p99 of the linear model, in ms, while as many connections load the other version."""
    elsewhere = folder / "beside"
    elsewhere.mkdir(exist_ok=True)
    loading = threading.Thread(
        target=wrk.run,
        args=(other, elsewhere),
        kwargs={"connections": given.connections, "seconds": given.seconds + 2},
    )
    loading.start()
    try:
        time.sleep(0.5)
        return measure(linear, folder, given).p99_ms
    finally:
        loading.join()


def _show(rates: list[tuple[float, float]], tails: list[tuple[float, float]]) -> None:
    gain = statistics.median(ours / theirs for ours, theirs in rates)
    ours, theirs = (statistics.median(column) for column in zip(*rates, strict=True))
    print(
        f"{_met(gain >= TIMES)}: over HTTP {ours:.0f}/s, one predict_proba per request {theirs:.0f}/s: {gain:.1f} times"
    )
    tail = statistics.median(beside / alone for alone, beside in tails)
    alone, busy = (statistics.median(column) for column in zip(*tails, strict=True))
    print(
        f"{_met(tail <= TAIL)}: p99 of the linear model {alone:.1f} ms alone, {busy:.1f} ms beside: {tail:.1f} times\n"
    )


async def _tasks(scorer: EstimatorScorer, callers: int, seconds: float) -> float:
    """Scores a second with so many tasks that each wait for one score after the other."""
    count, until = 0, time.perf_counter() + seconds

    async def call(first: float) -> None:
        nonlocal count
        while time.perf_counter() < until:
            await scorer.score_soon([first, *[0.0] * (WIDTH - 1)])
            count += 1

    started = time.perf_counter()
    await asyncio.gather(*[call(number / callers) for number in range(callers)])
    return count / (time.perf_counter() - started)


def _threads(estimator: Any, callers: int, seconds: float) -> float:
    """Scores a second with so many threads that each call the estimator for one row."""
    until = time.perf_counter() + seconds

    def call(first: float) -> int:
        count, row = 0, np.array([[first, *[0.0] * (WIDTH - 1)]])
        while time.perf_counter() < until:
            estimator.predict_proba(row)
            count += 1
        return count

    started = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        counts = list(pool.map(call, [number / callers for number in range(callers)]))
    return sum(counts) / (time.perf_counter() - started)


class _Stopped:
    """Stops a server in the end."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __enter__(self) -> Server:
        return self._server

    def __exit__(self, *_: object) -> None:
        self._server.stop()


def _met(reached: bool) -> str:
    return "met" if reached else "MISSED"


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks forest", description=__doc__.partition("\n")[0])
    parser.add_argument("--trees", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of one measurement")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--scorers", action="store_true", help="measure the scorers alone, without any server")
    return parser.parse_args(arguments)
