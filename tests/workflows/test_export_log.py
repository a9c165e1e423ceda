"""Exports, read by code that shares nothing with the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.domain.log_query import EntriesQuery
from service.errors import InputRejected, LogDamaged, NotFound
from service.workflows.export_log import export_log
from service.workflows.read_log import list_log, list_origins
from tests.audit.independent import exported
from tests.workflows.recorder import Recorder
from tests.workflows.tampering import administrator


@pytest.fixture
def recorder(database_url: str) -> Iterator[Recorder]:
    recorder = Recorder(database_url)
    yield recorder
    recorder.close()


@pytest.mark.parametrize("size", [1, 3, 255, 256, 257, 600])
def test_an_export_is_the_log(recorder: Recorder, tmp_path: Path, size: int) -> None:
    recorder.read(size - 1)
    (origin,) = list_origins(recorder.database)
    done = export_log(recorder.database, None, tmp_path / "export")
    assert (done.origin, done.size) == (origin, size)
    found, entries = exported(tmp_path / "export")
    assert (found, len(entries)) == (origin, size)
    assert not list(tmp_path.rglob("*.writing"))


def test_an_older_export_is_brought_up_to_date(recorder: Recorder, tmp_path: Path) -> None:
    for more in (0, 0, 5, 251, 300):
        recorder.read(more)
        size = export_log(recorder.database, None, tmp_path).size
        assert len(exported(tmp_path)[1]) == size


def test_sealed_logs_are_exported_by_their_origins(recorder: Recorder, tmp_path: Path) -> None:
    recorder.read(4)
    recorder.reopen()
    recorder.read(2)
    sealed, opened = list_origins(recorder.database)
    assert len(exported_of(recorder, sealed, tmp_path / "a")) == 5
    assert len(exported_of(recorder, opened, tmp_path / "b")) == 3
    with pytest.raises(InputRejected, match="another log"):
        export_log(recorder.database, opened, tmp_path / "a")
    with pytest.raises(NotFound):
        export_log(recorder.database, "exoscore/0", tmp_path / "c")


def exported_of(recorder: Recorder, origin: str, folder: Path) -> list[bytes]:
    export_log(recorder.database, origin, folder)
    found, entries = exported(folder)
    assert found == origin
    page = list_log(recorder.database, EntriesQuery(origin, 0, 500, None))
    assert [item["index"] for item in page["items"]] == list(range(len(entries)))
    return entries


def test_a_folder_with_anything_else_in_it_is_refused(recorder: Recorder, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("x")
    with pytest.raises(InputRejected, match="not empty"):
        export_log(recorder.database, None, tmp_path)
    with pytest.raises(InputRejected, match="not empty"):
        export_log(recorder.database, None, tmp_path / "letter")
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


def test_an_export_that_the_log_does_not_begin_with_is_kept(recorder: Recorder, tmp_path: Path) -> None:
    recorder.read(3)
    checkpoint = export_log(recorder.database, None, tmp_path)
    forged = f"{checkpoint.origin}\n{checkpoint.size}\n{'A' * 43}=\n"
    (tmp_path / "checkpoint").write_text(recorder.signer.sign(checkpoint.origin, forged), encoding="utf-8")
    with pytest.raises(LogDamaged, match="does not begin with"):
        export_log(recorder.database, None, tmp_path)
    (tmp_path / "checkpoint").write_text("torn", encoding="utf-8")
    with pytest.raises(LogDamaged):
        export_log(recorder.database, None, tmp_path)


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM audit_entry WHERE seq = 1", "UPDATE audit_entry SET leaf_hash = entry WHERE seq = 1"],
    ids=["missing", "altered"],
)
def test_a_damaged_log_is_not_exported(recorder: Recorder, tmp_path: Path, statement: str) -> None:
    recorder.read(3)
    admin = administrator(recorder.url)
    admin.run(statement)
    admin.close()
    with pytest.raises(LogDamaged):
        export_log(recorder.database, None, tmp_path)
    assert not (tmp_path / "checkpoint").exists()
