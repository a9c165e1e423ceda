"""Gives each request an id, and logs it with its route's template when it is over.

Written as plain ASGI, because the framework's own middleware base class runs the application in another task and
breaks cancellation and context.
"""

from __future__ import annotations

from time import perf_counter

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.telemetry import log_request
from service.workflows.random_bytes import random_block

UNMATCHED = "unmatched"
CLIENT_GONE = 499


class AccessLog:
    """Logs request id, method, route template, status, milliseconds, actor and error code; never a path or a query."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, and log it when it is over."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        request_id = state["request_id"] = new_uuid4(random_block()[:16])
        header = (b"x-request-id", request_id.encode())
        started = perf_counter()

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                state["status"] = message["status"]
                message["headers"] = [*message["headers"], header]
            await send(message)

        try:
            await self.app(scope, receive, observed)
        except ClientDisconnect:
            # Nobody is left to read it, but the server wants every request answered; nothing was stored.
            await Response(status_code=CLIENT_GONE)(scope, receive, observed)
        finally:
            method = scope["method"]
            log_request(
                request_id=request_id,
                method=method if method.isalpha() and method.isascii() else "INVALID",
                route=state.get("route") or getattr(scope.get("route"), "path", UNMATCHED),
                status=state.get("status", 500),
                duration_ms=round((perf_counter() - started) * 1000, 3),
                actor=state.get("actor"),
                code=state.get("code"),
            )


def new_uuid4(random: bytes) -> str:
    """The text of the UUID version 4 (RFC 9562, section 5.4) made of 16 random bytes; the six fixed bits are set."""
    pairs = random.hex("-", 2)
    variant = "89ab"[random[8] >> 6]
    return f"{pairs[:4]}{pairs[5:15]}4{pairs[16:20]}{variant}{pairs[21:29]}{pairs[30:34]}{pairs[35:]}"
