"""PostgreSQL: how its connections are opened, kept and asked after, and which of its settings make COMMIT durable."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from service.errors import UnsafeConfiguration

from .limits import WAIT_SECONDS

if TYPE_CHECKING:
    from .pipeline import Pipeline

IDLE_SECONDS = 0.25
"""A connection that rested for longer is asked whether it is still there before it is used."""

ENCODINGS = ("UTF8", "SQL_ASCII")
"""Encodings of a database that keep every text as it is; SQL_ASCII keeps bytes and converts nothing."""

LIBPQ = {
    "application_name": "exoscore",
    "client_encoding": "utf8",
    "connect_timeout": WAIT_SECONDS,
    "tcp_user_timeout": 1000 * WAIT_SECONDS,
    "keepalives_idle": WAIT_SECONDS,
    "keepalives_interval": 1,
    "keepalives_count": WAIT_SECONDS,
}
"""Connection parameters of PostgreSQL: without them a host that vanished is noticed after hours, and one stopped
replica that holds the head of the log stops all others. The encoding is named because texts are written in UTF-8, and
the URL, the environment and the database's own default may each say otherwise."""

PREPARE_THRESHOLD = None
"""The driver prepares nothing by itself: after a rollback it would deallocate what it and `pipeline` have prepared."""

DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")
"""PostgreSQL settings without which a COMMIT that returned can be lost in a power cut."""


def postgresql_engine(url: URL) -> Engine:
    """An engine whose transactions are READ COMMITTED."""
    engine = create_engine(
        url,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        pool_timeout=WAIT_SECONDS,
        connect_args={**LIBPQ, "prepare_threshold": PREPARE_THRESHOLD},
    )

    def on_connect(connection: DBAPIConnection, _record: object) -> None:
        _require_unicode(connection)
        # Not through libpq's `options`: that would replace what the operator's URL says there.
        cursor = connection.cursor()
        cursor.execute(f"SET lock_timeout = '{WAIT_SECONDS}s'")
        cursor.close()
        connection.commit()

    event.listen(engine, "connect", on_connect)

    def on_checkout(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        if monotonic() - record.info.get("used_at", -IDLE_SECONDS) < IDLE_SECONDS:
            return
        try:
            connection.cursor().execute("SELECT 1")
            connection.rollback()
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool then opens another one

    def on_checkin(_connection: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = monotonic()

    event.listen(engine, "checkout", on_checkout)
    event.listen(engine, "checkin", on_checkin)
    return engine


def _require_unicode(connection: Any) -> None:
    """Raise UnsafeConfiguration where the database has no room for some of the texts that are stored in it."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in ENCODINGS:
        connection.close()
        message = f"The PostgreSQL database has the encoding {encoding}, which cannot keep every text."
        raise UnsafeConfiguration(message, "Create it with ENCODING 'UTF8'.")


def durability_problems(connection: Connection) -> tuple[str, ...]:
    """Why a COMMIT that returned could still be lost: one sentence per setting."""
    off = [name for name in DURABILITY if connection.exec_driver_sql(f"SHOW {name}").scalar_one() == "off"]
    return tuple(f"PostgreSQL runs with {name} = off: a power cut can lose acknowledged scores." for name in off)


def pipeline_of(connection: Connection) -> Pipeline:
    """The pipeline of a connection."""
    from .pipeline import Pipeline  # noqa: PLC0415 - imports the driver, which SQLite does not need

    kept: dict[str, Any] = connection.connection.info
    if "pipeline" not in kept:
        driver: Any = connection.connection.driver_connection
        kept["pipeline"] = Pipeline(driver)
    pipeline: Pipeline = kept["pipeline"]
    return pipeline
