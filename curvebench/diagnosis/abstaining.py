"""The verdicts of `diagnose` as a diagnoser, so that whatever scores diagnosers can score when it says nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.learned.series import at_points
from curvebench.diagnosis.judging import default_diagnoser
from curvebench.diagnosis.precedents import default_library, novelties
from curvebench.diagnosis.sampling import N_POINTS
from curvebench.diagnosis.verdict import default_limits
from curvebench.spec import Bool, Float


class Diagnose:
    """The default diagnoser with its limits: what `diagnose` says of logs of which only the channels are known.

    What `diagnose` takes from elsewhere (the name of the loss, the format, when the log begins) plays no part.
    """

    track = "config"
    may_lack = ("val_loss", "grad_norm", "learning_rate", "optimizer")

    def predict_proba(self, X: Float) -> NDArray[np.float64]:
        """Probabilities (n_curves, 6) of curves (n_curves, n_channels, n_points); whether it abstains or not."""
        return default_diagnoser().predict_proba(_seen(X))

    def abstain(self, X: Float) -> Bool:
        """(n_curves,) whether nothing is said: not probable enough, too few points, too novel, or without course."""
        limits, losses = default_limits(), np.asarray(X)[:, 0]
        if not len(losses):
            return np.zeros(0, dtype=np.bool_)
        is_unsure = limits.likeliest_right(self.predict_proba(X)) < limits.min_probability
        is_novel = novelties(default_library(), _seen(X)[:, 0], losses.shape[1]) > limits.max_novelty
        is_short = np.isfinite(losses).sum(axis=1) < limits.min_points
        is_none = (losses < 0).any(axis=1) | ~(np.isfinite(losses) & (losses > 0)).any(axis=1)
        silent: Bool = is_unsure | is_novel | is_short | is_none
        return silent


def _seen(X: Float) -> NDArray[np.float32]:
    """Curves as the default diagnoser sees logs."""
    with np.errstate(over="ignore"):
        return at_points(X, N_POINTS).astype(np.float32)
