import dataclasses

import pytest

from service.errors import (
    ModelNotFound,
    NoActiveModel,
    ServiceError,
    VersionLoading,
    VersionNotInForce,
    VersionUnusable,
)
from service.registry.active import ActiveModels, ModelVersion
from service.registry.scorer import LinearScorer

SCORER = LinearScorer([1.0], intercept=0.0, link="logit")


def version(name: str, number: str, state: str = "approved") -> ModelVersion:
    scorer = SCORER if state == "approved" else None
    return ModelVersion(name, number, "sha256:" + "0" * 64, state, scorer=scorer)


MODELS = ActiveModels(
    (
        version("tb", "1.10.0"),
        version("tb", "1.9.0", "retired"),
        version("tb", "2.0.0-rc.1", "verified"),
        version("tb", "broken", "rejected"),
        version("pgd", "1.0.0", "verified"),
    ),
    {"tb": {"production": "1.10.0", "candidate": "2.0.0-rc.1"}},
)


def test_versions_are_ordered_by_name_then_version() -> None:
    assert [(v.name, v.version) for v in MODELS.versions] == [
        ("pgd", "1.0.0"),
        ("tb", "broken"),
        ("tb", "1.9.0"),
        ("tb", "1.10.0"),
        ("tb", "2.0.0-rc.1"),
    ]
    assert MODELS.names() == ("pgd", "tb")
    assert [v.version for v in MODELS.versions_of("tb")][-1] == "2.0.0-rc.1"
    assert MODELS.versions_of("nothing") == ()
    assert MODELS.find("tb", "3.0.0") is None


@pytest.mark.parametrize("reference", ["tb", "tb@1.10.0", "tb@production"])
def test_a_reference_finds_the_version_in_force(reference: str) -> None:
    assert MODELS.resolve(reference).version == "1.10.0"


@pytest.mark.parametrize(
    ("reference", "error", "said"),
    [
        ("nobody", ModelNotFound, "No such model"),
        ("", ModelNotFound, "No such model"),
        ("tb@3.0.0", ModelNotFound, "no such version or alias"),
        ("tb@shadow", ModelNotFound, "no such version or alias"),
        ("tb@", ModelNotFound, "no such version or alias"),
        ("pgd@1.1.0", ModelNotFound, "no such version or alias"),
        ("tb@1.9.0", VersionNotInForce, "retired"),
        ("tb@candidate", VersionNotInForce, "verified"),
        ("tb@broken", VersionNotInForce, "rejected"),
        ("pgd@1.0.0", VersionNotInForce, "verified"),
        ("pgd", NoActiveModel, "in production"),
        ("pgd@production", NoActiveModel, "in production"),
    ],
)
def test_a_reference_that_cannot_answer_says_why(reference: str, error: type[ServiceError], said: str) -> None:
    with pytest.raises(error, match=said):
        MODELS.resolve(reference)


@pytest.mark.parametrize(
    ("reference", "error"),
    [("pgd", NoActiveModel), ("pgd@1.0.0", NoActiveModel), ("pgd@9.9.9", ModelNotFound), ("tb", ModelNotFound)],
)
def test_nothing_in_force_is_the_operators_fault_not_the_callers(reference: str, error: type[ServiceError]) -> None:
    with pytest.raises(error):
        ActiveModels((version("pgd", "1.0.0", "verified"),), {}).resolve(reference)


def test_an_empty_registry_knows_no_model() -> None:
    with pytest.raises(ModelNotFound, match="No such model") as caught:
        ActiveModels((), {}).resolve("tb")
    assert "nothing is registered" in caught.value.remedy


def test_an_unknown_reference_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ModelNotFound) as caught:
        MODELS.resolve("zq-marker@zq-marker")
    assert "zq-marker" not in caught.value.message + caught.value.remedy


def test_a_snapshot_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        MODELS.versions = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        MODELS.aliases["tb"]["production"] = "2.0.0-rc.1"  # type: ignore[index]


def test_what_is_in_force_and_not_loaded_says_so() -> None:
    loading = ModelVersion("tb", "1.0.0", "sha256:" + "0" * 64, "approved")
    aliases = {"tb": {"production": "1.0.0"}}
    with pytest.raises(VersionLoading):
        ActiveModels((loading,), aliases).resolve("tb")
    failed = dataclasses.replace(loading, reason="The golden self-test failed.")
    with pytest.raises(VersionUnusable, match=r"golden self-test failed"):
        ActiveModels((failed,), aliases).resolve("tb@1.0.0")


def test_a_shadow_answers_nobody_by_that_name() -> None:
    models = ActiveModels((version("tb", "1.0.0"), version("tb", "1.1.0")), {"tb": {"shadow": "1.1.0"}})
    with pytest.raises(VersionNotInForce, match="answers nobody"):
        models.resolve("tb@shadow")
    assert models.resolve("tb@1.1.0").version == "1.1.0"
    with pytest.raises(ModelNotFound) as caught:
        models.resolve("tb@nothing")
    assert "shadow" not in caught.value.remedy
