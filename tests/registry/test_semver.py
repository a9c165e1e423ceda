import itertools

import pytest

from service.registry.semver import SemVer, find_version, is_name

ASCENDING = [
    "0.9.0",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.9.0",
    "1.10.0",
    "2.0.0",
]


def version(text: str) -> SemVer:
    found = find_version(text)
    assert found is not None
    return found


@pytest.mark.parametrize(("lower", "higher"), list(itertools.combinations(ASCENDING, 2)))
def test_versions_order_as_the_standard_says(lower: str, higher: str) -> None:
    assert version(lower) < version(higher)
    assert not version(higher) < version(lower)


def test_build_metadata_takes_no_part_in_equality() -> None:
    assert version("1.0.0+a") == version("1.0.0+b")
    assert hash(version("1.0.0+a")) == hash(version("1.0.0+b"))
    assert version("1.0.0") != "1.0.0"


@pytest.mark.parametrize(
    "text",
    [
        *[
            "",
            "1",
            "1.0",
            "1.0.0.0",
            "01.0.0",
            "1.0.0-",
            "1.0.0-01",
            "1.0.0-a..b",
            "1.0.0+",
            "v1.0.0",
            " 1.0.0",
            "1.0.0\n",
        ],
        *["1.0.٣", "1.0.0-ä", "1." + "9" * 70 + ".0"],
    ],
)
def test_what_is_no_version_is_refused(text: str) -> None:
    assert find_version(text) is None


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("tb-exosomal-mirna", True),
        ("a1", True),
        ("Tb", False),
        ("tb_x", False),
        ("tb--x", False),
        ("-tb", False),
        ("tb-", False),
        ("1tb", False),
        ("tb\n", False),
        ("tbß", False),
        ("..", False),
        ("a" * 65, False),
        ("", False),
    ],
)
def test_names_are_lower_case_words_with_hyphens(text: str, valid: bool) -> None:
    assert is_name(text) is valid
