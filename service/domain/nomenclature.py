"""Reading names as people write them, only to offer candidates: nothing here ever resolves an analyte.

A miRNA name has a family (`miR` or `let`), a number, letters for a paralogue, sometimes a locus and an arm:
`hsa-miR-509-3-5p` is family mir, number 509, locus 3, arm 5p. Old names lack the species or the arm, carry a star for
the minor product, or write the precursor (`mir`); see the miRBase nomenclature page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# People paste names from papers, where typesetting turned the hyphen into something else.
_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212_ "), "-")

_MIRNA = re.compile(
    r"(?:hsa-?)?(?P<family>mir|mirna|microrna|let)-?(?P<number>\d{1,6})(?P<letters>[a-z]{0,4})"
    r"(?:-(?P<locus>\d{1,2}))?(?:-?(?P<arm>[35]p)|\*)?"
)
_PREFIX = re.compile(r"(?:uniprot|uniprotkb|mirbase):")


@dataclass(frozen=True, slots=True)
class MirnaName:
    """A miRNA name in its parts; `arm` is "5p", "3p" or None, `locus` the digits of a numbered locus or None."""

    family: str
    number: str
    letters: str
    locus: str | None
    arm: str | None


def parse_mirna_name(text: str) -> MirnaName | None:
    """The parts of a human miRNA name in any usual spelling, or None where `text` is not one."""
    match = _MIRNA.fullmatch(text.strip().translate(_HYPHENS).casefold())
    if match is None:
        return None
    family = "let" if match["family"] == "let" else "mir"
    return MirnaName(family, match["number"], match["letters"], match["locus"], match["arm"])


def squash(text: str) -> str:
    """`text` in lower case, without a database prefix, punctuation or spaces: "CA-125" and "ca 125" become one key."""
    return re.sub(r"[^0-9a-z]+", "", _PREFIX.sub("", text.strip().casefold()))
