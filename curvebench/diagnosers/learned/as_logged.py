"""Gradient boosted trees for curves as people log them: few points, means over epochs, rounded, cut short.

The curves of a data set have many points, evenly spaced, and begin with the loss before any update. A log has twenty
epochs, or every hundredth batch, or what a tracker smoothed, with four decimals, and seldom a loss before the first
update. So the trees are grown on curves that were logged anew in many ways, each labelled as before, and every curve is
brought to one number of points before it is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.learned.boosting import Boosting, grown, make_trees
from curvebench.diagnosers.learned.descriptions import describe
from curvebench.diagnosers.learned.relogged import GRADIENT, N_POINTS, VALIDATION, logged_anew, with_other_rates
from curvebench.diagnosers.learned.series import RATE, at_points, resampled
from curvebench.spec import CHANNELS, Float, Int

N_TIMES = 5
"""Times that every curve is shown: once as it is, else logged anew."""

N_ITERATIONS, N_LEAVES, SHARE_OF_FEATURES = 300, 16, 0.25
"""More and larger trees than `Boosting` grows, each split with a fresh quarter of the features to choose from: there is
more to learn from, and many features are alike."""

HIDDEN: Mapping[int, float] = {RATE: 0.5, VALIDATION: 0.5, GRADIENT: 0.7}
"""Channel -> share of what the trees are grown on that does not show it."""

RESCALED, LARGEST_SCALE = 0.25, 2.0
"""Share of what the trees are grown on whose losses are in some other unit; decades by which that differs at most."""

CHANCE = np.log([2, 3, 4, 5, 10, 100, 1000])
"""Cross entropy of a guess among the usual numbers of classes, in nats."""

N_RATES, LOWEST_RATE, UNKNOWN = 12, 6.0, 1.0
"""Points at which the shape of the rate is looked at, decades below its highest where it ends, what stands for none."""

UNKNOWN_RATE = 9.0
"""Decades that stand for the highest rate where none is known."""

STRAIGHT, LEAST_FALL = 1e-5, 1e-6
"""Bends and falls, as shares of the loss, below which there is none: single precision has no more digits."""


DECIMALS = 5
"""Of every feature."""

NOWHERE, UNKNOWN_CURVE = 12.0, -20.0
"""Decades at which a curve stands where it is not finite; what stands for the features of a curve that is not there."""


class AsLogged(Boosting):
    """`Boosting` on curves that were logged in many ways, and on what else a log has.

    It looks at the training loss, its unit included: a loss that stays at 2.3 guesses among ten classes. Where a log
    has them it looks at the validation loss, the gradient norm and the learning rate: at its shape, and at how high it
    is as far as networks of other sizes train alike with that. Few logs have all, so each is hidden in many of the
    curves that the trees are grown on, and all but the training loss may be NaN throughout, or missing on smaller
    tracks. Diagnoses weigh as often as they occur, unlike in `Boosting`: what is asked for is how sure the likeliest
    one is, and trees on balanced weights are sure too seldom.
    """

    track = "config"
    may_lack = ("val_loss", "grad_norm", "learning_rate", "optimizer")

    def learn(self, X: Float, codes: Int) -> dict[str, Any]:
        """Grow trees on every curve `N_TIMES`, its copies one after the other; arguments as `Learned.learn`."""
        X, rng = _with_all_channels(X), np.random.default_rng(0)
        shown = np.stack([at_points(X, N_POINTS), *(logged_anew(X, rng) for _ in range(N_TIMES - 1))], axis=1)
        shown = shown.reshape(-1, *shown.shape[2:])
        for channel, share in HIDDEN.items():
            shown[rng.random(len(shown)) < share, channel] = np.nan
        decades = rng.uniform(-LARGEST_SCALE, LARGEST_SCALE, len(shown)) * (rng.random(len(shown)) < RESCALED)
        shown[:, :RATE] *= 10.0 ** decades[:, None, None]
        shown = with_other_rates(shown, rng)
        return self.learn_from(self.features(shown), np.repeat(codes, N_TIMES))

    def grow(self, features: Float, codes: Int) -> dict[str, Any]:
        """As `Boosting.grow`, with more and larger trees and all curves alike."""
        boosted = make_trees().set_params(
            max_iter=N_ITERATIONS, max_leaf_nodes=N_LEAVES, max_features=SHARE_OF_FEATURES
        )
        return grown(boosted, features, codes)

    def features(self, X: Float) -> NDArray[np.float64]:
        """All that is looked at of curves (n_curves, n_channels, n_points), at `N_POINTS` points; finite.

        Rounded, so that a number that is nothing but rounding errors is zero: trees split there.
        """
        X = at_points(_with_all_channels(X), N_POINTS)
        losses = X[:, 0]
        features: NDArray[np.float64] = np.column_stack(
            [
                describe(X[:, :1]),
                shape_of_rate(X[:, RATE]),
                highest_rate(X[:, RATE]),
                proportions(losses),
                levels(losses),
                _where_known(X[:, VALIDATION], gaps(losses, X[:, VALIDATION])),
                _where_known(X[:, GRADIENT], slopes(losses, X[:, GRADIENT])),
            ]
        )
        return features.round(DECIMALS)


def _with_all_channels(X: Float) -> NDArray[np.float64]:
    """Curves of any track as those of `config`; NaN in the channels that it does not show."""
    made = np.full((len(X), len(CHANNELS), np.shape(X)[2]), np.nan)
    made[:, : np.shape(X)[1]] = X
    return made


def _where_known(curves: Float, features: Float) -> Float:
    """Features of curves, (n_curves, n_features); `UNKNOWN_CURVE` for curves that are not finite anywhere."""
    return np.where(np.isfinite(curves).any(axis=1, keepdims=True), features, UNKNOWN_CURVE)


def _decades(curves: Float) -> NDArray[np.float64]:
    """Logarithms to base ten, `NOWHERE` of what is not finite."""
    is_lost = ~np.isfinite(curves)
    return np.where(is_lost, NOWHERE, np.log10(np.clip(np.where(is_lost, 1.0, curves), 1e-30, 1e30)))


def levels(losses: Float) -> NDArray[np.float64]:
    """How high a loss lies, in its unit.

    Args:
        losses: (n_curves, n_points), NaN and inf as they happened.

    Returns:
        (n_curves, 7) float64 decades: the first point, the median of the last twentieth, the lowest, the median and the
        highest point, as far as they are finite and positive, else `NOWHERE`; from the median and from the first point
        to the nearest level of `CHANCE`.
    """
    is_known = np.isfinite(losses) & (losses > 0)
    known = np.where(is_known, _decades(losses), np.nan)
    known[~is_known.any(axis=1)] = NOWHERE
    n_last = max(1, losses.shape[1] // 20)
    ends = known[:, -n_last:]
    ends = np.where(np.isnan(ends).all(axis=1, keepdims=True), NOWHERE, ends)
    first = np.where(is_known[:, 0], _decades(losses[:, 0]), NOWHERE)
    median = np.nanmedian(known, axis=1)
    highest, lowest = np.nanmax(known, axis=1), np.nanmin(known, axis=1)
    to_chance = [np.abs(level[:, None] - np.log10(CHANCE)).min(axis=1) for level in (median, first)]
    return np.column_stack([first, np.nanmedian(ends, axis=1), lowest, median, highest, *to_chance])


def gaps(losses: Float, val_losses: Float) -> NDArray[np.float64]:
    """How the validation loss runs, by itself and above the training loss.

    Args:
        losses: (n_curves, n_points), NaN and inf as they happened.
        val_losses: the same of the validation loss.

    Returns:
        (n_curves, 28) float64 decades: above the training loss and above its own start, each at 12 points; the end
        above the lowest; when it is lowest, as a share; noise in both halves.
    """
    train, val = _decades(losses), _decades(val_losses)
    return np.column_stack(
        [
            resampled(np.clip(val - train, -NOWHERE, NOWHERE), 12),
            _own_course(val, 12),
            val[:, -6:].mean(axis=1) - val.min(axis=1),
            val.argmin(axis=1) / val.shape[1],
            *_roughness(val),
        ]
    )


def slopes(losses: Float, grad_norms: Float) -> NDArray[np.float64]:
    """How the norm of the gradient runs, by itself and against the loss.

    Neither has a unit: norms depend on the number of parameters.

    Args:
        losses: (n_curves, n_points), NaN and inf as they happened.
        grad_norms: the same of the norms.

    Returns:
        (n_curves, 20) float64 decades: above its start at 12 points; its share of the loss above what it was at the
        start at 6 points; noise in both halves.
    """
    loss, norm = _decades(losses), _decades(grad_norms)
    return np.column_stack([_own_course(norm, 12), _own_course(norm - loss, 6), *_roughness(norm)])


def _own_course(logs: Float, n_points: int) -> NDArray[np.float64]:
    """Above the start, (n_curves, n_points)."""
    return resampled(np.clip(logs - logs[:, :1], -NOWHERE, NOWHERE), n_points)


def _roughness(logs: Float) -> list[Float]:
    """Decades of the standard deviation of second differences, in both halves."""
    halves = np.array_split(np.diff(logs, n=2, axis=1), 2, axis=1)
    return [np.log10(np.maximum(half.std(axis=1), LEAST_FALL)) for half in halves]


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


def highest_rate(rates: Float) -> NDArray[np.float64]:
    """Decades of the highest learning rate.

    Args:
        rates: (n_curves, n_points), NaN where unknown.

    Returns:
        (n_curves, 1); `UNKNOWN_RATE` where no rate is known and positive.
    """
    is_known = np.isfinite(rates) & (rates > 0)
    highest = np.where(is_known, rates, 0.0).max(axis=1, keepdims=True)
    made: NDArray[np.float64] = np.where(highest > 0, np.log10(np.where(highest > 0, highest, 1.0)), UNKNOWN_RATE)
    return made
