"""Every bundled model built anew with all of its evaluation: the bytes of the manifest are those that ship.

Minutes for each, so `make soak` runs it by name. The bytes depend on the versions of the numerical libraries too; with
others the coefficients still hold to 1e-9 (`test_specs.py`).
"""

from pathlib import Path

import pytest

from service.training.build import Order, build
from service.training.workers import Silent
from tests.real_data.test_specs import CASES

pytestmark = pytest.mark.real_data


@pytest.mark.parametrize("name", CASES)
def test_a_whole_build_gives_the_shipped_manifest(
    name: str, shared_data: Path, artifacts: Path, tmp_path: Path
) -> None:
    cohort = tuple(shared_data / table for table in CASES[name][0])
    build(Order(cohort, artifacts / f"{name}.yaml", tmp_path, jobs=2), progress=Silent(), say=lambda _: None)
    assert (tmp_path / name / "manifest.json").read_bytes() == (artifacts / name / "manifest.json").read_bytes()
