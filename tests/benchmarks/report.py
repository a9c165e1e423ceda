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

FOREIGN = 0.10
"""Share of the server's core in other hands above which a measurement is taken again, and in the end doubted. The
kernel's own work for the server's disk counts as others' too."""


def rate(sample: Sample) -> float:
    """The figure most ratios are of."""
    return sample.rate


def line(sample: Sample) -> str:
    """One sample, as it comes in."""
    return (
        f"  round {sample.round + 1}, {sample.connections:2} connections, {sample.server:16} {sample.rate:8.0f}/s  "
        f"p50 {sample.p50_ms:7.2f} ms  p99 {sample.p99_ms:7.2f} ms  cpu {sample.cpu_us:6.0f} us"
    )


def show(samples: list[Sample], *, rounds: int, seconds: float) -> None:
    """Print the tables and how the figures stand to their aims."""
    print(
        f"\nPOST /v1/scores, medians of {rounds} interleaved rounds of {seconds} s; ratios are of requests/s, but for"
    )
    print("`cpu/echo`, the server's processor time a request in echo's; each is the median of the rounds' ratios")
    for connections in sorted({sample.connections for sample in samples}):
        print(f"\n{connections} connections")
        heads = ("req/s", "p50 ms", "p99 ms", "cpu us", "MiB", "/echo", "/e-model", "/aftern.", "cpu/echo")
        print(f"  {'server':32}" + "".join(f"{head:>9}" for head in heads))
        for name, title in (YARDSTICKS | PRODUCT).items():
            cells = _cells(samples, name, connections)
            if cells:
                print(f"  {title:32}" + "".join(f"{cell:>9}" for cell in cells))
    print()
    for verdict in verdicts(samples):
        print(verdict)
    doubtful = [sample for sample in samples if sample.foreign > FOREIGN]
    if doubtful:
        worst = max(sample.foreign for sample in doubtful)
        print(
            f"DOUBTFUL: in {len(doubtful)} of {len(samples)} measurements others had more than {FOREIGN:.0%} of the "
            f"server's core, up to {worst:.0%}"
        )


def _cells(samples: list[Sample], name: str, connections: int) -> list[str]:
    """One row of the table; empty where the server was not measured."""
    mine = [s for s in samples if s.connections == connections and s.server == name]
    if not mine:
        return []
    ratios = [
        *(ratio(samples, name, other, connections, rate) for other in ("echo", "echo-model", f"afternoon-{name}")),
        ratio(samples, name, "echo", connections, lambda s: s.cpu_us),
    ]
    return [
        f"{middle(mine, rate):.0f}",
        f"{middle(mine, lambda s: s.p50_ms):.2f}",
        f"{middle(mine, lambda s: s.p99_ms):.2f}",
        f"{middle(mine, lambda s: s.cpu_us):.0f}",
        f"{middle(mine, lambda s: s.resident_mib):.0f}",
        *("-" if found is None else f"{found:.2f}" for found in ratios),
    ]


def verdicts(samples: list[Sample]) -> list[str]:
    """One line for each aim that was measured."""
    lines = []
    for name, aim in AIMS.items():
        for connections in (16, 64):
            found = ratio(samples, name, "echo", connections, rate)
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
