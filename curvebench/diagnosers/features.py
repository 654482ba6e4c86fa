"""What can be read off a loss curve in one line each: features that the zoo takes one by one and the forest together.

All look at the logarithm of the loss as a share of its first value, so the unit of the loss plays no part, and all
are finite for any curve: NaN, infinite, constant, of a single point.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curvebench.spec import Float

LIMIT = 12.0
"""Decades that a curve may be above or below its start; what is not finite stands at the upper limit."""

NEAR = 0.05
"""Decades within which a loss is near another: 12 %."""

LEAST_NOISE = 1e-6
"""Decades; less noise than float32 has is none."""

_SMALLEST, _LARGEST = 1e-45, 3.5e38  # what single precision holds


def log_curves(curves: ArrayLike) -> NDArray[np.float64]:
    """Decades above the first value.

    Args:
        curves: (n_curves, n_points) losses, at least one point, NaN and inf as they happened.

    Returns:
        (n_curves, n_points) float64 within ±`LIMIT`; `LIMIT` where the loss is not finite.

    >>> log_curves([[2.0, 0.2, np.nan]]).round(3).tolist()
    [[0.0, -1.0, 12.0]]
    """
    losses = np.array(curves, dtype=np.float64)
    is_lost = ~np.isfinite(losses)
    losses[is_lost] = _LARGEST
    logs = np.log10(np.clip(losses, _SMALLEST, _LARGEST))
    return np.where(is_lost, LIMIT, np.clip(logs - logs[:, :1], -LIMIT, LIMIT))


# -------------------------------------------------------------------------------------- parts of a curve


def _part(logs: Float, begin: float, end: float) -> Float:
    """The points from one share of training to another, at least one."""
    n_points = logs.shape[1]
    first = min(round(begin * n_points), n_points - 1)
    return logs[:, first : max(first + 1, round(end * n_points))]


def _level(logs: Float, at: float) -> Float:
    """Mean of the tenth of the points around a share of training."""
    mean: Float = _part(logs, max(0.0, at - 0.05), min(1.0, at + 0.05)).mean(axis=1)
    return mean


def _final(logs: Float) -> Float:
    """Mean of the last tenth."""
    mean: Float = _part(logs, 0.9, 1.0).mean(axis=1)
    return mean


def _steps(logs: Float) -> Float:
    """From point to point; a single point has one step, of zero."""
    return np.diff(logs, axis=1) if logs.shape[1] > 1 else np.zeros((len(logs), 1))


def _slope(logs: Float) -> Float:
    """Of the straight line through the points (least squares), decades per this part of training."""
    n_points = logs.shape[1]
    time = np.arange(n_points) - (n_points - 1) / 2
    slope: Float = (logs * time).sum(axis=1) / max(float(time @ time), 1.0) * n_points
    return slope


def _noise(logs: Float) -> Float:
    """log10 of the standard deviation about a line that bends slowly, from second differences."""
    bends = np.diff(logs, n=2, axis=1)
    variance = (bends**2).mean(axis=1) / 6 if bends.shape[1] else np.zeros(len(logs))
    return np.log10(np.maximum(np.sqrt(variance), LEAST_NOISE))


def _time_until(is_there: NDArray[np.bool_]) -> Float:
    """Share of the points before the first that is there; one where none is."""
    return np.where(is_there.any(axis=1), is_there.argmax(axis=1) / is_there.shape[1], 1.0)


def _fallen(logs: Float, share: float) -> Float:
    """Time until a share of the whole fall is done."""
    return _time_until(logs <= share * _final(logs)[:, None])


def _share(is_so: NDArray[np.bool_]) -> Float:
    share: Float = is_so.mean(axis=1)
    return share


def _step_correlation(logs: Float) -> Float:
    """Of each step with the next: -0.5 for pure noise, 1 for a smooth fall."""
    steps = _steps(logs)
    products = (steps[:, 1:] * steps[:, :-1]).sum(axis=1)
    correlation: Float = products / np.maximum((steps**2).sum(axis=1), LEAST_NOISE**2)
    return correlation


# ---------------------------------------------------------------------------------------------- features


@dataclass(frozen=True)
class Feature:
    """One number that is read off a curve.

    Attributes:
        meaning: half a sentence.
        of: from `log_curves` (n_curves, n_points) to (n_curves,) finite numbers.
    """

    meaning: str
    of: Callable[[Float], Float]


FEATURES: Mapping[str, Feature] = {
    "final-over-first": Feature("how far the loss ends below its start", _final),
    "final-over-min": Feature("how far the loss ends above its lowest value", lambda c: _final(c) - c.min(axis=1)),
    "min-over-first": Feature("how far the loss ever fell", lambda c: c.min(axis=1)),
    "max-over-first": Feature("how far the loss ever rose", lambda c: c.max(axis=1)),
    "not-finite": Feature("whether the loss is NaN or infinite anywhere", lambda c: (c == LIMIT).any(axis=1) * 1.0),
    "time-of-min": Feature("when the loss is lowest", lambda c: c.argmin(axis=1) / c.shape[1]),
    "time-of-max": Feature("when the loss is highest", lambda c: c.argmax(axis=1) / c.shape[1]),
    "first-tenth": Feature("how far the first tenth of training brings it", lambda c: _level(c, 0.1)),
    "first-quarter": Feature("how far the first quarter brings it", lambda c: _level(c, 0.25)),
    "first-half": Feature("how far the first half brings it", lambda c: _level(c, 0.5)),
    "second-half": Feature("what the second half brings", lambda c: _final(c) - _level(c, 0.5)),
    "last-quarter": Feature("what the last quarter brings", lambda c: _final(c) - _level(c, 0.75)),
    "early-slope": Feature("slope of the log loss in the first third", lambda c: _slope(_part(c, 0, 1 / 3))),
    "middle-slope": Feature("slope of the log loss in the second third", lambda c: _slope(_part(c, 1 / 3, 2 / 3))),
    "late-slope": Feature("slope of the log loss in the last third", lambda c: _slope(_part(c, 2 / 3, 1))),
    "bend": Feature(
        "how far half time lies above the line from start to end", lambda c: _level(c, 0.5) - 0.5 * _final(c)
    ),
    "mean": Feature("mean of the log loss over all of training", lambda c: c.mean(axis=1)),
    "half-done": Feature("when half of the fall is done", lambda c: _fallen(c, 0.5)),
    "nearly-done": Feature("when nine tenths of the fall are done", lambda c: _fallen(c, 0.9)),
    "largest-rise": Feature("largest rise from point to point", lambda c: _steps(c).max(axis=1)),
    "largest-fall": Feature("largest fall from point to point", lambda c: _steps(c).min(axis=1)),
    "rises": Feature("share of the steps that rise", lambda c: _share(_steps(c) > 0)),
    "late-rises": Feature(
        "share of the steps of the second half that rise", lambda c: _share(_steps(_part(c, 0.5, 1)) > 0)
    ),
    "above-start": Feature("share of the points above the start", lambda c: _share(c > 0)),
    "near-final": Feature(
        "share of the points near the final loss", lambda c: _share(np.abs(c - _final(c)[:, None]) < NEAR)
    ),
    "tail-spread": Feature("spread of the log loss in the last fifth", lambda c: _part(c, 0.8, 1).std(axis=1)),
    "early-noise": Feature("noise in the first third", lambda c: _noise(_part(c, 0, 1 / 3))),
    "late-noise": Feature("noise in the last third", lambda c: _noise(_part(c, 2 / 3, 1))),
    "noise-over-time": Feature(
        "noise in the last third over that in the first",
        lambda c: _noise(_part(c, 2 / 3, 1)) - _noise(_part(c, 0, 1 / 3)),
    ),
    "step-correlation": Feature("how alike each step is to the next", _step_correlation),
}
"""Name -> feature."""
