"""`exoscore model compare` as people and programs run it."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import command_here

Run = Callable[..., "subprocess.CompletedProcess[str]"]
TB = "tb-exosomal-mirna@1.0.0"


@pytest.fixture
def compare(environment: dict[str, str]) -> Run:
    """Runs the command in this process."""
    return lambda *arguments: command_here("model", "compare", *arguments, environment=environment)


def test_two_versions_stand_side_by_side_on_the_terminal(run_exoscore: Any, environment: dict[str, str]) -> None:
    done = run_exoscore("model", "compare", TB, "tb-exosomal-mirna@production", environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "tb-exosomal-mirna 1.0.0 and 1.1.0 side by side"
    assert lines[4] == "RESEARCH USE ONLY. Not for use in diagnostic procedures."
    assert not done.stdout.endswith("\n\n")


def test_a_version_beside_itself_is_told_as_that(compare: Run) -> None:
    lines = compare(TB, TB).stdout.splitlines()
    assert lines[0] == "tb-exosomal-mirna 1.0.0 (first) and 1.0.0 (second) side by side"
    assert "Both are one and the same version, byte for byte." in lines


def test_it_is_printed_in_every_form(compare: Run) -> None:
    assert compare(TB, TB, "--format", "markdown").stdout.startswith("# tb")
    assert compare(TB, TB, "--format", "html").stdout.startswith("<!DOCTYPE html>")
    for arguments in (("--json",), ("--format", "json")):
        assert json.loads(compare(TB, TB, *arguments).stdout)["changes"] == []


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (TB, "pgd-klkb1-inotrope@1.0.0", "input_rejected"),
        ("tb-exosomal-mirna", TB, "input_rejected"),
        (TB, "tb-exosomal-mirna@2.0.0", "model_not_found"),
        ("nothing@1.0.0", "nothing@1.1.0", "model_not_found"),
    ],
    ids=["two models", "no version", "unknown version", "unknown model"],
)
def test_what_cannot_be_compared_exits_1(compare: Run, old: str, new: str, code: str) -> None:
    done = compare(old, new, "--json")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, code)


def test_one_version_is_wrong_usage(compare: Run) -> None:
    assert compare(TB).returncode == 2
