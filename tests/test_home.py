import stat
from pathlib import Path

import pytest

from service import home
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
