"""Reading the stacks that py-spy writes, and saying which part of the program each frame belongs to.

A line of its raw format reads `thread (TID): NAME;frame;frame COUNT`, outermost frame first. What only runs a thread or
the event loop is cut off, so that a callback of the loop is not charged to whoever started the loop. A pool's worker
that waits for work looks busy to py-spy; such samples are left out.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

STDLIB = "stdlib"
LOOP = ("event loop", "the loop itself (C)")
THREAD = re.compile(r"thread \((?P<id>\d+)\): (?P<name>.*)")
FRAME = re.compile(r"(?P<function>.+) \((?P<file>[^()]*?)(:\d+)?\)")
RUNNERS = ("Runner.run (runners.py)", "Thread.run (threading.py)", "_worker (thread.py)")
IDLE = "_worker (thread.py)"


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack of one thread: its frames as (room, function), outermost first, and how often it was seen."""

    thread: int
    name: str
    frames: tuple[tuple[str, str], ...]
    samples: int

    @property
    def room(self) -> str:
        """The room nearest to the top that is not the standard library."""
        return next((room for room, _ in reversed(self.frames) if room != STDLIB), STDLIB)


def read_stacks(text: str) -> list[Stack]:
    """The stacks of a raw recording, without waiting workers."""
    stacks = []
    for line in text.splitlines():
        names, _, samples = line.rpartition(" ")
        first, *rest = names.split(";")
        thread = THREAD.fullmatch(first)
        assert thread is not None, first
        frames = [_frame(name) for name in rest]
        if frames[-1][1] == IDLE:
            continue
        name = re.sub(r"_\d+$", "", thread["name"])
        stacks.append(Stack(int(thread["id"]), name, _without_runner(frames), int(samples)))
    return stacks


def _without_runner(frames: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    for place in range(len(frames) - 1, -1, -1):
        if frames[place][1] in RUNNERS:
            return tuple(frames[place + 1 :]) or (LOOP,)
    return tuple(frames)


def _frame(name: str) -> tuple[str, str]:
    found = FRAME.fullmatch(name)
    if found is None:
        return ("native", name)
    return (_room(found["file"]), f"{found['function']} ({Path(found['file']).name})")


def _room(path: str) -> str:
    """The part of the program a file belongs to: a room of ours, a library, or the standard library."""
    if "/site-packages/" in path:
        parts = path.partition("/site-packages/")[2].split("/")
        return parts[0].removesuffix(".py")
    own = path.removeprefix(f"{ROOT}/")
    if own != path:
        return ".".join(own.removesuffix(".py").split("/")[:2])
    return STDLIB if path.startswith((sys.base_prefix, "<")) else path
