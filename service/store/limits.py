"""What both databases are given: how long to wait."""

from __future__ import annotations

WAIT_SECONDS = 5
"""How long a statement waits for another writer, and a caller for a connection, before the database counts as away."""
