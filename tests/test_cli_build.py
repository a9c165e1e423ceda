"""`exoscore model build` as people and programs run it."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import command_here
from tests.training.simulated import QUICK, all_proteins, simulate, spec_document, write_spec

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def here(environment: dict[str, str]) -> Run:
    return lambda *arguments, **more: command_here(*arguments, environment=environment | more)


@pytest.fixture
def order(tmp_path: Path) -> list[str]:
    data = simulate(1, people=60, analytes=20).write(tmp_path / "cohort.csv")
    small = QUICK | {"repeats": 2, "refits": 20}
    spec = write_spec(tmp_path / "spec.yaml", spec_document(evaluation=small, analytes=[all_proteins()]))
    return [str(data), "--spec", str(spec), "--out", str(tmp_path / "out")]


def test_a_build_tells_its_figures_and_leaves_an_artifact(here: Run, order: list[str], tmp_path: Path) -> None:
    done = here("model", "build", *order, "--jobs", "1", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert (said["name"], said["version"]) == ("simulated-panel", "1.0.0")
    assert "AUC" in {p["metric"] for p in said["performance"]}
    assert "\r" not in done.stderr
    assert "60 people to fit on, 20 analytes to choose from" in done.stderr
    assert (tmp_path / "out/simulated-panel/1.0.0/manifest.json").is_file()
    assert (tmp_path / "out/simulated-panel/1.0.0.evidence.json").is_file()


def test_warnings_are_printed_in_plain_words(here: Run, order: list[str], tmp_path: Path) -> None:
    columns = [{"column": a, "analyte": a} for a in all_names(tmp_path)[:4]]
    listed = all_proteins(choose=columns, limit=None, chosen_on="these_people")
    write_spec(tmp_path / "spec.yaml", spec_document(evaluation=QUICK | {"repeats": 1}, analytes=[listed]))
    done = here("model", "build", *order, "--jobs", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING analytes_chosen_on_these_people: The analytes were chosen on the people" in done.stdout
    assert "acknowledged by name" in done.stdout
    assert "it is not signed" in done.stdout


def all_names(folder: Path) -> list[str]:
    return (folder / "cohort.csv").read_text().splitlines()[0].split(",")[4:]


def test_what_is_wrong_is_told_with_its_place(here: Run, order: list[str], tmp_path: Path) -> None:
    write_spec(tmp_path / "spec.yaml", spec_document(seed="x", colour="red"))
    done = here("model", "build", *order)
    assert done.returncode == 1
    assert "spec_rejected" in done.stdout
    assert "/seed" in done.stdout
    assert "unknown field" in done.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments", [[], ["x.csv"], ["--out", "o"], ["x.csv", "--spec", "s", "--out", "o", "--jobs", "0"]]
)
def test_wrong_usage_ends_with_status_2(environment: dict[str, str], arguments: list[str]) -> None:
    command = [sys.executable, "-m", "service.cli", "model", "build", *arguments]
    done = subprocess.run(command, env=environment | {"COLUMNS": "200"}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_terminal_sees_bars_with_the_time_left(environment: dict[str, str], order: list[str]) -> None:
    seen, terminal = pty.openpty()
    command = [sys.executable, "-m", "service.cli", "model", "build", *order, "--jobs", "1"]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    shown = b""
    while True:
        try:
            part = os.read(seen, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(seen)
    assert child.wait(timeout=60) == 0
    text = shown.decode()
    assert "\rcross-validation" in text
    assert "left" in text
    assert "[" + "#" * 30 + "] 2/2" in text


def test_a_published_equation_is_built_without_a_cohort(here: Run, tmp_path: Path) -> None:
    spec = Path(__file__).parents[1] / "model_artifacts" / "pgd-klkb1-inotrope" / "1.0.0.yaml"
    done = here("model", "build", "--spec", str(spec), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("pgd-klkb1-inotrope@1.0.0 written and read back; it is not signed")
    done = here("model", "build", "cohort.csv", "--spec", str(spec), "--out", str(tmp_path / "out"))
    assert (done.returncode, "is not fitted" in done.stdout) == (1, True)
