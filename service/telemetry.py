"""Logs of the service: one JSON object a line on standard error, with an allow-list of fields.

A field that is not in `FIELDS` raises, so no subject, specimen, analyte value, body or path can enter a log by
accident. Routes are logged as templates (`/v1/scores/{id}`), never as the path that was asked for.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

LOGGER = logging.getLogger("exoscore")

FIELDS = frozenset({
    "request_id", "route", "method", "status", "duration_ms", "actor", "code", "model", "reason", "error_type",
    "location", "origin", "size",
})  # fmt: skip


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON: time, level, event and the allowed fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; of foreign libraries only the server's notices keep their text, because others may quote input."""
        at = datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds")
        line = {
            "at": at,
            "level": record.levelname.lower(),
            "event": getattr(record, "event", f"library.{record.name}"),
        }
        if record.name == "uvicorn.error" and record.exc_info is None and "\n" not in record.getMessage():
            line["text"] = record.getMessage()
        return json.dumps(line | getattr(record, "fields", {}))


def configure_logging(level: str) -> None:
    """Send all logs of this process to standard error as JSON lines; foreign libraries from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    LOGGER.setLevel(level)


def log_event(event: str, *, level: int = logging.INFO, **fields: str | float | None) -> None:
    """Log one event; raises ValueError for a field that is not on the allow-list."""
    unknown = set(fields) - FIELDS
    if unknown:
        raise ValueError(f"not allowed in a log: {sorted(unknown)}")
    LOGGER.log(level, event, extra={"event": event, "fields": fields})
