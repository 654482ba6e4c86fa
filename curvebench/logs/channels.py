"""How the curve of a log becomes what a diagnoser sees: channels at moments that divide the training evenly."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from curvebench.logs.curve import Curve
from curvebench.spec import TRACKS, Float, Int

_SLACK = 1e-6
"""By how much of a piece a step may lie past its end and still belong to it; quotients of steps are not exact."""


def channels_of(curve: Curve, track: str, n_points: int) -> NDArray[np.float32]:
    """The channels of a track, as the curves of a data set have them.

    The time from the first to the last logged step is divided by `n_points` moments, the first and the last step among
    them. The training loss at a moment is the mean of what was logged since the moment before; where nothing was, it
    lies on the straight line between the logged losses around it. Everything else is what was last known at the
    moment. What is not finite stays so: a mean with NaN in it is NaN, and where one end of a line is not finite, the
    earlier end holds until the later one. What was not logged is NaN, the optimiser always, since no log names it.

    Args:
        curve: of at least one point.
        track: one of `TRACKS`.
        n_points: wanted, at least one. With as many as were logged at even steps, they are what was logged.

    Returns:
        (n_channels, n_points) float32, channels in the order of the track.

    >>> steps = np.array([0.0, 1.0, 2.0, 4.0])
    >>> curve = Curve("", "csv", "epoch", steps, train_loss=np.array([8.0, 6.0, 4.0, 2.0]))
    >>> [channels_of(curve, "curve", n)[0].tolist() for n in (3, 5)]
    [[8.0, 5.0, 2.0], [8.0, 6.0, 4.0, 3.0, 2.0]]
    """
    place = _places(curve.steps, n_points)
    moment = np.ceil(place - _SLACK).astype(np.intp)
    known = np.searchsorted(moment, np.arange(n_points), side="right") - 1
    logged = {
        "val_loss": curve.val_loss,
        "grad_norm": curve.grad_norm,
        "learning_rate": curve.learning_rate,
    }
    channels = np.full((len(TRACKS[track]), n_points), np.nan)
    for i, name in enumerate(TRACKS[track]):
        if name == "train_loss":
            channels[i] = _means(curve.train_loss, place, moment, n_points)
        elif (values := logged.get(name)) is not None:
            channels[i] = values[known]
    with np.errstate(over="ignore"):  # what is too large for single precision becomes infinite
        return channels.astype(np.float32)


def _places(steps: Float, n_points: int) -> Float:
    """(n_logged,) where each step lies on a scale from 0 to n_points - 1; evenly if the steps tell no time."""
    first, last = float(steps[0]), float(steps[-1])
    if not (last > first and math.isfinite(last - first)):
        steps, first, last = np.arange(len(steps), dtype=np.float64), 0.0, max(1.0, len(steps) - 1.0)
    place: Float = (steps - first) / (last - first) * (n_points - 1)
    return place


def _means(values: Float, place: Float, moment: Int, n_points: int) -> Float:
    """(n_points,) the mean of the values of each moment; between them straight lines."""
    count = np.bincount(moment, minlength=n_points)
    with np.errstate(invalid="ignore"):
        total = np.bincount(moment, weights=values, minlength=n_points)
    means: Float = total / np.maximum(count, 1)
    empty = np.flatnonzero(count == 0)
    if len(empty):
        left = np.searchsorted(place, empty, side="right") - 1
        right = np.minimum(left + 1, len(values) - 1)
        with np.errstate(invalid="ignore", over="ignore"):
            share = (empty - place[left]) / np.maximum(place[right] - place[left], _SLACK)
            lines = values[left] + share * (values[right] - values[left])
        means[empty] = np.where(np.isfinite(lines), lines, values[left])
    return means
