"""Reading one artifact folder, from wherever the reader stands."""

from pathlib import Path

import pytest

from service.errors import ArtifactRejected
from service.registry.artifact import read_artifact, verify_artifact

TB = "tb-exosomal-mirna"
PGD = "pgd-klkb1-inotrope"


@pytest.mark.parametrize(
    ("inside", "path"),
    [
        (f"{TB}/1.0.0", "."),
        (TB, "1.0.0"),
        (TB, "./1.0.0/"),
        ("", f"{TB}/1.0.0"),
        (PGD, f"../{TB}/1.0.0"),
        (f"{PGD}/1.0.0", f"../../{TB}/1.0.0/../1.0.0"),
    ],
)
def test_an_artifact_reads_from_wherever_one_stands(
    spoilable: Path, monkeypatch: pytest.MonkeyPatch, inside: str, path: str
) -> None:
    monkeypatch.chdir(spoilable / inside)
    assert read_artifact(Path(path), expected_digest=None).name == TB


def test_a_moved_artifact_is_refused_from_inside_too(spoilable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir((spoilable / TB / "1.0.0").rename(spoilable / TB / "1.0.1"))
    with pytest.raises(ArtifactRejected, match="folder's"):
        read_artifact(Path(), expected_digest=None)


def test_an_artifact_reads_without_an_expected_digest_but_not_with_a_wrong_one(bundled: Path) -> None:
    read = read_artifact(bundled / PGD / "1.0.0", expected_digest=None)
    assert verify_artifact(read).golden[0].role == "typical"
    with pytest.raises(ArtifactRejected, match="released"):
        read_artifact(bundled / PGD / "1.0.0", expected_digest="sha256:" + "0" * 64)
