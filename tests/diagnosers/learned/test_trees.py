"""Our few lines that walk down trees, against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

from curvebench.diagnosers.learned.as_logged import AsLogged
from curvebench.diagnosers.learned.boosting import Boosting, _scores
from curvebench.diagnosers.learned.calibration import balanced_weights, softmax
from curvebench.diagnosers.learned.trees import check_trees, from_boosting, from_forest, sum_over_trees

RNG = np.random.default_rng(0)
FEATURES = np.round(RNG.normal(0, 1, (700, 9)), 1)  # with ties, so that some lie on a threshold
ASKED = np.round(RNG.normal(0, 2, (600, 9)), 1)


def classes(n_classes: int) -> np.ndarray:
    return (np.abs(FEATURES[:, 0] + FEATURES[:, 1] ** 2) * n_classes / 3).astype(int) % n_classes


@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_a_forest(n_classes):
    forest = RandomForestClassifier(12, min_samples_leaf=3, class_weight="balanced", random_state=0)
    forest.fit(FEATURES, classes(n_classes))
    arrays = from_forest([tree.tree_ for tree in forest.estimators_])
    check_trees(arrays, 9, n_classes)
    ours = sum_over_trees(arrays, ASKED.astype(np.float32)) / 12
    np.testing.assert_allclose(ours, forest.predict_proba(ASKED), atol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3, 6])
def test_boosted_trees(n_classes):
    codes = classes(n_classes)
    boosted = HistGradientBoostingClassifier(max_iter=15, max_leaf_nodes=8, random_state=0).fit(FEATURES, codes)
    arrays = {**from_boosting(boosted._predictors), "baseline": boosted._baseline_prediction.ravel()}
    check_trees(arrays, 9, 1)
    if n_classes == 2:
        arrays["baseline"] = np.array([0.0, *arrays["baseline"]])
    np.testing.assert_allclose(softmax(_scores(arrays, ASKED)), boosted.predict_proba(ASKED), atol=1e-12)


def test_boosting_grows_what_it_says(monkeypatch):
    """The diagnoser's own trees, before they are calibrated, are scikit-learn's with the settings that it names."""
    monkeypatch.setattr("curvebench.diagnosers.learned.boosting.N_ITERATIONS", 5)
    codes = classes(4)
    reference = HistGradientBoostingClassifier(
        max_iter=5, learning_rate=0.05, max_leaf_nodes=8, min_samples_leaf=50, l2_regularization=5, early_stopping=False
    ).fit(FEATURES, codes, sample_weight=balanced_weights(codes))
    np.testing.assert_allclose(
        softmax(_scores(Boosting().grow(FEATURES, codes), ASKED)), reference.predict_proba(ASKED), atol=1e-12
    )


@pytest.mark.parametrize("n_classes", [2, 4])
def test_trees_for_logs_are_what_they_say(n_classes, monkeypatch):
    """Larger than those of boosting, from shares of the features, and not balanced."""
    monkeypatch.setattr("curvebench.diagnosers.learned.as_logged.N_ITERATIONS", 5)
    codes = classes(n_classes)
    reference = HistGradientBoostingClassifier(
        max_iter=5,
        learning_rate=0.05,
        max_leaf_nodes=16,
        min_samples_leaf=50,
        l2_regularization=5,
        early_stopping=False,
        max_features=0.25,
        random_state=0,
    ).fit(FEATURES, codes)
    np.testing.assert_allclose(
        softmax(_scores(AsLogged().grow(FEATURES, codes), ASKED)), reference.predict_proba(ASKED), atol=1e-12
    )


def test_a_tree_of_a_single_leaf():
    forest = RandomForestClassifier(2, min_samples_leaf=600, random_state=0).fit(FEATURES, classes(3))
    arrays = from_forest([tree.tree_ for tree in forest.estimators_])
    np.testing.assert_allclose(sum_over_trees(arrays, ASKED) / 2, forest.predict_proba(ASKED), atol=1e-12)
