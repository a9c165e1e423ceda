"""Committed bytes that say less than a score has columns: a fault, and never an exception."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from service.audit.entry import Entry, commitment
from service.workflows.recorded_scores import find_score_fault

SALT = b"s" * 32
COLUMNS = ("id", "S", "A", "m", "1", "d", "final", 0.5, None, "t", "key:k", None)


@pytest.mark.parametrize("answer", [b"{", b"[]", b"[" * 100_000, b"{}", b'{"model": 1, "score": []}', b"\xff"])
@pytest.mark.parametrize("request_bytes", [b"{}", b"null", b"\x00"])
def test_bytes_that_are_no_answer_or_request_are_a_fault(request_bytes: bytes, answer: bytes) -> None:
    entry = Entry(
        "score.reported",
        datetime(2026, 11, 23, tzinfo=UTC),
        "key:k",
        "test",
        record="id",
        in_=commitment(SALT, request_bytes),
        out=commitment(SALT, answer),
    )
    fault = find_score_fault(entry, (*COLUMNS, request_bytes, answer, SALT), None)
    assert fault is not None
    assert "subject_id" in fault
