import copy
from pathlib import Path
from typing import Any

import pytest

from service.errors import ServiceError
from service.training.equation import build_equation
from service.training.read_spec import read_document

SHIPPED = Path(__file__).parents[2] / "model_artifacts" / "pgd-klkb1-inotrope"


@pytest.fixture
def document() -> dict[str, Any]:
    return copy.deepcopy(read_document(SHIPPED / "1.0.0.yaml")[0])


def test_the_spec_of_the_published_equation_gives_the_shipped_bytes(document: dict[str, Any], tmp_path: Path) -> None:
    build_equation(document, tmp_path)
    for name in ("manifest.json", "golden.json"):
        assert (tmp_path / "pgd-klkb1-inotrope/1.0.0" / name).read_bytes() == (SHIPPED / "1.0.0" / name).read_bytes()


def test_the_order_of_the_specs_keys_changes_nothing(document: dict[str, Any], tmp_path: Path) -> None:
    document["manifest"] = dict(reversed(document["manifest"].items()))
    digest = build_equation(document, tmp_path).artifact.digest
    assert digest == build_equation(read_document(SHIPPED / "1.0.0.yaml")[0], tmp_path / "b").artifact.digest


@pytest.mark.parametrize(
    ("path", "value", "pointer"),
    [
        (("golden", "colour"), "red", "/golden"),
        (("golden", "typical"), {"P03952": 0.4}, "/golden/typical"),
        (("golden", "grid", "P03952", "count"), 1, "/golden/grid/P03952/count"),
        (("manifest", "status_claim"), "approved", "/status_claim"),
        (("manifest", "colour"), "red", ""),
        (("manifest", "panel", 0, "unit"), "furlong", "/panel/0/unit"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    document: dict[str, Any], path: tuple[Any, ...], value: Any, pointer: str, tmp_path: Path
) -> None:
    here: Any = document
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    with pytest.raises(ServiceError) as caught:
        build_equation(document, tmp_path / "out")
    assert pointer in {p.pointer for p in caught.value.problems}
    assert not (tmp_path / "out").exists()
