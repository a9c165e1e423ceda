"""A person signs: the passphrase is asked for again, and what is wrong is recorded at once.

Rules:
1. A signature has two components (21 CFR 11.200(a)(1)): the person's passphrase, and a key that belongs to the person
   or, on the command line, the person's id. Every signature asks for the passphrase, not only the first of several. Who
   may sign what, and what is signed for, belongs to the record that is signed (21 CFR 11.50, 11.70).
2. A wrong passphrase, an unknown person and a revoked one are answered alike, and after the same time.
3. Each wrong passphrase is an entry of the audit log before it is answered, and a warning in the service's log, because
   attempts have to be detected and reported at once (21 CFR 11.300(d)). `attempts` bounds how many there can be.
4. The entry names the person where there is one. What was presented is kept nowhere.
"""

from __future__ import annotations

import logging

from service.audit.entry import Entry
from service.errors import SignatureRefused
from service.store.persons import PersonRow, find_person
from service.telemetry import log_event
from service.workflows.passphrase import matches
from service.workflows.recording import NO_ROWS
from service.workflows.services import Services

_NOBODY = PersonRow("", "", bytes(32), bytes(32), "", "")
"""Stands in for a person who is not there, so that the refusal takes as long."""


def require_signature(
    services: Services, person_id: str, passphrase: str, *, actor: str = "system:service"
) -> PersonRow:
    """The person in force who has this id and this passphrase. Takes a quarter of a second: call it in a thread.

    Raises SignatureRefused, TooManyAttempts, or a SystemFault where a refusal cannot be recorded. The person may be
    revoked the moment after: submit what was signed under a registry generation that was read before this call.
    """
    with services.attempts.turn(person_id):
        with services.database.read() as connection:
            row = find_person(connection, person_id)
        found = row or _NOBODY
        right = matches(passphrase, found.passphrase_salt, found.passphrase_hash)
        if right and found.revoked_at is None:
            services.attempts.succeeded(person_id)
            return found
        last = services.attempts.failed(person_id)
    _record(services, None if row is None else row.person_id, actor, last=last)
    raise SignatureRefused("The signature was refused.", "Check the passphrase, and whose key or id it goes with.")


def _record(services: Services, person_id: str | None, actor: str, *, last: bool) -> None:
    level = logging.ERROR if last else logging.WARNING
    shown = None if person_id is None else f"person:{person_id}"
    log_event("passphrase_locked" if last else "passphrase_wrong", level=level, actor=shown)
    entry = Entry(
        "access.denied",
        services.clock(),
        actor,
        services.site,
        record=person_id,
        reason="passphrase",
        detail={"count": 1},
    )
    services.committer.submit(NO_ROWS, None, entry).result()
