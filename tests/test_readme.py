"""What the README and the handbook print is so: the request and its answer, the refusal, commands, settings, links."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.settings import PREFIX, Settings
from tests.conftest import command_here

README, HANDBOOK = (
    (Path(__file__).parents[1] / name).read_text(encoding="utf-8") for name in ("README.md", "docs/operations.md")
)
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, flags=re.S)]


def printed_request() -> dict[str, Any]:
    (body,) = re.findall(r"--data-binary '(\{.*?\})'\n", README, flags=re.S)
    return json.loads(body)


def test_the_printed_request_gives_the_printed_answer(start_server: Callable[..., Any]) -> None:
    printed = BLOCKS[0]
    with start_server(None).client() as client:
        answer = client.post("/v1/scores", json=printed_request()).json()
    assert [c for c in answer["contributions"] if c in printed["contributions"]] == printed.pop("contributions")
    assert [c for c in answer["quality"]["checks"] if c in printed["quality"]["checks"]] == printed["quality"]["checks"]
    assert answer["quality"]["verdict"] == printed.pop("quality")["verdict"]
    for name in ("id", "created_at"):
        printed.pop(name)
    audit = printed.pop("audit")
    assert answer["audit"]["index"] == audit["index"]
    origin, size, *_ = answer["audit"]["checkpoint"].split("\n")
    assert (len(origin), size) == (len(audit["checkpoint"].split("\n")[0]), audit["checkpoint"].split("\n")[1])
    assert {name: answer[name] for name in printed} == printed


def test_the_printed_refusal_is_what_comes_back(start_server: Callable[..., Any]) -> None:
    request = printed_request()
    request["specimen"]["anticoagulant"] = "heparin"
    request["measurements"][1]["unit"] = "{Cq}"
    with start_server(None).client() as client:
        problem = client.post("/v1/scores", json=request).json()
    printed = BLOCKS[1]
    printed.pop("instance")
    assert {name: problem[name] for name in printed} == printed


def printed_commands() -> set[tuple[str, ...]]:
    """The words that name a command, wherever one is printed; `model list | show` are two."""
    found = set()
    for printed in re.findall(r"(?:^|`)exoscore ((?:[a-z]+(?: \| )? ?)+)", README + HANDBOOK, flags=re.M):
        first, *others = printed.split(" | ")
        *group, name = first.split()
        found |= {(*group, other.strip()) for other in (name, *others)}
    return found


@pytest.mark.parametrize("command", sorted(printed_commands()), ids=" ".join)
def test_every_printed_command_exists(command: tuple[str, ...], environment: dict[str, str]) -> None:
    assert command_here(*command, "--help", environment=environment).returncode == 0


def test_every_setting_is_in_the_handbook() -> None:
    described = re.findall(rf"^\| `{PREFIX}([A-Z_]+)` \|", HANDBOOK, flags=re.M)
    assert sorted(described) == sorted(name.upper() for name in Settings.model_fields)


def test_every_linked_file_exists() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (Path(__file__).parents[1] / target).is_file(), target


def test_nothing_is_left_to_fill_in() -> None:
    assert re.search(r"@[A-Z]+@", README) is None


def test_the_figures_are_those_of_the_model_cards() -> None:
    folder = Path(__file__).parents[1] / "model_artifacts"
    for path in folder.glob("*/*/manifest.json"):
        manifest = json.loads(path.read_text())
        for figure in manifest["performance"]:
            # The README states the AUC of the model itself, on the split it was held back from and cross-validated.
            told = figure["metric"]
            if told.startswith("AUC") and "not this equation" not in told and "learned on" not in told:
                interval = figure["interval"]
                assert f"{figure['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]" in README
