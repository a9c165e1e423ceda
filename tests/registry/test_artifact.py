"""Examining one artifact: from a folder, wherever the reader stands, and from the files themselves."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.errors import ArtifactRejected
from service.registry.artifact import Artifact, Expected, examine, read_artifact, verify_artifact
from service.registry.publishers import PUBLISHERS
from tests.registry.artifacts import PGD, TB, TRUSTED, bundled_files, digest, rebuilt

Document = dict[str, Any]


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
    assert read_artifact(Path(path), trusted=PUBLISHERS).name == TB


def test_a_moved_artifact_is_refused_from_inside_too(spoilable: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir((spoilable / TB / "1.0.0").rename(spoilable / TB / "1.0.1"))
    with pytest.raises(ArtifactRejected, match="folder's") as caught:
        read_artifact(Path(), trusted=PUBLISHERS)
    assert caught.value.reasons == ("another_version",)


def test_a_genuine_artifact_is_what_it_says(bundled: Path) -> None:
    for name in (TB, PGD):
        artifact = read_artifact(bundled / name / "1.0.0", trusted=PUBLISHERS)
        assert artifact.publisher == "exoscore-release-2026"
        assert artifact.parts() == bundled_files(name)
        assert examine(artifact.parts(), trusted=PUBLISHERS) == artifact
        assert verify_artifact(artifact).golden[0].role == "typical"


def test_an_equation_may_come_without_a_signature_and_then_has_no_publisher() -> None:
    files = bundled_files(PGD)
    del files["signature"]
    artifact = examine(files, trusted=())
    assert (artifact.publisher, artifact.signature) == (None, None)
    assert artifact.parts() == files


def refusal(files: dict[str, bytes], expected: Expected | None = None) -> tuple[str, ...]:
    with pytest.raises(ArtifactRejected) as caught:
        examine(files, trusted=TRUSTED, expected=expected)
    return caught.value.reasons


def test_the_expected_version_is_asked_for_by_digest_and_by_name() -> None:
    files = bundled_files(PGD)
    right = Expected(PGD, "1.0.0", digest(files["manifest.json"]))
    assert examine(files, trusted=TRUSTED, expected=right).name == PGD
    assert refusal(files, right._replace(digest="sha256:" + "0" * 64)) == ("digest_mismatch",)
    assert refusal(files, right._replace(version="1.0.1")) == ("another_version",)
    assert refusal(files, right._replace(name=TB)) == ("another_version",)


def test_a_missing_file_is_named_by_the_rule() -> None:
    for name in ("manifest.json", "golden.json"):
        files = bundled_files(PGD)
        del files[name]
        assert refusal(files) == ("missing_file",)


def spoil_first(golden: Document) -> None:
    golden["vectors"][0]["value"] += 1e-6


def failing(document: Document, name: str) -> ArtifactRejected:
    files = bundled_files(name)
    golden = json.loads(files["golden.json"])
    spoil_first(golden)
    artifact = examine(rebuilt({**files, "golden.json": json.dumps(golden).encode()}, document), trusted=TRUSTED)
    with pytest.raises(ArtifactRejected) as caught:
        verify_artifact(artifact)
    assert caught.value.reasons == ("golden_failed",)
    return caught.value


@pytest.mark.parametrize("place", ["estimator", "proof"])
def test_a_failing_self_test_names_the_libraries_that_are_others_here(tb_document: Document, place: str) -> None:
    versions = tb_document["estimator"]["lowered"]["proof"]["versions"]
    if place == "estimator":
        tb_document["estimator"] |= {"numpy_version": "1.26.4"}
        del versions["numpy"]
    else:
        versions |= {"numpy": "1.26.4", "scipy": "1.11.0"}
    message = failing(tb_document, TB).message
    assert "built with numpy 1.26.4, here numpy 2" in message
    assert ("built with scipy 1.11.0, here scipy 1" in message) == (place == "proof")
    assert "scikit-learn" not in message


@pytest.mark.parametrize("release", ["1.0\x1b[2J", "1.0 of John Doe", "1" * 33])
def test_a_failing_self_test_repeats_no_text_of_the_publisher(tb_document: Document, release: str) -> None:
    tb_document["estimator"]["sklearn_version"] = release
    tb_document["estimator"]["lowered"]["proof"]["versions"] = {}
    message = failing(tb_document, TB).message
    assert release not in message
    assert "built with scikit-learn of another release, here scikit-learn 1" in message


def test_a_failing_self_test_blames_no_library_that_is_the_same(tb_document: Document, pgd_document: Document) -> None:
    assert failing(tb_document, TB).message == "The golden self-test failed: 1 of 47 values differ."
    assert "built with" not in failing(pgd_document, PGD).message


def test_a_library_that_is_not_there_is_called_so(
    tb_document: Document, parse: Callable[[Document], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from service.registry.golden import changed_libraries

    tb_document["estimator"]["lowered"]["proof"]["versions"] = {"numpy": "1.0.0"}
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    assert "built with numpy 1.0.0, here numpy is not installed" in changed_libraries(parse(tb_document))


def test_an_oversized_golden_file_is_refused_before_it_is_read() -> None:
    files = bundled_files(PGD)
    artifact: Artifact = examine(rebuilt({**files, "golden.json": b" " * (9 << 20)}), trusted=TRUSTED)
    with pytest.raises(ArtifactRejected, match="8 MiB"):
        verify_artifact(artifact)
