"""Curves as some other log would have them: few points, means or samples, rounded, noised, quieter, cut short."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.learned.series import RATE, at_points
from curvebench.spec import CHANNELS, Float, Int

VALIDATION, GRADIENT = CHANNELS.index("val_loss"), CHANNELS.index("grad_norm")
"""Where these stand among the channels."""

N_POINTS = 128
"""Points that every curve is brought to."""

COUNTS = (2, 3, 4, 5, 6, 8, 10, 14, 20, 28, 40, 60, 90, 127)
"""Numbers of points of what is logged anew."""

SMOOTHED, NOISED, CUT = 0.2, 0.1, 0.15
"""Shares of what is logged anew that are smoothed, noised or cut short too."""

MEANS, WITH_START = 0.7, 0.2
"""Shares that are means since the last line; of the others, samples, that begin with the loss before any update."""

DECIMALS, UNROUNDED = (2, 3, 4), 0.4
"""Decimals of a loss as it is printed, drawn for what is logged anew; a share that has all of them."""

QUIETENED, LEAST_NOISE, TREND = 0.3, -1.7, 17
"""Share of what is logged anew that has less noise than it had; decades of the least that is left of it; points of the
moving parabola that it is told apart by. A large network on much data has a noise floor as high as a small one and
shows less of it: the mean of thousands of batches hardly varies."""

LEAST_CUT = 0.4
"""What is cut short keeps at least this share of its points."""

LARGEST_NOISE = 0.1
"""Largest standard deviation of the logarithm of the noise."""

HEAVIEST_MEAN = 0.9
"""Largest weight of the past in a running mean, as trackers smooth."""

LOWER, HIGHER = 2.0, 0.5
"""Decades by which the rates of other networks lie below and above those with which ours train alike. Most are wider,
and the best rate falls with the width, that of Adam about as its inverse (Yang et al. 2021, Tensor Programs V)."""


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
    count, is_mean, has_start = rng.choice(COUNTS, n), rng.random(n) < MEANS, rng.random(n) < WITH_START
    smoothing = np.where(rng.random(n) < SMOOTHED, rng.uniform(0.3, HEAVIEST_MEAN, n), 0.0)
    noise = np.where(rng.random(n) < NOISED, rng.uniform(0.0, LARGEST_NOISE, n), 0.0)
    share = np.where(rng.random(n) < CUT, rng.uniform(LEAST_CUT, 1.0, n), 1.0)
    decimals = np.where(rng.random(n) < UNROUNDED, -1, rng.choice(DECIMALS, n))
    kept = np.maximum(2, np.round(share * N_POINTS)).astype(np.intp)
    is_quieter = rng.random(n) < QUIETENED
    left = 10.0 ** rng.uniform(LEAST_NOISE, 0.0, n)
    X[is_quieter, :RATE] = quieter(X[is_quieter, :RATE], left[is_quieter])
    X[:, :RATE] = running_mean(X[:, :RATE], smoothing) * np.exp(
        noise[:, None, None] * rng.standard_normal(X[:, :RATE].shape)
    )
    made = np.empty_like(X)
    ways = list(zip(kept.tolist(), count.tolist(), is_mean.tolist(), (has_start | is_mean).tolist(), strict=True))
    of_way: dict[tuple[int, int, bool, bool], list[int]] = {}
    for row, way in enumerate(ways):
        of_way.setdefault(way, []).append(row)
    for (length, points, mean, start), rows in of_way.items():
        lines = log_lines(X[rows, :, (0 if start else 1) : length], points, mean=mean)
        lines[:, :RATE] = _printed(lines[:, :RATE], decimals[rows])
        made[rows] = at_points(lines, N_POINTS)
    return made


def with_other_rates(X: Float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Curves as of networks that train alike with other learning rates: those of a curve by one factor.

    Args:
        X: (n_curves, n_channels, n_points), the learning rate among the channels.
        rng: draws the factors, within `LOWER` and `HIGHER`.

    Returns:
        (n_curves, n_channels, n_points) float64; all but the learning rate as it was.
    """
    made = np.array(X, dtype=np.float64)
    made[:, RATE] *= 10.0 ** rng.uniform(-LOWER, HIGHER, len(made))[:, None]
    return made


def logged_in(X: Float, n_points: int, *, mean: bool) -> NDArray[np.float64]:
    """Curves as a log of about so many points has them, brought back to `N_POINTS`; arguments as `log_lines`."""
    return at_points(log_lines(X, n_points, mean=mean), N_POINTS)


def log_lines(X: Float, n_points: int, *, mean: bool) -> NDArray[np.float64]:
    """Curves as a log of about so many points has them.

    Args:
        X: (n_curves, n_channels, any number of points but none).
        n_points: of the log; it has no more than the curve.
        mean: whether the log has means since its last line, without the loss before any update; else samples. The
            validation loss is always a sample, taken when the line is written.

    Returns:
        (n_curves, n_channels, about n_points) float64.
    """
    n_given = X.shape[2]
    if mean and n_given > 1:
        n_lines = min(n_points, n_given - 1)
        lines = at_points(X[:, :, 1:], n_lines)
        if X.shape[1] > VALIDATION:
            lines[:, VALIDATION] = X[:, VALIDATION, (np.arange(n_lines) + 1) * (n_given - 1) // n_lines]
        return lines
    return np.array(X[:, :, :: max(1, n_given // n_points)], dtype=np.float64)


def _printed(losses: Float, decimals: Int) -> Float:
    """Losses (n_curves, ...) with so many decimals, (n_curves,); all of them where that is negative."""
    unit = 10.0 ** -decimals[:, None, None]
    return np.where(decimals[:, None, None] < 0, losses, np.round(losses / unit) * unit)


def quieter(X: Float, share: Float) -> NDArray[np.float64]:
    """Curves with less noise: the logarithm nearer to the filter of Savitzky and Golay (1964) over `TREND` points.

    Args:
        X: (n_curves, n_channels, at least `TREND` points).
        share: (n_curves,) of the noise that is left.

    Returns:
        (n_curves, n_channels, n_points) float64; near what is not finite and positive nothing is changed.
    """
    from scipy.ndimage import maximum_filter1d  # here, for whoever only asks a fitted diagnoser needs neither
    from scipy.signal import savgol_filter

    is_lost = ~(np.isfinite(X) & (X > 0))
    logs = np.log(np.where(is_lost, 1.0, X))
    trend = savgol_filter(logs, TREND, polyorder=2, axis=2)
    is_near = maximum_filter1d(is_lost.astype(np.uint8), 2 * TREND - 1, axis=2, mode="nearest") > 0
    with np.errstate(over="ignore"):
        made = np.exp(trend + (logs - trend) * share[:, None, None])
    return np.where(is_near | ~np.isfinite(made), X, made)


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
