"""The comparison of shadows with what was answered, from the rows of a real database."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from service.audit.entry import timestamp
from service.cli_shadow import lines_of
from service.errors import ModelNotFound
from service.store.engine import Database
from service.store.scores import ScoreRow, insert_scores
from service.store.shadows import ShadowRow, insert_shadow_scores
from service.store.tables import model_version
from service.workflows.read_shadow import read_shadow

AT = datetime(2026, 11, 23, 5, 51, 19, 123456, tzinfo=UTC)
DIGEST = "sha256:" + "0" * 64
Side = tuple[str, float | None, str | None]


class Book:
    """Scores with the results of shadows, a minute after each other."""

    def __init__(self, database: Database) -> None:
        self.database, self.minute = database, 0
        values = {"name": "model", "version": "1.0.0", "digest": DIGEST, "state": "approved"}
        with database.write() as connection:
            connection.execute(insert(model_version).values(values))

    def add(self, answered: Side, shadow: Side, version: str = "2.0.0") -> str:
        at = timestamp(AT + timedelta(minutes=self.minute))
        self.minute += 1
        score_id = str(uuid.uuid4())
        body = (b"{}", b"{}", b"s" * 32)
        row = ScoreRow(score_id, "s", "t", "model", "1.0.0", DIGEST, *answered, at, "key:k1", None, *body)
        with self.database.write() as connection:
            insert_scores(connection, [row])
            insert_shadow_scores(connection, [ShadowRow(score_id, DIGEST, "model", version, *shadow, at)])
        return at


def test_an_unknown_model_has_no_comparison(database: Database) -> None:
    with pytest.raises(ModelNotFound):
        read_shadow(database, "model")
    Book(database)
    assert read_shadow(database, "model") == {"name": "model", "shadow": None, "items": [], "next_cursor": None}


def test_differences_and_changes_are_of_inputs_with_two_values(database: Database) -> None:
    book = Book(database)
    first = book.add(("final", 0.25, "low"), ("final", 0.5, "high"))
    for value in (0.5, 0.75):
        book.add(("final", 0.25, "low"), ("indeterminate", value, "middle"))
    book.add(("final", 1.0, "high"), ("final", 0.5, "high"))
    book.add(("final", 0.125, None), ("final", 0.125, "low"))
    book.add(("not_reportable", None, None), ("final", 0.5, "high"))
    book.add(("final", 0.5, "high"), ("not_reportable", None, None))
    book.add(("final", 0.5, "high"), ("refused", None, None))
    last = book.add(("not_reportable", None, None), ("failed", None, None))
    (item,) = read_shadow(database, "model")["items"]
    assert item == {
        "production": "1.0.0",
        "shadow": "2.0.0",
        "n": 5,
        "mean_difference": pytest.approx((0.25 + 0.25 + 0.5 - 0.5) / 5),
        "mean_abs_difference": pytest.approx(1.5 / 5),
        "max_abs_difference": 0.5,
        "category_changes": [
            {"from": "low", "to": "middle", "n": 2},
            {"from": "low", "to": "high", "n": 1},
            {"from": None, "to": "low", "n": 1},
        ],
        "statuses": {"final": 4, "indeterminate": 2, "not_reportable": 1, "refused": 1, "failed": 1},
        "first": first,
        "last": last,
    }
    assert lines_of(item) == [
        f"2.0.0 beside 1.0.0, {first} to {last}",
        "  final 4, indeterminate 2, not_reportable 1, refused 1, failed 1",
        "  compared 5",
        "  difference: mean +0.1, mean absolute 0.3, largest absolute 0.5",
        "  category changes: low -> middle: 2, low -> high: 1, - -> low: 1",
    ]


def test_every_pair_of_versions_stands_alone_the_oldest_first(database: Database) -> None:
    book = Book(database)
    book.add(("final", 0.5, "low"), ("failed", None, None), "3.0.0")
    book.add(("final", 0.5, "low"), ("final", 0.5, "low"), "2.0.0")
    older, newer = read_shadow(database, "model")["items"]
    assert (older["shadow"], older["n"], newer["shadow"], newer["n"]) == ("3.0.0", 0, "2.0.0", 1)
    names = ("mean_difference", "mean_abs_difference", "max_abs_difference")
    assert [older[name] for name in names] == [None] * 3
    assert [newer[name] for name in names] == [0.0] * 3
    assert (older["category_changes"], newer["category_changes"]) == ([], [])
    assert lines_of(older)[1:] == ["  failed 1", "  compared 0"]
    assert lines_of(newer)[-1] == "  category changes: none"
