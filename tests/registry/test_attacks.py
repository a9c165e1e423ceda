"""Every way in that is known to us, tried with a payload that leaves a folder behind when any of its code runs.

Each attempt is handed in as a server is handed one: a zip is read, examined and put to its golden self-test.
"""

import io
import json
import os
import pickle
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer
from skops.io import dumps

from service.errors import ArtifactRejected
from service.registry.archive import read_folder, read_zip
from service.registry.artifact import Expected, Verified, examine, verify_artifact
from tests.registry.artifacts import (
    KEY_NAME,
    PGD,
    TB,
    TRUSTED,
    bundled_files,
    digest,
    opened,
    rebuilt,
    signature_of,
    with_estimator,
    write,
)
from tests.registry.attacks import PACKINGS, STRANGER, Payload, zipped

Files = dict[str, bytes]


def admit(data: bytes, expected: Expected | None = None) -> Verified:
    return verify_artifact(examine(read_zip(data), trusted=TRUSTED, expected=expected))


def refusal(data: bytes, expected: Expected | None = None) -> str:
    with pytest.raises(ArtifactRejected) as caught:
        admit(data, expected)
    assert caught.value.remedy
    return caught.value.reasons[0]


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "code-ran"


def test_the_genuine_artifact_is_admitted() -> None:
    for name in (TB, PGD):
        assert admit(zipped(bundled_files(name))).artifact.publisher == "exoscore-release-2026"
    equation = bundled_files(PGD)
    del equation["signature"]
    assert admit(zipped(equation)).artifact.publisher is None
    assert admit(zipped(with_estimator("estimator.skops", dumps(LogisticRegression()), signed=False)))


def test_the_canary_sings(canary: Path) -> None:
    artifact = examine(with_estimator("estimator.joblib", pickle.dumps(Payload(canary))), trusted=TRUSTED)
    assert not canary.exists()
    opened(artifact)
    assert canary.exists()


@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS.keys())
def test_an_unsigned_joblib_is_refused_however_it_is_packed(canary: Path, pack: Callable[[Any], bytes]) -> None:
    files = with_estimator("estimator.joblib", pack(Payload(canary)), signed=False)
    assert refusal(zipped(files)) == "unsigned_joblib"
    files["signature"] = signature_of(files["manifest.json"], STRANGER, "stranger")
    assert refusal(zipped(files)) == "unknown_publisher"
    files["signature"] = signature_of(files["manifest.json"], STRANGER, KEY_NAME)
    assert refusal(zipped(files)) == "unknown_publisher"
    files["signature"] = bundled_files(TB)["signature"]
    assert refusal(zipped(files)) == "signature_mismatch"
    files["signature"] = b""
    assert refusal(zipped(files)) == "signature_malformed"
    # The genuine manifest and signature do not vouch for the payload either.
    assert refusal(zipped(bundled_files(TB) | {"estimator.joblib": pack(Payload(canary))})) == "digest_mismatch"
    assert not canary.exists()


def test_an_equation_is_refused_with_a_wrong_signature_although_it_needs_none() -> None:
    files = bundled_files(PGD)
    other = bundled_files(TB)["signature"]
    stranger = signature_of(files["manifest.json"], STRANGER, "stranger")
    assert refusal(zipped(files | {"signature": other})) == "signature_mismatch"
    assert refusal(zipped(files | {"signature": stranger})) == "unknown_publisher"


FLIPPED = {
    "manifest.json": {"signature_mismatch", "another_version"},
    "golden.json": {"digest_mismatch"},
    "estimator.joblib": {"digest_mismatch"},
    "signature": {"signature_mismatch", "signature_malformed", "signature_invalid", "unknown_publisher"},
}


@pytest.mark.parametrize("name", FLIPPED)
def test_one_flipped_byte_is_refused(name: str) -> None:
    files = bundled_files(TB)
    known = Expected(TB, "1.0.0", digest(files["manifest.json"]))
    for place in range(0, len(files[name]), max(1, len(files[name]) // 60)):
        changed = bytearray(files[name])
        changed[place] ^= 0x04
        data = zipped(files | {name: bytes(changed)})
        with pytest.raises(ArtifactRejected) as caught:
            admit(data)
        # A manifest whose text is hurt is refused by its schema before its signature is looked at.
        assert name == "manifest.json" or caught.value.reasons[0] in FLIPPED[name]
        assert refusal(data, known) in ({"digest_mismatch"} if name == "manifest.json" else FLIPPED[name])


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("pack", PACKINGS.values(), ids=PACKINGS.keys())
def test_a_pickle_named_skops_is_refused(canary: Path, pack: Callable[[Any], bytes], signed: bool) -> None:
    files = with_estimator("estimator.skops", pack(Payload(canary)), signed=signed)
    assert refusal(zipped(files)) == "not_skops"
    inside = zipped({"schema.json": b"{}", "1.npy": pack(Payload(canary))}, zipfile.ZIP_STORED)
    assert refusal(zipped(with_estimator("estimator.skops", inside, signed=signed))) == "malformed_skops"
    assert not canary.exists()


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
def test_a_skops_file_with_a_type_that_is_not_listed_is_refused(canary: Path, signed: bool) -> None:
    transformer = FunctionTransformer(os.mkdir, kw_args={"path": str(canary)})
    for model in (transformer, LogisticRegression(C=os.system), FunctionTransformer(np.exp)):
        files = with_estimator("estimator.skops", dumps(model), signed=signed)
        assert refusal(zipped(files)) == "untrusted_type"
    assert not canary.exists()


TRUSTING: list[Callable[[dict[str, Any]], object]] = [
    lambda manifest: manifest["estimator"].update(trusted=["posix.mkdir"]),
    lambda manifest: manifest["estimator"].update(trusted_types=["posix.mkdir"]),
    lambda manifest: manifest.update(trusted=["posix.mkdir"]),
    lambda manifest: manifest.update(trusted_publishers=[STRANGER.vkey("stranger")]),
    lambda manifest: manifest["estimator"].update(format="pickle"),
    lambda manifest: manifest["estimator"].update(loader="os.system"),
]


@pytest.mark.parametrize("trusting", TRUSTING)
def test_a_manifest_cannot_say_what_is_to_be_trusted(
    canary: Path, trusting: Callable[[dict[str, Any]], object]
) -> None:
    files = with_estimator("estimator.skops", dumps(FunctionTransformer(os.mkdir)))
    manifest = json.loads(files["manifest.json"])
    trusting(manifest)
    assert refusal(zipped(rebuilt(files, manifest))) in {"extra_forbidden", "union_tag_invalid"}
    assert not canary.exists()


def test_a_file_the_manifest_does_not_list_is_refused() -> None:
    for name in ("extra.txt", "__init__.py", "conftest.py", "Manifest.json.bak"):
        assert refusal(zipped(bundled_files(TB) | {name: b"x"})) == "unlisted_file"


LISTED = ["../../golden.json", "/etc/passwd", "a/b", "..", "manifest.json", "signature", "gold\u0435n.json", "a\0b"]


@pytest.mark.parametrize("name", LISTED)
def test_a_manifest_cannot_list_a_path_or_a_reserved_name(name: str) -> None:
    files = bundled_files(PGD)
    manifest = json.loads(files["manifest.json"])
    manifest["files"][name] = digest(b"x")
    raw = json.dumps(manifest).encode()
    with pytest.raises(ArtifactRejected) as caught:
        examine({name: b"x", **files, "manifest.json": raw, "signature": signature_of(raw)}, trusted=TRUSTED)
    assert caught.value.reasons[0] == "file_name"


SLIPS = ["../golden.json", "../../../../tmp/code-ran", "/tmp/code-ran", "C:\\code-ran", "a\\..\\b", f"{TB}/1.0.0/x"]


@pytest.mark.parametrize("name", SLIPS)
def test_a_zip_that_slips_out_is_refused(name: str) -> None:
    assert refusal(zipped({**bundled_files(TB), name: b"x"})) == "unsafe_archive"


@pytest.mark.parametrize(
    "name",
    ["gold\u0435n.json", "golden.json\u200b", "GOLDEN.json", "\uff47olden.json", "golden.json ", "golden\u2024json"],
)
def test_a_name_that_looks_like_another_is_refused(name: str) -> None:
    assert refusal(zipped({**bundled_files(TB), name: b"x"})) == "unsafe_archive"


@pytest.mark.parametrize(
    "name",
    ["tb-ex\u043esomal-mirna", "TB-exosomal-mirna", "tb-exosomal-mirna\u200b", "tb\u2010exosomal-mirna", "tb--x"],
)
def test_a_model_name_that_looks_like_another_is_refused(name: str) -> None:
    files = bundled_files(TB)
    manifest = json.loads(files["manifest.json"]) | {"name": name}
    raw = json.dumps(manifest).encode()
    assert refusal(zipped(files | {"manifest.json": raw})) == "name"


@pytest.mark.parametrize("version", ["1.0.0\n", "\uff11.0.0", "1.0", "01.0.0", "1.0.0 ", "latest"])
def test_a_version_that_looks_like_another_is_refused(version: str) -> None:
    files = bundled_files(TB)
    raw = json.dumps(json.loads(files["manifest.json"]) | {"version": version}).encode()
    assert refusal(zipped(files | {"manifest.json": raw})) in {"version", "string_too_short"}


def test_a_bomb_is_refused() -> None:
    files = bundled_files(TB)
    assert refusal(zipped(files | {"estimator.joblib": bytes(100 << 20)})) == "too_large"
    assert refusal(zipped(files | {"estimator.joblib": bytes(60 << 20)})) == "unsafe_archive"
    inner = zipped({"schema.json": bytes(60 << 20)})
    assert refusal(zipped(with_estimator("estimator.skops", inner), zipfile.ZIP_STORED)) == "not_skops"


def test_five_gigabytes_declared_are_refused_unread() -> None:
    data = bytearray(zipped(bundled_files(TB)))
    at = data.index(b"PK\x01\x02")
    struct.pack_into("<L", data, at + 24, 0xFFFFFFFE)
    assert refusal(bytes(data)) in {"too_large", "unsafe_archive"}
    struct.pack_into("<L", data, at + 24, 0xFFFFFFFF)
    assert refusal(bytes(data)) == "unsafe_archive"
    header = b"\x93NUMPY\x01\x00"
    text = str({"descr": "<f8", "fortran_order": False, "shape": (5 << 27,)}).encode()
    array = header + len(text).to_bytes(2, "little") + text
    inside = zipped({"schema.json": b"{}", "1.npy": array}, zipfile.ZIP_STORED)
    assert refusal(zipped(with_estimator("estimator.skops", inside))) == "malformed_skops"


def test_a_link_in_a_zip_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in bundled_files(TB).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = ((stat.S_IFLNK if name == "golden.json" else stat.S_IFREG) | 0o777) << 16
            archive.writestr(info, data)
    assert refusal(buffer.getvalue()) == "link"


@pytest.mark.parametrize("name", ["manifest.json", "golden.json", "estimator.joblib", "signature"])
def test_a_link_in_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path / TB / "1.0.0", bundled_files(TB))
    shutil.move(folder / name, tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    with pytest.raises(ArtifactRejected) as caught:
        read_folder(folder)
    assert caught.value.reasons == ("link",)


def test_the_same_version_with_other_bytes_is_refused_where_its_digest_is_known() -> None:
    files = bundled_files(PGD)
    known = Expected(PGD, "1.0.0", digest(files["manifest.json"]))
    manifest = json.loads(files["manifest.json"]) | {"title": "Another title"}
    other = rebuilt(files, manifest)
    assert admit(zipped(other)).artifact.digest != known.digest
    assert refusal(zipped(other), known) == "digest_mismatch"


def test_a_second_table_of_contents_hides_nothing(canary: Path) -> None:
    genuine = zipped(bundled_files(TB))
    hidden = zipped(with_estimator("estimator.joblib", zlib.compress(pickle.dumps(Payload(canary)))))
    for data in (hidden + genuine, genuine + hidden):
        assert refusal(data) == "unsafe_archive"
    assert not canary.exists()
