"""Messages between a process and its child."""

import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.registry.frames import HEADER_MAX_BYTES, PAYLOAD_MAX_BYTES, BadFrame, receive_frame, send_frame

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    with one, other:
        for end in (one, other):
            end.settimeout(5)
        yield one, other


@given(header=st.dictionaries(st.text(), st.none() | st.floats(allow_nan=False) | st.text()), payload=st.binary())
def test_a_message_arrives_as_it_was_sent(header: dict[str, object], payload: bytes) -> None:
    one, other = socket.socketpair()
    with one, other:
        send_frame(one, header, payload)
        assert receive_frame(other) == (header, bytearray(payload))


def test_a_stream_that_ends_between_messages_is_over(pair: Pair) -> None:
    send_frame(pair[0], {"a": 1})
    pair[0].close()
    assert receive_frame(pair[1]) == ({"a": 1}, b"")
    assert receive_frame(pair[1]) is None


@pytest.mark.parametrize("sent", [b"\0", struct.pack("<IQ", 10, 0), struct.pack("<IQ", 2, 5) + b"{}ab"])
def test_a_stream_that_ends_within_a_message_is_an_error(pair: Pair, sent: bytes) -> None:
    pair[0].sendall(sent)
    pair[0].close()
    with pytest.raises(ConnectionResetError):
        receive_frame(pair[1])


@pytest.mark.parametrize(
    "sent",
    [
        struct.pack("<IQ", HEADER_MAX_BYTES + 1, 0),
        struct.pack("<IQ", 2, PAYLOAD_MAX_BYTES + 1),
        struct.pack("<IQ", 2, 0) + b"[]",
        struct.pack("<IQ", 2, 0) + b"{{",
    ],
    ids=["header too large", "payload too large", "no object", "no JSON"],
)
def test_what_is_no_message_is_refused(pair: Pair, sent: bytes) -> None:
    pair[0].sendall(sent)
    with pytest.raises(ValueError, match=r".") as caught:
        receive_frame(pair[1])
    assert "{{" not in str(caught.value)


def test_what_nobody_would_receive_is_not_sent(pair: Pair) -> None:
    with pytest.raises(BadFrame):
        send_frame(pair[0], {"a": "b" * HEADER_MAX_BYTES})
    pair[1].settimeout(0.05)
    with pytest.raises(TimeoutError):
        receive_frame(pair[1])
