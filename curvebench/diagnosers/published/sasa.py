"""The test of stationarity on the loss that comes with SASA+.

Source: Zhang, Lang, Liu and Xiao, "Statistical Adaptive Stochastic Gradient Methods", 2020, arxiv.org/abs/2002.10597;
github.com/microsoft/statopt, statopt/salsa.py, slope.py and bucket.py:linregress.

SASA+ itself tests a condition on weights and search directions, which no track shows. SALSA (when to go over from its
line search to SASA+) and SLOPE (when to lower the rate) test the training loss instead: a straight line is fitted to
the losses of the latest eighth of training, and unless a one-sided t-test says at level 0.05 that it falls, the process
is stationary. The rate is then divided by ten (SASA+) or two (SLOPE). The original asks for 1,000 losses of
mini-batches in the eighth, which trainings as short as those here do not have; `LEAST_LOSSES` stands in its place.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from curvebench.diagnosers.published.finding import NOTHING, Curves, Names, PublishedRules, first_that_holds
from curvebench.spec import Diagnosis, Float

SIGNIFICANCE = 0.05
"""Of the test that the loss falls."""

LEAK_RATIO = 8
"""The latest of so many parts of training is tested."""

LEAST_LOSSES = 8
"""In that part; with fewer no test is made."""

STATIONARY = "stationary"

MAPPING = {
    # the rate is lowered from where training stands
    STATIONARY: Diagnosis.LATE_LR_TOO_HIGH,
    NOTHING: Diagnosis.HEALTHY,
}


class Sasa(PublishedRules):
    """Whether the loss no longer falls in the last eighth of training.

    The original tests time and again while it trains; a whole curve is judged at its end, where the line has most
    points. On curves of fewer than 64 points it would not have tested, so they are abstained from.
    """

    source = "[Zhang et al. 2020](https://arxiv.org/abs/2002.10597), [statopt](https://github.com/microsoft/statopt)"
    mapping = MAPPING
    least_points = LEAK_RATIO * LEAST_LOSSES

    def _find(self, curves: Curves) -> Names:
        latest = curves["train_loss"][:, -(curves["train_loss"].shape[1] // LEAK_RATIO) :]
        is_falling = slope_statistic(latest) < -t_quantile(1 - SIGNIFICANCE, latest.shape[1] - 2)
        return first_that_holds({STATIONARY: ~is_falling}, len(latest))


def slope_statistic(losses: Float) -> Float:
    """Student's t of the slope of a least-squares line, (n_curves,).

    It is zero where all losses are equal and NaN where one is not finite.

    Args:
        losses: (n_curves, n_points), at least three points.
    """
    n_points = losses.shape[1]
    time = np.arange(n_points) - (n_points - 1) / 2
    change = losses - losses[:, :1]
    scale = np.abs(change).max(axis=1, keepdims=True)
    change = change / np.where(scale == 0, 1.0, scale)  # no square may overflow or vanish
    deviation = change - change.mean(axis=1, keepdims=True)
    covariance = (deviation * time).sum(axis=1)
    correlation = covariance / np.sqrt((time**2).sum() * (deviation**2).sum(axis=1))
    correlation = np.where(scale[:, 0] == 0, 0.0, np.clip(correlation, -1.0, 1.0))
    statistic: Float = correlation * np.sqrt((n_points - 2) / ((1 - correlation) * (1 + correlation)))
    return statistic


def t_quantile(probability: float, n_freedom: int) -> float:
    """Quantile of Student's t by four terms of its expansion (Abramowitz and Stegun 26.7.5), from five degrees up.

    >>> round(t_quantile(0.95, 14), 3)
    1.761
    """
    z, n = NormalDist().inv_cdf(probability), n_freedom
    return (
        z
        + (z**3 + z) / (4 * n)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    )
