"""Start-up and memory of a server whose registry holds a hundred versions, twenty of them in force and lowered."""

from __future__ import annotations

import statistics
from pathlib import Path

from pydantic import SecretStr

from service.app import close_services, open_services
from service.settings import Settings
from tests.benchmarks import start_up
from tests.laboratory import TRUSTING
from tests.registry.artifacts import KEY_NAME, PUBLISHER
from tests.registry.successors import successor
from tests.workflows.registering import admit, bring

MODELS = 20
LIVES = (("approved", "retired"), ("approved", "retired"), ("approved", "production"), (), ())
"""What becomes of the versions of one model."""

SECONDS, MEMORY_MIB = 3.0, 200 * 1000**2 / 1024**2
"""The aims: until the first durable score, and resident memory after it: 200 MB."""


def hold(kind: str, folder: Path, database_url: str, rounds: int) -> None:
    """Fill a registry, start on it again and again, and print medians."""
    home = folder / f"holding-{kind}"
    place = {"EXOSCORE_DATABASE_URL": database_url} | TRUSTING
    home.mkdir()
    few = [start_up.serve(home, place) for _ in range(1 + rounds)][1:]
    fill(home, database_url)
    many = [start_up.serve(home, place) for _ in range(1 + rounds)][1:]
    for name, runs in (("the bundled versions", few), (f"{MODELS * len(LIVES)} more, {MODELS} in force", many)):
        seconds, memory = (statistics.median(run[place] for run in runs) for place in (0, 1))
        met = "met" if seconds < SECONDS and memory < MEMORY_MIB else "MISSED"
        learned = any(run[2] for run in runs)
        print(
            f"{met}: {kind}, {name}: {seconds:.2f} s to the first score, {memory:.0f} MiB resident after it, "
            f"scikit-learn {'mapped' if learned else 'not mapped'}; aims {SECONDS:.0f} s, {MEMORY_MIB:.0f} MiB",
            flush=True,
        )


def fill(home: Path, database_url: str) -> None:
    """Bring versions through the registry: of each model one in production, two retired and two that wait."""
    settings = Settings(home=home, database_url=SecretStr(database_url), trusted_publishers=(PUBLISHER.vkey(KEY_NAME),))
    services = open_services(settings, serving=False)
    try:
        for model in range(MODELS):
            for number in range(len(LIVES)):
                files = successor(f"1.{number}.0", by=model / 16 + number / 64, name=f"held-{model}")
                row = admit(services, files)
                bring(services, row, *LIVES[number])
    finally:
        close_services(services)
