"""Gradient boosted trees on a rich description of the curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.learned import trees
from curvebench.diagnosers.learned.calibration import balanced_weights, fitted_sharpness, softmax
from curvebench.diagnosers.learned.descriptions import describe
from curvebench.diagnosers.learned.fitted import Array, Learned, check, check_shapes
from curvebench.spec import Float, Int

N_ITERATIONS, LEARNING_RATE, N_LEAVES, LEAST_LEAF, L2 = 150, 0.05, 8, 50, 5.0
"""Few small steps of small trees: curves of one problem are alike, so there is less to learn than there are rows."""


class Boosting(Learned):
    """Histogram gradient boosting (Ke et al. 2017, LightGBM; scikit-learn's own) on `describe`.

    Diagnoses weigh alike while the trees grow, so that the rare ones are named too. How sure the answers are is then
    fitted to unweighted curves that were held out, by one number that leaves the order of the diagnoses alone. The
    trees are grown on all curves after that.
    """

    dtypes: ClassVar[Mapping[str, str]] = {**trees.DTYPES, "baseline": "<f8", "sharpness": "<f8"}

    def features(self, X: Float) -> NDArray[np.float64]:
        """What the trees look at, (n_curves, n_features) finite, of curves (n_curves, n_channels, n_points)."""
        return describe(X)

    def learn(self, X: Float, codes: Int) -> dict[str, Any]:
        """What is learned of the features of the curves; arguments as `Learned.learn`."""
        return self.learn_from(self.features(X), codes)

    def learn_from(self, features: Float, codes: Int) -> dict[str, Any]:
        """Grow the trees twice, to calibrate and to keep."""
        sharpness = fitted_sharpness(
            lambda known, asked: _scores(self.grow(features[known], codes[known]), features[asked]), codes
        )
        return {**self.grow(features, codes), "sharpness": sharpness}

    def grow(self, features: Float, codes: Int) -> dict[str, Any]:
        """Arrays of the trees, and the score of each class before any of them."""
        return grown(make_trees(), features, codes, balanced_weights(codes))

    def judge(self, arrays: Mapping[str, Array], X: Float) -> NDArray[np.float64]:
        """Softmax of the sharpened sums over the trees."""
        return softmax(arrays["sharpness"] * _scores(arrays, self.features(X)))

    def check_arrays(self, arrays: Mapping[str, Array], n_classes: int, n_channels: int) -> None:
        """Trees that end, as many for each class, and a start and a sharpness."""
        trees.check_trees(arrays, self.features(np.ones((1, n_channels, 2))).shape[1], 1)
        check_shapes(arrays, {"baseline": (n_classes,), "sharpness": ()})
        check(len(arrays["root"]) % _n_kinds(arrays) == 0, "root that is not as long for each class")


def make_trees(class_weight: str | None = None) -> Any:
    """scikit-learn's classifier with the settings of this module, not fitted yet."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=N_ITERATIONS,
        learning_rate=LEARNING_RATE,
        max_leaf_nodes=N_LEAVES,
        min_samples_leaf=LEAST_LEAF,
        l2_regularization=L2,
        early_stopping=False,
        class_weight=class_weight,
        random_state=0,
    )


def grown(boosted: Any, features: Float, codes: Int, weights: Float | None = None) -> dict[str, Any]:
    """Arrays of the trees that a classifier of `make_trees` grows, and the score of each class before any of them."""
    boosted.fit(features, codes, sample_weight=weights)
    baseline = boosted._baseline_prediction.ravel()  # there is no public way to the trees; a test compares the answers
    if len(baseline) == 1:  # two classes have one score, that of the second against the first
        baseline = np.array([0.0, *baseline])
    return {**trees.from_boosting(boosted._predictors), "baseline": baseline}


def _scores(arrays: Mapping[str, Array], features: Float) -> NDArray[np.float64]:
    """(n_curves, n_classes) sums over the trees."""
    sums = trees.sum_over_trees(arrays, features, _n_kinds(arrays))
    baseline: NDArray[np.float64] = arrays["baseline"]
    return baseline + np.pad(sums, ((0, 0), (len(baseline) - sums.shape[1], 0)))


def _n_kinds(arrays: Mapping[str, Array]) -> int:
    """Trees of an iteration: one for each class, but a single one for two classes."""
    n_classes = len(arrays["baseline"])
    return 1 if n_classes == 2 else n_classes
