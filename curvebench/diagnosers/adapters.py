"""Makes diagnosers of what is none yet: a function of one curve, a classifier of scikit-learn, aeon or sktime."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.answers import InvalidOutput, checked_probabilities, real_numbers
from curvebench.diagnosers.features import log_curves
from curvebench.spec import CHANNELS, DIAGNOSES, Float

COLLECTION_LIBRARIES = ("aeon", "sktime")
"""Their classifiers take (n_curves, n_channels, n_points); all others take (n_curves, n_features)."""


class OneCurveAtATime:
    """A diagnoser made of a function of one curve.

    The function gets (n_points,) where the track has one channel, else (n_channels, n_points), and returns the name
    of a diagnosis or six probabilities. An attribute `track` of the function is that of the diagnoser.
    """

    def __init__(self, function: Callable[[Float], object]) -> None:
        self.function = self.speaker = function
        self.track: str = getattr(function, "track", "curve")

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """Probabilities (n_curves, 6) of the curves X (n_curves, n_channels, n_points).

        Raises:
            InvalidOutput: if the function returns neither a diagnosis nor six numbers.
        """
        rows = [_row(self.function(curve[0] if len(curve) == 1 else curve)) for curve in X]
        return np.array(rows, dtype=np.float64).reshape(len(X), len(DIAGNOSES))


def _row(answer: object) -> NDArray[np.float64]:
    """Six probabilities from what a function of one curve returned."""
    if isinstance(answer, str):
        if answer not in DIAGNOSES:
            raise InvalidOutput(f"{answer!r} is no diagnosis; allowed are {', '.join(DIAGNOSES)}.")
        return np.equal(DIAGNOSES, answer).astype(np.float64)
    try:
        row = real_numbers(answer)
    except TypeError:
        row = np.empty(0)
    if row.shape != (len(DIAGNOSES),):
        raise InvalidOutput(
            f"What it returned, of the type {type(answer).__name__}, is neither the name of a diagnosis nor "
            f"{len(DIAGNOSES)} probabilities."
        )
    return row


def is_classifier(candidate: object) -> bool:
    """Whether something is an estimator as scikit-learn has them, and says no `track`, by which diagnosers are told.

    Nothing is imported or run to find out: it has `fit`, `predict` and `get_params`.
    """

    def has(name: str) -> bool:
        return inspect.getattr_static(candidate, name, None) is not None

    return has("fit") and has("predict") and has("get_params") and not has("track")


class Classifier:
    """A diagnoser made of a classifier.

    It is shown what `seen_by_classifiers` makes of curves, flat unless it comes from one of `COLLECTION_LIBRARIES`.
    """

    track = "curve"

    def __init__(self, classifier: Any) -> None:
        self.classifier = self.speaker = classifier
        libraries = {cls.__module__.partition(".")[0] for cls in type(classifier).__mro__}
        self.is_for_collections = not libraries.isdisjoint(COLLECTION_LIBRARIES)

    def fit(self, X: Float, y: NDArray[np.str_]) -> Classifier:
        """Fit the classifier to curves X (n_curves, n_channels, n_points) with the diagnoses y (n_curves,)."""
        self.classifier.fit(self._seen(X), y)
        return self

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """(n_curves, 6): its probabilities; one for what it predicts where it has none.

        Raises:
            InvalidOutput: these are no probabilities, or it predicts something that is no diagnosis.
        """
        if not len(X):
            return np.zeros((0, len(DIAGNOSES)))
        seen = self._seen(X)
        if callable(getattr(self.classifier, "predict_proba", None)):
            said = self.classifier.predict_proba(seen)
            return checked_probabilities(said, len(X), self.classifier.classes_)
        return np.stack([_row(str(name)) for name in self.classifier.predict(seen)])

    def _seen(self, X: Float) -> NDArray[np.float64]:
        seen = seen_by_classifiers(X)
        return seen if self.is_for_collections else seen.reshape(len(X), -1)


def seen_by_classifiers(X: Float) -> NDArray[np.float64]:
    """Curves as numbers that any classifier takes: decades above the first value, finite.

    A learning rate is in decades above one, since its size says something; an optimiser stays the number that it is.

    Args:
        X: (n_curves, n_channels, n_points), channels of any track.

    Returns:
        The same shape, float64.

    >>> seen_by_classifiers(np.array([[[100.0, 1.0, np.inf]]])).tolist()
    [[[0.0, -2.0, 12.0]]]
    """
    channels: list[Float] = []
    for name, values in zip(CHANNELS, np.moveaxis(np.asarray(X, dtype=np.float64), 1, 0), strict=False):
        if name == "optimizer":
            channels.append(values)
        elif name == "learning_rate":
            channels.append(log_curves(np.column_stack([np.ones(len(values)), values]))[:, 1:])
        else:
            channels.append(log_curves(values))
    return np.stack(channels, axis=1)
