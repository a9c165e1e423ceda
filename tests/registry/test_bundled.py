"""Loading the bundled versions: the sound serve, the spoilt are rejected with the reason, nothing is unpickled."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.domain.example import example_request
from service.domain.specimen import parse_document
from service.registry.archive import ARTIFACT
from service.registry.card_required import missing_fields
from tests.registry.artifacts import BUNDLED, PGD, TB, load

Install = Callable[..., Path]
Document = dict[str, Any]


def reason(folder: Path, name: str = TB, version: str = "1.0.0") -> str:
    models = load(folder)
    found = models.get(name, version)
    assert found.state == "rejected"
    assert found.scorer is None
    others = [v for v in models.versions if v is not found]
    assert all(v.state == "approved" for v in others)
    assert found.reason
    return found.reason


SHIPPED = {
    "ad-plasma-ev-protein": ("1.0.0",),
    "brain-tumour-ev-multiomic": ("1.0.0",),
    "crc-plasma-ev-mirna": ("1.0.0",),
    PGD: ("1.0.0",),
    TB: ("1.0.0", "1.1.0"),
}
EACH = [(name, number) for name, numbers in SHIPPED.items() for number in numbers]


def test_what_ships_loads_and_is_in_force_in_development() -> None:
    models = load(BUNDLED)
    assert [(v.name, v.version, v.state, v.reason) for v in models.versions] == [(*v, "approved", None) for v in EACH]
    for name, numbers in SHIPPED.items():
        version = models.resolve(name)
        assert version.version == numbers[-1]
        assert version.panel is not None
        assert version.example is not None
        assert set(version.example) == set(version.panel.codes)
        assert version.digest.startswith("sha256:")
        assert version.document["name"] == name


@pytest.mark.parametrize(("name", "number"), EACH)
def test_the_example_of_a_version_is_a_request_it_accepts(name: str, number: str) -> None:
    version = load(BUNDLED).get(name, number)
    now = datetime(2026, 11, 23, tzinfo=UTC)
    request = example_request(version.panel, version.example)
    submission = parse_document(request, find_panel=lambda _: version.panel, now=now)
    used = np.array([[item.used for item in submission.inputs]])
    golden = json.loads((BUNDLED / name / number / "golden.json").read_bytes())["vectors"][0]
    assert version.scorer.score(used).value[0] == pytest.approx(golden["value"], abs=1e-12)
    assert [item.code for item in submission.inputs] == list(version.panel.codes)


@pytest.mark.parametrize(("name", "number"), EACH)
def test_what_ships_lacks_no_required_field_of_its_card(name: str, number: str) -> None:
    manifest = load(BUNDLED).get(name, number).manifest
    assert manifest is not None
    assert missing_fields(manifest) == ()


def test_in_production_bundled_versions_stop_at_verified(bundled: Path) -> None:
    models = load(bundled, in_force=False)
    assert {v.state for v in models.versions} == {"verified"}
    assert dict(models.aliases) == {}


def test_every_file_of_a_bundled_artifact_is_covered_by_a_digest() -> None:
    files = {str(p.relative_to(BUNDLED)) for p in BUNDLED.rglob("*") if p.is_file()}
    expected = {f"{name}/{number}/{file}" for name, number in EACH for file in FILES}
    expected -= {f"{PGD}/1.0.0/estimator.joblib"}
    # A spec lies beside the folder of the version it makes, and is no part of the artifact.
    specs = {f"{name}/{number}.yaml" for name, number in EACH} - {f"{TB}/1.0.0.yaml"}
    assert files == expected | specs


FILES = ["manifest.json", "golden.json", "estimator.joblib", "signature"]
SAID = {
    "manifest.json": "manifest|The signature is over another",
    "golden.json": "golden.json does not have the digest",
    "estimator.joblib": "estimator.joblib does not have the digest",
    "signature": "signature|No trusted publisher",
}


@pytest.mark.parametrize("where", [0.0, 0.1, 0.5, 0.9, 1.0], ids=lambda part: f"at {part:.0%}")
@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_is_found(spoilable: Path, name: str, where: float) -> None:
    path = spoilable / TB / "1.0.0" / name
    data = bytearray(path.read_bytes())
    data[int(where * (len(data) - 1))] ^= 1
    path.write_bytes(data)
    assert re.search(SAID[name], reason(spoilable))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("keep", [0, 100, -1], ids=["empty", "first 100 bytes", "all but one byte"])
def test_a_truncated_file_is_found(spoilable: Path, name: str, keep: int) -> None:
    path = spoilable / TB / "1.0.0" / name
    path.write_bytes(path.read_bytes()[:keep])
    assert re.search(SAID[name], reason(spoilable))


@pytest.mark.parametrize("name", FILES[:3])
def test_a_deleted_file_is_found(spoilable: Path, name: str) -> None:
    (spoilable / TB / "1.0.0" / name).unlink()
    assert "missing" in reason(spoilable)


@pytest.mark.parametrize("name", [TB, PGD])
def test_a_bundled_version_without_its_signature_is_rejected_whatever_its_format(spoilable: Path, name: str) -> None:
    (spoilable / name / "1.0.0" / "signature").unlink()
    assert "publisher signed" in reason(spoilable, name)


@pytest.mark.parametrize("name", ["manifest.json", "golden.json", "signature"])
def test_a_file_of_another_model_is_found(spoilable: Path, name: str) -> None:
    (spoilable / TB / "1.0.0" / name).write_bytes((spoilable / PGD / "1.0.0" / name).read_bytes())
    assert re.search("is over another|digest", reason(spoilable))


def test_swapped_files_of_one_version_are_found(spoilable: Path) -> None:
    golden, estimator = (spoilable / TB / "1.0.0" / name for name in ("golden.json", "estimator.joblib"))
    first, second = golden.read_bytes(), estimator.read_bytes()
    golden.write_bytes(second)
    estimator.write_bytes(first)
    assert reason(spoilable) == "estimator.joblib, golden.json does not have the digest in the manifest."


def test_a_file_the_manifest_does_not_list_is_refused(spoilable: Path) -> None:
    (spoilable / TB / "1.0.0" / "extra.txt").write_text("x")
    assert "not listed" in reason(spoilable)


def test_links_are_refused(spoilable: Path, tmp_path: Path) -> None:
    golden = spoilable / TB / "1.0.0" / "golden.json"
    golden.rename(tmp_path / "golden.json")
    golden.symlink_to(tmp_path / "golden.json")
    assert "plain file" in reason(spoilable)


@pytest.mark.parametrize("level", ["name", "version"])
def test_a_linked_folder_is_refused(spoilable: Path, tmp_path: Path, level: str) -> None:
    folder = spoilable / TB if level == "name" else spoilable / TB / "1.0.0"
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert "link" in reason(spoilable)


def test_a_pipe_or_a_folder_among_the_files_is_refused(spoilable: Path) -> None:
    golden = spoilable / TB / "1.0.0" / "golden.json"
    golden.unlink()
    os.mkfifo(golden)
    assert "plain file" in reason(spoilable)
    golden.unlink()
    golden.mkdir()
    assert "plain file" in reason(spoilable)


def test_too_many_or_too_large_files_are_refused_unread(spoilable: Path) -> None:
    folder = spoilable / TB / "1.0.0"
    for number in range(20):
        (folder / f"x{number}").touch()
    assert "more than 16 files" in reason(spoilable)
    for number in range(20):
        (folder / f"x{number}").unlink()
    with (folder / "golden.json").open("wb") as file:
        file.truncate(ARTIFACT.file_bytes + 1)
    assert "64 MiB" in reason(spoilable)
    (folder / "golden.json").unlink()
    with (folder / "manifest.json").open("wb") as file:
        file.truncate((1 << 20) + 1)
    assert "1 MiB" in reason(spoilable)


def test_a_whole_artifact_under_another_name_is_refused(spoilable: Path) -> None:
    (spoilable / TB / "1.0.0").rename(spoilable / TB / "1.0.1")
    assert "folder's" in reason(spoilable, version="1.0.1")


def broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


def circular_link(path: Path) -> None:
    path.symlink_to(path.name)


def file_for_folder(path: Path) -> None:
    path.write_bytes(b"x")


@pytest.mark.parametrize("level", [TB, f"{TB}/1.0.0"], ids=["name", "version"])
@pytest.mark.parametrize("make", [file_for_folder, broken_link, circular_link, os.mkfifo])
def test_what_stands_in_a_folders_place_is_no_version(
    spoilable: Path, level: str, make: Callable[[Path], object]
) -> None:
    shutil.rmtree(spoilable / level)
    make(spoilable / level)
    assert [(v.name, v.state) for v in load(spoilable).versions] == [(PGD, "approved")]


@pytest.fixture
def powerless() -> Iterator[Callable[[], None]]:
    """A function after which this process obeys file permissions, as root does not, until the test ends."""
    user = os.geteuid()
    yield lambda: os.seteuid(65534) if user == 0 else None
    os.seteuid(user)


@pytest.fixture
def forbid(
    spoilable: Path, powerless: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Path]]:
    """Takes all permissions from a path below the artifacts and answers with their folder, seen from beside it."""
    closed: list[Path] = []

    def take(below: str) -> Path:
        monkeypatch.chdir(spoilable.parent)
        spoilable.parent.chmod(0o755)
        closed.append(spoilable / below)
        closed[0].chmod(0)
        powerless()
        return Path(spoilable.name)

    load(spoilable)  # whatever is imported or read once is, before powers go
    yield take
    os.seteuid(os.getuid())
    closed[0].chmod(0o700)


@pytest.mark.parametrize("below", [f"{TB}/1.0.0", f"{TB}/1.0.0/manifest.json", f"{TB}/1.0.0/golden.json"])
def test_what_may_not_be_read_rejects_its_version_alone(forbid: Callable[[str], Path], below: str) -> None:
    assert reason(forbid(below)) == "A file could not be read (Permission denied)."


def test_a_model_that_may_not_be_listed_is_not_there(forbid: Callable[[str], Path]) -> None:
    assert load(forbid(TB)).names() == (PGD,)


def test_a_whole_folder_that_may_not_be_read_is_an_empty_registry(forbid: Callable[[str], Path]) -> None:
    assert load(forbid(".")).versions == ()


def test_a_path_no_system_takes_is_an_empty_registry(tmp_path: Path) -> None:
    assert load(tmp_path / ("x" * 300)).versions == ()


def test_a_missing_folder_is_an_empty_registry(tmp_path: Path) -> None:
    assert load(tmp_path / "nothing").versions == ()


def test_the_newest_release_goes_into_production_and_no_pre_release(install: Install, tb_document: Document) -> None:
    for number in ("1.10.0", "1.9.0", "2.0.0-rc.1"):
        folder = install(tb_document | {"version": number})
    models = load(folder)
    assert models.resolve(TB).version == "1.10.0"
    assert [v.version for v in models.versions_of(TB)] == ["1.0.0", "1.9.0", "1.10.0", "2.0.0-rc.1"]


def test_a_locked_scale_step_is_served(install: Install, tb_document: Document, bundled: Path) -> None:
    golden = json.loads((bundled / TB / "1.0.0" / "golden.json").read_bytes())
    first = tb_document["panel"][0]["analyte"]
    # Shifted inputs and a step that shifts them back: the same values must come out.
    tb_document["normalisation"] = [{"step": "scale", "analyte": first, "centre": 5.0, "spread": 1.0}]
    tb_document["panel"][0]["range"] = {"low": -5.0, "high": 15.0}
    for vector in golden["vectors"]:
        vector["inputs"][first] += 5.0
    tb_document["version"] = "1.1.0"
    found = load(install(tb_document, golden)).get(TB, "1.1.0")
    assert found.state == "approved", found.reason


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda g: g["vectors"][5].update(value=g["vectors"][5]["value"] + 1e-9), "1 of 47 values differ"),
        (lambda g: g["vectors"][5].update(category="not_elevated"), "1 of 47 categories differ"),
        (lambda g: g["vectors"][5].update(category=None), "1 of 47 categories differ"),
        (lambda g: g["vectors"].pop(), "number of vectors"),
        (lambda g: g["vectors"][0]["inputs"].pop("MIMAT0000075"), "columns of the panel"),
        (lambda g: g["vectors"][0]["inputs"].update(MIMAT0000075="1"), "/vectors/0/inputs/MIMAT0000075"),
        (lambda g: g.update(extra=1), "unknown field"),
        (
            lambda g: g["vectors"][0]["inputs"].update(MIMAT0000075=1.7e308, MIMAT0000440=1.7e308),
            "values differ|finite",
        ),
    ],
    ids=["value", "category", "no category", "count", "column", "string", "unknown field", "huge input"],
)
def test_a_golden_vector_that_does_not_hold_rejects_the_version(
    install: Install, tb_document: Document, bundled: Path, spoil: Callable[[Document], object], said: str
) -> None:
    golden = json.loads((bundled / TB / "1.0.0" / "golden.json").read_bytes())
    elevated = [v for v in golden["vectors"] if v["category"] == "elevated"]
    golden["vectors"] = [golden["vectors"][0], *[v for v in golden["vectors"][1:] if v not in elevated[:1]]]
    golden["vectors"].insert(5, elevated[0])
    spoil(golden)
    assert any(part in reason(install(tb_document, golden)) for part in said.split("|"))


@pytest.mark.parametrize("weight", [1e308, 1.7e307], ids=["one term overflows", "the sum overflows"])
def test_coefficients_whose_score_can_overflow_are_rejected(
    install: Install, tb_document: Document, weight: float
) -> None:
    for term in tb_document["estimator"]["lowered"]["terms"]:
        term["coefficient"] = weight
    assert "not finite" in reason(install(tb_document))


class Sentinel:
    """Runs code when it is unpickled: it makes the file it was given."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, (str(self.path),))


def test_an_estimator_file_is_never_unpickled(
    install: Install, spoilable: Path, tb_document: Document, tmp_path: Path
) -> None:
    sentinel = tmp_path / "was-opened"
    payload = pickle.dumps(Sentinel(sentinel))
    (spoilable / TB / "1.0.0" / "estimator.joblib").write_bytes(payload)
    assert "estimator.joblib" in reason(spoilable)
    # Even with every digest right the file is only bytes to the server.
    models = load(install(tb_document))
    assert models.resolve(TB).scorer.score(np.zeros((1, 6))).value.shape == (1,)
    assert not sentinel.exists()
    pickle.loads(payload)
    assert sentinel.exists()


def test_serving_imports_neither_sklearn_nor_joblib_nor_scipy() -> None:
    program = """
import sys
from pathlib import Path
import numpy as np
from service.registry.bundled import load_bundled
from service.registry.card import card_html, card_json, card_markdown
models = load_bundled(Path(sys.argv[1]), in_force=True)
for version in models.versions:
    rows = np.array([[version.example[code] for code in version.panel.codes]])
    assert version.scorer.score(rows).value.shape == (1,)
    card_json(version.manifest, version.digest)
print(sorted({"sklearn", "joblib", "scipy", "skops"} & set(sys.modules)), len(models.versions))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(BUNDLED)],
        capture_output=True,
        text=True,
        check=True,
        cwd=BUNDLED.parent,
    )
    assert done.stdout == f"[] {len(EACH)}\n"


@pytest.mark.parametrize("name", [b"bad\xff", "mod\u0435l".encode()], ids=["not text", "look-alike"])
def test_a_folder_with_a_name_no_model_has_is_passed_by(spoilable: Path, name: bytes) -> None:
    os.makedirs(os.path.join(os.fsencode(spoilable), name, b"1.0.0"))
    models = load(spoilable)
    assert models.names() == (PGD, TB)
    json.dumps([version.name for version in models.versions]).encode("ascii")
