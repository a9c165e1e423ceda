from pathlib import Path

import pytest

from service.errors import UnsafeConfiguration
from service.settings import Settings, load_settings, shipped, unsafe_in_production


def test_defaults_are_the_embedded_development_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert not settings.production
    assert settings.resolved_database_url() == f"sqlite:///{tmp_path}/.exoscore/exoscore.db"


def test_every_wrong_variable_is_named_and_no_value_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("EXOSCORE_ENV", "prod-marker"), ("EXOSCORE_SITE", "a b"), ("EXOSCORE_DATABSE_URL", "x")):
        monkeypatch.setenv(name, value)
    with pytest.raises(UnsafeConfiguration) as caught:
        load_settings()
    text = " ".join(problem.message for problem in caught.value.problems)
    assert "EXOSCORE_ENV" in text
    assert "EXOSCORE_SITE" in text
    assert "EXOSCORE_DATABSE_URL is not a setting" in text
    assert "prod-marker" not in text


def test_the_database_password_is_never_in_the_repr() -> None:
    settings = Settings(database_url="postgresql://u:sesame@localhost/x")
    assert "sesame" not in repr(settings)
    assert settings.resolved_database_url().startswith("postgresql://u:sesame")


def test_production_lists_every_unsafe_setting(tmp_path: Path) -> None:
    (tmp_path / "dev-key").write_text("x")
    open_file = tmp_path / "signing"
    open_file.write_text("x")
    open_file.chmod(0o644)
    settings = Settings(env="production", home=tmp_path, log_level="DEBUG", signing_key_file=open_file)
    codes = [problem.code for problem in unsafe_in_production(settings)]
    assert codes == ["missing_secret_file", "readable_secret_file", "development_key", "debug_logging"]
    gone = settings.model_copy(update={"pepper_file": tmp_path / "none"})
    assert "does not exist" in unsafe_in_production(gone)[0].message


def test_production_accepts_private_files(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"x" * 32)
    secret.chmod(0o600)
    settings = Settings(env="production", home=tmp_path, pepper_file=secret, signing_key_file=secret)
    assert unsafe_in_production(settings) == []


def test_shipped_files_lie_beside_the_package_in_a_checkout() -> None:
    assert (shipped("migrations") / "env.py").is_file()
    assert (shipped("model_artifacts") / "tb-exosomal-mirna").is_dir()
