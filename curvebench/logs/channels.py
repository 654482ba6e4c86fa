"""How the curve of a log becomes what a diagnoser sees: channels at moments that divide the training evenly."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from curvebench.logs.curve import Curve
from curvebench.spec import TRACKS, Float

_SLACK = 1e-6
"""Gaps within which a step counts as at a moment; quotients of steps are not exact."""


def channels_of(curve: Curve, track: str, n_points: int) -> NDArray[np.float32]:
    """The channels of a track, as the curves of a data set have them.

    Every channel is brought to `n_points` points by `evenly_sampled`. What is logged beside the loss stands at its
    first value before that. What was not logged is NaN, the optimiser always, since no log names it.

    Args:
        curve: of at least one point.
        track: one of `TRACKS`.
        n_points: wanted, at least one. With as many as were logged at even steps, they are what was logged.

    Returns:
        (n_channels, n_points) float32, channels in the order of the track.

    >>> steps = np.array([0.0, 1.0, 2.0, 3.0])
    >>> curve = Curve("", "csv", "epoch", steps, train_loss=np.array([8.0, 6.0, 4.0, 2.0]))
    >>> [channels_of(curve, "curve", n)[0].tolist() for n in (2, 7)]
    [[7.0, 3.0], [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0]]
    """
    logged = {
        "val_loss": curve.val_loss,
        "grad_norm": curve.grad_norm,
        "learning_rate": curve.learning_rate,
    }
    channels = np.full((len(TRACKS[track]), n_points), np.nan)
    for i, name in enumerate(TRACKS[track]):
        if name == "train_loss":
            channels[i] = evenly_sampled(curve.steps, curve.train_loss, n_points)
        elif (values := logged.get(name)) is not None:
            channels[i] = evenly_sampled(curve.steps, _from_first_on(values), n_points)
    with np.errstate(over="ignore"):  # what is too large for single precision becomes infinite
        return channels.astype(np.float32)


def evenly_sampled(steps: Float, values: Float, n_points: int) -> NDArray[np.float64]:
    """Values at points that are evenly spaced between the first and the last step.

    Of fewer points than wanted straight lines are drawn between those that were logged. Of more, the means of pieces
    of equal length are taken, of what straight lines give at as many even steps as there are points. A point that NaN
    went into is NaN, and one that infinity went into is infinite (NaN if both infinities did).

    Args:
        steps: (n,) ascending, at least one; where they tell no time the values count as even.
        values: (n,), NaN and inf as they happened.
        n_points: wanted.

    Returns:
        (n_points,) float64.

    >>> evenly_sampled(np.array([0.0, 1.0, 4.0]), np.array([3.0, 2.0, np.inf]), 5).tolist()
    [3.0, 2.0, inf, inf, inf]
    """
    time = _time(steps)
    even = np.linspace(time[0], time[-1], max(len(time), n_points))

    def sampled(logged: Float) -> NDArray[np.float64]:
        made: NDArray[np.float64] = np.interp(even, time, logged)
        if len(made) <= n_points:
            return made
        edges = np.arange(n_points + 1) * len(made) // n_points
        return np.asarray(np.add.reduceat(made, edges[:-1]) / np.diff(edges))

    points = sampled(np.where(np.isfinite(values), values, 0.0))
    for limit in (np.inf, -np.inf):
        if (values == limit).any():
            with np.errstate(invalid="ignore"):
                points = np.where(sampled((values == limit) * 1.0) > _SLACK, points + limit, points)
    return np.where(sampled(np.isnan(values) * 1.0) > _SLACK, np.nan, points)


def _time(steps: Float) -> Float:
    """(n_logged,) when each was logged, counted from the first; numbers of the points if the steps tell no time."""
    span = float(steps[-1]) - float(steps[0])
    if not (span > 0 and math.isfinite(span)):
        return np.arange(len(steps), dtype=np.float64)
    time: Float = (steps - steps[0]) / span * max(1, len(steps) - 1)
    nearest = np.round(time)
    return np.where(np.abs(time - nearest) < _SLACK, nearest, time)


def _from_first_on(values: Float) -> Float:
    """What was logged, its first value repeated back to the beginning."""
    first = int(np.argmax(np.isfinite(values)))
    return np.concatenate([np.full(first, values[first]), values[first:]])
