"""What the routes read from a request's raw headers and body: bearer key, media type, idempotency key, the bytes.

ASGI hands headers over as pairs of bytes with lower-case names. Of a repeated one the first counts, as it does in the
framework.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from service.errors import BodyTooLarge, InputRejected, Problem, UnsupportedMediaType

MAX_BODY_BYTES = 1024 * 1024
JSON = "application/json"
ZIP = "application/zip"

Headers = Mapping[bytes, bytes]


def headers_of(scope: Scope) -> Headers:
    """The headers of a request by their names."""
    return dict(reversed(scope["headers"]))


def bearer_key(headers: Headers) -> str | None:
    """The key after `Authorization: Bearer`, if there is one."""
    kind, _, key = _text(headers, b"authorization").partition(" ")
    return key.strip() if kind.lower() == "bearer" else None


def check_media_type(headers: Headers) -> None:
    """Raise UnsupportedMediaType for anything but plain JSON in UTF-8."""
    if not _is_json(headers.get(b"content-type", b"")):
        raise UnsupportedMediaType("The body must be JSON in UTF-8.", f"Send Content-Type: {JSON}.")
    _check_not_encoded(headers)


def check_zip(headers: Headers) -> None:
    """Raise UnsupportedMediaType for anything but a zip."""
    if headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower() != ZIP:
        raise UnsupportedMediaType("The body must be the zip of an artifact.", f"Send Content-Type: {ZIP}.")
    _check_not_encoded(headers)


def _check_not_encoded(headers: Headers) -> None:
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMediaType("Compressed bodies are not read here.", "Send the body without Content-Encoding.")


def idempotency_key(scope: Scope) -> str | None:
    """The Idempotency-Key, if there is one; raises InputRejected for two."""
    values = [value for name, value in scope["headers"] if name == b"idempotency-key"]
    if len(values) > 1:
        message = "There is more than one Idempotency-Key header."
        problem = Problem("", "invalid_idempotency_key", message, "Send one.")
        raise InputRejected(message, problems=[problem])
    return values[0].decode("latin-1") if values else None


async def read_body(headers: Headers, receive: Receive, limit: int = MAX_BODY_BYTES) -> bytes:
    """The whole body, at most `limit` bytes, by default 1 MiB; raises BodyTooLarge as soon as that is certain, or
    ClientDisconnect."""
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


@lru_cache(maxsize=64)
def _is_json(content_type: bytes) -> bool:
    kind, _, parameters = content_type.decode("latin-1").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    return kind.strip().lower() == JSON and charset in ("", "charset=utf-8")


def _text(headers: Headers, name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")


def _too_large(limit: int) -> BodyTooLarge:
    remedy = (
        "Send one specimen per request." if limit == MAX_BODY_BYTES else "Leave out what the artifact does not need."
    )
    return BodyTooLarge(f"The body is larger than {limit} bytes.", remedy)
