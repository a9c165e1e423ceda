"""The table of contents of a zip, read so that no second reader can find another archive in the same bytes.

The standard library's reader looks for the table from the end, passes over what stands before the first member, and
believes the table where a local header differs; other readers believe the local headers. Here both have to agree, and
members, table and end have to fill the bytes without a gap. Order and size of the fields: PKWARE APPNOTE 6.3.10, 4.3
and 4.4.
"""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass

_LOCAL = struct.Struct("<L5H3L2H")
_CENTRAL = struct.Struct("<L6H3L5H2L")
_END = struct.Struct("<L4H2LH")
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC, _DESCRIPTOR_MAGIC = 0x04034B50, 0x02014B50, 0x06054B50, 0x08074B50

_STORED, _DEFLATED = 0, 8
_DESCRIPTOR_FOLLOWS = 1 << 3
_KNOWN_FLAGS = _DESCRIPTOR_FOLLOWS | 1 << 1 | 1 << 2 | 1 << 11  # the others: deflate's effort, and names in UTF-8
_ZIP64 = 0xFFFFFFFF
_DOS_FOLDER = 1 << 4

# Times, owners and the mark of Java: nothing that names, sizes or encrypts the member anew.
_KNOWN_EXTRAS = frozenset({0x5455, 0x7875, 0x5855, 0x000A, 0xCAFE})


class UnsafeZip(ValueError):
    """The bytes are no zip that can be read in one way only; the message holds nothing of them."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member as the table declares it, with its bytes still packed; `size` is that of the unpacked file."""

    name: str
    packed: bytes
    size: int
    crc: int
    deflated: bool
    attributes: int

    @property
    def is_link(self) -> bool:
        """Whether unix would make a symbolic link of it."""
        return stat.S_ISLNK(self.attributes >> 16)

    @property
    def is_plain(self) -> bool:
        """Whether it is a plain file, by unix mode (none is one too) and by the attributes of DOS."""
        return stat.S_IFMT(self.attributes >> 16) in {0, stat.S_IFREG} and not self.attributes & _DOS_FOLDER


@dataclass(frozen=True, slots=True)
class _Row:
    flags: int
    method: int
    crc: int
    packed_size: int
    size: int
    name: bytes
    offset: int
    attributes: int


def read_table(data: bytes) -> list[Member]:
    """The members of the zip `data`, in the order of its bytes. Raises UnsafeZip."""
    count, table, end = _read_end(data)
    rows: list[_Row] = []
    position = table
    for _ in range(count):
        row, position = _read_row(data, position)
        rows.append(row)
    if position != end:
        raise UnsafeZip("The archive's table of contents does not fill its place.")
    members, position = [], 0
    for row in sorted(rows, key=lambda row: row.offset):
        member, position = _read_member(data, row, position, table)
        members.append(member)
    if position != table:
        raise UnsafeZip("The archive holds bytes that belong to no member.")
    return members


def _read_end(data: bytes) -> tuple[int, int, int]:
    """Number of members, offset of the table, and offset behind it."""
    place = len(data) - _END.size
    if place < 0:
        raise UnsafeZip("The file is not a zip.")
    magic, disk, first, here, count, size, table, comment = _END.unpack_from(data, place)
    if magic != _END_MAGIC or comment:
        raise UnsafeZip("The file is not a zip, or something follows the end of it.")
    if disk or first or here != count or count == 0xFFFF or _ZIP64 in {size, table}:  # noqa: PLR2004
        raise UnsafeZip("The archive is in several parts or in the form for more than 4 GiB.")
    if table + size != place:
        raise UnsafeZip("The archive's table of contents is not where its end says.")
    return count, table, place


def _read_row(data: bytes, position: int) -> tuple[_Row, int]:
    fields = _unpack(_CENTRAL, data, position)
    magic, _, _, flags, method, _, _, crc, packed_size, size, length, extra, comment, disk, _, mode, offset = fields
    if magic != _CENTRAL_MAGIC or comment or disk:
        raise UnsafeZip("The archive's table of contents is damaged or holds a comment.")
    if flags & ~_KNOWN_FLAGS:
        raise UnsafeZip("A member of the archive is encrypted or marked in a way that is not known.")
    if method not in {_STORED, _DEFLATED}:
        raise UnsafeZip("A member of the archive is packed in another way than deflate.")
    if _ZIP64 in {packed_size, size, offset}:
        raise UnsafeZip("A member of the archive is in the form for more than 4 GiB.")
    if method == _STORED and packed_size != size:
        raise UnsafeZip("A stored member of the archive has two sizes.")
    start = position + _CENTRAL.size
    _verify_extra(_slice(data, start + length, extra))
    row = _Row(flags, method, crc, packed_size, size, _slice(data, start, length), offset, mode)
    return row, start + length + extra


def _read_member(data: bytes, row: _Row, position: int, table: int) -> tuple[Member, int]:
    """The member of `row`, which has to start at `position`, and where the next one has to start."""
    if row.offset != position:
        raise UnsafeZip("Members of the archive overlap, or leave bytes between them.")
    magic, _, flags, method, _, _, crc, packed_size, size, length, extra = _unpack(_LOCAL, data, position)
    start = position + _LOCAL.size
    _verify_extra(_slice(data, start + length, extra))
    sizes = (crc, packed_size, size)
    declared = (row.crc, row.packed_size, row.size)
    later = bool(row.flags & _DESCRIPTOR_FOLLOWS)
    same = (magic, flags, method, _slice(data, start, length)) == (_LOCAL_MAGIC, row.flags, row.method, row.name)
    if not same or (sizes != declared and not (later and not any(sizes))):
        raise UnsafeZip("A member of the archive has two headers that differ.")
    content = start + length + extra
    after = content + row.packed_size + (_descriptor(data, content + row.packed_size, declared) if later else 0)
    if after > table:
        raise UnsafeZip("A member of the archive does not end before the table of contents.")
    try:
        text = row.name.decode("ascii")
    except UnicodeDecodeError:
        raise UnsafeZip("A name in the archive has other than ASCII letters.") from None
    packed = _slice(data, content, row.packed_size)
    return Member(text, packed, row.size, row.crc, row.method == _DEFLATED, row.attributes), after


def _descriptor(data: bytes, position: int, declared: tuple[int, int, int]) -> int:
    """The length of the three numbers behind a member that was written as a stream."""
    said = struct.pack("<3L", *declared)
    for form in (struct.pack("<L", _DESCRIPTOR_MAGIC) + said, said):
        if data.startswith(form, position):
            return len(form)
    raise UnsafeZip("A member of the archive ends with other numbers than its header has.")


def _verify_extra(extra: bytes) -> None:
    position = 0
    while position < len(extra):
        kind, size = _unpack(struct.Struct("<2H"), extra, position)
        position += 4 + size
        if kind not in _KNOWN_EXTRAS or position > len(extra):
            raise UnsafeZip("A member of the archive has an extra field that is not known.")


def _unpack(form: struct.Struct, data: bytes, position: int) -> tuple[int, ...]:
    try:
        return form.unpack_from(data, position)
    except struct.error:
        raise UnsafeZip("The archive ends too early.") from None


def _slice(data: bytes, start: int, length: int) -> bytes:
    if start + length > len(data):
        raise UnsafeZip("The archive ends too early.")
    return data[start : start + length]
