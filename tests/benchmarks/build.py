"""`exoscore model build` at full size: 200 simulated people, 2000 proteins, 20 repeats of 5 folds, 1000 refits.

The aims are ten minutes on two cores and 2 GB in all processes together.

    python -m tests.benchmarks build [--jobs N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks import machine
from tests.conftest import ROOT
from tests.training.simulated import all_proteins, simulate, spec_document, write_spec

PEOPLE, ANALYTES = 200, 2000
EFFORT = {"folds": 5, "repeats": 20, "inner_folds": 5, "refits": 1000, "permutations": 200, "learning_repeats": 20}
AIM_SECONDS, AIM_MIB = 600.0, 2000.0
LOOK_SECONDS = 0.5


def main(arguments: Sequence[str] = ()) -> None:
    """Build once, and print how long it took and how much memory all its processes held at most."""
    parser = argparse.ArgumentParser(prog="benchmarks build", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    jobs = parser.parse_args(arguments).jobs
    with tempfile.TemporaryDirectory(prefix="exoscore-build-") as name:
        folder = Path(name)
        print(machine.describe(folder, pinned=False), flush=True)
        table = simulate(1, people=PEOPLE, analytes=ANALYTES, related=10).write(folder / "cohort.csv")
        spec = spec_document(evaluation=EFFORT, analytes=[all_proteins(limit=20)])
        spec["estimator"] |= {"penalties": [0.001, 0.01, 0.1, 1], "sizes": [5, 10, 20]}
        written = write_spec(folder / "spec.yaml", spec)
        command = [sys.executable, "-m", "service.cli", "model", "build", str(table), "--spec", str(written)]
        began = time.perf_counter()
        with subprocess.Popen(
            [*command, "--out", str(folder / "out"), "--jobs", str(jobs)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            most = 0.0
            while process.poll() is None:
                most = max(most, _held_mib(process.pid))
                time.sleep(LOOK_SECONDS)
        took = time.perf_counter() - began
        if process.returncode:
            raise machine.Unmeasurable(f"The build ended with status {process.returncode}.")
    met = "met" if took <= AIM_SECONDS and most <= AIM_MIB else "MISSED"
    print(
        f"{met}: {PEOPLE} people x {ANALYTES} analytes, {EFFORT['repeats']} x {EFFORT['folds']} folds, "
        f"{EFFORT['refits']} refits, {jobs} jobs: {took:.0f} s, {most:.0f} MiB; "
        f"aims {AIM_SECONDS:.0f} s, {AIM_MIB:.0f} MiB\n"
    )


def _held_mib(pid: int) -> float:
    """Memory of a process and all below it; pages they share count for each."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        children = [
            child for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    own = next((line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")), "0")
    return int(own) / 1024 + sum(_held_mib(int(child)) for child in children)
