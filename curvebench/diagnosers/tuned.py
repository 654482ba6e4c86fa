"""The rules of `curvebench.diagnosers.rules` with thresholds fitted on the split `train` instead of round numbers.

What this shows is how much of the rules' score lies in their thresholds and how much in their shape: no rule is added,
dropped or moved. The search changes one threshold at a time and keeps what raises the balanced accuracy; it draws
nothing at random, so the same curves always give the same thresholds.
"""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.rules import AS_TAUGHT, Rules, Shape, Thresholds, diagnoses_of, shapes_of
from curvebench.spec import DIAGNOSES, Float, Int

N_CANDIDATES = 48
"""Values that are tried for a threshold: quantiles of what it is compared with, over the curves that are fitted to."""

MAX_ROUNDS = 20
"""Rounds through all thresholds at most; the search ends sooner when a round changes nothing."""

COMPARED_WITH = {
    "clearly_above_start": "end",
    "shot_up": "peak",
    "not_recovered": "end",
    "gave_back": "gave_back",
    "swing": "swing",
    "barely_changed": "spread",
    "still_to_do_at_half": "to_do_at_half",
    "still_falling": "last_quarter",
    "nearly_all": "done_soon",
    "level": "late_change",
    "high_floor": "end",
    "smooth": "step",
    "done": "end",
}
"""Threshold -> the field of `Shape` whose quantiles are tried for it, in the order in which the search takes them."""


class TunedRules(Rules):
    """The rules with thresholds of their own; unfitted they are those that `Rules` has."""

    def fit(self, X: Float, y: NDArray[np.str_]) -> TunedRules:
        """Search thresholds with a high balanced accuracy on these curves, beginning with those as taught.

        Args:
            X: (n_curves, n_channels, n_points), at least one curve; the first channel is the training loss.
            y: (n_curves,) diagnoses.

        Raises:
            ValueError: as for `predict_proba`.
        """
        shape = _joined(list(shapes_of(X)))
        labels = np.array([DIAGNOSES.index(label) for label in y], dtype=np.intp)
        self.thresholds = fitted_thresholds(shape, labels)
        return self


def fitted_thresholds(shape: Shape, labels: Int) -> Thresholds:
    """Coordinate ascent: each threshold in turn takes the candidate that is best while the others stand.

    Of equally good candidates the present value stays, and else the lowest is taken.

    Args:
        shape: what n curves look like.
        labels: (n,) index into `DIAGNOSES`.
    """
    weight_of_curve = 1 / np.bincount(labels, minlength=len(DIAGNOSES))[labels]

    def score(thresholds: Thresholds) -> float:
        return float(weight_of_curve[diagnoses_of(shape, thresholds) == labels].sum())

    best = AS_TAUGHT
    best_score = score(best)
    candidates = {name: _candidates(getattr(shape, seen)) for name, seen in COMPARED_WITH.items()}
    for _ in range(MAX_ROUNDS):
        before = best
        for name, values in candidates.items():
            for value in values:
                tried = replace(best, **{name: value})
                tried_score = score(tried)
                if tried_score > best_score + _LEAST_GAIN:
                    best, best_score = tried, tried_score
        if best == before:
            break
    return best


_LEAST_GAIN = 1e-9
"""Sums differ by less in another order of the curves."""


def _candidates(seen: Float) -> list[float]:
    """Quantiles of finite values, without repetitions, lowest first."""
    quantiles = np.quantile(seen, (np.arange(N_CANDIDATES) + 0.5) / N_CANDIDATES)
    return [float(value) for value in np.unique(quantiles)]


def _joined(shapes: list[Shape]) -> Shape:
    return Shape(*(np.concatenate([getattr(s, field.name) for s in shapes]) for field in fields(Shape)))
