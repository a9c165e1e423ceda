"""`serve` with a wrong clock, a process like any other server of the tests.

python -m tests.crash.skewed SECONDS serve --port 0
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta

import uvicorn

from service.app import create_app, ensure_development_key
from service.serving import AnnouncingServer
from service.settings import load_settings
from service.telemetry import configure_logging
from service.workflows.services import utc_now


def main(skew: timedelta) -> None:
    """Serve on a free port until a signal comes; every use case has a clock that is wrong by `skew`."""
    settings = load_settings()
    configure_logging(settings.log_level)
    app = create_app(settings)
    app.state.services = replace(app.state.services, clock=lambda: utc_now() + skew)
    ensure_development_key(settings, app.state.services)
    config = uvicorn.Config(app, port=0, loop="uvloop", http="httptools", lifespan="on", log_config=None)
    AnnouncingServer(config, settings, None).run()


if __name__ == "__main__":
    main(timedelta(seconds=float(sys.argv[1])))
