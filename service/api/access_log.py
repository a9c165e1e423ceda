"""Gives each request an id, and logs it with its route's template when it is over.

Written as plain ASGI, because the framework's own middleware base class runs the application in another task and
breaks cancellation and context.
"""

from __future__ import annotations

import time
import uuid

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.telemetry import log_event

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
        state["request_id"] = str(uuid.uuid4())
        started, status = time.perf_counter(), 500

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", state["request_id"].encode())]
            await send(message)

        try:
            await self.app(scope, receive, observed)
        except ClientDisconnect:
            # Nobody is left to read it, but the server wants every request answered; nothing was stored.
            await Response(status_code=CLIENT_GONE)(scope, receive, observed)
        finally:
            log_event(
                "request",
                request_id=state["request_id"],
                method=scope["method"] if scope["method"].isalpha() else "INVALID",
                route=state.get("route") or getattr(scope.get("route"), "path", UNMATCHED),
                status=status,
                duration_ms=round((time.perf_counter() - started) * 1000, 3),
                actor=state.get("actor"),
                code=state.get("code"),
            )
