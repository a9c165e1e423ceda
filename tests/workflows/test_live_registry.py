"""What is in force in one process: looking, loading aside, waiting, failing, and following what others do."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from threading import Event
from typing import Any

import pytest
from sqlalchemy import text, update

from service.errors import (
    ArtifactRejected,
    ModelNotFound,
    NoActiveModel,
    StorageUnavailable,
    VersionLoading,
    VersionNotInForce,
    VersionUnusable,
)
from service.registry.active import ModelVersion
from service.registry.estimator_scorer import EstimatorScorer
from service.registry.loading import release as let_go
from service.store.engine import Database, ReadConnection
from service.store.models import VersionRow
from service.store.tables import artifact_part
from service.workflows.artifact_files import ALTERED
from service.workflows.describe import describe
from service.workflows.keys import authenticate, create_key
from service.workflows.live_registry import FOLLOW_SECONDS, LiveRegistry, loader
from service.workflows.score_specimen import Outcome, score_specimen
from service.workflows.services import Services
from tests.registry.artifacts import PGD, TB, TRUSTED, digest, release
from tests.registry.fitted import document_of, files_of
from tests.registry.odd_estimators import Odd
from tests.workflows.registering import admit, bring, put_in_force, stored


class WatchedDatabase(Database):
    """A database that counts how often it is read, that can be away, and whose answers can be held back."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.reads = 0
        self.away = False
        self.open = Event()
        self.open.set()

    def read(self) -> AbstractContextManager[ReadConnection]:
        self.reads += 1
        self.open.wait(30)
        if self.away:
            raise StorageUnavailable("The database is away.", "Wait.")
        return super().read()


class WatchedLoad:
    """Loads versions as the product does, once the door is open, and fails as often as it is told to."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.door = Event()
        self.door.set()
        self.faults: list[Exception] = []
        self._load = loader(TRUSTED)

    def __call__(self, row: VersionRow, files: Mapping[str, bytes]) -> ModelVersion:
        self.loads.append(row.version)
        assert self.door.wait(30)
        if self.faults:
            raise self.faults.pop()
        return self._load(row, files)


@pytest.fixture
def watched(database_url: str, services: Services) -> Iterator[WatchedDatabase]:
    database = WatchedDatabase(database_url)
    yield database
    database.close()


@pytest.fixture
def load() -> WatchedLoad:
    return WatchedLoad()


@pytest.fixture
def registry(watched: WatchedDatabase, load: WatchedLoad) -> Iterator[LiveRegistry]:
    """The registry of another process, with a database and a loader that can be watched."""
    registry = LiveRegistry(watched, load)
    yield registry
    registry.close()


@pytest.fixture
def post(services: Services, pgd_request: dict[str, Any]) -> Callable[..., Any]:
    """Scores a specimen by a reference, in the process with a registry."""
    _, key = create_key(services, name="LIMS", scopes=["scores:write"], actor="system:cli")
    caller = authenticate(services, key)

    def score(registry: LiveRegistry, reference: str = PGD, request: dict[str, Any] = pgd_request) -> Any:
        body = json.dumps(request | {"model": reference}).encode()
        return score_specimen(replace(services, registry=registry), caller, body, None)

    return score


def approved(services: Services, version: str, *places: str, bundled: str = PGD, **changes: Any) -> VersionRow:
    row = admit(services, release(bundled, version, **changes))
    bring(services, row, "approved", *places)
    return row


def version_of(outcome: Outcome) -> str:
    version: str = json.loads(outcome.answer)["model"]["version"]
    return version


async def eventually(holds: Callable[[], bool], seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit
        await asyncio.sleep(0.01)


def test_looks_that_are_asked_for_at_once_are_one(registry: LiveRegistry, watched: WatchedDatabase) -> None:
    async def main() -> None:
        await registry.catch_up()
        a_look = watched.reads
        watched.open.clear()
        first = asyncio.create_task(registry.catch_up())
        await eventually(lambda: watched.reads == a_look + 1)
        others = [asyncio.create_task(registry.catch_up()) for _ in range(50)]
        await asyncio.sleep(0.05)
        watched.open.set()
        await asyncio.gather(first, *others)
        # What the others ask for may have happened after the first look began: they share one that began later.
        assert watched.reads == 3 * a_look

    asyncio.run(main())


def test_a_look_that_failed_is_no_look_for_those_who_waited_for_it(
    registry: LiveRegistry, watched: WatchedDatabase, services: Services
) -> None:
    approved(services, "1.1.0", "production")

    async def main() -> None:
        watched.open.clear()
        watched.away = True
        first = asyncio.create_task(registry.catch_up())
        await eventually(lambda: watched.reads == 1)
        others = [asyncio.create_task(registry.catch_up()) for _ in range(3)]
        await asyncio.sleep(0.05)
        watched.open.set()
        failed = await asyncio.gather(first, *others, return_exceptions=True)
        assert [type(one) for one in failed] == [StorageUnavailable] * 4
        watched.away = False
        await registry.catch_up()
        await registry.settled()
        assert registry.current.resolve(PGD).version == "1.1.0"

    asyncio.run(main())


def test_a_move_that_was_made_is_no_failure_because_the_look_after_it_is(
    registry: LiveRegistry, watched: WatchedDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    watched.away = True
    with caplog.at_level(logging.WARNING, "exoscore"):
        asyncio.run(registry.moved())
    assert [record.__dict__["event"] for record in caplog.records] == ["registry_not_read"]


def test_nothing_is_looked_at_where_nothing_moved(registry: LiveRegistry, watched: WatchedDatabase) -> None:
    async def main() -> None:
        await registry.now()
        before = watched.reads
        assert await registry.now() is await registry.now()
        assert watched.reads == before + 2

    asyncio.run(main())


def test_who_asks_for_what_is_being_loaded_waits_and_is_answered(
    registry: LiveRegistry, load: WatchedLoad, services: Services, post: Any, tb_request: dict[str, Any]
) -> None:
    approved(services, "1.0.0", "production")
    approved(services, "1.0.0", "production", bundled=TB)
    registry.load_all()
    load.door.clear()
    approved(services, "1.1.0", "production")

    async def main() -> None:
        await registry.catch_up()
        with pytest.raises(VersionLoading):
            registry.current.resolve(PGD)
        waiting = [asyncio.create_task(post(registry)) for _ in range(3)]
        # Everything else goes on answering meanwhile.
        assert version_of(await post(registry, f"{PGD}@1.0.0")) == "1.0.0"
        assert version_of(await post(registry, TB, tb_request)) == "1.0.0"
        assert not any(one.done() for one in waiting)
        load.door.set()
        assert [version_of(one) for one in await asyncio.gather(*waiting)] == ["1.1.0"] * 3
        assert load.loads.count("1.1.0") == 1

    asyncio.run(main())


def test_a_version_that_fails_says_why_and_the_others_go_on(
    registry: LiveRegistry, services: Services, post: Any, tb_request: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    approved(services, "1.0.0", "production")
    approved(services, "1.0.0", "production", bundled=TB)
    registry.load_all()
    row = approved(services, "1.1.0", "production")
    golden = release(PGD, "1.1.0", summary="x")["golden.json"]
    with services.database.write() as connection:
        place = artifact_part.c.digest == row.digest
        connection.execute(update(artifact_part).where(place).values(content=golden))

    async def main() -> None:
        await registry.catch_up()
        await registry.settled()
        # Not even the version before answers in the name of the alias: it was not in force any more.
        for reference in (PGD, f"{PGD}@1.1.0"):
            with pytest.raises(VersionUnusable, match="stored bytes"):
                await post(registry, reference)
        assert version_of(await post(registry, f"{PGD}@1.0.0")) == "1.0.0"
        assert version_of(await post(registry, TB, tb_request)) == "1.0.0"
        with pytest.raises(ArtifactRejected):
            await registry.require_usable(row)
        # Nobody tries again by himself what will fail again; back to the version before takes a move.
        bring(services, replace(row, version="1.0.0"), "production")
        await registry.now()
        assert version_of(await post(registry)) == "1.0.0"

    with caplog.at_level(logging.ERROR, "exoscore"):
        asyncio.run(main())
    shown = describe(registry.current, PGD, "1.1.0", services.database)
    assert (shown.version.state, shown.reason, shown.manifest) == ("approved", ALTERED, None)
    (told,) = [record.__dict__ for record in caplog.records]
    assert (told["event"], told["fields"]["model"]) == ("version_rejected", f"{PGD}@1.1.0")


def test_a_version_that_was_mended_is_usable_again(
    registry: LiveRegistry, load: WatchedLoad, services: Services
) -> None:
    row = approved(services, "1.1.0", "production")
    load.faults.append(ArtifactRejected("It fails.", "Mend it."))
    with pytest.raises(VersionUnusable, match="It fails"):
        registry.load_all().resolve(PGD)

    async def main() -> None:
        await registry.require_usable(row)
        await registry.moved()
        assert registry.current.resolve(PGD).version == "1.1.0"

    asyncio.run(main())


@pytest.mark.parametrize("at_start", [True, False], ids=["at the start", "later"])
def test_a_fault_of_the_storage_is_no_fault_of_the_version_and_is_tried_again(
    registry: LiveRegistry, load: WatchedLoad, services: Services, at_start: bool, caplog: pytest.LogCaptureFixture
) -> None:
    if not at_start:
        registry.load_all()
    approved(services, "1.1.0", "production")
    approved(services, "1.0.0", "production", bundled=TB)
    load.faults.append(StorageUnavailable("It is away.", "Wait."))

    async def main() -> None:
        if at_start:
            registry.load_all()
        following = asyncio.create_task(registry.follow())
        await eventually(lambda: len(load.loads) == 3)
        await registry.settled()
        assert [registry.current.resolve(name).version for name in (PGD, TB)] == ["1.1.0", "1.0.0"]
        following.cancel()

    with caplog.at_level(logging.ERROR, "exoscore"):
        asyncio.run(main())
    assert [record.__dict__["event"] for record in caplog.records] == ["version_not_loaded"]


def test_a_process_follows_what_another_one_does(registry: LiveRegistry, services: Services) -> None:
    first, second = approved(services, "1.9.0", "production"), approved(services, "1.10.0")
    registry.load_all()

    async def main() -> None:
        following = asyncio.create_task(registry.follow())
        for row, to in ((second, "production"), (first, "production"), (second, "retired")):
            began = time.monotonic()
            await asyncio.to_thread(bring, services, row, to)
            moved = asyncio.create_task(asyncio.to_thread(stored, services.database))
            generation = (await moved).generation
            await eventually(lambda wanted=generation: registry.current.generation == wanted)
            assert time.monotonic() - began < FOLLOW_SECONDS + 1.5
            expected = "1.10.0" if (row, to) == (second, "production") else "1.9.0"
            assert registry.current.resolve(PGD).version == expected
        with pytest.raises(VersionNotInForce):
            registry.current.resolve(f"{PGD}@1.10.0")
        following.cancel()

    asyncio.run(main())


def test_a_database_that_is_away_is_told_once_and_looked_for_again(
    registry: LiveRegistry, watched: WatchedDatabase, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        following = asyncio.create_task(registry.follow())
        for _ in range(2):
            watched.away = True
            reads = watched.reads
            await eventually(lambda since=reads: watched.reads >= since + 3)
            watched.away = False
            reads = watched.reads
            await eventually(lambda since=reads: watched.reads >= since + 2)
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following

    with caplog.at_level(logging.WARNING, "exoscore"):
        asyncio.run(main())
    assert [record.__dict__["event"] for record in caplog.records] == ["registry_not_read"] * 2


def test_a_process_that_lags_never_stores_a_score_of_what_was_in_force_before(
    registry: LiveRegistry, services: Services, post: Any
) -> None:
    first, second = approved(services, "1.9.0", "production"), approved(services, "1.10.0")
    registry.load_all()
    moves: list[tuple[tuple[VersionRow, str], str | type[Exception]]] = [
        ((second, "production"), "1.10.0"),
        ((first, "production"), "1.9.0"),
        ((first, "withdrawn"), NoActiveModel),
        ((second, "production"), "1.10.0"),
        ((second, "retired"), NoActiveModel),
    ]

    async def main() -> None:
        before: object = None
        assert version_of(await post(registry)) == "1.9.0"
        for (row, to), expected in moves:
            await asyncio.to_thread(bring, services, row, to)
            if before is NoActiveModel:
                # A lagging process may refuse until it looks: nothing wrong is recorded by that.
                await registry.now()
                await registry.settled()
            before = expected
            if isinstance(expected, str):
                assert version_of(await post(registry)) == expected
            else:
                with pytest.raises(expected):
                    await post(registry)
        assert version_of(await post(registry, f"{PGD}@1.9.0")) == "1.9.0"
        with pytest.raises(VersionNotInForce):
            await post(registry, f"{PGD}@1.10.0")

    asyncio.run(main())
    models = [entry.model for entry in stored(services.database).entries if entry.kind == "score.reported"]
    assert [(model or "").partition("@")[2] for model in models] == ["1.9.0", "1.10.0", "1.9.0", "1.10.0", "1.9.0"]


def test_what_is_loaded_twice_at_once_is_kept_once(
    services: Services, registry: LiveRegistry, load: WatchedLoad
) -> None:
    row = admit(services, files_of(Odd(), document_of()))
    bring(services, row, "approved", "production")

    async def main() -> None:
        load.door.clear()
        await registry.catch_up()
        asked = asyncio.create_task(registry.require_usable(row))
        await eventually(lambda: len(load.loads) == 2)
        load.door.set()
        await asked
        await registry.settled()

    asyncio.run(main())
    scorer = registry.current.resolve("odd-model").scorer
    assert isinstance(scorer, EstimatorScorer)
    assert scorer.pid is not None
    assert scorer.score_one([0.5] * 6).value > 0.5


def test_a_version_is_shown_that_could_not_be_registered(registry: LiveRegistry, services: Services) -> None:
    approved(services, "1.1.0")
    strays = tuple(ModelVersion(PGD, number, "", "rejected", reason="It is spoilt.") for number in ("1.1.0", "2.0.0"))
    models = registry.load_all(strays)
    assert [(one.version, one.state) for one in models.versions_of(PGD)] == [
        ("1.1.0", "approved"),
        ("2.0.0", "rejected"),
    ]
    assert describe(models, PGD, "2.0.0", services.database).reason == "It is spoilt."


def test_whoever_stops_lets_nothing_be_loaded_any_more(
    registry: LiveRegistry, load: WatchedLoad, services: Services
) -> None:
    approved(services, "1.1.0", "production")

    async def main() -> None:
        await registry.stop()
        load.door.clear()
        await registry.catch_up()
        await eventually(lambda: load.loads == ["1.1.0"])
        await registry.stop()
        with pytest.raises(VersionLoading):
            registry.current.resolve(PGD)
        load.door.set()

    asyncio.run(main())


def test_the_generation_of_a_snapshot_is_that_of_its_rows(services: Services) -> None:
    put_in_force(services, release(PGD, "1.1.0"))
    current = services.registry.current
    assert current.generation == stored(services.database).generation
    with services.database.read() as connection:
        assert connection.sqlalchemy.execute(text("SELECT count(*) FROM model_alias")).scalar_one() == 1
    assert digest(release(PGD, "1.1.0")["manifest.json"]) == current.resolve(PGD).digest
    let_go(current.resolve(PGD).scorer)


def test_what_another_process_put_in_force_a_moment_ago_answers(
    registry: LiveRegistry, watched: WatchedDatabase, services: Services, post: Any
) -> None:
    first = approved(services, "1.0.0")
    registry.load_all()

    async def main() -> None:
        for refused in (PGD, f"{PGD}@1.1.0"):
            with pytest.raises((NoActiveModel, ModelNotFound)):
                await post(registry, refused)
        bring(services, first, "production")
        assert version_of(await post(registry)) == "1.0.0"
        approved(services, "1.1.0")
        assert version_of(await post(registry, f"{PGD}@1.1.0")) == "1.1.0"
        before = watched.reads
        with pytest.raises(ModelNotFound):
            await post(registry, f"{PGD}@9.9.9")
        assert watched.reads == before + 1  # whether it had moved, and no look, because it had not

    asyncio.run(main())
