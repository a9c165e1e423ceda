"""Running the application under uvicorn: the checks before, the printed command after the socket is open."""

from __future__ import annotations

import gc
import ipaddress
import shlex
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from service import home
from service.app import create_app, ensure_development_key
from service.domain.example import example_request
from service.errors import Problem, UnsafeConfiguration
from service.registry.active import ActiveModels, ModelVersion
from service.settings import Settings
from service.telemetry import LINES
from service.terminal import RESEARCH_USE, announce

EXAMPLE_MODEL = "tb-exosomal-mirna"


class AnnouncingServer(uvicorn.Server):
    """Prints the ready-made command once the socket is open, and freezes what start-up left to the collector."""

    def __init__(self, config: uvicorn.Config, settings: Settings, example: ModelVersion | None) -> None:
        super().__init__(config)
        self._settings, self._example = settings, example

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as usual, then announce; objects made until here never need to be collected."""
        await super().startup(sockets=sockets)
        gc.freeze()
        gc.enable()
        if not self.started or self.should_exit:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        announce(f"ExoScore answers at {origin_of(host, port)} ({self._settings.env}). {RESEARCH_USE}")
        if self._example is not None:
            announce("Score a synthetic example (drawn from the model's reference distribution, no person's values):\n")
            announce("  " + curl_line(self._settings, origin_of(host, port)) + "\n")
        announce("Ready. Stop with Ctrl-C.")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as usual; the signal that asked for it ends the process in the end, so no log line may wait any more."""
        LINES.write_at_once()
        await super().shutdown(sockets=sockets)


def run(settings: Settings, host: str, port: int) -> int:
    """Serve until a signal comes; raises UnsafeConfiguration or another SystemFault before the socket is opened."""
    if not settings.production:
        _refuse_open_host(host)
    app = create_app(settings)
    services = app.state.services
    example = None if settings.production else prepare_example(settings, services.registry.current)
    if not settings.production and ensure_development_key(settings, services):
        announce("The development key was not valid for this database: moved aside, a new one was made.")
    config = _server_config(app, host, port)
    server = AnnouncingServer(config, settings, example)
    server.run()
    return 0 if server.started else 3


def _server_config(app: Callable[..., Any], host: str, port: int) -> uvicorn.Config:
    # What is not named stays at uvicorn's default: the Date header, which RFC 9110 (section 6.6.1) wants of a server
    # with a clock; the backlog of 2048; no limit on connections, because the committer's queue is what says 503.
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",  # named, so that a missing library is an error and not a slower server
        http="httptools",
        lifespan="on",  # a start-up that fails is never taken for an application without one
        ws="none",
        log_config=None,
        access_log=False,  # ours has the route's template in place of the path
        server_header=False,
        proxy_headers=False,  # a layer per request for an address and a scheme that nothing here reads
        timeout_keep_alive=75,  # longer than proxies and pools keep one: who closes first may lose the other's request
        timeout_graceful_shutdown=30,
    )


def prepare_example(settings: Settings, models: ActiveModels) -> ModelVersion | None:
    """Write the example request of the demonstration model; None where no version of it is in force."""
    version = models.find(EXAMPLE_MODEL, models.aliases.get(EXAMPLE_MODEL, {}).get("production", ""))
    if version is None or version.panel is None or version.example is None:
        return None
    home.write_example(settings, example_request(version.panel, version.example))
    return version


def curl_line(settings: Settings, origin: str) -> str:
    """The printed command; it reads the key from its file, so that no secret stands on a terminal or in a log."""
    key = shlex.quote(str(home.development_key_path(settings).absolute()))
    example = shlex.quote(f"@{(settings.home / 'example.json').absolute()}")
    header = f'"Authorization: Bearer $(cat {key})"'
    return f"curl -sS {origin}/v1/scores -H {header} -H 'Content-Type: application/json' --data-binary {example}"


def origin_of(host: str, port: int) -> str:
    """`http://host:port`, with the brackets an IPv6 address needs."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _refuse_open_host(host: str) -> None:
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        message = "Development mode listens on a loopback address only."
        remedy = "Use --host 127.0.0.1, or EXOSCORE_ENV=production."
        raise UnsafeConfiguration(message, remedy, [Problem("", "open_host", message, remedy)])
