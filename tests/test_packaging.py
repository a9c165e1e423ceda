"""The three ways to have the product give the same service: a built wheel, an editable install, a checkout."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def wheel_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the installed wheel; its libraries come from the environment of the tests."""
    return environment_with(tmp_path_factory.mktemp("installed"), [wheel])


@pytest.fixture(scope="module")
def editable_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment_with(tmp_path_factory.mktemp("editable"), ["--editable", ROOT])


def environment_with(folder: Path, target: list[str | Path]) -> Path:
    """A virtual environment with the product installed; libraries are lent by a .pth file, the product is not."""
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    python = folder / "bin" / "python"
    (site,) = (folder / "lib").glob("python*/site-packages")
    (libraries,) = {Path(path) for path in sys.path if path.endswith("site-packages")}
    (site / "zz_libraries.pth").write_text(f"{libraries}\n")
    run(*PIP, "--python", python, "install", "--no-deps", "--no-build-isolation", *target, cwd=folder)
    return python


def test_the_wheel_carries_migrations_models_and_types(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    for expected in (
        "service/_migrations/env.py",
        "service/_model_artifacts/tb-exosomal-mirna/1.0.0/manifest.json",
        "service/_model_artifacts/tb-exosomal-mirna/1.0.0/signature",
        "service/py.typed",
    ):
        assert expected in names
    tops = {name.split("/")[0] for name in names}
    assert tops == {"service", "exoscore-0.1.0.dist-info"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".db")]


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_an_install_serves_from_an_empty_folder(
    kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    start_server: Callable[..., Any],
    tb_request: dict[str, Any],
) -> None:
    python: Path = request.getfixturevalue(f"{kind}_python")
    place = run(python, "-c", "import service, sys; print(service.__file__)", cwd=tmp_path).strip()
    assert Path(place).is_relative_to(ROOT) == (kind == "editable")
    listed = json.loads(run(python.parent / "exoscore", "model", "list", "--json", cwd=tmp_path))
    assert {item["state"] for item in listed["items"]} == {"approved"}
    server = start_server(None, command=[str(python.parent / "exoscore")], cwd=tmp_path)
    with server.client() as client:
        assert client.post("/v1/scores", json=tb_request).status_code == 201
