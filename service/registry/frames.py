"""One message between a process and its child: a small JSON header, then raw bytes.

On the wire stand the two lengths (little-endian, 4 and 8 bytes), the header in JSON and the payload as it is. Numbers
travel in the payload as float64, little-endian, so no value is ever turned into text and back.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

_LENGTHS = struct.Struct("<IQ")
HEADER_MAX_BYTES = 1 << 20
PAYLOAD_MAX_BYTES = 1 << 28

Header = dict[str, Any]
Payload = bytes | bytearray | memoryview


class BadFrame(ValueError):
    """What was read is not a message, or is larger than any that is sent."""


def send_frame(connection: socket.socket, header: Header, payload: Payload = b"") -> None:
    """Send one message. Raises OSError (TimeoutError among them) where the other side is gone or does not read, and
    BadFrame for a message that nobody would receive."""
    text = json.dumps(header, separators=(",", ":")).encode()
    view = memoryview(payload).cast("B")
    if len(text) > HEADER_MAX_BYTES or len(view) > PAYLOAD_MAX_BYTES:
        raise BadFrame("the message is too large")
    connection.sendall(_LENGTHS.pack(len(text), len(view)) + text)
    if view:
        connection.sendall(view)


def receive_frame(connection: socket.socket) -> tuple[Header, bytearray] | None:
    """The next message; None where the other side closed instead of beginning one. Raises OSError or BadFrame."""
    lengths = _read(connection, _LENGTHS.size, may_end=True)
    if not lengths:
        return None
    header_size, payload_size = _LENGTHS.unpack(lengths)
    if header_size > HEADER_MAX_BYTES or payload_size > PAYLOAD_MAX_BYTES:
        raise BadFrame("the message is too large")
    header = json.loads(_read(connection, header_size))
    if not isinstance(header, dict):
        raise BadFrame("the header is not an object")
    return header, _read(connection, payload_size)


def _read(connection: socket.socket, size: int, *, may_end: bool = False) -> bytearray:
    """`size` bytes; none at all where the stream ends before the first and that is allowed."""
    data = bytearray(size)
    view, filled = memoryview(data), 0
    while filled < size:
        count = connection.recv_into(view[filled:])
        if not count and may_end and not filled:
            return bytearray()
        if not count:
            raise ConnectionResetError("the stream ended within a message")
        filled += count
    return data
