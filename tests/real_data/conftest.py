"""Where the real cohorts are; tests that need them are skipped, with the reason, where they are absent."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data(pytestconfig: pytest.Config) -> Path:
    named = os.environ.get("EXOSCORE_SHARED_DATA")
    folder = Path(named) if named else pytestconfig.rootpath.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real cohorts are not beside the repository; name their folder in EXOSCORE_SHARED_DATA")
    return folder
