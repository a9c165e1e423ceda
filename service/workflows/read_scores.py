"""Read stored scores: one by its id, lists and searches in the order of the log.

What is read is the stored answer byte for byte, with the fields that are derived at read time put behind it.

Whoever reads leaves a `score.read` entry, and is shown nothing before that is durable. The entry of one score names
it. The entry of a list or search has a read id of its own as record, and `out` commits to the ids that were shown,
joined by line ends, with a salt that is derived from the pepper and the read id: whoever has the pepper can prove later
what was shown, and nobody else can guess it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import orjson

from service.audit.entry import Entry, commitment
from service.domain.score_query import ScoreQuery
from service.errors import InputRejected, Problem, RecordDamaged
from service.store import scores as score_store
from service.store.engine import ReadConnection
from service.store.log_rows import list_entries
from service.store.retractions import Retraction
from service.store.scores import ListedScore, StoredScore, unknown_score
from service.workflows.key_cache import Caller
from service.workflows.keys import keyed_hash
from service.workflows.patience import in_thread
from service.workflows.recording import NO_ROWS, record_as
from service.workflows.services import Services, new_uuid7

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


async def show_score(services: Services, caller: Caller, score_id: str) -> StoredScore:
    """One stored score, once it is recorded that `caller` reads it. Raises as `get_score` does, Unauthenticated where
    the key was revoked meanwhile, or SystemFault."""
    stored = await in_thread(get_score, services, score_id)
    entry = Entry("score.read", services.clock(), caller.actor, services.site, record=score_id)
    await record_as(services, caller, NO_ROWS, None, entry)
    return stored


async def show_page(services: Services, caller: Caller, query: ScoreQuery) -> dict[str, Any]:
    """One page of scores, oldest first, and the cursor of the next page or None, once it is recorded that `caller`
    reads it. Raises as `show_score` does, and InputRejected for a foreign cursor."""
    page = await in_thread(list_scores, services, query)
    now = services.clock()
    read_id = new_uuid7(now)
    shown = commit_to_page(services.pepper, read_id, [item["id"] for item in page["items"]])
    entry = Entry("score.read", now, caller.actor, services.site, record=read_id, out=shown)
    await record_as(services, caller, NO_ROWS, None, entry)
    return page


def commit_to_page(pepper: bytes, read_id: str, score_ids: Sequence[str]) -> str:
    """What the entry of a list or search commits to."""
    return commitment(keyed_hash(pepper, "score-read", read_id.encode()), "\n".join(score_ids).encode())


def get_score(services: Services, score_id: str) -> StoredScore:
    """One stored score; raises NotFound, or RecordDamaged where its bytes are not those that were recorded."""
    with services.database.read() as connection:
        return get_recorded(connection, score_id)


def get_recorded(connection: ReadConnection, score_id: str) -> StoredScore:
    """As `get_score`, inside a transaction."""
    stored = None if _ID.fullmatch(score_id) is None else find_recorded(connection, score_id)
    if stored is None:
        raise unknown_score()
    return stored


def find_recorded(connection: ReadConnection, score_id: str) -> StoredScore | None:
    """A stored score whose answer is the one its audit entry commits to; raises RecordDamaged for any other."""
    stored = score_store.find_score(connection, score_id)
    if stored is None:
        return None
    entries = list_entries(connection, log_id=stored.log_id, start=stored.seq, limit=1)
    recorded = json.loads(entries[0].entry) if entries else {}
    committed = (recorded.get("record"), recorded.get("in"), recorded.get("out"))
    row = stored.row
    if committed != (score_id, commitment(row.salt, row.request), commitment(row.salt, row.answer)):
        raise RecordDamaged("The stored score is not the one that was recorded.", "Have the audit log verified.")
    return stored


def list_scores(services: Services, query: ScoreQuery) -> dict[str, Any]:
    """One page of scores, oldest first, and the cursor of the next page or None."""
    name, _, version = (query.model or "").partition("@")
    with services.database.read() as connection:
        rows = score_store.list_scores(
            connection,
            model_name=name or None,
            model_version=version or None,
            subject_id=query.subject,
            specimen_id=query.specimen,
            since=query.since,
            after=None if query.cursor is None else parse_cursor(query.cursor),
            limit=query.limit + 1,
        )
    page, more = rows[: query.limit], len(rows) > query.limit
    next_cursor = make_cursor(page[-1].log_id, page[-1].seq) if more else None
    return {"items": [_item(row) for row in page], "next_cursor": next_cursor}


def render(
    answer: bytes,
    index: int,
    checkpoint: str | None,
    superseded_by: str | None = None,
    retracted: Retraction | None = None,
) -> bytes:
    """The answer as it is sent: the stored bytes, what is derived now, and the place in the signed audit log."""
    audit = {"index": index, "checkpoint": checkpoint}
    return _with(answer, {"superseded_by": superseded_by, "retracted": retracted, "audit": audit})


def etag(answer: bytes, superseded_by: str | None = None, retracted: Retraction | None = None) -> str:
    """A strong entity tag over the answer without its audit part (RFC 9110, section 8.8.3)."""
    shown = _with(answer, {"superseded_by": superseded_by, "retracted": retracted})
    return f'"{hashlib.sha256(shown).hexdigest()}"'


def _with(answer: bytes, derived: dict[str, object]) -> bytes:
    return answer[:-1] + b"," + orjson.dumps(derived)[1:]


def make_cursor(log_id: int, seq: int) -> str:
    """An opaque cursor behind one entry of the log; it holds no caller's text."""
    return base64.urlsafe_b64encode(f"{log_id}.{seq}".encode()).decode().rstrip("=")


def parse_cursor(cursor: str) -> tuple[int, int]:
    """The (log_id, seq) of a cursor; raises InputRejected for anything `make_cursor` did not make."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        log_id, _, seq = text.partition(".")
        position = int(log_id), int(seq)
    except (binascii.Error, ValueError):
        position = -1, -1
    if min(position) < 0 or max(position) >= 2**63 or make_cursor(*position) != cursor:
        message = "The cursor is not one that this service gave."
        raise InputRejected(
            message, problems=[Problem("/cursor", "invalid_cursor", message, "Start without a cursor.")]
        )
    return position


def _item(row: ListedScore) -> dict[str, Any]:
    reported = row.status != "not_reportable"
    return {
        "id": row.score_id,
        "status": row.status,
        "model": {"name": row.model_name, "version": row.model_version, "digest": row.model_digest},
        "score": {"value": row.value, "category": row.category} if reported else None,
        "created_at": row.created_at,
        "superseded_by": row.superseded_by,
        "retracted": None if row.retracted is None else asdict(row.retracted),
    }
