"""Logs of the service: one JSON object a line on standard error, with an allow-list of fields.

Rules:
1. A field that is not in `FIELDS` raises, so no subject, specimen, analyte value, body or path can enter a log by
   accident. Routes are logged as templates (`/v1/scores/{id}`), never as the path that was asked for.
2. A request's line waits at most `GATHER_SECONDS` and is written together with its neighbours; every other line goes
   out at once, behind all that waited. So the order stays, and an error is never late.
3. From `write_at_once` on nothing waits: a server that ends loses no line. Only a process that is killed outright can
   lose the last `GATHER_SECONDS` of requests.
4. A log that cannot be written (a full disk) costs lines, never a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import time
from collections import deque
from datetime import UTC, datetime
from functools import lru_cache

import orjson

LOGGER = logging.getLogger("exoscore")

FIELDS = frozenset({
    "request_id", "route", "method", "status", "duration_ms", "actor", "code", "model", "reason", "error_type",
    "location", "origin", "size",
})  # fmt: skip

GATHER_SECONDS = 0.02
"""How long the line of a request may wait for others: of 4000 requests a second some eighty share one write."""


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON: time, level, event and the allowed fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; of foreign libraries only the server's notices keep their text, because others may quote input."""
        line = {
            "at": _stamp(record.created),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", f"library.{record.name}"),
        }
        if record.name == "uvicorn.error" and record.exc_info is None and "\n" not in record.getMessage():
            line["text"] = record.getMessage()
        return json.dumps(line | getattr(record, "fields", {}), separators=(",", ":"))


class Lines(logging.Handler):
    """Writes lines to standard error: records at once, what is gathered a little later."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self._waiting: deque[str] = deque()
        self._due_in: asyncio.AbstractEventLoop | None = None
        self._at_once = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, behind the lines that wait."""
        self._waiting.append(self.format(record))
        self.flush()

    def gather(self, line: str) -> None:
        """Write a line soon, with its neighbours; called in a running event loop."""
        self._waiting.append(line)
        if self._at_once:
            self.flush()
            return
        loop = asyncio.get_running_loop()
        if self._due_in is not loop:
            self._due_in = loop
            loop.call_later(GATHER_SECONDS, self._due)

    def write_at_once(self) -> None:
        """Let nothing wait from now on."""
        self._at_once = True
        self.flush()

    def flush(self) -> None:
        """Write all lines that wait, in order, with one write."""
        lock = self.lock
        # A handler's lock is None only between its construction and its use.
        with lock if lock is not None else contextlib.nullcontext(), contextlib.suppress(OSError, ValueError):
            # One by one, because another thread may append meanwhile; the stream may be full or closed.
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if lines:
                sys.stderr.write("\n".join(lines) + "\n")
                sys.stderr.flush()

    def _due(self) -> None:
        self._due_in = None
        self.flush()


LINES = Lines()


def configure_logging(level: str) -> None:
    """Send all logs of this process to standard error as JSON lines; foreign libraries from WARNING on."""
    logging.basicConfig(level=logging.WARNING, handlers=[LINES], force=True)
    LOGGER.setLevel(level)


def log_event(event: str, *, level: int = logging.INFO, **fields: str | float | None) -> None:
    """Log one event; raises ValueError for a field that is not on the allow-list."""
    unknown = set(fields) - FIELDS
    if unknown:
        raise ValueError(f"not allowed in a log: {sorted(unknown)}")
    LOGGER.log(level, event, extra={"event": event, "fields": fields})


def log_request(
    *,
    request_id: str,
    method: str,
    route: str,
    status: int,
    duration_ms: float,
    actor: str | None,
    code: str | None,
) -> None:
    """Log that a request is over: `log_event("request", …)` without the machinery of a log record, and gathered.

    The fields are the parameters, so the allow-list holds by itself; called in a running event loop.
    """
    if LOGGER.isEnabledFor(logging.INFO):
        line = {
            "at": _stamp(time.time()),
            "level": "info",
            "event": "request",
            "request_id": request_id,
            "method": method,
            "route": route,
            "status": status,
            "duration_ms": duration_ms,
            "actor": actor,
            "code": code,
        }
        LINES.gather(orjson.dumps(line).decode())


def _stamp(seconds: float) -> str:
    """Unix time as RFC 3339 in UTC with milliseconds."""
    whole = int(seconds)
    return f"{_to_the_second(whole)}.{int((seconds - whole) * 1000):03d}+00:00"


@lru_cache(maxsize=1)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
