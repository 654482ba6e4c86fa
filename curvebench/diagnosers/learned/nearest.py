"""The nearest of some labelled curves, under a distance that may stretch time."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.learned.calibration import held_out
from curvebench.diagnosers.learned.fitted import Array, Learned, check, check_shapes
from curvebench.diagnosers.learned.series import constants, log_channels, resampled
from curvebench.spec import Float, Int

N_EXEMPLARS, N_ASKED = 1000, 300
"""Curves that are kept at most, and held-out curves at most that tell how often the nearest one is right."""

N_POINTS, WINDOW = 32, 0.1
"""Curves are compared at so many points; one may be stretched against the other by this share of its length."""


class NearestNeighbour(Learned):
    """The label of the nearest curve of `train` by dynamic time warping (Sakoe & Chiba 1978), through aeon's own class.

    Compared are log curves against their start, brought to `N_POINTS` points; what is constant along a curve counts as
    a flat channel. The curves that are kept are as many of each label, evenly spaced through the rows. The label of the
    nearest gets, as its probability, the share of held-out curves for which it was right; the others share the rest.
    """

    dtypes: ClassVar[Mapping[str, str]] = {"exemplars": "<f8", "codes": "<i4", "confidence": "<f8"}
    needs: ClassVar[Mapping[str, str]] = {"aeon": "aeon"}

    def learn(self, X: Float, codes: Int) -> dict[str, Any]:
        """Draw the exemplars; arguments as `Learned.learn`."""
        n_classes = int(codes.max()) + 1
        rows = _drawn(codes, N_EXEMPLARS // n_classes)
        is_held = held_out(len(codes))
        kept = rows[~is_held[rows]]
        asked = np.flatnonzero(is_held)[_drawn(codes[is_held], N_ASKED // n_classes)]
        n_right = 0
        if len(kept) and len(asked):
            said = _nearest(_seen(X[kept]), codes[kept], _seen(X[asked]))
            n_right = int((said == codes[asked]).sum())
        # as if one curve of each label had been asked before, one of them with success
        confidence = (n_right + 1) / (len(asked) + n_classes)
        return {"exemplars": _seen(X[rows]), "codes": codes[rows], "confidence": max(confidence, 1 / n_classes)}

    def judge(self, arrays: Mapping[str, Array], X: Float) -> NDArray[np.float64]:
        """The confidence for the label of the nearest exemplar."""
        n_classes, confidence = len(self.classes), float(arrays["confidence"])
        said = _nearest(arrays["exemplars"], arrays["codes"], _seen(X))
        probabilities = np.full((len(X), n_classes), (1 - confidence) / (n_classes - 1))
        probabilities[np.arange(len(X)), said] = confidence
        return probabilities

    def check_arrays(self, arrays: Mapping[str, Array], n_classes: int, n_channels: int) -> None:
        """Exemplars as they are compared, a label for each, and a share."""
        n_seen = _seen(np.ones((1, n_channels, 2))).shape[1]
        n_exemplars = len(arrays["codes"]) if arrays["codes"].ndim == 1 else 0
        shapes = {"exemplars": (n_exemplars, n_seen, N_POINTS), "codes": (n_exemplars,), "confidence": ()}
        check_shapes(arrays, shapes)
        check(set(arrays["codes"].tolist()) == set(range(n_classes)), "codes that are no labels, or not all")
        check(0 <= float(arrays["confidence"]) <= 1, "confidence that is no share")


def _drawn(codes: Int, n_each: int) -> Int:
    """Rows of at most so many curves of each class, evenly spaced, in ascending order."""
    of_class = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    drawn = [rows[np.arange(n) * len(rows) // n] for rows in of_class if (n := min(n_each, len(rows)))]
    return np.sort(np.concatenate(drawn)) if drawn else np.zeros(0, dtype=np.intp)


def _seen(X: Float) -> NDArray[np.float64]:
    """(n_curves, n_seen, N_POINTS) what is compared."""
    channels = [resampled(logs, N_POINTS) for logs in log_channels(X)]
    fixed = [np.repeat(column[:, None], N_POINTS, axis=1) for column in constants(X).T]
    return np.stack([*channels, *fixed], axis=1)


def _nearest(exemplars: Float, codes: Int, asked: Float) -> Int:
    """(n_asked,) class of the nearest exemplar, of equally near ones the first."""
    from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier

    if len(np.unique(codes)) == 1:
        return np.full(len(asked), codes[0])
    neighbours = KNeighborsTimeSeriesClassifier(
        n_neighbors=1, distance="dtw", distance_params={"window": WINDOW}, n_jobs=1
    )
    with warnings.catch_warnings():  # numba says it of aeon's loops while it compiles them
        warnings.filterwarnings("ignore", message="unsafe cast from uint64 to int64")
        said: Int = np.asarray(neighbours.fit(exemplars, codes).predict(asked), dtype=np.intp)
    return said
