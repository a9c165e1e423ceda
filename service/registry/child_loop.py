"""The loop of a child process: set limits, then answer one call after the other until the parent hangs up.

A module that is run by `child.Child` is no more than functions and `answer_calls(handle)`. What `handle` raises becomes
the answer where it is a rejection or one of the kinds of failure that leave the process as it was; only the type's name
goes back, since a message may quote a value. Anything else, memory that ran out above all, ends the process.
"""

from __future__ import annotations

import os
import resource
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict

from service.errors import ArtifactRejected
from service.registry.frames import Header, Payload, receive_frame, send_frame

Handler = Callable[[Header, bytearray], tuple[Header, Payload]]

GRACE_SECONDS = 1.0
"""How long a call may go on when the parent has gone."""

_FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


def answer_calls(handle: Handler) -> None:
    """Serve the parent until it hangs up. Standard input is the connection; nothing that `handle` runs may read it."""
    connection = _connection()
    first = receive_frame(connection)
    if first is None:
        return
    files = _limit(first[0]["memory_bytes"])
    threading.Thread(target=_end_with_parent, args=(connection.fileno(),), daemon=True).start()
    send_frame(connection, {"ready": True})
    try:
        while (frame := receive_frame(connection)) is not None:
            send_frame(connection, *_answer(handle, *frame))
    except ConnectionError:
        return
    finally:
        # What watches over processes, such as a measurement of the tests, writes when they end.
        resource.setrlimit(resource.RLIMIT_FSIZE, files)


def _answer(handle: Handler, header: Header, payload: bytearray) -> tuple[Header, Payload]:
    try:
        return handle(header, payload)
    except ArtifactRejected as error:
        problems = [asdict(problem) for problem in error.problems]
        return {"rejected": {"message": error.message, "remedy": error.remedy, "problems": problems}}, b""
    except _FAILURES as error:
        return {"failed": type(error).__name__}, b""


def _connection() -> socket.socket:
    connection = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return connection


def _limit(memory_bytes: int | None) -> tuple[int, int]:
    """Limit memory and keep the process from writing files, dumps of its memory included; returns the limit on files
    as it was. A guard against accidents, not against code that means harm."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    return before


def _end_with_parent(descriptor: int) -> None:
    # The system's own signal for this (PR_SET_PDEATHSIG) comes when the thread that started the child ends.
    hang_up = select.poll()
    hang_up.register(descriptor, 0)
    hang_up.poll()
    time.sleep(GRACE_SECONDS)  # an idle process ends by itself, in order
    os._exit(1)
