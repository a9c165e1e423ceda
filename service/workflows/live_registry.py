"""The registry as this process sees it: read from the database, loaded aside, swapped whole.

Rules:
1. What is in force is what the database says; a process only keeps a copy, with the generation it is of. Where that is
   older than the head's, what a score rests on is asked again under the lock (`premises`). A score that rests on what
   has changed is not stored: its process looks again, here, and scores again.
2. A look is quick: it reads states and aliases, and swaps the snapshot. What is newly approved is loaded afterwards, in
   a thread, while everything else goes on answering; who asks for the new version meanwhile waits for it.
3. A version is loaded from the bytes in the database, and passes every check again. One that does not stays out of
   force in this process, with the reason on show; what it should have replaced does not answer in its name.
4. Without anything to do a process looks every `FOLLOW_SECONDS`, so that it has loaded what is new before it is asked.
5. `load_all` and `close` are for the start, the end and commands; everything else is touched from the event loop only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from service.errors import ArtifactRejected, SystemFault
from service.registry.active import ActiveModels, ModelVersion
from service.registry.artifact import Expected
from service.registry.lifecycle import ENDED
from service.registry.loading import load_version, release
from service.store.engine import Database
from service.store.log_rows import find_generation
from service.store.models import Registered, VersionRow, find_registered
from service.telemetry import log_event
from service.workflows.artifact_files import read_files
from service.workflows.patience import PATIENCE_SECONDS, in_thread
from service.workflows.shared_looks import SharedLooks

FOLLOW_SECONDS = 0.5

LOADED_AT_ONCE = 4
"""Versions that are loaded at the same time: most of the time goes to processes of their own, where it goes long."""

Load = Callable[[VersionRow, Mapping[str, bytes]], ModelVersion]
"""Makes a version from its files; raises ArtifactRejected."""


def loader(publishers: Sequence[str]) -> Load:
    """What makes versions whose signatures, where they have one, are by these publishers."""

    def load(row: VersionRow, files: Mapping[str, bytes]) -> ModelVersion:
        return load_version(Expected(row.name, row.version, row.digest), files, publishers)

    return load


class LiveRegistry:
    """What is in force here; see the rules."""

    def __init__(self, database: Database, load: Load) -> None:
        self._database = database
        self._load = load
        self._strays: tuple[ModelVersion, ...] = ()
        self._registered = Registered(-1, (), {})
        self._loaded: dict[str, ModelVersion] = {}
        self._models = ActiveModels((), {}, -1)
        self._turn = asyncio.Lock()
        self._looks = SharedLooks[ActiveModels]()
        self._begun = self._done = 0
        self._loading: asyncio.Task[None] | None = None

    @property
    def current(self) -> ActiveModels:
        """The snapshot in force now; keep it for the whole of one request."""
        return self._models

    def load_all(self, strays: tuple[ModelVersion, ...] = ()) -> ActiveModels:
        """Look, and load whatever is approved, before anybody is answered. `strays` are versions that are shown
        although they are not registered."""
        self._strays = strays
        self._registered = self._find()
        missing = self._missing()
        with ThreadPoolExecutor(LOADED_AT_ONCE) as pool:
            loaded = [version for version in pool.map(self._load_or_leave, missing) if version is not None]
        self._loaded |= {version.digest: version for version in loaded}
        self._swap()
        return self._models

    async def require_usable(self, row: VersionRow) -> None:
        """Load a version aside and test it; where it is loaded here, see that others can load it too: that its stored
        bytes are whole. Raises ArtifactRejected where it fails."""
        known = self._loaded.get(row.digest)
        if known is None or known.scorer is None:
            self._take_in(await asyncio.to_thread(self._load_or_raise, row))
        else:
            await asyncio.to_thread(read_files, self._database, row)

    async def now(self) -> ActiveModels:
        """The snapshot of this moment: looks where the generation has moved."""
        if await in_thread(self._generation) != self._models.generation:
            await self.catch_up()
        return self._models

    async def is_newer_than(self, generation: int) -> bool:
        """Whether what is in force now is newer than that; looks where the generation has moved. Those who ask at the
        same time share one question."""
        if self._models.generation == generation:
            await self._looks.find("now", self.now)
        return self._models.generation != generation

    async def reach(self, generation: int) -> None:
        """Look again, unless what is known here is of that generation at least."""
        if self._models.generation < generation:
            await self.catch_up()

    async def catch_up(self) -> None:
        """Look again; returns when a look that began after this call is done, whoever made it."""
        needed = self._begun + 1
        await asyncio.sleep(0)  # requests that are told of a change together share one look
        async with self._turn:
            if self._done >= needed:
                return
            self._begun += 1
            self._registered = await in_thread(self._find)
            self._done = self._begun
            self._swap()
            self._let_go_of_the_retired()
            if self._missing() and (self._loading is None or self._loading.done()):
                self._loading = asyncio.create_task(self._load_missing())

    async def moved(self) -> None:
        """Look again after a move that this process made. It is durable, so a look that fails is no fault of it:
        `follow` looks again, and until then no score is stored that rests on what was moved (rule 1)."""
        try:
            await self.catch_up()
        except SystemFault as error:
            log_event("registry_not_read", level=logging.WARNING, error_type=type(error).__name__)

    async def settled(self) -> bool:
        """Wait until what is in force is loaded; False where a caller has waited long enough for that."""
        if self._loading is None:
            return True
        _, waiting = await asyncio.wait({self._loading}, timeout=PATIENCE_SECONDS)
        return not waiting

    async def follow(self) -> None:
        """Look every now and then (rule 4), until cancelled."""
        reached = True
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            try:
                await self.now()
                if self._missing():
                    await self.catch_up()
            except SystemFault as error:
                if reached:
                    log_event("registry_not_read", level=logging.WARNING, error_type=type(error).__name__)
                reached = False
            else:
                reached = True

    async def stop(self) -> None:
        """Let nothing be loaded any more."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait({self._loading})

    def close(self) -> None:
        """Let go of everything that is loaded."""
        while self._loaded:
            _, version = self._loaded.popitem()
            release(version.scorer)

    def _find(self) -> Registered:
        with self._database.read() as connection:
            return find_registered(connection)

    def _generation(self) -> int:
        with self._database.read() as connection:
            return find_generation(connection)

    def _missing(self) -> list[VersionRow]:
        return [row for row in self._registered.versions if row.state == "approved" and row.digest not in self._loaded]

    async def _load_missing(self) -> None:
        while missing := self._missing():
            loads = [asyncio.create_task(self._load_aside(row)) for row in missing[:LOADED_AT_ONCE]]
            if not all(await asyncio.gather(*loads)):
                return  # the next look tries again

    async def _load_aside(self, row: VersionRow) -> bool:
        version = await asyncio.to_thread(self._load_or_leave, row)
        if version is None:
            return False
        self._take_in(version)
        self._swap()
        return True

    def _take_in(self, version: ModelVersion) -> None:
        earlier = self._loaded.get(version.digest)
        if earlier is None or earlier.scorer is None:
            self._loaded[version.digest] = version
        else:  # somebody else loaded it meanwhile, and requests use it already
            asyncio.get_running_loop().run_in_executor(None, release, version.scorer)

    def _load_or_raise(self, row: VersionRow) -> ModelVersion:
        return self._load(row, read_files(self._database, row))

    def _load_or_leave(self, row: VersionRow) -> ModelVersion | None:
        """The version, with the reason where it fails a check; None where that could not be found out, for now."""
        try:
            return self._load_or_raise(row)
        except SystemFault as error:
            log_event("version_not_loaded", level=logging.ERROR, error_type=type(error).__name__)
            return None
        except ArtifactRejected as error:
            model = f"{row.name}@{row.version}"
            log_event("version_rejected", level=logging.ERROR, model=model, reason=error.message)
            return ModelVersion(row.name, row.version, row.digest, row.state, reason=error.message)

    def _swap(self) -> None:
        registered = self._registered
        versions = tuple(self._known(row) for row in registered.versions)
        taken = {(row.name, row.version) for row in registered.versions}
        strays = tuple(stray for stray in self._strays if (stray.name, stray.version) not in taken)
        self._models = ActiveModels(versions + strays, registered.aliases, registered.generation)

    def _known(self, row: VersionRow) -> ModelVersion:
        loaded = self._loaded.get(row.digest) if row.state == "approved" else None
        return ModelVersion(row.name, row.version, row.digest, row.state) if loaded is None else loaded

    def _let_go_of_the_retired(self) -> None:
        ended = {row.digest for row in self._registered.versions if row.state in ENDED}
        for digest in ended & self._loaded.keys():
            # Requests that have begun may still be scoring with it; what they make is not stored any more.
            loop, version = asyncio.get_running_loop(), self._loaded.pop(digest)
            loop.call_later(PATIENCE_SECONDS, loop.run_in_executor, None, release, version.scorer)
