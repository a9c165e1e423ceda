"""A child process of our own that answers calls: for what must not run inside the server.

Rules:
1. The child is this interpreter running a module that calls `child_loop.answer_calls`; how it begins stands in
   `child_start`. It is spoken to over one socket pair; it has no other input, and what it prints is thrown away,
   because it could quote a value.
2. It is handed bytes, never a path, and of the environment only what an interpreter needs: no setting, no secret.
3. Numerical libraries run in one thread there, so that a number does not depend on how many cores a machine has.
4. It answers within the time of the call or is killed: after that nobody knows what it is doing.
5. Whichever of the two ends, the other notices at once. It is always waited for, so none stays behind as a zombie.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from service.errors import ArtifactRejected, ChildEnded, ChildFailed, Problem
from service.registry.frames import Header, Payload, receive_frame, send_frame

START_SECONDS = 60.0
"""How long a child may take to import what it needs; a cold disk takes seconds."""

CALL_SECONDS = 30.0
STARTER = "service.registry.child_start"
CLOSE_SECONDS = 5.0
"""How long a child that is asked to end may take before it is killed."""

_KEPT = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV"})
_KEPT_FAMILIES = ("LC_", "DYLD_", "PYTHON", "COVERAGE_")
"""What variables of an interpreter's own begin with; HOME and the like would let strangers in, such as HOMEBREW_..."""

_ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "LOKY_MAX_CPU_COUNT",
    ),
    "1",
)
_ROOT = Path(__file__).parents[2]


class Child:
    """A running child process. `call` may be used from any thread; calls are answered one after the other.

    `memory_bytes` limits its address space; `niceness` lets others go before it on a busy machine. `on_end` is called
    once, from a thread of ours, when the process has ended for whatever reason. Raises ChildEnded where it is not ready
    within `start_seconds`.
    """

    def __init__(
        self,
        module: str,
        *,
        memory_bytes: int | None = None,
        niceness: int = 0,
        start_seconds: float = START_SECONDS,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self._connection, theirs = socket.socketpair()
        self._calling = threading.Lock()
        self._ended = threading.Event()
        self._on_end = on_end
        with theirs:
            try:
                self._process = _spawn(module, niceness, theirs)
            except OSError as error:
                self._connection.close()
                raise ChildEnded(f"A child process could not be started ({type(error).__name__}).") from None
        threading.Thread(target=self._reap, name=f"reap {self._process.pid}", daemon=True).start()
        try:
            self.call({"memory_bytes": memory_bytes}, timeout=start_seconds)
        except (ChildEnded, ChildFailed):
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The id of the process; another one may have it when this one has ended."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return not self._ended.is_set()

    @property
    def status(self) -> str:
        """How the process ended, once it has: `signal 9`, `status 1`."""
        status = self._process.returncode
        return f"signal {-status}" if status is not None and status < 0 else f"status {status}"

    def call(self, header: Header, payload: Payload = b"", timeout: float = CALL_SECONDS) -> tuple[Header, bytearray]:
        """What the child answers to a message. Raises ChildEnded where it ends, or is killed for not answering within
        `timeout` seconds; ChildFailed where the call failed and the child goes on; ArtifactRejected where it says so.
        """
        with self._calling:
            try:
                self._connection.settimeout(timeout)
                send_frame(self._connection, header, payload)
                answer = receive_frame(self._connection)
            except TimeoutError:
                self.kill()
                raise ChildEnded(f"A child process did not answer within {timeout:g} seconds.") from None
            except (OSError, ValueError):
                answer = None
        if answer is None:
            self._end()
            raise ChildEnded(f"A child process ended ({self.status}).")
        return _checked(*answer)

    def kill(self) -> None:
        """End the process, and all it may have started, without asking; returns when it is gone."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._hang_up()
        self._ended.wait()

    def close(self) -> None:
        """Ask the process to end, which it does as soon as it is idle; kill it where that takes too long."""
        self._end()
        with self._calling:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end(self) -> None:
        self._hang_up()
        if not self._ended.wait(CLOSE_SECONDS):
            self.kill()

    def _hang_up(self) -> None:
        # Not closed: another thread may be waiting for an answer, and wakes up by this.
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def _reap(self) -> None:
        self._process.wait()
        self._ended.set()
        if self._on_end is not None:
            self._on_end()


def _spawn(module: str, niceness: int, connection: socket.socket) -> subprocess.Popen[bytes]:
    environment = {
        name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_FAMILIES)
    }
    # The package is found where this process found it, and nothing in the working directory stands before it.
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), environment.get("PYTHONPATH"))))
    return subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-B", "-m", STARTER, module, str(niceness)],
        env=environment | _ONE_THREAD,
        stdin=connection.fileno(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _checked(header: Header, payload: bytearray) -> tuple[Header, bytearray]:
    rejected = header.get("rejected")
    if rejected is not None:
        problems = [Problem(**problem) for problem in rejected["problems"]]
        raise ArtifactRejected(rejected["message"], rejected["remedy"], problems)
    if "failed" in header:
        raise ChildFailed(f"A call failed in a child process ({header['failed']}).")
    return header, payload
