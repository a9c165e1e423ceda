"""Composition root: `create_app(settings)` opens database, committer and registry, and puts the application together.

Everything that can make a start unsafe is found here, before the first request can arrive: all reasons at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from service import __version__, home
from service.api import (
    openapi,
    routes_audit,
    routes_erasures,
    routes_health,
    routes_models,
    routes_registry,
    routes_scores,
    routes_shadow,
)
from service.api.access_log import AccessLog
from service.api.front import Front
from service.api.problems import install_problem_handlers
from service.audit.committer import Committer
from service.audit.log import LogWriter
from service.audit.note import Signer
from service.audit.submissions import HALF, WHOLE
from service.audit.witness import Witness
from service.errors import (
    Problem,
    Unauthenticated,
    UnsafeConfiguration,
)
from service.registry.active import ActiveModels
from service.registry.publishers import trusted_publishers
from service.settings import Settings, shipped, unsafe_in_production
from service.store import migrate
from service.store.audit_log import SqlLogStorage
from service.store.engine import Database
from service.store.keys import KeyRow
from service.store.log_rows import find_newest
from service.telemetry import log_event
from service.terminal import announce, warn
from service.workflows.artifact_files import read_files_of
from service.workflows.bundled_models import approved_by_no_person, register_bundled
from service.workflows.denied import DeniedAccess, record_denied
from service.workflows.erase_subject import scrub_regularly
from service.workflows.idempotency import forget_expired
from service.workflows.keys import SCOPES, authenticate, create_key, list_keys, revoke_key
from service.workflows.live_registry import LiveRegistry, loader
from service.workflows.log_observer import LogObserver
from service.workflows.reopen_log import Reopened, reopen
from service.workflows.services import Services, utc_now
from service.workflows.shadow_child import ShadowLimits
from service.workflows.shadowing import NoShadows, Shadows
from service.workflows.witness import CommandWitness, FileWitness, WitnessKeeper, keep_witness, require_witnessed

PURGE_SECONDS = 3600.0
"""How often expired idempotency keys are deleted, and what an erasure could not reach is tried again."""


def open_services(settings: Settings, *, serving: bool) -> Services:
    """Open everything a use case needs; raises UnsafeConfiguration or SchemaOutdated before anything is written.

    `serving` asks the database whether it is safe to serve from; a command that mends it must not be stopped by that.
    """
    pepper, signer = _secrets(settings)
    writer = LogWriter(signer, settings.site)
    database = Database(settings.resolved_database_url())
    with ExitStack() as undo:
        undo.callback(database.close)
        _bring_schema_up(database)
        if settings.production and serving:
            _refuse_unsafe_database(database)
        witness = witness_of(settings)
        _leave_an_earlier_database_behind(settings, database, tell=announce if serving else warn)
        require_witnessed(database, witness)
        if settings.production and serving:
            _warn_of_a_witness_beside(settings, database)
        storage = SqlLogStorage(database)
        storage.open(writer, site=settings.site, now=utc_now())
        share = WHOLE if database.embedded else HALF
        committer = Committer(storage, writer, LogObserver(), capacity=settings.queue_capacity, share=share)
        committer.start()
        undo.callback(committer.close)
        publishers = trusted_publishers(settings.trusted_publishers)
        registry = LiveRegistry(database, loader(publishers))
        services = Services(
            database=database,
            committer=committer,
            registry=registry,
            pepper=pepper,
            site=settings.site,
            idempotency_ttl=timedelta(hours=settings.idempotency_hours),
            publishers=publishers,
            shadows=_shadows(settings, database, registry, publishers) if serving else NoShadows(),
        )
        if serving:
            strays = register_bundled(services, shipped("model_artifacts"), in_force=not settings.production)
            services.registry.load_all(strays)
        undo.pop_all()
    return services


def _shadows(settings: Settings, database: Database, registry: LiveRegistry, publishers: tuple[str, ...]) -> Shadows:
    return Shadows(
        database,
        models=lambda: registry.current,
        files_of=partial(read_files_of, database),
        trusted=publishers,
        now=utc_now,
        limits=ShadowLimits(memory_bytes=settings.shadow_memory_mib << 20),
    )


@contextmanager
def load_registered(settings: Settings, database: Database) -> Iterator[ActiveModels]:
    """What is registered in a database, loaded to be looked at until the block ends; nothing is written."""
    registry = LiveRegistry(database, loader(trusted_publishers(settings.trusted_publishers)))
    try:
        yield registry.load_all()
    finally:
        registry.close()


def _secrets(settings: Settings) -> tuple[bytes, Signer]:
    """Pepper and signing key; in production every reason to refuse the settings is found before one is raised."""
    problems = unsafe_in_production(settings) if settings.production else []
    if not any(problem.code.endswith("secret_file") for problem in problems):
        try:
            pepper = home.read_pepper(settings)
            pem = home.read_signing_key(settings, make=lambda: Signer.generate().pem())
            signer = _signer(pem)
        except UnsafeConfiguration as error:
            if not settings.production:
                raise
            problems += error.problems
        else:
            if settings.production and not problems and pepper.strip() == pem.strip():
                problems = [Problem("", "shared_secret", "Pepper and signing key are one.", "Make a secret for each.")]
            if not problems:
                return pepper, signer
    raise UnsafeConfiguration("Production mode refuses these settings.", problems=problems)


def _signer(pem: bytes) -> Signer:
    try:
        return Signer.from_pem(pem)
    except ValueError:
        message = "The signing key is not an Ed25519 key in PEM (PKCS #8) without a passphrase."
        raise home.unusable_key(message, "Make one with `openssl genpkey -algorithm ed25519`.") from None


def witness_of(settings: Settings) -> Witness:
    """Where these settings keep checkpoints outside the database."""
    program = settings.witness_program
    return FileWitness(settings.resolved_witness_file()) if program is None else CommandWitness(program)


def _warn_of_a_witness_beside(settings: Settings, database: Database) -> None:
    """A witness that is copied and restored together with the database tells nothing about it."""
    if settings.witness_program is None and database.shares_folder(settings.resolved_witness_file()):
        reason = "Name another place with EXOSCORE_WITNESS_FILE or EXOSCORE_WITNESS_COMMAND."
        log_event("witness_beside_database", level=logging.WARNING, reason=reason)


def _leave_an_earlier_database_behind(settings: Settings, database: Database, *, tell: Callable[[str], None]) -> None:
    """In development, beside a database without any log: rename what belongs to the one before it."""
    if settings.production:
        return
    with database.read() as connection:
        if find_newest(connection) is not None:
            return
    paths = [home.development_key_path(settings)]
    if settings.witness_program is None:
        paths.append(settings.resolved_witness_file())
    aside = [moved.name for moved in map(home.move_aside, filter(Path.is_file, paths)) if moved is not None]
    if aside:
        tell(f"The database is empty; what belongs to an earlier one was moved aside: {', '.join(aside)}.")


def reopen_log(settings: Settings, *, force: bool) -> Reopened:
    """Seal the open log of these settings' database and begin another one; see `workflows.reopen_log`."""
    _, signer = _secrets(settings)
    database = Database(settings.resolved_database_url(), create=False)
    try:
        _bring_schema_up(database)
        writer = LogWriter(signer, settings.site)
        storage = SqlLogStorage(database)
        return reopen(storage, writer, witness_of(settings), site=settings.site, now=utc_now(), force=force)
    finally:
        database.close()


def close_services(services: Services) -> None:
    """Let the committer finish what it took in, then let go of shadows, models and database."""
    services.committer.close()
    services.shadows.close()
    services.registry.close()
    services.database.close()


@contextmanager
def services_for(settings: Settings) -> Iterator[Services]:
    """The services of one command, closed when the block ends."""
    services = open_services(settings, serving=False)
    try:
        yield services
    finally:
        close_services(services)


def create_app(settings: Settings) -> Front:
    """The application, ready to be served; its services are closed when it shuts down."""
    services, denied = open_services(settings, serving=True), DeniedAccess()
    app = Front(
        title="ExoScore",
        version=__version__,
        lifespan=lambda _: _running(settings, services, denied),
        # The viewer loads scripts from a public network, which has no place beside real keys.
        docs_url=None if settings.production else "/docs",
        redoc_url=None,
        redirect_slashes=False,
        # It would send spans with paths and errors wherever OTEL_* variables point, past the allow-list of the logs.
        telemetry={"auto_configure": False, "tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    app.state.uploads = asyncio.Semaphore(routes_registry.UPLOADS)
    app.router.routes.extend(
        (*routes_scores.plain_routes, *routes_erasures.plain_routes, *routes_registry.plain_routes)
    )
    for routes in (routes_scores, routes_audit, routes_models, routes_shadow, routes_health):
        app.include_router(routes.router)
    install_problem_handlers(app, denied)
    app.add_middleware(AccessLog)

    def openapi_document() -> dict[str, Any]:
        return openapi.document(app)

    app.openapi = openapi_document  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _running(settings: Settings, services: Services, denied: DeniedAccess) -> AsyncIterator[None]:
    """What goes on beside the requests; at the end everything is written, then closed."""
    purging = asyncio.create_task(forget_expired(services, PURGE_SECONDS))
    scrubbing = asyncio.create_task(scrub_regularly(services, PURGE_SECONDS))
    stopping = asyncio.Event()
    denying = asyncio.create_task(record_denied(services, denied, settings.denied_seconds, stopping))
    keeper = WitnessKeeper(services.database, witness_of(settings))
    witnessing = asyncio.create_task(keep_witness(keeper, settings.witness_seconds))
    following = asyncio.create_task(services.registry.follow())
    yield
    for task in (purging, scrubbing, witnessing, following):
        task.cancel()
    await services.registry.stop()
    stopping.set()
    await denying
    # The last checkpoint is the one after everything that waits is written.
    services.committer.close()
    await asyncio.to_thread(keeper.try_to_hand_over)
    close_services(services)


def ensure_development_key(settings: Settings, services: Services) -> bool:
    """Make sure the development key of this home works on this database; True where an old one was moved aside."""
    path = home.development_key_path(settings)
    if path.exists():
        try:
            authenticate(services, path.read_text(encoding="utf-8", errors="replace").strip())
        except Unauthenticated:
            stale = True
        else:
            return False
    else:
        stale = False
    earlier = _development_keys(services.database)
    _, key = create_key(services, name="development", scopes=SCOPES, actor="system:service", development=True)
    home.write_development_key(settings, key)
    for row in earlier:
        revoke_key(services, key_id=row.key_id, actor="system:service")
    return stale


def _development_keys(database: Database) -> list[KeyRow]:
    return [row for row in list_keys(database) if row.development and row.revoked_at is None]


def _bring_schema_up(database: Database) -> None:
    """Migrate SQLite; refuse an old PostgreSQL schema, because an operator decides when a shared database changes."""
    if database.embedded and not migrate.is_current(database):
        migrate.upgrade(database, shipped("migrations"))
    migrate.require_current(database)


def _refuse_unsafe_database(database: Database) -> None:
    problems = [
        Problem("", "durability_off", message, "Let the database's own settings make every COMMIT durable.")
        for message in database.durability_problems()
    ]
    problems += [
        Problem(
            "",
            "development_key",
            "A development key is in force in this database.",
            f"Run `exoscore key revoke {row.key_id}`.",
        )
        for row in _development_keys(database)
    ]
    problems += [
        Problem(
            "",
            "approved_by_no_person",
            f"{model} was put in force by development mode; no person approved it.",
            f"Serve from a database of its own, or have a person sign `exoscore model retire {model}`.",
        )
        for model in approved_by_no_person(database)
    ]
    if problems:
        raise UnsafeConfiguration("Production mode refuses this database.", problems=problems)
