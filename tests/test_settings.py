from collections.abc import Callable
from pathlib import Path

import pytest

from service.audit.note import Signer
from service.errors import UnsafeConfiguration
from service.settings import Settings, load_settings, shipped, unsafe_in_production
from service.store.engine import Database


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
    pepper, signing = tmp_path / "pepper", tmp_path / "signing"
    for secret in (pepper, signing):
        secret.write_bytes(b"x" * 32)
        secret.chmod(0o600)
    settings = Settings(env="production", home=tmp_path, pepper_file=pepper, signing_key_file=signing)
    assert unsafe_in_production(settings) == []


def test_production_refuses_an_empty_and_a_shared_secret(tmp_path: Path) -> None:
    pepper, empty = tmp_path / "pepper", tmp_path / "empty"
    pepper.write_bytes(b"x" * 32)
    pepper.chmod(0o600)
    empty.touch(mode=0o600)
    shared = Settings(env="production", home=tmp_path, pepper_file=pepper, signing_key_file=pepper)
    assert [problem.code for problem in unsafe_in_production(shared)] == ["shared_secret"]
    hollow = shared.model_copy(update={"signing_key_file": empty})
    assert [problem.code for problem in unsafe_in_production(hollow)] == ["empty_secret_file"]


def test_a_home_with_signs_of_a_url_stays_a_folder(tmp_path: Path) -> None:
    for name in ("x?1", "x%41", "x#y", "x y"):
        settings = Settings(home=tmp_path / name)
        Database(settings.resolved_database_url()).close()
        assert (tmp_path / name / "exoscore.db").is_file()


def test_an_empty_home_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXOSCORE_HOME", "")
    with pytest.raises(UnsafeConfiguration, match="not valid"):
        load_settings()


def test_what_a_cluster_injects_is_no_misspelling(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EXOSCORE_PORT", "EXOSCORE_PORT_8000_TCP_ADDR", "EXOSCORE_SERVICE_HOST", "EXOSCORE_SERVICE_PORT_HTTP"):
        monkeypatch.setenv(name, "x")
    assert not load_settings().production


def test_shipped_files_lie_beside_the_package_in_a_checkout() -> None:
    assert (shipped("migrations") / "env.py").is_file()
    assert (shipped("model_artifacts") / "tb-exosomal-mirna").is_dir()


def test_one_of_two_sources_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIGNING_KEY_FILE", "SIGNING_KEY_COMMAND", "WITNESS_FILE", "WITNESS_COMMAND"):
        monkeypatch.setenv(f"EXOSCORE_{name}", "marker")
    with pytest.raises(UnsafeConfiguration, match="contradict") as caught:
        load_settings()
    assert [problem.code for problem in caught.value.problems] == ["contradicting_settings"] * 2
    assert "marker" not in str(caught.value.problems)


@pytest.mark.parametrize("command", ["", "  ", "cat 'marker"])
def test_a_command_that_cannot_be_split_is_named(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setenv("EXOSCORE_SIGNING_KEY_COMMAND", command)
    with pytest.raises(UnsafeConfiguration, match="not valid") as caught:
        load_settings()
    (problem,) = caught.value.problems
    assert "EXOSCORE_SIGNING_KEY_COMMAND" in problem.message
    assert "marker" not in problem.message


def test_commands_are_split_as_a_shell_would_and_are_never_in_the_repr() -> None:
    settings = Settings(signing_key_command="vault read 'a b'", witness_command="keep --token sesame")
    assert settings.signing_key_program == ["vault", "read", "a b"]
    assert settings.witness_program == ["keep", "--token", "sesame"]
    assert "sesame" not in repr(settings)
    assert Settings().signing_key_program is None
    assert Settings().witness_program is None


def test_the_witness_lies_in_the_home_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(home=tmp_path).resolved_witness_file() == tmp_path / "witness"
    assert Settings(witness_file=tmp_path / "w").resolved_witness_file() == tmp_path / "w"
    monkeypatch.setenv("EXOSCORE_WITNESS_FILE", "")
    with pytest.raises(UnsafeConfiguration, match="not valid"):
        load_settings()


def test_production_takes_the_signing_key_from_a_command(tmp_path: Path) -> None:
    pepper = tmp_path / "pepper"
    pepper.write_bytes(b"x" * 32)
    pepper.chmod(0o600)
    settings = Settings(env="production", home=tmp_path, pepper_file=pepper, signing_key_command="cat key")
    assert unsafe_in_production(settings) == []


def test_publishers_are_verifier_keys_with_white_space_between(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [Signer.generate().vkey(name) for name in ("one", "two")]
    monkeypatch.setenv("EXOSCORE_TRUSTED_PUBLISHERS", f"  {keys[0]}\n\t{keys[1]} ")
    assert load_settings().trusted_publishers == tuple(keys)
    monkeypatch.setenv("EXOSCORE_TRUSTED_PUBLISHERS", "")
    assert load_settings().trusted_publishers == ()


@pytest.mark.parametrize("spoil", [lambda key: key[:-1], lambda key: "other" + key, lambda key: f"{key} marker"])
def test_a_publisher_that_is_no_key_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, spoil: Callable[[str], str]
) -> None:
    monkeypatch.setenv("EXOSCORE_TRUSTED_PUBLISHERS", spoil(Signer.generate().vkey("marker")))
    with pytest.raises(UnsafeConfiguration) as caught:
        load_settings()
    (problem,) = caught.value.problems
    assert "EXOSCORE_TRUSTED_PUBLISHERS" in problem.message
    assert "marker" not in problem.message
