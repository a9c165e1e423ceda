"""A zip is read in one way or not at all."""

import io
import os
import shutil
import stat
import struct
import subprocess
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ArtifactRejected
from service.registry.archive import ARTIFACT, Limits, read_folder, read_zip

FILES = {"manifest.json": b'{"a": 1}' * 40, "golden.json": b"[]", "signature": b"", "estimator.joblib": os.urandom(300)}
MIB = 1 << 20


def packed(files: dict[str, bytes] = FILES, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def entry(name: str, data: bytes = b"x", **fields: int) -> bytes:
    info = zipfile.ZipInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, data)
    return buffer.getvalue()


def refusal(data: bytes, limits: Limits = ARTIFACT) -> str:
    with pytest.raises(ArtifactRejected) as caught:
        read_zip(data, limits)
    (reason,) = caught.value.reasons
    assert all(name not in caught.value.message for name in FILES)
    return reason


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise io.UnsupportedOperation

    def tell(self) -> int:
        raise io.UnsupportedOperation


def streamed() -> bytes:
    target = Unseekable()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    return target.getvalue()


@pytest.mark.parametrize(
    "data",
    [packed(), packed(method=zipfile.ZIP_STORED), streamed(), packed({})],
    ids=["deflated", "stored", "streamed", "empty"],
)
def test_what_ordinary_writers_make_is_read(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert read_zip(data) == {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.skipif(shutil.which("zip") is None, reason="needs the program zip")
def test_what_the_program_zip_makes_is_read(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    subprocess.run(["zip", "-q", "-j", "x.zip", *FILES], cwd=tmp_path, check=True)
    assert read_zip((tmp_path / "x.zip").read_bytes()) == FILES


SOUND = packed()


@given(place=st.integers(0, len(SOUND) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_changes_nothing(place: int, bit: int) -> None:
    data = bytearray(SOUND)
    data[place] ^= 1 << bit
    try:
        found = read_zip(bytes(data))
    except ArtifactRejected:
        return
    assert found == FILES


@pytest.mark.parametrize("data", [SOUND, streamed()], ids=["plain", "streamed"])
def test_no_part_of_a_zip_is_a_zip(data: bytes) -> None:
    for length in range(len(data)):
        assert refusal(data[:length]) == "unsafe_archive"


@given(data=st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for attempt in (data, data + SOUND, SOUND[:40] + data + SOUND[40:], SOUND[:-40] + data + SOUND[-22:]):
        with suppress(ArtifactRejected):
            assert read_zip(attempt) in (FILES, {})


UNSAFE_NAMES = [
    "../manifest.json",
    "/etc/passwd",
    "a/manifest.json",
    "tb/1.0.0/",
    "C:manifest.json",
    "..\\manifest.json",
    "..",
    ".hidden",
    "-rf",
    "",
    "a b",
    "m\u0430nifest.json",
    "manifest\uff0ejson",
    "manife\u017ft.json",
    "a" * 65,
]


@pytest.mark.parametrize("name", UNSAFE_NAMES)
def test_a_name_that_is_more_than_a_name_is_refused(name: str) -> None:
    assert refusal(entry(name)) == "unsafe_archive"


def test_a_nul_in_a_name_is_refused() -> None:
    assert refusal(entry("aXb").replace(b"aXb", b"a\0b")) == "unsafe_archive"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused() -> None:
    for second in ("a.json", "A.json", "a.JSON"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("a.json", b"1")
            archive.writestr(second, b"2")
        assert refusal(buffer.getvalue()) == "unsafe_archive"


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (stat.S_IFLNK | 0o777, "link"),
        (stat.S_IFDIR | 0o755, "unsafe_archive"),
        (stat.S_IFIFO | 0o644, "unsafe_archive"),
        (stat.S_IFCHR | 0o644, "unsafe_archive"),
        (stat.S_IFSOCK | 0o644, "unsafe_archive"),
    ],
    ids=["link", "folder", "pipe", "device", "socket"],
)
def test_what_is_no_plain_file_is_refused(mode: int, reason: str) -> None:
    assert refusal(entry("a", b"/etc/passwd", external_attr=mode << 16)) == reason
    # Who wrote the archive says nothing about who unpacks it.
    assert refusal(entry("a", b"/etc/passwd", external_attr=mode << 16, create_system=0)) == reason


def test_a_folder_by_the_attributes_of_dos_is_refused() -> None:
    assert refusal(entry("a", external_attr=0x10)) == "unsafe_archive"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_another_packing_is_refused(method: int) -> None:
    assert refusal(packed(method=method)) == "unsafe_archive"


LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def patched(data: bytes, magic: bytes, offset: int, form: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into("<" + form, changed, data.index(magic) + offset, *values)
    return bytes(changed)


def both(data: bytes, local: int, central: int, form: str, *values: int) -> bytes:
    return patched(patched(data, LOCAL, local, form, *values), CENTRAL, central, form, *values)


ONE = packed({"a.json": b"1" * 100})
STORED = packed({"a.json": b"1" * 100}, zipfile.ZIP_STORED)


@pytest.mark.parametrize(
    "data",
    [
        both(ONE, 6, 8, "H", 1),
        both(ONE, 6, 8, "H", 1 << 13),
        both(ONE, 6, 8, "H", 1 << 5),
        both(ONE, 22, 24, "L", 99),
        both(ONE, 22, 24, "L", 101),
        both(ONE, 14, 16, "L", 7),
        both(STORED, 22, 24, "L", 99),
        both(ONE, 18, 20, "L", 5),
        patched(ONE, CENTRAL, 24, "L", 99),
        patched(ONE, CENTRAL, 16, "L", 7),
        patched(ONE, LOCAL, 22, "L", 99),
        patched(ONE, LOCAL, 8, "H", 0),
        ONE.replace(b"a.json", b"b.json", 1),
        b"#!/bin/sh\n" + ONE,
        ONE + b"\n",
        patched(ONE, END, 20, "H", 1) + b"c",
        ONE + ONE,
        patched(ONE, END, 8, "HH", 2, 2),
        patched(ONE, END, 8, "HH", 0, 0),
        patched(ONE, END, 4, "H", 1),
        patched(ONE, END, 16, "L", 0),
        patched(ONE, CENTRAL, 42, "L", 1),
        patched(ONE, CENTRAL, 42, "L", 0xFFFFFFFF),
        patched(ONE, CENTRAL, 34, "H", 1),
        patched(ONE, CENTRAL, 20, "LL", 0xFFFFFFFF, 0xFFFFFFFF),
    ],
    ids=[
        "encrypted",
        "masked",
        "patched",
        "longer than declared",
        "shorter than declared",
        "another checksum",
        "stored in two sizes",
        "packed size too small",
        "two sizes",
        "two checksums",
        "two sizes, the other way",
        "two packings",
        "two names",
        "something before",
        "something behind",
        "a comment",
        "two archives",
        "a table of more rows",
        "a table of fewer rows",
        "another disk",
        "a table elsewhere",
        "a member elsewhere",
        "a member in the large form",
        "a member on another disk",
        "sizes in the large form",
    ],
)
def test_what_two_readers_could_read_differently_is_refused(data: bytes) -> None:
    assert refusal(data) == "unsafe_archive"


@pytest.mark.parametrize(
    "extra",
    [
        struct.pack("<2HQQ", 1, 16, 5 << 30, 5 << 30),
        struct.pack("<2HBL6s", 0x7075, 11, 1, zlib.crc32(b"a"), b"b.json"),
        struct.pack("<2H7s", 0x9901, 7, b"\0" * 7),
        struct.pack("<2H", 0x5455, 9),
        b"\x55",
    ],
    ids=["zip64", "another name", "encryption", "longer than it is", "half"],
)
def test_an_extra_field_that_says_more_is_refused(extra: bytes) -> None:
    local = struct.pack("<L5H3L2H", 0x04034B50, 20, 0, 0, 0, 0, zlib.crc32(b"x"), 1, 1, 1, len(extra)) + b"a" + extra
    for here in (extra, b""):
        row = struct.pack("<L6H3L5H2L", 0x02014B50, 20, 20, 0, 0, 0, 0, zlib.crc32(b"x"), 1, 1, 1, len(here), *[0] * 5)
        table = row + b"a" + here
        end = struct.pack("<L4H2LH", 0x06054B50, 0, 0, 1, 1, len(table), len(local) + 1, 0)
        assert refusal(local + b"x" + table + end) == "unsafe_archive"


def test_five_gigabytes_declared_are_refused_unread() -> None:
    large = patched(ONE, CENTRAL, 24, "L", 0xFFFFFFFE)
    assert refusal(patched(large, LOCAL, 22, "L", 0xFFFFFFFE)) == "too_large"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("estimator.joblib")
        info.file_size = 5 << 30
        with archive.open(info, "w", force_zip64=True) as member:
            member.write(b"x")
    assert refusal(buffer.getvalue()) == "unsafe_archive"


def test_a_bomb_is_refused_by_its_declared_size_or_by_its_ratio() -> None:
    assert refusal(packed({"a": bytes(65 * MIB)})) == "too_large"
    assert refusal(packed({f"a{n}": bytes(50 * MIB) for n in range(3)})) == "too_large"
    assert refusal(packed({"a": bytes(8 * MIB)})) == "unsafe_archive"
    assert read_zip(packed({"a": bytes(MIB)})) == {"a": bytes(MIB)}


def test_a_bomb_with_a_lying_header_gives_no_more_than_it_declares() -> None:
    bomb = packed({"a.json": bytes(64 * MIB)})
    assert refusal(both(bomb, 22, 24, "L", 1000)) == "unsafe_archive"


def test_members_that_share_bytes_are_refused() -> None:
    two = packed({"a.json": b"1" * 100, "b.json": b"1" * 100}, zipfile.ZIP_STORED)
    second = two.index(CENTRAL, two.index(CENTRAL) + 1)
    shared = bytearray(two)
    struct.pack_into("<L", shared, second + 42, 0)
    assert refusal(bytes(shared)) == "unsafe_archive"


def test_too_many_members_are_refused() -> None:
    assert refusal(packed({f"f{n}": b"" for n in range(17)})) == "too_many_files"
    assert len(read_zip(packed({f"f{n}": b"" for n in range(17)}), Limits(files=17))) == 17


def test_an_archive_larger_than_its_files_may_be_is_refused_unread() -> None:
    assert refusal(b"x" * (2 * MIB), Limits(file_bytes=MIB // 2, total_bytes=MIB // 2)) == "too_large"


def folder_link(folder: Path) -> Path:
    (folder.parent / "link").symlink_to(folder)
    return folder.parent / "link"


def file_link(folder: Path) -> Path:
    (folder / "golden.json").symlink_to("/etc/passwd")
    return folder


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "golden.json")
    return folder


def many(folder: Path) -> Path:
    for number in range(17):
        (folder / f"f{number}").touch()
    return folder


def large(folder: Path) -> Path:
    with (folder / "golden.json").open("wb") as file:
        file.truncate(64 * MIB + 1)
    return folder


def all_together(folder: Path) -> Path:
    for number in range(3):
        with (folder / f"f{number}").open("wb") as file:
            file.truncate(60 * MIB)
    return folder


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (folder_link, "link"),
        (file_link, "link"),
        (pipe, "not_a_file"),
        (many, "too_many_files"),
        (large, "too_large"),
        (all_together, "too_large"),
        (lambda folder: folder / "nothing", "unreadable"),
    ],
)
def test_a_folder_is_refused_by_the_same_rules(tmp_path: Path, make: Callable[[Path], Path], reason: str) -> None:
    folder = tmp_path / "artifact"
    folder.mkdir()
    with pytest.raises(ArtifactRejected) as caught:
        read_folder(make(folder))
    assert caught.value.reasons == (reason,)


def test_a_folder_gives_what_its_zip_gives(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    assert read_folder(tmp_path) == read_zip(packed()) == FILES
