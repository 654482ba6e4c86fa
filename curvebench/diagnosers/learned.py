"""Learned baselines: classifiers on simple features of the curves, fitted on the split `train`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.features import FEATURES, log_curves
from curvebench.spec import CHANNELS, DIAGNOSES, OPTIMIZERS, Float

_RATE, _OPTIMIZER = CHANNELS.index("learning_rate"), CHANNELS.index("optimizer")

N_TREES, LEAST_LEAF = 200, 20
"""A leaf holds at least 20 curves: the paired seeds of one cell and rate share their label, so these are few cells."""


def features_of_channels(X: Float) -> NDArray[np.float64]:
    """What a learned baseline sees of curves.

    Every feature of `FEATURES` of every channel that is a curve; of the learning rate its logarithm where it is
    highest, and the decades by which it lies below that at the start, at half time and at the end; of the optimiser
    which it is.

    Args:
        X: (n_curves, n_channels, n_points), channels of any track.

    Returns:
        (n_curves, n_features) float64, finite.
    """
    X = np.asarray(X, dtype=np.float64)
    columns: list[Float] = []
    for channel in range(min(X.shape[1], _RATE)):
        logs = log_curves(X[:, channel])
        columns += [feature.of(logs) for feature in FEATURES.values()]
    if X.shape[1] > _RATE:
        columns += _rate_features(X[:, _RATE])
    if X.shape[1] > _OPTIMIZER:
        columns += [X[:, _OPTIMIZER, 0] == code for code in range(len(OPTIMIZERS))]
    return np.stack(columns, axis=1).astype(np.float64)


def _rate_features(rates: Float) -> list[Float]:
    largest = np.where(np.isfinite(rates), rates, 0.0).max(axis=1)
    logs = log_curves(np.column_stack([largest, rates]))[:, 1:]
    highest = np.log10(np.clip(largest, 1e-30, 1e30))
    return [highest, *(logs[:, round(at * (logs.shape[1] - 1))] for at in (0.0, 0.5, 1.0))]


class Forest:
    """A random forest (Breiman 2001) on simple features; the more channels it is shown, the more it uses."""

    track = "curve"

    def __init__(self) -> None:
        self.forest: Any = None

    def fit(self, X: Float, y: NDArray[np.str_]) -> Forest:
        """Grow the trees, always the same ones from the same curves; classes weigh alike, however rare.

        Args:
            X: (n_curves, n_channels, n_points), channels of any track.
            y: (n_curves,) diagnoses.
        """
        from sklearn.ensemble import RandomForestClassifier

        forest = RandomForestClassifier(N_TREES, min_samples_leaf=LEAST_LEAF, class_weight="balanced", random_state=0)
        self.forest = forest.fit(features_of_channels(X), y)
        return self

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """Mean over the trees of the shares of the diagnoses in the leaves, (n_curves, 6).

        Raises:
            ValueError: if X has other channels than the curves that it was fitted to.
        """
        probabilities = np.zeros((len(X), len(DIAGNOSES)))
        if len(X):
            answer = self.forest.predict_proba(features_of_channels(X))
            probabilities[:, [DIAGNOSES.index(label) for label in self.forest.classes_]] = answer
        return probabilities
