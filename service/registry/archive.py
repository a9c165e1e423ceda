"""The files of an artifact, from a zip or from a folder, as a mapping of names to bytes.

Both readers give the same for the same artifact, and refuse what two programs could read differently.

1. Names are flat and plain ASCII: no folder, no drive, no look-alike letter. Two names differ in more than case.
2. Sizes are limited before anything is read and again while it is read: a header that lies gains nothing.
3. A zip is read by its table of contents and must be nothing but it: members one behind the other from the first byte
   on, each under a local header that says the same, then the table, then its end, and no byte more. There is no
   encryption, no zip64, no comment; members are plain files, stored or deflated (PKWARE APPNOTE 6.3.10).
4. No message holds a name or a value from the archive.
"""

from __future__ import annotations

import os
import re
import stat
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.errors import ArtifactRejected
from service.registry.zip_table import Member, UnsafeZip, read_table

MANIFEST = "manifest.json"
SIGNATURE = "signature"

FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)

_MIB = 1 << 20
_RATIO = 200
"""Deflate reaches 1032:1 on zeros; JSON and arrays of numbers stay below 50:1."""

_REMEDY = "Zip the files of the artifact themselves, without folders, with an ordinary tool."


@dataclass(frozen=True, slots=True)
class Limits:
    """How many files there may be, and how many bytes in one and in all together."""

    files: int = 16
    file_bytes: int = 64 * _MIB
    total_bytes: int = 128 * _MIB

    def verify(self, sizes: Sequence[int]) -> None:
        """Raises ArtifactRejected (`too_many_files`, `too_large`) where the sizes are not within the limits."""
        if len(sizes) > self.files:
            raise ArtifactRejected.because(
                "too_many_files",
                f"There are more than {self.files} files.",
                "Leave out what the manifest does not list.",
            )
        if max(sizes, default=0) > self.file_bytes or sum(sizes) > self.total_bytes:
            raise too_large(self)


ARTIFACT = Limits()


def too_large(limits: Limits) -> ArtifactRejected:
    """The refusal of a file, or of all together, by size."""
    file, total = limits.file_bytes // _MIB, limits.total_bytes // _MIB
    message = f"A file is larger than {file} MiB, or all together than {total} MiB."
    return ArtifactRejected.because("too_large", message, "Send a smaller artifact.")


def read_zip(data: bytes, limits: Limits = ARTIFACT) -> Mapping[str, bytes]:
    """The members of a zip. Raises ArtifactRejected (`too_large`, `too_many_files`, `unsafe_archive`, `link`)."""
    if len(data) > limits.total_bytes + _MIB:
        raise too_large(limits)
    try:
        members = read_table(data)
    except UnsafeZip as error:
        raise _unsafe(str(error)) from None
    limits.verify([member.size for member in members])
    _verify_members(members)
    if any(member.size > _RATIO * len(member.packed) + _MIB for member in members):
        raise _unsafe("A member is packed more tightly than any artifact is.")
    return {member.name: _unpack(member) for member in members}


def read_folder(folder: Path, limits: Limits = ARTIFACT) -> Mapping[str, bytes]:
    """The files of a folder. Raises ArtifactRejected (`too_large`, `too_many_files`, `link`, `not_a_file`,
    `unreadable`)."""
    try:
        if folder.is_symlink() or folder.parent.is_symlink():
            raise _link("The folder is a link.")
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: entry.name)
        if any(entry.is_symlink() for entry in entries):
            raise _link("The folder holds a link, which is not a plain file.")
        if not all(entry.is_file(follow_symlinks=False) for entry in entries):
            raise _not_a_file()
        limits.verify([entry.stat(follow_symlinks=False).st_size for entry in entries])
        return {entry.name: _read_plain(folder / entry.name, limits) for entry in entries}
    except OSError as error:
        raise ArtifactRejected.because(
            "unreadable", f"A file could not be read ({error.strerror}).", "Name a readable folder of an artifact."
        ) from None


def _verify_members(members: Sequence[Member]) -> None:
    if any(member.is_link for member in members):
        raise _link("The archive holds a link.")
    if any(not member.is_plain for member in members):
        raise _unsafe("The archive holds something that is not a plain file.")
    if not all(FILE_NAME.fullmatch(member.name) for member in members):
        raise _unsafe("A name in the archive is a path or is not made of ASCII letters, digits, dot, dash, underscore.")
    if len({member.name.casefold() for member in members}) != len(members):
        raise _unsafe("Two names in the archive are the same, or differ in case alone.")


def _unpack(member: Member) -> bytes:
    if member.deflated:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            # One byte more than declared is enough to see that the header lied; no more is ever made.
            content = inflate.decompress(member.packed, member.size + 1)
        except zlib.error:
            raise _unsafe("A member of the archive cannot be unpacked.") from None
        complete = inflate.eof and not inflate.unused_data and not inflate.unconsumed_tail
    else:
        content, complete = member.packed, True
    if not complete or len(content) != member.size:
        raise _unsafe("A member of the archive does not have the size it declares.")
    if zlib.crc32(content) != member.crc:
        raise _unsafe("A member of the archive does not have the checksum it declares.")
    return content


def _read_plain(path: Path, limits: Limits) -> bytes:
    # Between the look and the open the name may have become a link or a pipe: the open file is what counts.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _not_a_file()
        data = file.read(limits.file_bytes + 1)
    if len(data) > limits.file_bytes:
        raise too_large(limits)
    return data


def _unsafe(message: str) -> ArtifactRejected:
    return ArtifactRejected.because("unsafe_archive", message, _REMEDY)


def _link(message: str) -> ArtifactRejected:
    return ArtifactRejected.because("link", message, "Copy the file itself to where the link stands.")


def _not_a_file() -> ArtifactRejected:
    message = "The folder holds something that is not a plain file."
    return ArtifactRejected.because("not_a_file", message, "Keep the artifact's own files there, and nothing else.")
