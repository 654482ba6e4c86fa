"""A random forest on simple features of the curves, fitted on the split `train`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.learned.descriptions import features_of_channels
from curvebench.diagnosers.learned.fitted import Array, Learned
from curvebench.diagnosers.learned.trees import DTYPES, check_trees, from_forest, sum_over_trees
from curvebench.spec import Float, Int

N_TREES, LEAST_LEAF = 200, 20
"""A leaf holds at least 20 curves: the paired seeds of one cell and rate share their label, so these are few cells."""


class Forest(Learned):
    """A random forest (Breiman 2001) on simple features; the more channels it is shown, the more it uses.

    Probabilities are means over the trees of the shares of the diagnoses in the leaves. Diagnoses weigh alike, however
    rare, so the shares are those of a world where all are as frequent; they are not calibrated.
    """

    dtypes: ClassVar[Mapping[str, str]] = DTYPES

    def learn(self, X: Float, codes: Int) -> dict[str, Any]:
        """Grow the trees; arguments as `Learned.learn`."""
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(N_TREES, min_samples_leaf=LEAST_LEAF, class_weight="balanced", random_state=0)
        forest.fit(features_of_channels(X), codes)
        return from_forest([tree.tree_ for tree in forest.estimators_])

    def judge(self, arrays: Mapping[str, Array], X: Float) -> NDArray[np.float64]:
        """Means of the leaves' shares; scikit-learn's trees look at single precision."""
        return sum_over_trees(arrays, features_of_channels(X).astype(np.float32)) / len(arrays["root"])

    def check_arrays(self, arrays: Mapping[str, Array], n_classes: int, n_channels: int) -> None:
        """Trees that end, and leaves with shares of every class."""
        n_features = features_of_channels(np.ones((1, n_channels, 2))).shape[1]
        check_trees(arrays, n_features, n_classes)
        value = arrays["value"]
        if (value < 0).any() or not np.allclose(value.sum(axis=1), 1.0):
            raise ValueError("value that is no share")
