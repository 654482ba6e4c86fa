"""Gradient boosted trees for curves as people log them: few points, means over epochs, smoothed, cut short.

The curves of a data set have many points, evenly spaced, and begin with the loss before any update. A log has twenty
epochs, or every hundredth batch, or what a tracker smoothed. So the trees are grown on curves that were logged anew in
many ways, each labelled as before, and every curve is brought to one number of points before it is judged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.learned.boosting import Boosting
from curvebench.diagnosers.learned.descriptions import describe
from curvebench.diagnosers.learned.series import RATE, at_points
from curvebench.spec import Float, Int

N_POINTS = 128
"""Points that every curve is brought to."""

N_TIMES = 3
"""Times that every curve is shown: once as it is, else logged anew."""

COUNTS = (6, 8, 10, 14, 20, 28, 40, 60, 90, 127)
"""Numbers of points of what is logged anew."""

HIDDEN = 0.5
"""Share of what the trees are grown on that does not show the learning rate."""

N_RATES, LOWEST_RATE, UNKNOWN = 12, 6.0, 1.0
"""Points at which the shape of the rate is looked at, decades below its highest where it ends, what stands for none."""

SMOOTHED, NOISED, CUT = 0.25, 0.25, 0.25
"""Shares of what is logged anew that are smoothed, noised or cut short too."""

LEAST_CUT = 0.4
"""What is cut short keeps at least this share of its points."""

LARGEST_NOISE = 0.1
"""Largest standard deviation of the logarithm of the noise."""

HEAVIEST_MEAN = 0.9
"""Largest weight of the past in a running mean, as trackers smooth."""


class AsLogged(Boosting):
    """`Boosting` on curves that were logged in many ways, with the shape of the learning rate where a log has it.

    Of the channels of its track it looks at the training loss, and at the learning rate as a share of its highest. The
    others may be NaN throughout, and so may the rate, since few logs have it: in half of what the trees are grown on
    it is hidden.
    """

    track = "config"
    may_lack = ("val_loss", "grad_norm", "learning_rate", "optimizer")

    def learn(self, X: Float, codes: Int) -> dict[str, Any]:
        """Grow trees on every curve `N_TIMES`, its copies one after the other; arguments as `Learned.learn`."""
        rng = np.random.default_rng(0)
        shown = np.stack([at_points(X, N_POINTS), *(logged_anew(X, rng) for _ in range(N_TIMES - 1))], axis=1)
        shown = shown.reshape(-1, *shown.shape[2:])
        shown[rng.random(len(shown)) < HIDDEN, RATE:] = np.nan
        return super().learn(shown, np.repeat(codes, N_TIMES))

    def features(self, X: Float) -> NDArray[np.float64]:
        """`describe` of the training loss at `N_POINTS` points, and the shape of the rate."""
        X = at_points(X, N_POINTS)
        return np.column_stack([describe(X[:, :1]), *([shape_of_rate(X[:, RATE])] if X.shape[1] > RATE else [])])


def shape_of_rate(rates: Float) -> NDArray[np.float64]:
    """Decades of learning rates below their highest, at `N_RATES` points.

    Args:
        rates: (n_curves, n_points), NaN where unknown.

    Returns:
        (n_curves, N_RATES) within [-`LOWEST_RATE`, 0]; `UNKNOWN` where it is unknown or not positive.
    """
    is_known = np.isfinite(rates) & (rates > 0)
    logs = np.log10(np.where(is_known, rates, 1.0))
    highest = np.where(is_known, logs, -np.inf).max(axis=1, keepdims=True)
    below = np.where(is_known, np.maximum(logs - np.where(np.isfinite(highest), highest, 0.0), -LOWEST_RATE), np.nan)
    shape = at_points(below[:, None], N_RATES)[:, 0]
    return np.where(np.isnan(shape), UNKNOWN, shape)


def logged_anew(X: Float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Each curve as some other log would have it, brought to `N_POINTS` points.

    Args:
        X: (n_curves, n_channels, n_points), NaN and inf as they happened.
        rng: draws how each is logged.

    Returns:
        (n_curves, n_channels, N_POINTS) float64.
    """
    X = at_points(X, N_POINTS)
    n = len(X)
    count, is_mean = rng.choice(COUNTS, n), rng.random(n) < 0.5
    smoothing = np.where(rng.random(n) < SMOOTHED, rng.uniform(0.3, HEAVIEST_MEAN, n), 0.0)
    noise = np.where(rng.random(n) < NOISED, rng.uniform(0.0, LARGEST_NOISE, n), 0.0)
    share = np.where(rng.random(n) < CUT, rng.uniform(LEAST_CUT, 1.0, n), 1.0)
    kept = np.maximum(2, np.round(share * N_POINTS)).astype(np.intp)
    X[:, :RATE] = running_mean(X[:, :RATE], smoothing) * np.exp(
        noise[:, None, None] * rng.standard_normal(X[:, :RATE].shape)
    )
    made = np.empty_like(X)
    for length, points, mean in {*zip(kept.tolist(), count.tolist(), is_mean.tolist(), strict=True)}:
        rows = (kept == length) & (count == points) & (is_mean == mean)
        made[rows] = logged_in(X[rows, :, :length], points, mean=mean)
    return made


def logged_in(X: Float, n_points: int, *, mean: bool) -> NDArray[np.float64]:
    """Curves as a log of about so many points has them, brought back to `N_POINTS`.

    Args:
        X: (n_curves, n_channels, any number of points but none).
        n_points: of the log; it has no more than the curve.
        mean: whether the log has means since its last line, without the loss before any update; else samples.

    Returns:
        (n_curves, n_channels, N_POINTS) float64.
    """
    n_given = X.shape[2]
    if mean and n_given > 1:
        return at_points(at_points(X[:, :, 1:], min(n_points, n_given - 1)), N_POINTS)
    return at_points(X[:, :, :: max(1, n_given // n_points)], N_POINTS)


def running_mean(X: Float, weight: Float) -> NDArray[np.float64]:
    """Exponential running means along the last axis, each begun with the first value.

    Args:
        X: (n_curves, n_channels, n_points).
        weight: (n_curves,) of the past, in [0, 1); 0 changes nothing.

    Returns:
        (n_curves, n_channels, n_points) float64; what is not finite stays, and is left out of what follows.
    """
    means = np.array(X, dtype=np.float64)
    is_finite = np.isfinite(means)
    past, has_past = np.zeros(means.shape[:2]), np.zeros(means.shape[:2], dtype=np.bool_)
    for point in range(means.shape[2]):
        is_now = is_finite[:, :, point]
        now = np.where(is_now, means[:, :, point], 0.0)
        mixed = np.where(has_past, weight[:, None] * past + (1 - weight[:, None]) * now, now)
        means[:, :, point] = np.where(is_now, mixed, means[:, :, point])
        past, has_past = np.where(is_now, mixed, past), has_past | is_now
    return means
