"""The catalogue resolves what is exact and unambiguous, and offers candidates for the rest."""

import pytest

from service.domain.analytes import Analyte, Catalogue, catalogue
from service.domain.fields import MEASUREMENT
from service.errors import NotFound


def accessions(text: str) -> list[str]:
    return [analyte.accession for analyte in catalogue().candidates(text)]


def test_catalogue_holds_both_kinds_once() -> None:
    entries = list(catalogue())
    assert len(entries) == len(catalogue()) == len({entry.accession for entry in entries})
    assert sum(entry.kind == "mirna" for entry in entries) == 2652
    assert sum(entry.kind == "protein" for entry in entries) == 5318 + 11
    assert catalogue() is catalogue()


@pytest.mark.parametrize(
    ("text", "accession"),
    [
        pytest.param("MIMAT0000076", "MIMAT0000076", id="mirna-accession"),
        pytest.param("hsa-miR-21-5p", "MIMAT0000076", id="mirna-name"),
        pytest.param("hsa-let-7a-2-3p", "MIMAT0010195", id="numbered-locus"),
        pytest.param("hsa-miR-451a", "MIMAT0001631", id="name-without-arm-that-is-current"),
        pytest.param("UniProt:P08962", "P08962", id="prefixed-accession"),
        pytest.param("P08962", "P08962", id="bare-accession"),
        pytest.param("CD63", "P08962", id="symbol"),
        pytest.param("P63092", "P63092", id="accession-behind-an-ambiguous-symbol"),
        pytest.param("KLK3", "P07288", id="symbol-of-the-further-list"),
    ],
)
def test_exact_names_resolve(text: str, accession: str) -> None:
    found = catalogue().find(text)
    assert found is not None
    assert found.accession == accession
    assert catalogue().candidates(text) == (found,)
    assert catalogue().get(accession) is found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("hsa-miR-375", ["MIMAT0000728", "MIMAT0037313"], id="name-without-arm"),
        pytest.param("miR-21", ["MIMAT0000076", "MIMAT0004494"], id="no-species-no-arm"),
        pytest.param("miR-21*", ["MIMAT0000076", "MIMAT0004494"], id="star"),
        pytest.param("hsa-mir-21", ["MIMAT0000076", "MIMAT0004494"], id="precursor"),
        pytest.param("hsa-mir-16-1", ["MIMAT0000069", "MIMAT0004489"], id="numbered-precursor"),
        pytest.param("hsa-mir-107", ["MIMAT0000104"], id="precursor-of-one-product"),
        pytest.param("miR-16-5p", ["MIMAT0000069"], id="no-species"),
        pytest.param("HSA-MIR-21-5P", ["MIMAT0000076"], id="capitals"),
        pytest.param("hsa\u2011miR\u201121\u20115p", ["MIMAT0000076"], id="typeset-hyphens"),
        pytest.param("hsa-miR-451", ["MIMAT0001631", "MIMAT0019840"], id="letter-missing"),
        pytest.param("hsa-miR-451-5p", ["MIMAT0001631", "MIMAT0019840"], id="letter-missing-arm-given"),
        pytest.param("let7b-5p", ["MIMAT0000063"], id="let-without-hyphen"),
        pytest.param("mimat0000076", ["MIMAT0000076"], id="accession-case"),
        pytest.param("cd63", ["P08962"], id="symbol-case"),
        pytest.param("uniprot:p08962", ["P08962"], id="prefix-case"),
        pytest.param("GNAS", ["O95467", "P63092", "P84996", "Q5JWF2"], id="symbol-of-four-accessions"),
        pytest.param("ALIX", ["Q8WUM4"], id="alias-alix"),
        pytest.param("GM130", ["Q08379"], id="alias-gm130"),
        pytest.param("CD41", ["P08514"], id="alias-cd41"),
        pytest.param("CD61", ["P05106"], id="alias-cd61"),
        pytest.param("CD147", ["P35613"], id="alias-cd147"),
        pytest.param("CD326", ["P16422"], id="alias-cd326"),
        pytest.param("PSMA", ["Q04609"], id="alias-psma"),
        pytest.param("PSA", ["P07288"], id="alias-psa"),
        pytest.param("CEA", ["P06731"], id="alias-cea"),
        pytest.param("CA125", ["Q8WXI7"], id="alias-ca125"),
        pytest.param("HE4", ["Q14508"], id="alias-he4"),
        pytest.param("HER2", ["P04626"], id="alias-her2"),
        pytest.param("syntenin-1", ["O00560"], id="alias-syntenin"),
        pytest.param("GP96", ["P14625"], id="alias-gp96"),
        pytest.param("Tamm\u2013Horsfall", ["P07911"], id="alias-uromodulin"),
    ],
)
def test_refused_names_offer_candidates(text: str, expected: list[str]) -> None:
    assert catalogue().find(text) is None
    assert accessions(text) == expected


@pytest.mark.parametrize("text", ["", "   ", "cel-miR-39-3p", "hsa-miR-4532", "nonsense", "miR-", "\u0000"])
def test_unknown_names_offer_nothing(text: str) -> None:
    assert catalogue().find(text) is None
    assert catalogue().candidates(text) == ()


def test_every_entry_resolves_to_itself() -> None:
    for entry in catalogue():
        assert catalogue().find(entry.accession) is entry
        if entry.kind == "mirna":
            assert catalogue().find(entry.name) is entry
        else:
            assert catalogue().find(f"UniProt:{entry.accession}") is entry


def test_every_current_mirna_name_is_offered_for_its_wrong_capitalisation() -> None:
    for entry in catalogue():
        if entry.kind == "mirna":
            offered = catalogue().candidates(entry.name.upper())
            assert entry in offered
            assert offered == (entry,) or not entry.name.endswith(("-5p", "-3p"))


def test_get_refuses_names_and_does_not_quote_them() -> None:
    with pytest.raises(NotFound) as caught:
        catalogue().get("hsa-miR-21-5p")
    assert "hsa-miR-21-5p" not in caught.value.message + caught.value.remedy


def test_label_tells_namesakes_apart() -> None:
    labels = {analyte.label for analyte in catalogue().candidates("GNAS")}
    assert len(labels) == 4
    mirna = catalogue().get("MIMAT0000076")
    assert mirna.label == "MIMAT0000076 (hsa-miR-21-5p)"


def test_alias_joins_a_protein_of_the_same_folded_name() -> None:
    first = Analyte("P00001", "First", "AB-1", "protein")
    second = Analyte("P00002", "Second", "XYZ", "protein")
    assert Catalogue((first, second), {"AB1": "P00002"}).candidates("ab1") == (first, second)


def test_every_text_that_names_an_analyte_may_be_sent() -> None:
    name = MEASUREMENT.fields["analyte"].shape
    for analyte in catalogue():
        texts = catalogue().texts(analyte.accession)
        assert analyte.accession in texts
        assert [name.check(text) for text in texts] == texts
