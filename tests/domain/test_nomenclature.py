"""Reading miRNA names in the spellings people use."""

import pytest

from service.domain.nomenclature import MirnaName, parse_mirna_name, squash


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("hsa-miR-509-3-5p", MirnaName("mir", "509", "", "3", "5p"), id="locus-and-arm"),
        pytest.param("hsa-let-7a-5p", MirnaName("let", "7", "a", None, "5p"), id="let"),
        pytest.param(" microRNA-21 ", MirnaName("mir", "21", "", None, None), id="spelt-out"),
        pytest.param("miR21*", MirnaName("mir", "21", "", None, None), id="star"),
        pytest.param("mmu-miR-21-5p", None, id="another-species"),
        pytest.param("CD63", None, id="protein"),
        pytest.param("miR-21-5p-extra", None, id="trailing-text"),
    ],
)
def test_parts(text: str, expected: MirnaName | None) -> None:
    assert parse_mirna_name(text) == expected


def test_squash_drops_case_prefix_and_punctuation() -> None:
    assert squash(" UniProtKB:P-08962 ") == squash("p08962") == "p08962"
