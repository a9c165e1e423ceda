"""A move of the registry sends back what rests on what was moved, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Event
from typing import Any

import pytest
from sqlalchemy import update

from service.audit.entry import Entry
from service.audit.log import Transaction
from service.audit.submissions import NoRows
from service.errors import ModelNotFound, RegistryChanged, Unauthenticated, VersionNotInForce
from service.registry.lifecycle import plan
from service.store.models import VersionRow
from service.store.tables import model_version
from service.workflows.acknowledge_warnings import acknowledge_open
from service.workflows.keys import authenticate, create_key, revoke_key
from service.workflows.premises import VersionAnswers
from service.workflows.recording import NO_ROWS
from service.workflows.score_specimen import score_specimen
from service.workflows.services import Services
from service.workflows.transitions import MOVE_MODELS, drafted, find_standing, promoted_over
from tests.registry.artifacts import PGD, release
from tests.workflows.registering import SIGNATORY, admit, bring, put_in_force, register, stored

AT_FIRST, LATER = "1.0.0", "1.1.0"


@pytest.fixture
def row(services: Services) -> VersionRow:
    """The version in production and on trial, loaded."""
    first = put_in_force(services, release(PGD, AT_FIRST))
    bring(services, first, "trial")
    return first


@pytest.fixture
def later(services: Services, row: VersionRow) -> VersionRow:
    """A later version, approved and loaded."""
    known = admit(services, release(PGD, LATER, summary="Later."))
    bring(services, known, "approved")
    services.registry.load_all()
    return replace(known, state="approved")


@pytest.fixture
def keys(services: Services) -> list[str]:
    """Two keys."""
    return [create_key(services, name=n, scopes=["scores:write"], actor="system:cli")[1] for n in ("one", "two")]


@pytest.fixture
def score(
    services: Services, row: VersionRow, keys: list[str], pgd_request: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[str, int]]:
    """Scores a specimen by a reference with what was looked up before the test's moves; the version that answered, and
    how often the registry was looked at for it."""
    caller = authenticate(services, keys[0])
    looks: list[int] = []
    look = services.registry.catch_up

    async def counted() -> None:
        looks.append(1)
        await look()

    monkeypatch.setattr(services.registry, "catch_up", counted)

    def asked(reference: str = PGD) -> tuple[str, int]:
        looks.clear()
        body = json.dumps(pgd_request | {"model": reference}).encode()
        outcome = asyncio.run(score_specimen(services, caller, body, None))
        return json.loads(outcome.answer)["model"]["version"], len(looks)

    return asked


def test_what_does_not_concern_a_score_costs_it_nothing(
    services: Services, later: VersionRow, keys: list[str], score: Callable[..., tuple[str, int]]
) -> None:
    other = authenticate(services, keys[1])
    for move in (
        lambda: register(services, release(PGD, "1.2.0", summary="Newer.")),
        lambda: bring(services, later, "trial"),
        lambda: revoke_key(services, key_id=other.key_id, actor="system:cli"),
        lambda: bring(services, later, "retired"),
    ):
        generation = stored(services.database).generation
        move()
        assert stored(services.database).generation > generation
        assert score(PGD) == (AT_FIRST, 0)
        assert score(f"{PGD}@{AT_FIRST}") == (AT_FIRST, 0)


def test_an_alias_that_moved_sends_back_who_named_it_and_nobody_else(
    services: Services, row: VersionRow, later: VersionRow, score: Callable[..., tuple[str, int]]
) -> None:
    bring(services, later, "production")
    assert score(f"{PGD}@{AT_FIRST}") == (AT_FIRST, 0)
    assert score(f"{PGD}@trial") == (AT_FIRST, 0)
    assert score(PGD) == (LATER, 1)
    assert score(f"{PGD}@production") == (LATER, 0)
    bring(services, row, "production")
    assert score(f"{PGD}@production") == (AT_FIRST, 1)


def test_an_alias_that_is_gone_answers_nobody(
    services: Services, later: VersionRow, score: Callable[..., tuple[str, int]]
) -> None:
    bring(services, later, "production", "trial", "retired")
    with pytest.raises(ModelNotFound):
        score(f"{PGD}@trial")
    with pytest.raises(VersionNotInForce):
        score(f"{PGD}@{LATER}")
    assert score(f"{PGD}@{AT_FIRST}") == (AT_FIRST, 0)


def test_a_key_that_was_revoked_scores_nothing(
    services: Services, keys: list[str], score: Callable[..., tuple[str, int]]
) -> None:
    key_id = authenticate(services, keys[0]).key_id
    revoke_key(services, key_id=key_id, actor="system:cli")
    before = stored(services.database)
    with pytest.raises(Unauthenticated):
        score(PGD)
    assert stored(services.database).since(before) == ()


@pytest.mark.parametrize("alias", [None, "production"])
@pytest.mark.parametrize(
    "changed",
    [
        {"key_id": "0" * 16},
        {"name": "tb-exosomal-mirna"},
        {"version": "9.9.9"},
        {"digest": "sha256:" + "0" * 64},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_each_part_of_a_premise_is_asked_for(
    services: Services, row: VersionRow, keys: list[str], alias: str | None, changed: dict[str, str]
) -> None:
    key_id = authenticate(services, keys[0]).key_id
    premise = VersionAnswers(key_id, row.name, row.version, row.digest, alias)
    with services.committer._storage.transaction() as transaction:
        transaction.lock_head()
        assert premise.holds(transaction)
        assert not replace(premise, **changed).holds(transaction)


@pytest.mark.parametrize("alias", [None, "production"])
def test_only_an_approved_version_is_in_force(
    services: Services, row: VersionRow, keys: list[str], alias: str | None
) -> None:
    premise = VersionAnswers(authenticate(services, keys[0]).key_id, row.name, row.version, row.digest, alias)
    with services.database.write() as connection:
        connection.execute(update(model_version).values(state="retired"))
    with services.committer._storage.transaction() as transaction:
        assert not premise.holds(transaction)


def test_without_a_premise_every_move_counts(services: Services, later: VersionRow) -> None:
    generation = stored(services.database).generation
    entry = stored(services.database).entries[-1]
    bring(services, later, "trial")
    future = services.committer.submit(NO_ROWS, None, entry, generation=generation)
    with pytest.raises(RegistryChanged) as raised:
        future.result()
    assert raised.value.generation == generation + 1


class Held(NoRows):
    """Holds the committer up until it is let go, so that what comes meanwhile shares a transaction."""

    def __init__(self) -> None:
        self.reached, self.released = Event(), Event()

    def insert(self, transaction: Transaction, rows: Sequence[None]) -> Sequence[Exception | None]:
        self.reached.set()
        assert self.released.wait(30)
        return super().insert(transaction, rows)


@pytest.mark.parametrize("move_first", [False, True])
def test_a_move_in_the_same_batch_is_seen_by_those_behind_it_alone(
    services: Services, row: VersionRow, later: VersionRow, keys: list[str], move_first: bool
) -> None:
    key_id = authenticate(services, keys[0]).key_id
    generation = stored(services.database).generation
    bring(services, row, "spare")
    acknowledge_open(services, later, SIGNATORY)
    entry = Entry("score.withheld", services.clock(), f"key:{key_id}", "test")
    premise = VersionAnswers(key_id, row.name, row.version, row.digest, "production")
    with services.database.read() as connection:
        found = find_standing(connection, later.name, later.version)
    assert found is not None
    known, standing = found
    move = plan(later.version, "production", standing)
    over = promoted_over(services.database, known, move, standing)
    draft = drafted(services, known, move, standing, SIGNATORY, over)

    def score() -> Any:
        return services.committer.submit(NO_ROWS, None, entry, generation=generation, premise=premise)

    def moving() -> Any:
        return services.committer.submit(MOVE_MODELS, *draft)

    held = Held()
    first = services.committer.submit(held, None, entry)
    assert held.reached.wait(30)
    futures = [call() for call in ((moving, score) if move_first else (score, moving))]
    held.released.set()
    index = first.result().index
    moved, scored = futures if move_first else reversed(futures)
    if move_first:
        assert moved.result().index == index + 1
        assert isinstance(scored.exception(), RegistryChanged)
    else:
        assert (scored.result().index, moved.result().index) == (index + 1, index + 2)
