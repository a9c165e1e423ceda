"""Statements sent to PostgreSQL one behind the other, whose answers are awaited together.

Rules:
1. A statement is sent when it is run; nothing is awaited before somebody asks for rows, or for the end.
2. After one that fails the server skips all that follow, COMMIT among them; the first error is the one that is raised.
3. A statement is prepared on its connection before the transaction that runs it for the second time, so that no error
   of a transaction can leave it half prepared.
4. Parameters: bytes and packed arrays go as they are, in binary; text and integers as text, and None as null.

This speaks to libpq through the driver's own `pq` layer. The driver's cursors do the same, and their bookkeeping for
each statement takes longer than the statement.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from hashlib import sha256
from select import POLLIN, POLLOUT, poll
from struct import Struct
from typing import Any

from psycopg import Connection
from psycopg.errors import (
    DuplicatePreparedStatement,
    InvalidSqlStatementName,
    OperationalError,
    error_from_result,
)
from psycopg.pq import ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

from .arrays import PackedArray

BEGIN, COMMIT = b"BEGIN ISOLATION LEVEL READ COMMITTED", b"COMMIT"

SILENCE_SECONDS = 30
"""How long a server may say nothing; locks are waited for much less long. Whoever is there and does not answer would
otherwise hold the one thread that writes, and the end of the process, for ever."""

_BIGINT, _INTEGER = Struct("!q").unpack, Struct("!i").unpack

READERS: dict[int, Callable[[bytes], Any]] = {
    17: bytes,
    20: lambda data: _BIGINT(data)[0],
    23: lambda data: _INTEGER(data)[0],
    25: lambda data: data.decode(),
}
"""How a value of a type (`pg_type.oid`) is read from its binary form: bytea, bigint, integer, text."""


class Answer:
    """What one statement gave; asking for it waits."""

    __slots__ = ("_pipeline", "result")

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.result: PGresult | None = None

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows. Raises the driver's error where this statement, or one before it, failed."""
        if self.result is None:
            self._pipeline.settle()
        result = self.result
        assert result is not None  # noqa: S101 - settling gives every statement its result, or raises
        columns = range(result.nfields)
        return [tuple(_value(result, row, column) for column in columns) for row in range(result.ntuples)]

    def fetchone(self) -> tuple[Any, ...] | None:
        """The first row, None where there is none; raises as `fetchall` does."""
        return next(iter(self.fetchall()), None)


class Pipeline:
    """The pipeline of one connection, for as long as the connection lives; used by one thread at a time."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._server = connection.pgconn
        self._socket = poll()
        self._prepared: dict[str, bytes] = {}
        self._seen: set[str] = set()
        self._awaited: deque[Answer] = deque()
        self._open = False

    def run(self, statement: str, parameters: Sequence[Any]) -> Answer:
        """Send a statement, written with `?` marks; begins a transaction where none is open."""
        if not self._open:
            self._enter()
        values = [_written(value) for value in parameters]
        formats = [Format.BINARY if isinstance(value, bytes | PackedArray) else Format.TEXT for value in parameters]
        name = self._prepared.get(statement)
        if name is None:
            self._seen.add(statement)
            self._server.send_query_params(_numbered(statement), values, None, formats, Format.BINARY)
        else:
            self._server.send_query_prepared(name, values, formats, Format.BINARY)
        answer = Answer(self)
        self._awaited.append(answer)
        return answer

    def settle(self) -> None:
        """Wait for all that was sent; raises the first error that came of it."""
        self._server.pipeline_sync()
        first: Exception | None = None
        while True:
            result = self._next()
            if result is None:
                continue  # the end of one statement's answer
            if result.status == ExecStatus.PIPELINE_SYNC:
                break
            if not self._awaited:
                # Every statement was answered, and then the server ended the connection.
                raise error_from_result(result)
            answer = self._awaited.popleft()
            if result.status in {ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK}:
                answer.result = result
            elif first is None:
                first = error_from_result(result)
        if isinstance(first, InvalidSqlStatementName):
            self._prepared.clear()  # somebody has deallocated them; the next transaction prepares them anew
        if first is not None:
            raise first

    def leave(self) -> None:
        """Settle what is on its way, and give the connection back to the driver; does nothing outside a pipeline."""
        if not self._open:
            return
        self._open = False
        try:
            self.settle()
        finally:
            self._awaited.clear()
            self._server.exit_pipeline_mode()

    def commit(self) -> None:
        """Send COMMIT behind what is on its way, and wait for all of it; does nothing outside a pipeline."""
        if self._open:
            self._send(COMMIT)
            self.leave()

    def _enter(self) -> None:
        if self._server.transaction_status == TransactionStatus.IDLE:
            self._prepare()
        self._server.enter_pipeline_mode()
        self._open = True
        if self._server.transaction_status == TransactionStatus.IDLE:
            self._send(BEGIN)

    def _send(self, command: bytes) -> None:
        self._server.send_query_params(command, None)
        self._awaited.append(Answer(self))

    def _prepare(self) -> None:
        for statement in self._seen:
            text = _numbered(statement)
            # Named after its text: whoever finds the name taken, as behind a pooler, finds the same statement.
            name = b"exoscore_" + sha256(text).hexdigest()[:32].encode()
            result = self._server.prepare(name, text)
            if result.status != ExecStatus.COMMAND_OK:
                error = error_from_result(result)
                if not isinstance(error, DuplicatePreparedStatement):
                    raise error
            self._prepared[statement] = name
        self._seen.clear()

    def _next(self) -> PGresult | None:
        """The next result of what was sent, None between two statements."""
        server = self._server
        while server.flush():
            # The server may wait for us to read before it reads on.
            self._wait(POLLIN | POLLOUT)
            server.consume_input()
        while server.is_busy():
            self._wait(POLLIN)
            server.consume_input()
        return server.get_result()

    def _wait(self, events: int) -> None:
        self._socket.register(self._server.socket, events)
        if not self._socket.poll(1000 * SILENCE_SECONDS):
            self._connection.close()
            raise OperationalError("the server says nothing")


def _numbered(statement: str) -> bytes:
    """The statement with PostgreSQL's own marks, $1 and so on."""
    first, *rest = statement.split("?")
    return "".join([first, *(f"${number}{part}" for number, part in enumerate(rest, 1))]).encode()


def _written(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return value.data if isinstance(value, PackedArray) else str(value).encode()


def _value(result: PGresult, row: int, column: int) -> Any:
    data = result.get_value(row, column)
    return None if data is None else READERS[result.ftype(column)](data)
