"""Register a version: check it, keep its bytes, test it, and say so in the log.

Rules:
1. Nothing of an artifact runs before its signature and its digests were checked (`registry.artifact`). One that fails
   there leaves nothing behind but an entry that says by whom and for which fault it was refused.
2. A version never changes. The same bytes once more are no mistake: what was begun is completed, what is complete is
   answered again. Other bytes under the same name and version are refused, and so is a version that differs from
   another one in build metadata only, because the two have no order. Of two processes that register or test the same
   bytes at once, one does it, and the other answers what then stands.
3. The self-test runs here before anything is approved: golden vectors, and for a lowered model the proof that its
   coefficients give what its estimator gives. A version that fails it is `rejected`, with the reason.
4. One registration at a time in a process: an artifact may have 128 MiB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from service.audit.entry import Entry
from service.audit.outcome import Receipt
from service.errors import ArtifactRejected, Conflict, ServiceError, VersionExists
from service.registry import lifecycle
from service.registry.archive import ARTIFACT, read_zip
from service.registry.artifact import Artifact, examine
from service.registry.lifecycle import Move, Standing
from service.registry.proving import self_test
from service.registry.semver import find_version
from service.store import models as model_store
from service.store.models import VersionRow, store_bytes
from service.workflows.artifact_files import store_files
from service.workflows.model_history import find_registration
from service.workflows.recording import NO_ROWS
from service.workflows.services import Services
from service.workflows.transitions import MOVE_MODELS, Signatory, drafted, find_standing, promoted_over

MAX_ZIP_BYTES = ARTIFACT.total_bytes
"""The largest zip that is read."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What came of it: the version and its state; whether this call registered it; the receipt of its last step, None
    where there was nothing to do; who signed the artifact that is on record, if anybody did; and why it was rejected,
    where its self-test was the reason."""

    version: VersionRow
    created: bool
    receipt: Receipt | None
    publisher: str | None
    fault: str | None = None


def register_zip(services: Services, data: bytes, signatory: Signatory) -> Registration:
    """Register the artifact in a zip; see `register_model`."""
    return register_model(services, partial(read_zip, data), signatory)


def register_model(
    services: Services, read: Callable[[], Mapping[str, bytes]], signatory: Signatory, *, prove: bool = True
) -> Registration:
    """Register the artifact whose files `read` gives; returns after it is tested and recorded. Not for the event loop.

    `prove` asks for the proof of what was lowered; the versions that ship with the product were proved when they were
    built.

    Raises ArtifactRejected and VersionExists, both recorded, and SystemFault.
    """
    with services.registering:
        try:
            files = read()
            artifact = examine(files, trusted=services.publishers, expected=None)
            known, created = _known_or_new(services, artifact, files, signatory)
        except (ArtifactRejected, VersionExists) as error:
            _record_refusal(services, error, signatory)
            raise
        receipt = None
        if known.state == "registered":
            known, receipt = _test(services, artifact, known, signatory, prove=prove)
        publisher, fault = find_registration(services.database, known.name, known.version)
        return Registration(known, created, receipt, publisher, fault)


def move(
    services: Services,
    version: VersionRow,
    what: Move,
    standing: Standing | None,
    signatory: Signatory,
    details: dict[str, str | None] | None = None,
) -> Receipt:
    """Record a move and make it; returns after COMMIT. Not for the event loop. Raises as `promoted_over` does."""
    over = {} if standing is None else promoted_over(services.database, version, what, standing)
    transition, entry = drafted(services, version, what, standing, signatory, {**(details or {}), **over})
    receipt: Receipt = services.committer.submit(MOVE_MODELS, transition, entry).result()
    return receipt


def _known_or_new(
    services: Services, artifact: Artifact, files: Mapping[str, bytes], signatory: Signatory
) -> tuple[VersionRow, bool]:
    """The version as it stands, and whether it was registered here and now."""
    known = _find_known(services, artifact)
    if known is not None:
        return known, False
    try:
        return _register(services, artifact, files, signatory), True
    except VersionExists:
        # Another process was faster; with the same bytes, that is as good.
        known = _find_known(services, artifact)
        if known is None:
            raise
        return known, False


def _find_known(services: Services, artifact: Artifact) -> VersionRow | None:
    with services.database.read() as connection:
        rows = model_store.list_versions(connection, artifact.name)
    for row in rows:
        if row.version == artifact.version and row.digest == artifact.digest:
            return row
        if find_version(row.version) == find_version(artifact.version):
            raise VersionExists(
                "This version of the model is registered already, with other content.",
                "Give what changed a new version: a registered one never changes.",
            )
    return None


def _register(services: Services, artifact: Artifact, files: Mapping[str, bytes], signatory: Signatory) -> VersionRow:
    store_files(services.database, files)
    signature = artifact.signature
    row = VersionRow(
        artifact.name,
        artifact.version,
        artifact.digest,
        None if signature is None else store_bytes(services.database, signature),
        "registered",
    )
    move(services, row, lifecycle.register(row.version), None, signatory, {"publisher": artifact.publisher})
    return row


def _test(
    services: Services, artifact: Artifact, row: VersionRow, signatory: Signatory, *, prove: bool
) -> tuple[VersionRow, Receipt | None]:
    """The version after its self-test, and the receipt; None where somebody else was faster."""
    fault = None
    try:
        self_test(artifact, prove=prove)
    except ArtifactRejected as error:
        fault = error.message
    known, standing = _standing(services, row)
    if known.state != "registered":
        return known, None
    what = lifecycle.verify(row.version, standing) if fault is None else lifecycle.reject(row.version, standing)
    try:
        receipt = move(services, known, what, standing, signatory, {"fault": fault})
    except Conflict:
        return _standing(services, row)[0], None
    return replace(known, state=what.after or known.state), receipt


def _standing(services: Services, row: VersionRow) -> tuple[VersionRow, Standing]:
    with services.database.read() as connection:
        found = find_standing(connection, row.name, row.version)
    if found is None:
        raise AssertionError("a version is never deleted")
    return found


def _record_refusal(services: Services, error: ServiceError, signatory: Signatory) -> None:
    code = error.problems[0].code if error.problems else error.code
    now = services.clock()
    entry = Entry("model.rejected", now, signatory.actor, services.site, detail={"refused": code})
    services.committer.submit(NO_ROWS, None, entry).result()
