"""Published equations, each with the values computed from its printed form."""

import math

import numpy as np
import pytest

from service.domain.units import convert
from service.registry.bundled import load_bundled
from service.registry.scorer import LinearScorer

# ePRAM: Murata K et al. PLoS ONE 2013;8(7):e69118, doi 10.1371/journal.pone.0069118; inputs in pmol/L.
# Printed as exp(-x)/(1+exp(-x)) with x = 1.797 - 0.773*miR-24 + 0.141*miR-30a-5p - 15.6*miR-125a-5p, so the canonical
# linear predictor is -x.
EPRAM = LinearScorer([0.773, -0.141, 15.6], intercept=-1.797, link="logit")
EPRAM_VECTORS = [
    ((0.0, 0.0, 0.0), 1.797, 0.14221665),
    ((1.0, 1.0, 0.05), 0.385, 0.40492153),
    ((2.0, 1.0, 0.1), -1.168, 0.76278332),
    ((5.0, 3.0, 0.2), -4.765, 0.99154914),
]


@pytest.mark.parametrize(("inputs", "x", "value"), EPRAM_VECTORS, ids=[str(v[0]) for v in EPRAM_VECTORS])
def test_epram_gives_its_printed_values(inputs: tuple[float, ...], x: float, value: float) -> None:
    scored = EPRAM.score(np.array([inputs]))
    printed = 1.797 - 0.773 * inputs[0] + 0.141 * inputs[1] - 15.6 * inputs[2]
    assert printed == pytest.approx(x, abs=1e-9)
    assert scored.value[0] == pytest.approx(value, abs=5e-9)
    assert scored.value[0] == pytest.approx(math.exp(-printed) / (1 + math.exp(-printed)), abs=1e-15)
    assert scored.baseline + scored.terms[0].sum() == pytest.approx(-x, abs=1e-9)


def test_epram_rises_with_mir_24_and_falls_with_mir_30a() -> None:
    values = EPRAM.score(np.array([[1.0, 1.0, 0.05], [1.1, 1.0, 0.05], [1.0, 1.1, 0.05]])).value
    assert values[1] > values[0] > values[2]


def test_epram_takes_nanomolar_input_through_the_unit() -> None:
    converted = [convert(value, "nmol/L", "pmol/L") for value in (0.002, 0.001, 0.0001)]
    assert EPRAM.score(np.array([converted])).value[0] == pytest.approx(0.76278332, abs=5e-9)
    # The same numbers read in the wrong unit are another answer altogether.
    assert EPRAM.score(np.array([[0.002, 0.001, 0.0001]])).value[0] == pytest.approx(0.1426, abs=1e-3)


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
