"""One frozen `Settings` object, read once from `EXOSCORE_*` and passed in; nothing else reads the environment.

Rules:
1. Every problem is reported at once, by variable name and without the value.
2. A variable with the prefix that no setting has is a problem too: a misspelt `EXOSCORE_DATABASE_URL` must not end in
   a silent SQLite file.
3. `shipped` is the one function that knows where migrations and bundled models lie: beside the package in a checkout
   or an editable install, inside it in a wheel.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.errors import Problem, UnsafeConfiguration

PREFIX = "EXOSCORE_"
_INJECTED = re.compile(r"EXOSCORE_(SERVICE_(HOST|PORT)|PORT)(_.*)?")
"""What Kubernetes puts into every pod beside a Service of the name `exoscore`."""

PACKAGE = Path(__file__).resolve().parent


class Settings(BaseSettings):
    """All settings; field `x` is the environment variable `EXOSCORE_X`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    env: Literal["development", "production"] = "development"
    home: Path = Path(".exoscore")
    database_url: SecretStr | None = None
    site: str = Field(default="default", pattern=r"^[A-Za-z0-9._-]{1,64}$")
    pepper_file: Path | None = None
    signing_key_file: Path | None = None
    signing_key_command: SecretStr | None = None
    witness_file: Path | None = None
    witness_command: SecretStr | None = None
    witness_seconds: float = Field(default=60.0, gt=0, le=24 * 3600)
    denied_seconds: float = Field(default=60.0, gt=0, le=3600)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    idempotency_hours: float = Field(default=24.0, gt=0, le=24 * 366)
    queue_capacity: int = Field(default=4096, ge=1, le=1_000_000)
    shadow_memory_mib: int = Field(default=1024, ge=256, le=1 << 20)
    trusted_publishers: Annotated[tuple[str, ...], NoDecode] = ()

    @field_validator("home")
    @classmethod
    def _named(cls, home: Path) -> Path:
        if home == Path():
            raise ValueError("name a folder")
        return home

    @field_validator("witness_file")
    @classmethod
    def _is_file(cls, path: Path | None) -> Path | None:
        if path == Path():
            raise ValueError("name a file")
        return path

    @field_validator("signing_key_command", "witness_command")
    @classmethod
    def _is_command(cls, command: SecretStr | None) -> SecretStr | None:
        if command is not None and not _words(command):
            raise ValueError("name a program and its arguments")
        return command

    @field_validator("trusted_publishers", mode="before")
    @classmethod
    def _split(cls, keys: Any) -> Any:
        return tuple(keys.split()) if isinstance(keys, str) else keys

    @field_validator("trusted_publishers")
    @classmethod
    def _are_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            _require_vkey(key)
        return keys

    @property
    def production(self) -> bool:
        """Whether the unsafe conveniences of development are off."""
        return self.env == "production"

    @property
    def signing_key_program(self) -> list[str] | None:
        """Program and arguments that print the signing key; None where a file holds it."""
        return None if self.signing_key_command is None else _words(self.signing_key_command)

    @property
    def witness_program(self) -> list[str] | None:
        """Program and first arguments that keep checkpoints; None where a file does."""
        return None if self.witness_command is None else _words(self.witness_command)

    def resolved_witness_file(self) -> Path:
        """The file that keeps checkpoints, by default one under `home`."""
        return self.home / "witness" if self.witness_file is None else self.witness_file

    def resolved_database_url(self) -> str:
        """The database URL, by default a SQLite file under `home`."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        # Quoted, because ? and % mean something in a URL.
        return f"sqlite:///{quote(str(self.home.absolute() / 'exoscore.db'))}"


def load_settings() -> Settings:
    """The settings of this process; raises UnsafeConfiguration with every variable that is unknown or invalid."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    given = {name.upper(): name for name in os.environ if name.upper().startswith(PREFIX)}
    problems = [
        Problem("", "unknown_setting", f"{given[name]} is not a setting.", f"Use one of: {', '.join(sorted(known))}.")
        for name in sorted(set(given) - known)
        if not _INJECTED.fullmatch(name)
    ]
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [
            Problem(
                "", "invalid_setting", f"{PREFIX}{str(item['loc'][0]).upper()}: {item['msg']}.", "Correct or unset it."
            )
            for item in error.errors(include_input=False, include_url=False)
        ]
    if problems:
        raise UnsafeConfiguration("The settings are not valid.", problems=problems)
    contradictions = contradicting(settings)
    if contradictions:
        raise UnsafeConfiguration("The settings contradict each other.", problems=contradictions)
    return settings


def contradicting(settings: Settings) -> list[Problem]:
    """Settings of which one alone may be given."""
    pairs = (
        ("SIGNING_KEY_FILE", "SIGNING_KEY_COMMAND", settings.signing_key_file, settings.signing_key_command),
        ("WITNESS_FILE", "WITNESS_COMMAND", settings.witness_file, settings.witness_command),
    )
    return [
        _unsafe("contradicting_settings", f"Both {PREFIX}{one} and {PREFIX}{other} are set.", "Unset one of them.")
        for one, other, first, second in pairs
        if first is not None and second is not None
    ]


def unsafe_in_production(settings: Settings) -> list[Problem]:
    """What production mode refuses about the settings alone; the database is asked elsewhere."""
    problems = _unsafe_file("PEPPER_FILE", settings.pepper_file)
    if settings.signing_key_command is None:
        problems += _unsafe_file("SIGNING_KEY_FILE", settings.signing_key_file, "SIGNING_KEY_COMMAND")
    named = [path for path in (settings.pepper_file, settings.signing_key_file) if path is not None and path.is_file()]
    if len(named) == 2 and named[0].samefile(named[1]):  # noqa: PLR2004 - both secrets
        problems.append(_unsafe("shared_secret", "Pepper and signing key are one file.", "Make a secret for each."))
    if (settings.home / "dev-key").exists():
        problems.append(
            _unsafe(
                "development_key",
                "A development key lies in the home folder.",
                "Delete it; the next start names the key to revoke.",
            )
        )
    if settings.log_level == "DEBUG":
        problems.append(_unsafe("debug_logging", f"{PREFIX}LOG_LEVEL is DEBUG.", "Set it to INFO or higher."))
    return problems


def _unsafe_file(variable: str, path: Path | None, instead: str | None = None) -> list[Problem]:
    """What is wrong with the file of a secret: at most one problem."""
    if path is None:
        missing = f"{PREFIX}{variable} is not set."
        remedy = "Name the secret's file." if instead is None else f"Name the secret's file, or set {PREFIX}{instead}."
        return [_unsafe("missing_secret_file", missing, remedy)]
    name = f"The file of {PREFIX}{variable}"
    if not path.is_file():
        return [_unsafe("missing_secret_file", f"{name} does not exist.", "Create it.")]
    if path.stat().st_size == 0:
        return [_unsafe("empty_secret_file", f"{name} is empty.", "Write the secret into it.")]
    if path.stat().st_mode & 0o077:
        return [_unsafe("readable_secret_file", f"{name} is open to others.", "Give it mode 0600.")]
    return []


def _require_vkey(key: str) -> None:
    from service.audit.note import parse_vkey  # noqa: PLC0415 - few processes need it, and it is not cheap

    try:
        parse_vkey(key)
    except ValueError:
        raise ValueError("name verifier keys, as exoscore model sign prints them, with white space between") from None


def _words(command: SecretStr) -> list[str]:
    """The words of a command, split as a shell would; ValueError where a quotation does not end."""
    return shlex.split(command.get_secret_value())


def _unsafe(code: str, message: str, remedy: str) -> Problem:
    return Problem("", code, message, remedy)


def shipped(name: Literal["migrations", "model_artifacts"]) -> Path:
    """The folder of shipped files: `service/_NAME` in a wheel, the top-level folder in a checkout."""
    packaged = PACKAGE / f"_{name}"
    return packaged if packaged.is_dir() else PACKAGE.parent / name
