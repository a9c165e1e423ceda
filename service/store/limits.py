"""What both databases are given: how long to wait."""

from __future__ import annotations

WAIT_SECONDS = 5
"""How long a statement waits for another writer, and a caller for a connection, before the database counts as away."""

SILENT_SECONDS = 2
"""How long a process that holds the head of the log may say nothing before PostgreSQL ends its transaction. One that is
stopped in the middle of it would otherwise stop every other; shorter than their callers wait for their turn."""
