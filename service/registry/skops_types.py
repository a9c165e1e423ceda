"""The types a skops file may hold: the service's own list, to which nothing in an artifact can add.

skops trusts every estimator of scikit-learn by itself, and many functions. This list is shorter: estimators that are
numbers and numpy's arithmetic on them, and trees, whose bounds `estimator_file` checks. Kinds of node that call a
function or a method while loading are not on it.

Protocol 2 is that of skops 0.16: https://github.com/skops-dev/skops, `skops/io/_protocol.py` and the nodes beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PROTOCOL: Final = 2

ESTIMATORS: Final = frozenset(
    {
        "sklearn.calibration.CalibratedClassifierCV",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.decomposition._pca.PCA",
        "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
        "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis",
        "sklearn.ensemble._forest.ExtraTreesClassifier",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.feature_selection._variance_threshold.VarianceThreshold",
        "sklearn.frozen._frozen.FrozenEstimator",
        "sklearn.impute._base.SimpleImputer",
        "sklearn.isotonic.IsotonicRegression",
        "sklearn.linear_model._logistic.LogisticRegression",
        "sklearn.linear_model._logistic.LogisticRegressionCV",
        "sklearn.naive_bayes.GaussianNB",
        "sklearn.pipeline.Pipeline",
        "sklearn.preprocessing._data.MaxAbsScaler",
        "sklearn.preprocessing._data.MinMaxScaler",
        "sklearn.preprocessing._data.PowerTransformer",
        "sklearn.preprocessing._data.RobustScaler",
        "sklearn.preprocessing._data.StandardScaler",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._classes.ExtraTreeClassifier",
    }
)

_SCALARS = frozenset(f"numpy.{name}" for name in ("bool", "bool_", "float32", "float64", "int32", "int64", "str_"))
TYPES: Final[Mapping[str, frozenset[str]]] = {
    "DictNode": frozenset({"builtins.dict"}),
    "ListNode": frozenset({"builtins.list"}),
    "TupleNode": frozenset({"builtins.tuple"}),
    "JsonNode": frozenset({"builtins.str"}),
    "TypeNode": frozenset({"builtins.bool", "builtins.float", "builtins.int", "builtins.str"}) | _SCALARS,
    "NdArrayNode": frozenset({"numpy.ndarray"}) | _SCALARS,
    "DTypeNode": frozenset({"numpy.dtype"}),
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    "ObjectNode": ESTIMATORS,
}
TRUSTED: Final = tuple(sorted(frozenset().union(*TYPES.values())))
"""Every type on the list, as skops names types."""

COMMON_FIELDS: Final = frozenset({"__class__", "__module__", "__loader__", "__id__"})
FIELDS: Final[Mapping[str, tuple[frozenset[str], ...]]] = {
    "DictNode": (frozenset({"content", "key_types"}),),
    "ListNode": (frozenset({"content"}),),
    "TupleNode": (frozenset({"content"}),),
    "JsonNode": (frozenset({"content", "is_json"}),),
    "TypeNode": (frozenset(),),
    "NdArrayNode": (frozenset({"type", "file"}), frozenset({"type", "content", "shape"})),
    "DTypeNode": (frozenset({"content"}),),
    "TreeNode": (frozenset({"content", "__reduce__"}),),
    "ObjectNode": (frozenset({"content"}),),
}
