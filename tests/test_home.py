import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service import home
from service.audit.note import Signer
from service.errors import UnsafeConfiguration
from service.settings import Settings


def test_the_pepper_is_made_once_in_development_and_is_private(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "fresh")
    first = home.read_pepper(settings)
    assert len(first) == 32
    assert home.read_pepper(settings) == first
    assert stat.S_IMODE((settings.home / "pepper").stat().st_mode) == 0o600


def test_a_named_pepper_is_read_and_never_made(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, pepper_file=tmp_path / "named")
    with pytest.raises(UnsafeConfiguration, match="cannot be read"):
        home.read_pepper(settings)
    (tmp_path / "named").write_bytes(b"short")
    with pytest.raises(UnsafeConfiguration, match="fewer than 32"):
        home.read_pepper(settings)
    (tmp_path / "named").write_bytes(b"x" * 40)
    assert home.read_pepper(settings) == b"x" * 40


def test_a_second_development_key_moves_the_first_aside(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    home.write_development_key(settings, "first")
    path = home.write_development_key(settings, "second")
    assert path.read_text() == "second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (aside,) = tmp_path.glob("dev-key.*.old")
    assert aside.read_text() == "first"


def make_key() -> bytes:
    return Signer.generate().pem()


def test_the_example_is_written_where_nothing_made_the_home_before(tmp_path: Path) -> None:
    path = home.write_example(Settings(home=tmp_path / "fresh"), {"model": "m"})
    assert path.read_text() == '{\n  "model": "m"\n}\n'


def test_the_signing_key_is_made_once_in_development_and_is_private(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "fresh")
    first = home.read_signing_key(settings, make_key)
    assert home.read_signing_key(settings, make_key) == first
    assert stat.S_IMODE((settings.home / "signing-key").stat().st_mode) == 0o600
    assert Signer.from_pem(first).pem() == first


def test_of_starts_at_once_all_get_one_key(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "fresh")
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: home.read_signing_key(settings, make_key), range(32)))
    assert len(keys) == 1
    assert [path.name for path in settings.home.iterdir()] == ["signing-key"]


def test_a_named_signing_key_is_read_and_never_made(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, signing_key_file=tmp_path / "named")
    with pytest.raises(UnsafeConfiguration, match="cannot be read"):
        home.read_signing_key(settings, make_key)
    (tmp_path / "named").write_bytes(b"pem")
    assert home.read_signing_key(settings, make_key) == b"pem"


def by_command(command: str) -> bytes:
    return home.read_signing_key(Settings(signing_key_command=command), make_key, seconds=2.0)


def test_a_command_prints_the_signing_key_without_a_shell(tmp_path: Path) -> None:
    key = make_key()
    (tmp_path / "a key").write_bytes(key)
    assert by_command(f"cat '{tmp_path}/a key'") == key
    assert by_command("echo '$HOME' ; echo") == b"$HOME ; echo\n"


@pytest.mark.parametrize(
    ("command", "failure"),
    [
        ("false marker", "status 1"),
        ("/no/such/marker", "FileNotFoundError"),
        ("sh -c 'echo marker; echo marker >&2; exec sleep 60'", "within 2 seconds"),
    ],
)
def test_a_command_that_fails_is_named_and_nothing_of_it_is_shown(
    command: str, failure: str, capfd: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    with pytest.raises(UnsafeConfiguration, match=failure) as caught:
        by_command(command)
    assert time.monotonic() - began < 20
    assert caught.value.__cause__ is None
    assert "marker" not in caught.value.message + caught.value.remedy + "".join(capfd.readouterr())


def test_a_key_stays_out_of_a_traceback(tmp_path: Path) -> None:
    program = """
import sys
from service.app import open_services
from service.settings import load_settings
open_services(load_settings(), serving=True)
"""
    key = "-----BEGIN PRIVATE KEY-----\nmarker\n-----END PRIVATE KEY-----\n"
    (tmp_path / "key").write_text(key)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={
            "PATH": "/usr/bin:/bin",
            "EXOSCORE_HOME": str(tmp_path),
            "EXOSCORE_SIGNING_KEY_FILE": str(tmp_path / "key"),
        },
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "not an Ed25519 key" in done.stderr
    assert "marker" not in done.stderr + done.stdout
