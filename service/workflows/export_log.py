"""A log as a folder of static files (C2SP tlog-tiles) that any client of that format can read, mirror and verify.

A folder that holds an older export of the same log is brought up to date, once it was found to be a beginning of it.
Any other folder that is not empty is refused: an export never mixes with something else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.audit.note import Checkpoint, open_checkpoint
from service.audit.tiles import export
from service.audit.tree import root_of
from service.errors import InputRejected, LogDamaged
from service.store.engine import Database
from service.store.log_rows import StoredHashes, list_entries
from service.workflows.read_log import SignedLog, damaged, signed_log


@dataclass(frozen=True, slots=True)
class _Entries:
    """See `audit.tiles.EntryReader`."""

    log: SignedLog

    def entries(self, start: int, stop: int) -> Sequence[bytes]:
        """The stored bytes of the entries `start` to `stop` - 1."""
        rows = list_entries(self.log.connection, log_id=self.log.log_id, start=start, limit=stop - start)
        return [row.entry for row in rows if isinstance(row.entry, bytes)]


def export_log(database: Database, origin: str | None, folder: Path) -> Checkpoint:
    """Write a log, the open one where `origin` is None, into `folder`; the checkpoint comes last.

    Raises InputRejected for a folder that is not this log's, LogDamaged where the stored log does not bear out its
    checkpoint, OSError where the folder cannot be written."""
    with signed_log(database, origin) as log:
        hashes = StoredHashes(log.connection, log.log_id)
        _check_folder(folder, log, hashes)
        try:
            for path, content in export(hashes, _Entries(log), log.note, log.vkey):
                _write(folder / path, content)
        except ValueError:
            raise damaged() from None
    return log.checkpoint


def _check_folder(folder: Path, log: SignedLog, hashes: StoredHashes) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        key, note = (folder / "key").read_text("utf-8"), (folder / "checkpoint").read_text("utf-8")
    except (OSError, ValueError):
        raise _refused("is not empty and not an export of a log") from None
    if key != f"{log.vkey}\n":
        raise _refused("holds the export of another log")
    try:
        older = open_checkpoint(note, log.vkey)
        begins_so = older.size <= log.size and root_of(hashes, older.size) == older.root
    except ValueError:
        begins_so = False
    if not begins_so:
        raise LogDamaged(
            "The folder holds an export of this log that the log of now does not begin with.",
            "Keep that export as evidence, and run `exoscore audit verify --witness` with its checkpoint.",
        )


def _write(path: Path, content: bytes) -> None:
    """Replace a file as a whole, so that a reader never sees half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.writing")
    partial.write_bytes(content)
    os.replace(partial, path)


def _refused(state: str) -> InputRejected:
    return InputRejected(f"The folder {state}.", "Name a new or empty folder, or an older export of this log.")
