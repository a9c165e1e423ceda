"""Published equations, each with the values computed from its printed form."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from service.domain.specimen import parse_document
from service.errors import InputRejected
from service.registry.build import build_scorer
from service.registry.bundled import load_bundled
from service.registry.manifest import Manifest
from service.registry.scorer import ScoredRows

NOW = datetime(2026, 11, 23, tzinfo=UTC)

# miR-24, miR-30a-5p and miR-125a-5p in pmol/L; x of the printed form; ePRAM.
EPRAM_VECTORS = [
    ((0.0, 0.0, 0.0), 1.797, 0.14221665),
    ((1.0, 1.0, 0.05), 0.385, 0.40492153),
    ((2.0, 1.0, 0.1), -1.168, 0.76278332),
    ((5.0, 3.0, 0.2), -4.765, 0.99154914),
]
EPRAM_NAMES = ("hsa-miR-24-3p", "hsa-miR-30a-5p", "hsa-miR-125a-5p")


def epram_request(values: Sequence[float], unit: str) -> dict[str, Any]:
    return {
        "model": "epram",
        "subject": {"id": "S-1", "age_years": 47, "sex": "female"},
        "specimen": {
            "id": "A-1",
            "type": "plasma",
            "anticoagulant": "edta",
            "isolation": "none",
            "collected_at": "2026-01-02T08:00:00Z",
        },
        "measurements": [
            {"analyte": name, "value": value, "unit": unit} for name, value in zip(EPRAM_NAMES, values, strict=True)
        ],
    }


def score(manifest: Manifest, values: Sequence[float], unit: str = "pmol/L") -> ScoredRows:
    """The score of one request, read and scored as the service does."""
    submission = parse_document(epram_request(values, unit), find_panel=lambda _: manifest.panel(), now=NOW)
    return build_scorer(manifest, {}).score(np.array([[item.used for item in submission.inputs]]))


def printed(mir_24: float, mir_30a: float, mir_125a: float) -> float:
    """x as the paper prints it."""
    return 1.797 - 0.773 * mir_24 + 0.141 * mir_30a - 15.6 * mir_125a


@pytest.mark.parametrize(("inputs", "x", "value"), EPRAM_VECTORS, ids=[str(v[0]) for v in EPRAM_VECTORS])
@pytest.mark.parametrize(("unit", "decimals"), [("pmol/L", 0), ("nmol/L", 3), ("fmol/L", -3), ("fmol/mL", 0)], ids=str)
def test_epram_gives_its_printed_values_in_every_unit_of_the_amount(
    epram: Manifest, inputs: tuple[float, ...], x: float, value: float, unit: str, decimals: int
) -> None:
    # A laboratory moves the decimal point, as here; it does not multiply doubles.
    scored = score(epram, [float(Decimal(repr(v)).scaleb(-decimals)) for v in inputs], unit)
    assert printed(*inputs) == pytest.approx(x, abs=1e-9)
    assert scored.used[0].tolist() == list(inputs)
    assert scored.value[0] == pytest.approx(value, abs=5e-9)
    assert scored.value[0] == pytest.approx(math.exp(-x) / (1 + math.exp(-x)), abs=1e-12)
    assert scored.baseline + math.fsum(scored.terms[0]) == pytest.approx(-x, abs=1e-9)


@pytest.mark.parametrize(
    ("column", "rises"), [(0, True), (1, False), (2, True)], ids=["miR-24", "miR-30a-5p", "miR-125a-5p"]
)
def test_each_mirna_moves_epram_the_way_of_its_canonical_sign(epram: Manifest, column: int, rises: bool) -> None:
    start = [1.0, 1.0, 0.05]
    more = [value + 0.01 * (index == column) for index, value in enumerate(start)]
    before, after = score(epram, start).value[0], score(epram, more).value[0]
    assert after > before if rises else after < before


def test_epram_in_the_wrong_unit_is_another_answer(epram: Manifest) -> None:
    x = printed(0.002, 0.001, 0.0001)
    assert score(epram, (2.0, 1.0, 0.1), "fmol/L").value[0] == pytest.approx(math.exp(-x) / (1 + math.exp(-x)))
    assert score(epram, (2.0, 1.0, 0.1), "pmol/L").value[0] == pytest.approx(0.76278332, abs=5e-9)


@pytest.mark.parametrize("unit", ["pM", "ng/L", "1", "{Cq}", "{copies}/mL"])
def test_epram_refuses_a_unit_that_is_no_amount_per_volume(epram: Manifest, unit: str) -> None:
    with pytest.raises(InputRejected) as caught:
        score(epram, (2.0, 1.0, 0.1), unit)
    assert {p.pointer for p in caught.value.problems} == {f"/measurements/{n}/unit" for n in range(3)}


def test_epram_is_a_probability_because_it_has_an_intercept(epram: Manifest) -> None:
    assert epram.output.kind == "probability"
    assert score(epram, (0.0, 0.0, 0.0)).baseline == -1.797
    assert score(epram, (100.0, 0.0, 0.0)).value[0] > 0.5


PGD_VECTORS = [
    (0.0, 0.0, 0.5),
    (0.0, 1.0, 0.27000445),
    (1.0, 0.0, 0.10526939),
    (1.0, 1.0, 0.04170239),
    (0.5, 1.0, 0.11258542),
    (0.25, 0.0, 0.36935147),
]


@pytest.mark.parametrize(("klkb1", "inotrope", "value"), PGD_VECTORS)
def test_pgd_gives_its_published_values(request: pytest.FixtureRequest, klkb1: float, inotrope: float, value: float):
    models = load_bundled(request.config.rootpath / "model_artifacts", in_force=True)
    version = models.resolve("pgd-klkb1-inotrope")
    assert version.panel.codes == ("P03952", "pretransplant_inotrope_therapy")
    scored = version.scorer.score(np.array([[klkb1, inotrope]]))
    assert scored.value[0] == pytest.approx(value, abs=5e-9)
    assert scored.baseline == 0.0
    assert version.manifest.output.kind == "index"
    assert version.manifest.categories() == ()


def test_pgd_is_never_above_one_half(request: pytest.FixtureRequest) -> None:
    models = load_bundled(request.config.rootpath / "model_artifacts", in_force=True)
    grid = np.array([[k, i] for k in np.linspace(0, 1, 101) for i in (0.0, 1.0)])
    values = models.resolve("pgd-klkb1-inotrope").scorer.score(grid).value
    assert values.max() == 0.5
    assert (np.diff(values[::2]) < 0).all()
    assert (np.diff(values[1::2]) < 0).all()
