"""Where the time of a serving process goes under load, by `py-spy`, a sampler that looks at the process from outside.

py-spy is no dependency of the project: one on PATH is used, else the one this module installs into a virtual
environment in the temporary folder. It needs the right to trace processes (root, or kernel.yama.ptrace_scope=0).

A quiet run tells how many microseconds of processor each thread spends on a request (from /proc); a sampled run tells
how a thread divides its time. Their product is the table: sampling alone would count waiting as work, and sampling only
the holder of Python's lock starves the threads that often give it away. `self` is time with a function on top of the
stack, C code that it calls included, because py-spy sees Python frames. `own` charges each sample to the room nearest
to the top that is not the standard library, and adds up to the whole; `inclusive` counts any frame of the room.

What leans one way: a thread that could run but has no core looks busy where it woke up, so with several threads on one
core the event loop and a driver's wait come out too large, and everything else of that thread a little too small.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import venv
from collections import Counter
from pathlib import Path

from tests.benchmarks import wrk
from tests.benchmarks.machine import CpuTimes, Unmeasurable, thread_seconds
from tests.benchmarks.servers import Server
from tests.benchmarks.stacks import Stack, read_stacks

SECONDS = 10
SAMPLES_A_SECOND = 400
SHOWN = 30
LEAST_SHARE = 0.003


def profile(server: Server, folder: Path, *, connections: int) -> None:
    """Profile a server under load; prints the tables, and where the stacks and the flame graph lie."""
    py_spy, pid = find_py_spy(), server.process.pid
    kept = Path(tempfile.mkdtemp(prefix=f"exoscore-profile-{server.name}-"))
    wrk.warm_up(server.target, folder, connections=connections)
    before, threads = CpuTimes.of(pid), thread_seconds(pid)
    quiet = wrk.run(server.target, folder, connections=connections, seconds=SECONDS / 2)
    cpu_us = (CpuTimes.of(pid).process - before.process) / quiet.requests * 1e6
    spent = {
        thread: (seconds - threads.get(thread, 0.0)) / quiet.requests * 1e6
        for thread, seconds in thread_seconds(pid).items()
    }
    for kind, file in (("raw", "stacks.txt"), ("flamegraph", "flame.svg")):
        command = [py_spy, "record", "--pid", str(pid), "--rate", str(SAMPLES_A_SECOND), "--threads"]
        command += ["--full-filenames", "--duration", str(SECONDS), "--format", kind, "--output", str(kept / file)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as recording:
            wrk.run(server.target, folder, connections=connections, seconds=SECONDS + 1)
            _, complaint = recording.communicate()
        if recording.returncode:
            raise Unmeasurable(f"py-spy failed: {complaint}")
    print(f"\n{server.name}, {connections} connections: {quiet.rate:.0f} requests/s, {cpu_us:.0f} us of processor each")
    show(read_stacks((kept / "stacks.txt").read_text()), spent)
    print(f"\nstacks and flame graph: {kept}")


def find_py_spy() -> str:
    """The path of py-spy, installed where it is not there yet."""
    found = shutil.which("py-spy")
    if found is not None:
        return found
    folder = Path(tempfile.gettempdir()) / "exoscore-py-spy"
    path = folder / "bin" / "py-spy"
    if not path.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "--quiet", "py-spy"], check=True)
    return str(path)


def show(stacks: list[Stack], spent: dict[int, float]) -> None:
    """Print microseconds a request by thread, by room and by function; `spent` gives those of each thread's id."""
    seen: Counter[int] = Counter()
    for stack in stacks:
        seen[stack.thread] += stack.samples
    threads: Counter[str] = Counter({"threads without Python": sum(us for tid, us in spent.items() if tid not in seen)})
    for tid, name in {(stack.thread, stack.name) for stack in stacks}:
        threads[name] += spent.get(tid, 0.0)
    own: Counter[str] = Counter()
    inclusive: Counter[str] = Counter()
    functions: Counter[tuple[str, str]] = Counter()
    for stack in stacks:
        us = spent.get(stack.thread, 0.0) * stack.samples / seen[stack.thread]
        own[stack.room] += us
        functions[stack.frames[-1]] += us
        for room in {room for room, _ in stack.frames}:
            inclusive[room] += us
    total = sum(spent.values())
    print(f"{seen.total()} samples; microseconds a request, by thread: " + _listed(threads))
    print(f"\n  {'room':28} {'own':>6} {'us':>7}   inclusive us")
    for room, us in own.most_common():
        if us / total >= LEAST_SHARE:
            print(f"  {room:28} {us / total:6.1%} {us:7.1f}   {inclusive[room]:7.1f}")
    print(f"\n  {'self':>6} {'us':>7}  function")
    for (room, function), us in functions.most_common(SHOWN):
        print(f"  {us / total:6.1%} {us:7.1f}  {room}: {function}")


def _listed(threads: Counter[str]) -> str:
    return ", ".join(f"{name} {us:.0f}" for name, us in threads.most_common() if us >= 1)
