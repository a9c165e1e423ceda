"""A line between the service and PostgreSQL that can be cut at the one moment that matters: at COMMIT.

It forwards bytes on a Unix socket of its own. Once `cut_at_next_commit` was called, the next COMMIT of a writing
transaction meets one of these fates, and in each the service sees its connection end instead of an answer:

- `ANSWERED`: PostgreSQL has committed and has answered;
- `UNSENT`: PostgreSQL was never asked to commit, and its connection ends too;
- `LATE`: COMMIT is still on its way, and arrives when the service has come back to ask for the head of the log;
- `SILENT`: COMMIT is lost, and PostgreSQL does not know that nobody is there any more, until `let_go` is called.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from threading import Event, Thread
from urllib.parse import parse_qs, urlsplit

NAME = ".s.PGSQL.5432"
COMMIT = b"COMMIT\0"
"""As it ends the text of a statement, however that is sent, and as the server reports that it is done (PostgreSQL's
documentation, "Message Formats")."""


SYNC = b"S\0\0\0\4"
"""Ends what is sent in a pipeline; nothing is answered before it."""

PATIENCE = 30
"""Seconds after which what has to come is said not to come."""


class Fate(Enum):
    """What becomes of a COMMIT."""

    ANSWERED = auto()
    UNSENT = auto()
    LATE = auto()
    SILENT = auto()


class Line:
    """The listening side; each connection is served by a thread."""

    def __init__(self, folder: Path, target: str) -> None:
        self._target = target
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / NAME))
        self._listener.listen()
        self._threads = [Thread(target=self._accept)]
        self._fate: Fate | None = None
        self._closed = False
        self.cut = Event()
        """Set when a COMMIT has met its fate."""
        self._came_back = Event()
        self._let_go = Event()
        self._threads[0].start()

    def cut_at_next_commit(self, fate: Fate) -> None:
        """Cut the line of the next transaction that writes."""
        self.cut.clear()
        self._came_back.clear()
        self._let_go.clear()
        self._fate = fate

    def let_go(self) -> None:
        """End what is left of a connection that was cut silently."""
        self._let_go.set()

    def close(self) -> None:
        """End every connection."""
        self._closed = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._threads.append(Thread(target=self._serve, args=(caller, server)))
                self._threads[-1].start()

    def _serve(self, caller: socket.socket, server: socket.socket) -> None:
        writes = False
        with caller, server, suppress(ConnectionError):
            while not self._closed:
                ready = select.select([caller, server], [], [], 0.1)[0]
                if caller in ready:
                    said = caller.recv(65536)
                    if not said:
                        return
                    writes = _writes(said, writes)
                    if self.cut.is_set() and writes:
                        self._came_back.set()
                    if COMMIT in said and writes and self._fate is not None:
                        self._meet(caller, server, said)
                        return
                    server.sendall(said)
                if server in ready:
                    answered = server.recv(65536)
                    if not answered:
                        return
                    caller.sendall(answered)

    def _meet(self, caller: socket.socket, server: socket.socket, said: bytes) -> None:
        fate, self._fate = self._fate, None
        caller.settimeout(PATIENCE)
        server.settimeout(PATIENCE)
        while not said.endswith((COMMIT, SYNC)):
            said += caller.recv(65536)
        if fate is Fate.ANSWERED:
            server.sendall(said)
            _until_done(server)
        self.cut.set()
        caller.close()
        if fate is Fate.LATE:
            assert self._came_back.wait(PATIENCE)
            time.sleep(0.3)  # by now it waits for the head's lock
            server.sendall(said)
            _until_done(server)
        if fate is Fate.SILENT:
            assert self._let_go.wait(PATIENCE)


def _writes(said: bytes, wrote: bool) -> bool:
    """Whether a connection that now says this is in a transaction that writes; `wrote` is whether it was before."""
    _, begins, rest = said.rpartition(b"BEGIN")
    if begins:
        return b"READ ONLY" not in rest
    # A new connection sets its parameters in a transaction of its own.
    return wrote and b"SET lock_timeout" not in said


def _until_done(server: socket.socket) -> None:
    """Read answers until COMMIT is done."""
    answered = b""
    while COMMIT not in answered:
        more = server.recv(65536)
        assert more, "the server did not commit"
        answered += more


@contextmanager
def line_to(url: str, folder: Path) -> Iterator[tuple[Line, str]]:
    """A line to the database of a URL, and the URL of the same database behind it."""
    parts = urlsplit(url)
    target = parse_qs(parts.query)["host"][0]
    line = Line(folder, f"{target}/{NAME}")
    yield line, url.replace(parts.query, f"host={folder}")
    line.close()
