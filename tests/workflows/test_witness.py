"""The witness beside a real database: files, commands, the comparison at a start, what a service hands over."""

from __future__ import annotations

import asyncio
import json
import logging
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from service.audit.committer import Committer
from service.audit.entry import Entry
from service.audit.log import LogWriter
from service.audit.note import Checkpoint, Signer, sign_checkpoint
from service.audit.outcome import SilentObserver
from service.audit.submissions import NoRows
from service.audit.witness import Kept, Witness
from service.errors import LogDamaged, LogForked, WitnessUnavailable
from service.store.audit_log import SqlLogStorage
from service.store.log_rows import find_newest
from service.telemetry import JsonLines
from service.workflows.services import Services
from service.workflows.witness import CommandWitness, FileWitness, WitnessKeeper, keep_witness, require_witnessed

NO_ROWS = NoRows()
ORIGIN = "exoscore/0123456789abcdef"
STRANGER = Signer.generate()
KEEP = """
import sys
path = sys.argv[1]
if sys.argv[2] == "append":
    note = sys.stdin.read()
    with open(path, "a", encoding="utf-8") as file:
        file.write(("\\n" if file.tell() else "") + note)
else:
    sys.stdout.write(open(path, encoding="utf-8").read())
"""


def note(size: int, signer: Signer = STRANGER, origin: str = ORIGIN, root: bytes = b"r" * 32) -> str:
    return sign_checkpoint(signer, Checkpoint(origin, size, root))


def newest_size(kept: Kept) -> int | None:
    return None if kept.newest is None else kept.newest.checkpoint.size


@pytest.fixture
def file(tmp_path: Path) -> FileWitness:
    return FileWitness(tmp_path / "far" / "witness")


@pytest.fixture(params=["file", "command"])
def witness(request: pytest.FixtureRequest, file: FileWitness, tmp_path: Path) -> Witness:
    """Each kind of witness in turn."""
    if request.param == "file":
        return file
    (tmp_path / "kept").touch()
    return CommandWitness([sys.executable, "-c", KEEP, str(tmp_path / "kept")])


@pytest.fixture
def record(services: Services) -> Callable[..., None]:
    """A function that records one entry of a kind."""

    def append(kind: str = "score.read") -> None:
        entry = Entry(kind, services.clock(), "system:cli", "test")
        services.committer.submit(NO_ROWS, None, entry).result()

    return append


def test_what_is_kept_is_found_again(witness: Witness) -> None:
    assert newest_size(witness.look(ORIGIN)) is None
    for size in (1, 3, 2):
        witness.keep(note(size))
    kept = witness.look(ORIGIN)
    assert newest_size(kept) == 2
    assert kept.largest is not None
    assert (kept.largest.note, kept.largest.checkpoint.size) == (note(3), 3)


def test_a_witness_file_is_private_and_keeps_what_it_has(file: FileWitness) -> None:
    file.keep(note(1))
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700
    before = file.path.read_bytes()
    file.path.write_bytes(before + b"\ntorn")
    file.keep(note(2))
    assert file.path.read_bytes().startswith(before + b"\ntorn\n\n")
    assert newest_size(file.look(None)) == 2


def test_a_file_that_cannot_be_used_is_named_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "marker").mkdir()
    for use in (lambda w: w.keep(note(1)), lambda w: w.look(None)):
        with pytest.raises(WitnessUnavailable, match="IsADirectoryError") as caught:
            use(FileWitness(tmp_path / "marker"))
        assert "marker" not in caught.value.message


def test_a_full_disk_is_named() -> None:
    with pytest.raises(WitnessUnavailable, match="OSError"):
        FileWitness(Path("/dev/full")).keep(note(1))


def test_a_record_that_was_written_in_part_is_named(file: FileWitness) -> None:
    program = """
import resource, sys
from pathlib import Path
from service.errors import WitnessUnavailable
from service.workflows.witness import FileWitness
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    FileWitness(Path(sys.argv[1])).keep(sys.argv[2])
except WitnessUnavailable as error:
    print(error.message)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(file.path), note(1)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "the disk is full" in done.stdout
    assert file.path.stat().st_size == 100
    file.keep(note(2))
    assert newest_size(file.look(None)) == 2


@pytest.mark.parametrize(
    ("command", "failure"),
    [
        ("false marker", "ended with status 1 on `(list|append)`"),
        ("/no/such/marker", "FileNotFoundError"),
        ("sh -c 'echo marker >&2; echo marker; exit 3'", "status 3"),
    ],
)
def test_a_command_that_fails_is_named_and_nothing_of_it_is_shown(
    command: str, failure: str, capfd: pytest.CaptureFixture[str]
) -> None:
    witness = CommandWitness(shlex.split(command))
    for use in (lambda: witness.keep(note(1)), lambda: witness.look(None)):
        with pytest.raises(WitnessUnavailable, match=failure) as caught:
            use()
        assert "marker" not in caught.value.message + "".join(capfd.readouterr())


def test_a_command_that_hangs_is_stopped() -> None:
    with pytest.raises(WitnessUnavailable, match=r"within 0.2 seconds on `append`"):
        CommandWitness(["sh", "-c", "exec sleep 60"], keep_seconds=0.2).keep(note(1))


def test_a_first_start_has_nothing_to_compare(services: Services, file: FileWitness) -> None:
    require_witnessed(services.database, file)


def test_a_log_that_grew_agrees(services: Services, witness: Witness, record: Callable[..., None]) -> None:
    keeper = WitnessKeeper(services.database, witness)
    assert keeper.hand_over()
    for _ in range(300):
        record()
    require_witnessed(services.database, witness)
    assert keeper.hand_over()
    require_witnessed(services.database, witness)


def test_only_a_change_is_handed_over(services: Services, file: FileWitness, record: Callable[..., None]) -> None:
    keeper = WitnessKeeper(services.database, file)
    assert [keeper.hand_over() for _ in range(3)] == [True, False, False]
    record()
    assert keeper.hand_over()
    assert not WitnessKeeper(services.database, file).hand_over()
    assert file.path.read_text().count("\n\n\u2014 ") == 2


def damage(services: Services, *statements: str) -> None:
    with services.database.write() as connection:
        for statement in statements:
            connection.sqlalchemy.execute(text(statement))


def allow_edits(services: Services) -> None:
    if services.database.embedded:
        damage(services, "DROP TRIGGER audit_entry_no_delete", "DROP TRIGGER audit_entry_no_update")
    else:
        damage(services, "ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_append_only")


def test_a_log_that_was_cut_and_signed_again_is_refused(
    services: Services, file: FileWitness, record: Callable[..., None], signer: Signer
) -> None:
    for _ in range(4):
        record()
    keeper = WitnessKeeper(services.database, file)
    assert keeper.hand_over()
    allow_edits(services)
    with services.database.read() as connection:
        head = find_newest(connection)
        assert head is not None
        first = connection.sqlalchemy.execute(text("SELECT leaf_hash FROM audit_entry WHERE seq = 0")).scalar_one()
    damage(services, "DELETE FROM audit_entry WHERE seq > 0", "UPDATE audit_log SET size = 1")
    with pytest.raises(LogForked, match=r"5 entries, and the log has only 1\."):
        require_witnessed(services.database, file)
    shorter = signer.sign(head.origin, Checkpoint(head.origin, 1, first).text())
    with services.database.write() as connection:
        statement = text("UPDATE audit_log SET root = :root, note = :note")
        connection.sqlalchemy.execute(statement, {"root": first, "note": shorter})
    with pytest.raises(LogForked, match=r"5 entries, and the log has only 1\."):
        keeper.hand_over()
    assert newest_size(file.look(None)) == 5
    forger = Committer(SqlLogStorage(services.database), LogWriter(signer, "test"), SilentObserver())
    forger.start()
    for _ in range(4):
        forger.submit(NoRows(), None, Entry("config.changed", services.clock(), "system:cli", "test")).result()
    forger.close()
    with pytest.raises(LogForked, match="first 5 of the 5"):
        require_witnessed(services.database, file)


@pytest.mark.parametrize("column", ["note", "root"])
def test_a_head_that_is_not_what_it_signed_is_refused(services: Services, file: FileWitness, column: str) -> None:
    value = {"note": note(1), "root": b"r" * 32}[column]
    with services.database.write() as connection:
        connection.sqlalchemy.execute(text(f"UPDATE audit_log SET {column} = :value"), {"value": value})
    with pytest.raises(LogDamaged, match="head"):
        require_witnessed(services.database, file)


def test_a_log_of_another_database_is_refused(services: Services, file: FileWitness) -> None:
    file.keep(note(7))
    with pytest.raises(LogForked, match="a log of 7 entries that is not in the database"):
        require_witnessed(services.database, file)


def test_a_log_whose_first_entry_cannot_be_read_names_no_other(services: Services, file: FileWitness) -> None:
    allow_edits(services)
    damage(services, "UPDATE audit_entry SET entry = entry || entry")
    file.keep(note(7))
    with pytest.raises(LogForked, match="not in the database"):
        require_witnessed(services.database, file)


def test_a_checkpoint_that_the_log_s_key_did_not_sign_is_refused(services: Services, file: FileWitness) -> None:
    with services.database.read() as connection:
        head = find_newest(connection)
    assert head is not None
    file.keep(note(1, origin=head.origin))
    with pytest.raises(LogForked, match="did not sign"):
        require_witnessed(services.database, file)


def test_what_goes_wrong_is_logged_and_tried_again(
    services: Services, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "in-the-way"
    path.mkdir()
    keeper = WitnessKeeper(services.database, FileWitness(path))

    async def a_while() -> None:
        task = asyncio.create_task(keep_witness(keeper, 0.01))
        while not caplog.records:
            await asyncio.sleep(0.01)
        path.rmdir()
        while not path.is_file():
            await asyncio.sleep(0.01)
        task.cancel()

    with caplog.at_level(logging.ERROR, logger="exoscore"):
        asyncio.run(asyncio.wait_for(a_while(), 30))
    line = json.loads(JsonLines().format(caplog.records[0]))
    assert (line["event"], line["level"], line["error_type"]) == ("witness_failed", "error", "WitnessUnavailable")
    assert str(path) not in line["reason"]
