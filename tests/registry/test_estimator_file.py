"""The only place that unpickles: what it loads gives the numbers it was fitted to give."""

import copy
import io
import pickle
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, PowerTransformer, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skops.io import dumps

from service.errors import ArtifactRejected
from service.registry.artifact import Artifact, examine
from service.registry.proving import prove_lowered, self_test
from service.registry.skops_types import ESTIMATORS
from tests.registry.artifacts import PGD, TB, TRUSTED, bundled_files, opened, with_estimator
from tests.registry.test_skops_file import changed, of_kind

RANDOM = np.random.default_rng(11)
X = RANDOM.normal(size=(120, 6))
Y = (X[:, 0] + RANDOM.normal(size=120) > 0).astype(int)


def linear() -> Any:
    return LogisticRegression().fit(X, Y)


MODELS = [
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(SimpleImputer(), MinMaxScaler(), LogisticRegression()),
    make_pipeline(RobustScaler(), MaxAbsScaler(), PowerTransformer(), VarianceThreshold(), LogisticRegression()),
    LogisticRegressionCV(l1_ratios=(0,), use_legacy_attributes=False, scoring="neg_log_loss"),
    CalibratedClassifierCV(LogisticRegression()),
    CalibratedClassifierCV(FrozenEstimator(linear()), method="isotonic"),
    make_pipeline(PCA(3), LinearDiscriminantAnalysis()),
    QuadraticDiscriminantAnalysis(),
    GaussianNB(),
    DecisionTreeClassifier(max_leaf_nodes=7, random_state=0),
    RandomForestClassifier(15, random_state=0),
    ExtraTreesClassifier(15, random_state=0),
    make_pipeline(PCA(3), RandomForestClassifier(5, random_state=0)),
]


@cache
def fitted(place: int) -> Any:
    return copy.deepcopy(MODELS[place]).fit(X, Y)


def names(node: Any) -> set[str]:
    data = dumps(node).decode("latin-1")
    return {
        f"{module}.{name}" for name, module in re.findall(r'"__class__": "(\w+)",\s+"__module__": "([\w.]+)"', data)
    }


def skops_artifact(data: bytes, *, signed: bool = True) -> Artifact:
    return examine(with_estimator("estimator.skops", data, signed=signed), trusted=TRUSTED)


def joblib_artifact(model: Any) -> Artifact:
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    return examine(with_estimator("estimator.joblib", buffer.getvalue()), trusted=TRUSTED)


@pytest.mark.parametrize("place", range(len(MODELS)), ids=lambda place: str(MODELS[place]).partition("(")[0])
def test_an_estimator_on_the_list_comes_back_with_its_numbers(place: int) -> None:
    model = fitted(place)
    loaded = opened(skops_artifact(dumps(model), signed=False))
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_every_type_on_the_list_is_tried() -> None:
    assert set().union(*(names(fitted(place)) for place in range(len(MODELS)))) >= ESTIMATORS


def test_what_a_trusted_publisher_signed_as_joblib_is_loaded_whatever_it_is() -> None:
    boosted = GradientBoostingClassifier(n_estimators=3, random_state=0).fit(X, Y)
    assert np.array_equal(opened(joblib_artifact(boosted)).predict_proba(X), boosted.predict_proba(X))
    assert opened(examine(bundled_files(TB), trusted=TRUSTED)).n_features_in_ == 6


def refusal(artifact: Artifact) -> str:
    with pytest.raises(ArtifactRejected) as caught:
        opened(artifact)
    (reason,) = caught.value.reasons
    return reason


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path(self.path).mkdir, ()


def test_joblib_without_a_publisher_is_not_loaded_even_when_asked(tmp_path: Path) -> None:
    artifact = joblib_artifact(Canary(tmp_path / "ran"))
    assert refusal(replace(artifact, publisher=None)) == "unsigned_joblib"
    assert not (tmp_path / "ran").exists()
    # The same bytes do run once they are loaded: the canary sings.
    opened(artifact)
    assert (tmp_path / "ran").exists()


def test_an_equation_has_no_estimator() -> None:
    assert refusal(examine(bundled_files(PGD), trusted=TRUSTED)) == "no_estimator"


def damaged() -> list[bytes]:
    found = [b"", b"\x80\x05", pickle.dumps(1)[:-1], b"no such thing", b"cnowhere\nnothing\n."]
    for compress in (0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3), ("lzma", 3)):
        buffer = io.BytesIO()
        joblib.dump(linear(), buffer, compress=compress)
        data = buffer.getvalue()
        found += [data[: len(data) // 2], data[: len(data) // 2] + b"\xff" * 9 + data[len(data) // 2 :]]
    return found


@pytest.mark.parametrize("data", damaged())
def test_a_damaged_joblib_file_is_refused(data: bytes) -> None:
    artifact = examine(with_estimator("estimator.joblib", data), trusted=TRUSTED)
    assert refusal(artifact) == "estimator_unreadable"


def grown() -> Any:
    return DecisionTreeClassifier(random_state=0).fit(X, Y)


def with_nodes(model: Any, **columns: tuple[int, int]) -> Any:
    """`model` whose first tree has other numbers in its nodes: field = (place, value)."""
    tree = model.tree_
    state = tree.__getstate__()
    for field, (place, value) in columns.items():
        state["nodes"][field][place] = value
    other = type(tree)(*tree.__reduce__()[1])
    other.__setstate__(state)
    model.tree_ = other
    return model


@pytest.mark.parametrize(
    "columns",
    [
        {"left_child": (0, 10_000)},
        {"right_child": (0, 2**40)},
        {"left_child": (0, -2)},
        {"left_child": (0, 0)},
        {"right_child": (0, 0)},
        {"left_child": (1, 0)},
        {"feature": (0, 6)},
        {"feature": (0, -2)},
        {"feature": (0, 2**40)},
        {"right_child": (-1, 3)},
        {"left_child": (0, -1)},
    ],
    ids=str,
)
def test_a_tree_that_points_outside_is_refused(columns: dict[str, tuple[int, int]]) -> None:
    assert refusal(skops_artifact(dumps(with_nodes(grown(), **columns)))) == "unsafe_tree"


def test_a_tree_in_a_forest_in_a_pipeline_is_looked_at_too() -> None:
    forest = RandomForestClassifier(3, random_state=0).fit(X, Y)
    with_nodes(forest.estimators_[1], feature=(0, 6))
    assert refusal(skops_artifact(dumps(make_pipeline(FrozenEstimator(forest)).fit(X, Y)))) == "unsafe_tree"


@pytest.mark.parametrize("count", [-1, 0, 1, 10_000, 2**62])
def test_a_tree_with_another_number_of_nodes_than_it_brought_reads_no_others(count: int) -> None:
    model = grown()

    def change(schema: dict[str, Any]) -> None:
        of_kind(schema, "TreeNode")["content"]["content"]["node_count"]["content"] = str(count)

    artifact = skops_artifact(changed(dumps(model), change))
    if count < model.tree_.node_count:
        assert refusal(artifact) in {"unsafe_tree", "estimator_unreadable"}
    else:  # scikit-learn takes the smaller of the two
        assert opened(artifact).tree_.node_count == model.tree_.node_count


@pytest.mark.parametrize("width", [5, 7])
def test_a_forest_that_reads_other_inputs_than_it_says_is_refused(width: int) -> None:
    forest = RandomForestClassifier(3, random_state=0).fit(X, Y)
    forest.n_features_in_ = width
    assert refusal(skops_artifact(dumps(forest))) == "unsafe_tree"
    del forest.n_features_in_
    assert refusal(skops_artifact(dumps(forest))) == "estimator_unreadable"


def test_the_bundled_coefficients_are_those_of_the_bundled_estimator() -> None:
    assert prove_lowered(examine(bundled_files(TB), trusted=TRUSTED).parts()).max_abs_difference <= 1e-12


@pytest.mark.parametrize("width", [3, 6])
def test_an_artifact_with_the_coefficients_of_another_estimator_is_found(width: int) -> None:
    artifact = joblib_artifact(LogisticRegression().fit(X[:, :width], Y))
    self_test(artifact, prove=False)
    with pytest.raises(ArtifactRejected, match="do not give" if width == X.shape[1] else "number of inputs"):
        self_test(artifact, prove=True)


LOADERS = re.compile(
    r"joblib\.load|pickle\.load|skops\.io import|cloudpickle|dill|marshal|shelve|read_pickle|allow_pickle=True"
)


def test_nothing_else_of_the_product_unpickles() -> None:
    package = Path(__file__).parents[2] / "service"
    found = {path.name for path in package.rglob("*.py") if LOADERS.search(path.read_text(encoding="utf-8"))}
    assert found == {"estimator_file.py"}
