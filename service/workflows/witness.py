"""The witness: a start that finds another log than the one it was told of refuses; a running service goes on telling.

Rules:
1. The comparison comes before anything is created in the log or added to it: what was signed once for a size is never
   signed again for other entries.
2. The head is read after the witness, because another process may add to both meanwhile; the other way round a sound
   log would look too short.
3. The running service hands its newest checkpoint to the witness at start, at regular intervals where it changed, and
   at the end. A witness that cannot be reached is logged as an error and asked again; nobody is refused a score for it.
4. Nothing is handed over that contradicts what was handed over before.
5. Of the operator's command only its exit status is shown: what it prints may hold secrets.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO

from service.audit.log import Head
from service.audit.witness import Kept, Witness, contradiction, defects, kept_alone, read_kept, record
from service.errors import LogDamaged, LogForked, SystemFault, WitnessUnavailable
from service.operator_command import run_command
from service.store.engine import Database, ReadConnection
from service.store.log_rows import StoredHashes, find_newest, find_open, names_log
from service.telemetry import log_event

KEEP_SECONDS = 10.0
"""How long the operator's command may take to keep one checkpoint."""

LOOK_SECONDS = 60.0
"""How long the operator's command may take to list what it kept."""

WAY_ON = (
    "Find out what happened to the database, and restore the right one; or run `exoscore audit reopen`, which seals "
    "this log as it is and begins a new one."
)


@dataclass(frozen=True, slots=True)
class FileWitness:
    """Checkpoints in a file, one empty line between two; made with mode 0600."""

    path: Path

    def keep(self, note: str) -> None:
        """Append a checkpoint in one write and flush it to the disk."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                data = record(note, os.pread(descriptor, 1, size - 1) if size else b"")
                complete = os.write(descriptor, data) == len(data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _file_unavailable(type(error).__name__) from None
        if not complete:
            raise _file_unavailable("the disk is full")

    def look(self, origin: str | None) -> Kept:
        """What is kept; nothing where there is no file."""
        try:
            with self.path.open("rb") as file:
                return read_kept(file, origin)
        except FileNotFoundError:
            return Kept()
        except OSError as error:
            raise _file_unavailable(type(error).__name__) from None


@dataclass(frozen=True, slots=True)
class CommandWitness:
    """Checkpoints kept by a command of the operator: `append` reads one on its standard input and ends with status 0
    when it is kept; `list` prints all, as `FileWitness` stores them."""

    program: Sequence[str]
    keep_seconds: float = KEEP_SECONDS
    look_seconds: float = LOOK_SECONDS

    def keep(self, note: str) -> None:
        """Run the command with `append`."""
        self._run("append", self.keep_seconds, note.encode(), None)

    def look(self, origin: str | None) -> Kept:
        """Run the command with `list`."""
        with TemporaryFile() as printed:
            self._run("list", self.look_seconds, b"", printed)
            return read_kept(printed, origin)

    def _run(self, argument: str, seconds: float, data: bytes, output: IO[bytes] | None) -> None:
        failure = run_command([*self.program, argument], seconds=seconds, data=data, output=output)
        if not failure:
            return
        message = f"The command of EXOSCORE_WITNESS_COMMAND {failure} on `{argument}`."
        raise WitnessUnavailable(message, "Run it by hand as the user of the service.")


def require_witnessed(database: Database, witness: Witness) -> None:
    """Make sure that the log is the one that was witnessed. Raises `LogForked` where it is another or shorter,
    `LogDamaged` where its head contradicts itself, `WitnessUnavailable` where nobody can tell."""
    with database.read() as connection:
        before = find_open(connection)
    kept = witness.look(None if before is None else before.origin)
    with database.read() as connection:
        _compare(connection, find_open(connection), kept)


def _compare(connection: ReadConnection, head: Head | None, kept: Kept) -> None:
    newest, largest = kept.newest, kept.largest
    known = find_newest(connection)
    if newest is not None and known is None:
        size = newest.checkpoint.size
        raise LogForked(f"The database holds no audit log, and the witness holds one of {size} entries.", WAY_ON)
    if newest is not None and not names_log(connection, newest.checkpoint.origin):
        size = newest.checkpoint.size
        raise LogForked(f"The witness holds a log of {size} entries that is not in the database.", WAY_ON)
    if head is None or head.root is None:
        return
    reader = StoredHashes(connection, head.log_id)
    if largest is not None and largest.checkpoint.origin == head.origin:
        refusal = contradiction(head, reader, largest)
        if refusal is not None:
            raise LogForked(refusal, WAY_ON)
    wrong = defects(head, reader)
    if wrong:
        raise LogDamaged(wrong[0], WAY_ON)


class WitnessKeeper:
    """Hands the newest checkpoint of a database to a witness, where it changed since the last time."""

    def __init__(self, database: Database, witness: Witness) -> None:
        self._database = database
        self._witness = witness
        self._kept = Kept()
        self._turn = Lock()

    def hand_over(self) -> bool:
        """Whether there was something new to keep, and it was kept. Raises a SystemFault as `require_witnessed`."""
        with self._turn:
            with self._database.read() as connection:
                before = find_open(connection)
            if before is None:
                return False
            last = self._kept.largest
            if last is None or last.checkpoint.origin != before.origin:
                self._kept = self._witness.look(before.origin)
                last = self._kept.largest
            with self._database.read() as connection:
                head = find_open(connection)
                _compare(connection, head, self._kept)
            if head is None or head.note is None or (last is not None and last.note == head.note):
                return False
            self._witness.keep(head.note)
            self._kept = kept_alone(head.note)
            return True

    def try_to_hand_over(self) -> None:
        """As `hand_over`; what goes wrong is logged."""
        try:
            self.hand_over()
        except SystemFault as error:
            log_event("witness_failed", level=logging.ERROR, error_type=type(error).__name__, reason=error.message)


async def keep_witness(keeper: WitnessKeeper, every_seconds: float) -> None:
    """Hand over at once and then at regular intervals, until cancelled."""
    while True:
        await asyncio.to_thread(keeper.try_to_hand_over)
        await asyncio.sleep(every_seconds)


def _file_unavailable(reason: str) -> WitnessUnavailable:
    message = f"The witness file cannot be used ({reason})."
    return WitnessUnavailable(message, "Check EXOSCORE_WITNESS_FILE, the folder it lies in, and its owner.")
