"""The figures of `load` as a table: medians of the rounds, and medians of the ratios taken within each round."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.benchmarks.servers import PRODUCT, YARDSTICKS

if TYPE_CHECKING:
    from tests.benchmarks.load import Sample

AIMS = {"pg": 1.0, "sqlite": 0.8}
"""Share of echo's requests a second that each product is to reach at 16 and at 64 connections."""

TAIL = 3.0
"""How many times echo's p99 the product's may be at 16 connections."""

FOREIGN = 0.05
"""Share of the server's core in other hands above which a figure deserves doubt."""


def line(sample: Sample) -> str:
    """One sample, as it comes in."""
    return (
        f"  round {sample.round + 1}, {sample.connections:2} connections, {sample.server:16} {sample.rate:8.0f}/s  "
        f"p50 {sample.p50_ms:7.2f} ms  p99 {sample.p99_ms:7.2f} ms  cpu {sample.cpu_us:6.0f} us"
    )


def show(samples: list[Sample], *, rounds: int, seconds: float) -> None:
    """Print the tables and how the figures stand to their aims."""
    print(
        f"\nPOST /v1/scores, medians of {rounds} interleaved rounds of {seconds} s; ratios of requests/s within a round"
    )
    for connections in sorted({sample.connections for sample in samples}):
        print(f"\n{connections} connections")
        print(
            f"  {'server':32} {'req/s':>7} {'p50 ms':>8} {'p99 ms':>8} {'cpu us':>7} {'MiB':>5}   of echo, "
            "of echo-model, of afternoon"
        )
        for name, title in (YARDSTICKS | PRODUCT).items():
            mine = [s for s in samples if s.connections == connections and s.server == name]
            if not mine:
                continue
            ratios = [
                ratio(samples, name, other, connections, lambda s: s.rate)
                for other in ("echo", "echo-model", f"afternoon-{name}")
            ]
            print(
                f"  {title:32} {middle(mine, lambda s: s.rate):7.0f} {middle(mine, lambda s: s.p50_ms):8.2f} "
                f"{middle(mine, lambda s: s.p99_ms):8.2f} {middle(mine, lambda s: s.cpu_us):7.0f} "
                f"{middle(mine, lambda s: s.resident_mib):5.0f}   "
                + "  ".join(" -  " if found is None else f"{found:.2f}" for found in ratios)
            )
    print()
    for verdict in verdicts(samples):
        print(verdict)
    worst = max(sample.foreign for sample in samples)
    if worst > FOREIGN:
        print(f"DOUBTFUL: other processes took up to {worst:.0%} of the server's core during a measurement")


def verdicts(samples: list[Sample]) -> list[str]:
    """One line for each aim that was measured."""
    lines = []
    for name, aim in AIMS.items():
        for connections in (16, 64):
            found = ratio(samples, name, "echo", connections, lambda s: s.rate)
            if found is not None:
                met = "met" if found >= aim else "MISSED"
                lines.append(f"{met}: {PRODUCT[name]} at {connections} connections: {found:.2f} of echo, aim {aim}")
        tail = ratio(samples, name, "echo", 16, lambda s: s.p99_ms)
        if tail is not None:
            met = "met" if tail <= TAIL else "MISSED"
            lines.append(f"{met}: {PRODUCT[name]} at 16 connections: p99 {tail:.2f} times echo's, aim at most {TAIL}")
    return lines


def ratio(
    samples: list[Sample], name: str, other: str, connections: int, figure: Callable[[Sample], float]
) -> float | None:
    """The median over the rounds of one server's figure to another's; None where one of them was not measured."""
    found = {
        (s.round, s.server): figure(s) for s in samples if s.connections == connections and s.server in {name, other}
    }
    ratios = [
        value / found[turn, other]
        for (turn, server), value in found.items()
        if server == name and (turn, other) in found
    ]
    return statistics.median(ratios) if ratios else None


def middle(samples: list[Sample], figure: Callable[[Sample], float]) -> float:
    """The median of one figure."""
    return statistics.median(figure(sample) for sample in samples)
