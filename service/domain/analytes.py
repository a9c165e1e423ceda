"""The catalogue of analytes the product can name: human mature miRNAs and proteins seen in EVs.

Sources, as package data: `mirna.tsv`, all human mature miRNAs of miRBase v22; `proteins.tsv`, UniProt accessions and
primary gene symbols of proteins observed in EVs; `proteins_further.tsv`, diagnostic proteins missing from that list
(HGNC export); `aliases.tsv`, names in use that are not the gene symbol.

Rules:
1. The canonical code is the bare accession: "MIMAT0000076", "P08962".
2. A name resolves only if it is exact and unambiguous: an accession, a current miRBase name, `UniProt:ACCESSION`, or a
   symbol that belongs to one accession. Case is significant, because `mir` (precursor) and `miR` (mature) differ.
3. Everything else is refused. What it may have meant is offered by `candidates`, never chosen: a name without its arm
   stands for two sequences.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from service.domain.nomenclature import MirnaName, parse_mirna_name, squash
from service.errors import NotFound

MIRNA = "mirna"
PROTEIN = "protein"


@dataclass(frozen=True, slots=True)
class Analyte:
    """One entry: `kind` is "mirna" or "protein"; `name` the miRBase v22 or protein name; `symbol` None for a miRNA."""

    accession: str
    name: str
    symbol: str | None
    kind: str

    @property
    def label(self) -> str:
        """How the entry is offered to people: its accession and what tells it from its namesakes."""
        return f"{self.accession} ({self.name if self.symbol is None else f'{self.symbol}, {self.name}'})"


class Catalogue:
    """Analytes by accession, name and symbol. Immutable; every look-up is a dictionary access.

    `aliases` maps a name in use to the accession it commonly stands for; it feeds `candidates` only.
    """

    def __init__(self, analytes: tuple[Analyte, ...], aliases: dict[str, str]) -> None:
        self._analytes = analytes
        self._aliases = aliases
        self._by_accession = {a.accession: a for a in analytes}
        self._by_symbol: dict[str, list[Analyte]] = {}
        for analyte in analytes:
            if analyte.symbol is not None:
                self._by_symbol.setdefault(analyte.symbol, []).append(analyte)
        self._by_text = self._index()

    def _index(self) -> dict[str, Analyte]:
        index = {symbol: found[0] for symbol, found in self._by_symbol.items() if len(found) == 1}
        for analyte in self._analytes:
            index[analyte.name if analyte.kind == MIRNA else f"UniProt:{analyte.accession}"] = analyte
        return index | self._by_accession

    def __len__(self) -> int:
        return len(self._analytes)

    def __iter__(self) -> Iterator[Analyte]:
        return iter(self._analytes)

    def find(self, text: str) -> Analyte | None:
        """The analyte `text` names exactly and unambiguously, else None."""
        return self._by_text.get(text)

    def texts(self, accession: str) -> list[str]:
        """Every text that `find` resolves to this accession; raises as `get` does."""
        analyte = self.get(accession)
        texts = (accession, analyte.name if analyte.kind == MIRNA else f"UniProt:{accession}", analyte.symbol or "")
        return [text for text in texts if self.find(text) is analyte]

    def get(self, accession: str) -> Analyte:
        """The analyte of a bare accession; `NotFound` if the catalogue does not hold it."""
        analyte = self._by_accession.get(accession)
        if analyte is None:
            raise NotFound(
                "The accession is not in the catalogue.",
                "Send a miRBase v22 mature accession (MIMAT...) or a UniProt accession of the catalogue.",
            )
        return analyte

    def candidates(self, text: str) -> tuple[Analyte, ...]:
        """What `text` may have meant, in catalogue order; empty where nothing is close. Never a reason to guess."""
        exact = self.find(text)
        if exact is not None:
            return (exact,)
        if text in self._by_symbol:
            return tuple(self._by_symbol[text])
        name = parse_mirna_name(text)
        return self._legacy(name) if name is not None else self._folded.get(squash(text), ())

    @cached_property
    def _folded(self) -> dict[str, tuple[Analyte, ...]]:
        """Accessions, symbols, protein names and aliases without case and punctuation; made at the first refusal."""
        folded: dict[str, tuple[Analyte, ...]] = {}
        for analyte in self._analytes:
            for key in {squash(analyte.accession), squash(analyte.symbol or ""), squash(analyte.name)} - {""}:
                folded[key] = (*folded.get(key, ()), analyte)
        for alias, accession in self._aliases.items():
            same = folded.get(squash(alias), ())
            folded[squash(alias)] = tuple(dict.fromkeys((*same, self._by_accession[accession])))
        return folded

    @cached_property
    def _families(self) -> dict[tuple[str, str], list[tuple[MirnaName, Analyte]]]:
        """Mature miRNAs by family and number, with and without the letters of a paralogue: 451 finds 451a and 451b."""
        families: dict[tuple[str, str], list[tuple[MirnaName, Analyte]]] = {}
        for analyte in self._analytes:
            name = parse_mirna_name(analyte.name) if analyte.kind == MIRNA else None
            if name is not None:
                for stem in {name.number + name.letters, name.number}:
                    families.setdefault((name.family, stem), []).append((name, analyte))
        return families

    def _legacy(self, name: MirnaName) -> tuple[Analyte, ...]:
        """Current names an old, incomplete or wrongly capitalised miRNA name may stand for."""
        found = self._families.get((name.family, name.number + name.letters), [])
        same_stem = [(n, a) for n, a in found if n.letters == name.letters] or found
        if name.locus is not None:
            same_stem = [(n, a) for n, a in same_stem if n.locus in {None, name.locus}]
        same_arm = [(n, a) for n, a in same_stem if n.arm == name.arm] if name.arm is not None else []
        whole = [(n, a) for n, a in same_arm if n == name]
        return tuple(a for _, a in whole or same_arm or same_stem)


def _rows(name: str) -> list[list[str]]:
    """The rows of one package table, without its header line."""
    text = files("service.domain").joinpath("data", name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()[1:]]


@cache
def catalogue() -> Catalogue:
    """The catalogue of this release, read from package data once per process."""
    mirnas = [Analyte(accession, name, None, MIRNA) for accession, name in _rows("mirna.tsv")]
    rows = _rows("proteins.tsv") + _rows("proteins_further.tsv")
    proteins = [Analyte(accession, name, symbol, PROTEIN) for accession, symbol, name in rows]
    return Catalogue((*mirnas, *proteins), dict(_rows("aliases.tsv")))
