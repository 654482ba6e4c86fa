"""Gradient boosted trees for curves as people log them: few points, means over epochs, rounded, cut short.

The curves of a data set have many points, evenly spaced, and begin with the loss before any update. A log has twenty
epochs, or every hundredth batch, or what a tracker smoothed, with four decimals, and seldom a loss before the first
update. So the trees are grown on curves that were logged anew in many ways, each labelled as before, and every curve is
brought to one number of points before it is judged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.learned import trees
from curvebench.diagnosers.learned.boosting import Boosting, _scores, make_trees
from curvebench.diagnosers.learned.calibration import fitted_sharpness
from curvebench.diagnosers.learned.descriptions import describe
from curvebench.diagnosers.learned.series import RATE, at_points
from curvebench.spec import Float, Int

N_POINTS = 128
"""Points that every curve is brought to."""

N_TIMES = 3
"""Times that every curve is shown: once as it is, else logged anew."""

COUNTS = (2, 3, 4, 5, 6, 8, 10, 14, 20, 28, 40, 60, 90, 127)
"""Numbers of points of what is logged anew."""

N_LEAVES, SHARE_OF_FEATURES = 16, 0.25
"""Larger trees than `Boosting` grows, each split with a fresh quarter of the features to choose from: there is more to
learn from, and many features are alike."""

HIDDEN = 0.5
"""Share of what the trees are grown on that does not show the learning rate."""

N_RATES, LOWEST_RATE, UNKNOWN = 12, 6.0, 1.0
"""Points at which the shape of the rate is looked at, decades below its highest where it ends, what stands for none."""

STRAIGHT, LEAST_FALL = 1e-5, 1e-6
"""Bends and falls, as shares of the loss, below which there is none: single precision has no more digits."""

SMOOTHED, NOISED, CUT = 0.2, 0.1, 0.15
"""Shares of what is logged anew that are smoothed, noised or cut short too."""

MEANS, WITH_START = 0.7, 0.2
"""Shares that are means since the last line; of the others, samples, that begin with the loss before any update."""

DECIMALS, UNROUNDED = (2, 3, 4), 0.4
"""Decimals of a loss as it is printed, drawn for what is logged anew; a share that has all of them."""

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
    it is hidden. Diagnoses weigh as often as they occur, unlike in `Boosting`: what is asked for is how sure the
    likeliest one is, and trees on balanced weights are sure too seldom.
    """

    track = "config"
    may_lack = ("val_loss", "grad_norm", "learning_rate", "optimizer")

    def learn(self, X: Float, codes: Int) -> dict[str, Any]:
        """Grow trees on every curve `N_TIMES`, its copies one after the other; arguments as `Learned.learn`."""
        rng = np.random.default_rng(0)
        shown = np.stack([at_points(X, N_POINTS), *(logged_anew(X, rng) for _ in range(N_TIMES - 1))], axis=1)
        shown = shown.reshape(-1, *shown.shape[2:])
        shown[rng.random(len(shown)) < HIDDEN, RATE:] = np.nan
        features, codes = self.features(shown), np.repeat(codes, N_TIMES)
        sharpness = fitted_sharpness(
            lambda known, asked: _scores(_grown(features[known], codes[known]), features[asked]), codes
        )
        return {**_grown(features, codes), "sharpness": sharpness}

    def features(self, X: Float) -> NDArray[np.float64]:
        """`describe` of the training loss at `N_POINTS` points, the shape of the rate, and `proportions`."""
        X = at_points(X, N_POINTS)
        rate = [shape_of_rate(X[:, RATE])] if X.shape[1] > RATE else []
        return np.column_stack([describe(X[:, :1]), *rate, proportions(X[:, 0])])


def _grown(features: Float, codes: Int) -> dict[str, Any]:
    """The arrays of the trees, and the score of each class before any of them."""
    boosted = make_trees().set_params(max_leaf_nodes=N_LEAVES, max_features=SHARE_OF_FEATURES)
    boosted.fit(features, codes)
    baseline = boosted._baseline_prediction.ravel()  # there is no public way to the trees; a test compares the answers
    if len(baseline) == 1:  # two classes have one score, that of the second against the first
        baseline = np.array([0.0, *baseline])
    return {**trees.from_boosting(boosted._predictors), "baseline": baseline}


def proportions(losses: Float) -> NDArray[np.float64]:
    """How the parts of a fall and the noise compare with each other, which no start, floor or unit changes.

    Args:
        losses: (n_curves, `N_POINTS`), NaN and inf as they happened.

    Returns:
        (n_curves, 9) float64: the share of the points that lie on the line between their neighbours, as all but the
        logged ones do; what the last half, the last quarter and the last tenth bring, over the whole fall (of the
        loss, not of its logarithm); noise in the first and in the last half, over the whole fall and over what the last
        half brings, as decades; decades from the median of the last half to the lowest.
    """
    known = np.where(np.isfinite(losses), losses, np.nan)
    size = np.nanmax(np.abs(np.where(np.isnan(known).all(axis=1, keepdims=True), 1.0, known)), axis=1, keepdims=True)
    levels = np.where(np.isnan(known), 1e3, known / np.maximum(size, 1e-300))
    bends = np.abs(np.diff(levels, n=2, axis=1))
    straight = (bends < STRAIGHT * np.abs(levels[:, 1:-1]).clip(1e-12)).mean(axis=1)
    early, late = np.array_split(levels, 2, axis=1)
    end = levels[:, -6:].mean(axis=1)
    fall = levels[:, :6].mean(axis=1) - end
    parts = [levels[:, at - 3 : at + 3].mean(axis=1) - end for at in (64, 96, 115)]
    whole = np.maximum(np.abs(fall), LEAST_FALL)
    rough = [np.sqrt((np.diff(part, n=2, axis=1) ** 2).mean(axis=1)) for part in (early, late)]
    steady = np.median(late, axis=1) - levels.min(axis=1)
    return np.column_stack(
        [
            straight,
            *(np.clip(part / whole, -9, 9) for part in parts),
            *(np.log10(np.maximum(noise / whole, LEAST_FALL)) for noise in rough),
            np.log10(np.maximum(rough[1], LEAST_FALL) / np.maximum(np.abs(parts[0]), LEAST_FALL)),
            np.log10(np.maximum(rough[0], LEAST_FALL) / np.maximum(rough[1], LEAST_FALL)),
            np.clip(steady / whole, -9, 9),
        ]
    )


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
    count, is_mean, has_start = rng.choice(COUNTS, n), rng.random(n) < MEANS, rng.random(n) < WITH_START
    smoothing = np.where(rng.random(n) < SMOOTHED, rng.uniform(0.3, HEAVIEST_MEAN, n), 0.0)
    noise = np.where(rng.random(n) < NOISED, rng.uniform(0.0, LARGEST_NOISE, n), 0.0)
    share = np.where(rng.random(n) < CUT, rng.uniform(LEAST_CUT, 1.0, n), 1.0)
    decimals = np.where(rng.random(n) < UNROUNDED, -1, rng.choice(DECIMALS, n))
    kept = np.maximum(2, np.round(share * N_POINTS)).astype(np.intp)
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


def logged_in(X: Float, n_points: int, *, mean: bool) -> NDArray[np.float64]:
    """Curves as a log of about so many points has them, brought back to `N_POINTS`; arguments as `log_lines`."""
    return at_points(log_lines(X, n_points, mean=mean), N_POINTS)


def log_lines(X: Float, n_points: int, *, mean: bool) -> NDArray[np.float64]:
    """Curves as a log of about so many points has them.

    Args:
        X: (n_curves, n_channels, any number of points but none).
        n_points: of the log; it has no more than the curve.
        mean: whether the log has means since its last line, without the loss before any update; else samples.

    Returns:
        (n_curves, n_channels, about n_points) float64.
    """
    n_given = X.shape[2]
    if mean and n_given > 1:
        return at_points(X[:, :, 1:], min(n_points, n_given - 1))
    return np.array(X[:, :, :: max(1, n_given // n_points)], dtype=np.float64)


def _printed(losses: Float, decimals: Int) -> Float:
    """Losses (n_curves, ...) with so many decimals, (n_curves,); all of them where that is negative."""
    unit = 10.0 ** -decimals[:, None, None]
    return np.where(decimals[:, None, None] < 0, losses, np.round(losses / unit) * unit)


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
