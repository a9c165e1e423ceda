"""Alembic's entry point.

The service hands a connection over, inside a transaction that it owns; a developer's `alembic` command has none and
names the database by EXOSCORE_DATABASE_URL.
"""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

from service.store.engine import Database
from service.store.tables import metadata


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


def run_for_developer() -> None:
    url = os.environ.get("EXOSCORE_DATABASE_URL")
    if url is None:
        raise SystemExit("Set EXOSCORE_DATABASE_URL to the database that Alembic shall work on.")
    database = Database(url)
    try:
        with database.write() as connection:
            run(connection.sqlalchemy)
    finally:
        database.close()


handed_over = context.config.attributes.get("connection")
if handed_over is None:
    run_for_developer()
else:
    run(handed_over)
