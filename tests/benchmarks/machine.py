"""The machine under the measurements: which core does what, and what the kernel says about processes and the disk.

One server process runs alone on core 0. The load generator, PostgreSQL and the benchmark itself share core 1: with two
cores, whatever is not the server stands on the other one. A shared core 1 can only make the product look slower, since
echo has no database. Linux only.
"""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SERVER_CORE, LOAD_CORE = 0, 1
ON_SERVER_CORE = ["taskset", "-c", str(SERVER_CORE)]
TICKS = os.sysconf("SC_CLK_TCK")


class Unmeasurable(SystemExit):
    """The machine lacks something, or the measurement is void; the message says what."""

    def __init__(self, message: str) -> None:
        super().__init__(f"benchmark: {message}")


def require(*tools: str) -> None:
    """Raise Unmeasurable unless there are two cores and every tool."""
    cores = os.sched_getaffinity(0)
    if not {SERVER_CORE, LOAD_CORE} <= cores:
        raise Unmeasurable(f"cores {SERVER_CORE} and {LOAD_CORE} are needed, this process may use {sorted(cores)}.")
    for tool in tools:
        if shutil.which(tool) is None:
            raise Unmeasurable(f"{tool} is not installed; on Debian: apt-get install {PACKAGES.get(tool, tool)}.")


PACKAGES = {"taskset": "util-linux"}


def stay_off_the_server_core() -> None:
    """Pin this process, and what it starts from now on, to the load generator's core."""
    os.sched_setaffinity(0, {LOAD_CORE})


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of processor time so far: of one process, and of everything on the server's core."""

    process: float
    core: float

    @classmethod
    def of(cls, pid: int) -> CpuTimes:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        lines = Path("/proc/stat").read_text().splitlines()
        core = next(line for line in lines if line.startswith(f"cpu{SERVER_CORE} ")).split()[1:]
        user, nice, system, _idle, _wait, interrupts, soft, stolen = map(int, core[:8])
        busy = user + nice + system + interrupts + soft + stolen
        return cls((int(after_name[11]) + int(after_name[12])) / TICKS, busy / TICKS)


def thread_seconds(pid: int) -> dict[int, float]:
    """Seconds of processor time so far of each thread of a process, by thread id."""
    times = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        after_name = (task / "stat").read_text().rpartition(")")[2].split()
        times[int(task.name)] = (int(after_name[11]) + int(after_name[12])) / TICKS
    return times


def resident_mib(pid: int) -> float:
    """Resident memory of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def fdatasync_ms(folder: Path, writes: int = 200) -> float:
    """Median milliseconds in which the disk under `folder` makes 4 KiB durable; near zero means that it does not."""
    took = []
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        for _ in range(writes):
            os.write(file.fileno(), b"\0" * 4096)
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - started)
    return statistics.median(took) * 1000


def describe(folder: Path, *, pinned: bool = True) -> str:
    """One line on the machine, to stand above the figures."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    where = f"server on core {SERVER_CORE}, wrk and PostgreSQL on core {LOAD_CORE}" if pinned else "nothing is pinned"
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {model}, {platform.release()}; fdatasync takes "
        f"{fdatasync_ms(folder):.2f} ms; {where}"
    )
