"""The stored log and the rows it commits to, as verification reads them: row after row, as the driver gives them.

1. One transaction that sees one state of the database: a server may write beside it.
2. Rows come from the driver's own cursor, a few thousand at a time, so that memory does not grow with the log.
3. Nothing is converted or checked here. SQLite stores any type in any column; text that is not UTF-8 comes as text
   with lone surrogates, which no text of ours has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count
from typing import Any

from service.audit.scan import HeadRow, Row

from .engine import Database, ReadConnection
from .scores import COLUMNS
from .tables import api_key, person

FETCHED_AT_ONCE = 4096
"""Rows of one round trip to PostgreSQL."""

LOGGED_TABLES = ("audit_entry", "audit_tile", "audit_anchor")

_SCORE = ", ".join(f"s.{column.name}" for column in COLUMNS)
_SCORES = f"""SELECT l.log_id, l.seq, l.score_id, p.log_id, p.seq, {_SCORE}
 FROM score_log l LEFT JOIN score s ON s.score_id = l.score_id LEFT JOIN score_log p ON p.score_id = s.supersedes
 ORDER BY l.log_id, l.seq"""  # noqa: S608 - names of our own tables
_RETRACTIONS = """SELECT r.log_id, r.seq, r.score_id, p.log_id, p.seq
 FROM score_retraction r LEFT JOIN score_log p ON p.score_id = r.score_id ORDER BY r.log_id, r.seq"""
_UNPLACED = """SELECT s.score_id FROM score s LEFT JOIN score_log l ON l.score_id = s.score_id
 WHERE l.score_id IS NULL ORDER BY s.score_id"""
_KEYS = f"SELECT {', '.join(column.name for column in api_key.columns)} FROM api_key ORDER BY key_id"  # noqa: S608
_PERSONS = f"SELECT {', '.join(column.name for column in person.columns)} FROM person ORDER BY person_id"  # noqa: S608

_TRANSITIONS = (
    "SELECT log_id, seq, transition_id, name, version, statement, salt FROM model_transition ORDER BY log_id, seq"
)
_ACKNOWLEDGEMENTS = (
    "SELECT log_id, seq, acknowledgement_id, name, version, statement, salt FROM model_acknowledgement "
    "ORDER BY log_id, seq"
)


class SqlLogReader:
    """Reads one state of the database; see `audit.scan.LogReader` for what the first four methods give."""

    def __init__(self, connection: ReadConnection) -> None:
        self._raw: Any = connection.sqlalchemy.connection  # the pool's wrapper around the driver's
        self._embedded = connection.sqlalchemy.dialect.name == "sqlite"
        self._names = count()
        if self._embedded:
            driver: Any = self._raw.driver_connection
            driver.text_factory = _text
        else:
            self._raw.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")

    def heads(self) -> Sequence[HeadRow]:
        """All heads, oldest first."""
        statement = """SELECT log_id, origin, vkey, size, root, note, last_recorded_at, state, registry_generation
 FROM audit_log ORDER BY log_id"""
        return [HeadRow(*row) for row in self._rows(statement)]

    def entries(self, log_id: int, start: int | None, stop: int | None) -> Iterator[Row]:
        """(seq, leaf_hash, entry) by seq."""
        return self._range("SELECT seq, leaf_hash, entry FROM audit_entry WHERE log_id = ?", "seq", log_id, start, stop)

    def tiles(self, log_id: int) -> Iterator[tuple[int, int, bytes]]:
        """(level, idx, root) by level and idx."""
        return self._rows("SELECT level, idx, root FROM audit_tile WHERE log_id = ? ORDER BY level, idx", log_id)

    def anchors(self, log_id: int, start: int | None, stop: int | None) -> Iterator[tuple[int, str, str]]:
        """(size, note, recorded_at) by size."""
        return self._range(
            "SELECT size, note, recorded_at FROM audit_anchor WHERE log_id = ?", "size", log_id, start, stop
        )

    def homeless(self) -> Sequence[str]:
        """The tables that hold rows of a log without a head."""
        statement = "SELECT count(*) FROM {} WHERE log_id NOT IN (SELECT log_id FROM audit_log)"
        return [table for table in LOGGED_TABLES if next(self._rows(statement.format(table)))[0]]

    def scores(self) -> Iterator[tuple[Any, ...]]:
        """Every row of `score_log` by place: log_id, seq, score_id, the place (log_id, seq) of the score that this one
        supersedes, and the columns of `scores.ScoreRow`; None for what there is not."""
        return self._rows(_SCORES)

    def retractions(self) -> Iterator[tuple[Any, ...]]:
        """Every row of `score_retraction` by place: log_id, seq, score_id, and that score's place (log_id, seq)."""
        return self._rows(_RETRACTIONS)

    def unplaced_scores(self) -> Iterator[tuple[Any, ...]]:
        """The ids of scores that have no place in a log."""
        return self._rows(_UNPLACED)

    def keys(self) -> Iterator[tuple[Any, ...]]:
        """Every API key, column by column."""
        return self._rows(_KEYS)

    def transitions(self) -> Iterator[tuple[Any, ...]]:
        """Every row of `model_transition` by place: log_id, seq, transition_id, name, version, statement, salt."""
        return self._rows(_TRANSITIONS)

    def acknowledgements(self) -> Iterator[tuple[Any, ...]]:
        """Every row of `model_acknowledgement` by place: log_id, seq, acknowledgement_id, name, version, statement,
        salt."""
        return self._rows(_ACKNOWLEDGEMENTS)

    def versions(self) -> Iterator[tuple[Any, ...]]:
        """Every registered version: name, version, digest, signature_digest, state."""
        return self._rows("SELECT name, version, digest, signature_digest, state FROM model_version")

    def aliases(self) -> Iterator[tuple[Any, ...]]:
        """Every alias: name, alias, version."""
        return self._rows("SELECT name, alias, version FROM model_alias")

    def parts(self) -> Iterator[tuple[Any, ...]]:
        """Every part of a file of an artifact by place: digest, part, content."""
        return self._rows("SELECT digest, part, content FROM artifact_part ORDER BY digest, part")

    def persons(self) -> Iterator[tuple[Any, ...]]:
        """Every person, column by column."""
        return self._rows(_PERSONS)

    def _range(
        self, statement: str, column: str, log_id: int, start: int | None, stop: int | None
    ) -> Iterator[tuple[Any, ...]]:
        bounds = [(f" AND {column} {sign} ?", n) for sign, n in ((">=", start), ("<", stop)) if n is not None]
        text = statement + "".join(condition for condition, _ in bounds) + f" ORDER BY {column}"
        return self._rows(text, log_id, *(bound for _, bound in bounds))

    def _rows(self, statement: str, *parameters: int) -> Iterator[tuple[Any, ...]]:
        if self._embedded:
            rows: Iterator[tuple[Any, ...]] = self._raw.cursor().execute(statement, parameters)
            return rows
        return self._fetched(statement.replace("?", "%s"), parameters)

    def _fetched(self, statement: str, parameters: tuple[int, ...]) -> Iterator[tuple[Any, ...]]:
        with self._raw.cursor(name=f"verify_{next(self._names)}") as cursor:
            cursor.itersize = FETCHED_AT_ONCE
            cursor.execute(statement, parameters, binary=True)
            yield from cursor


class LogOpener:
    """Opens readers of the database at a URL. With `open_one`, calls inside the block all get that one reader, so that
    several passes see one state; in another process, to which it can be sent, each call opens a reader anew."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: SqlLogReader | None = None

    def __call__(self) -> AbstractContextManager[SqlLogReader]:
        """A reader, closed when the block ends."""
        return _open(self._url) if self._open is None else nullcontext(self._open)

    def __reduce__(self) -> tuple[Callable[[str], LogOpener], tuple[str]]:
        return LogOpener, (self._url,)

    @contextmanager
    def open_one(self) -> Iterator[SqlLogReader]:
        """One reader for everything that is opened inside the block."""
        with _open(self._url) as reader:
            self._open = reader
            try:
                yield reader
            finally:
                self._open = None


@contextmanager
def _open(url: str) -> Iterator[SqlLogReader]:
    database = Database(url, create=False)
    try:
        with database.read() as connection:
            yield SqlLogReader(connection)
    finally:
        database.close()


def _text(stored: bytes) -> str:
    """What SQLite holds as text stays text, so that it is never taken for the bytes that belong in a column."""
    return stored.decode(errors="surrogateescape")
