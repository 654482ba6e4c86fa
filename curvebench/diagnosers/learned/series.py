"""Curves brought to one length, for those who look at them point by point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.features import log_curves
from curvebench.spec import CHANNELS, OPTIMIZERS, Float

RATE, OPTIMIZER = CHANNELS.index("learning_rate"), CHANNELS.index("optimizer")
"""Where these stand among the channels; those before are curves."""

_LEAST_RATE, _MOST_RATE = 1e-30, 1e30


def resampled(values: Float, n_points: int) -> NDArray[np.float64]:
    """Curves at another number of points over the same time.

    Args:
        values: (n_curves, any number of points but none) finite numbers.
        n_points: wanted. Fewer points are means of nearly equal pieces, more lie on straight lines between those given.

    Returns:
        (n_curves, n_points) float64.

    >>> resampled(np.array([[0.0, 2.0, 4.0, 8.0]]), 2).tolist(), resampled(np.array([[0.0, 2.0]]), 3).tolist()
    ([[1.0, 6.0]], [[0.0, 1.0, 2.0]])
    """
    n_given = values.shape[1]
    if n_given < n_points:
        place = np.linspace(0, n_given - 1, n_points)
        left = np.floor(place).astype(np.intp)
        right = np.minimum(left + 1, n_given - 1)
        return values[:, left] + (values[:, right] - values[:, left]) * (place - left)
    edges = np.arange(n_points + 1) * n_given // n_points
    means: NDArray[np.float64] = np.add.reduceat(values, edges[:-1], axis=1) / np.diff(edges)
    return means


def at_points(X: Float, n_points: int) -> NDArray[np.float64]:
    """Curves at another number of points over the same time, as `resampled`.

    Args:
        X: (n_curves, n_channels, any number of points but none), NaN and inf as they happened.
        n_points: wanted.

    Returns:
        (n_curves, n_channels, n_points) float64; NaN where anything that is not finite went in.
    """
    flat = np.asarray(X, dtype=np.float64).reshape(-1, np.shape(X)[2])
    is_lost = ~np.isfinite(flat)
    values = np.where(resampled(is_lost * 1.0, n_points) > 0, np.nan, resampled(np.where(is_lost, 0, flat), n_points))
    return values.reshape(*np.shape(X)[:2], n_points)


def log_channels(X: Float) -> list[NDArray[np.float64]]:
    """Every channel but the optimiser in decades: curves against their start, rates against their highest.

    Args:
        X: (n_curves, n_channels, n_points), channels of any track.

    Returns:
        (n_curves, n_points) for each channel, finite.
    """
    X = np.asarray(X, dtype=np.float64)
    logs = [log_curves(X[:, channel]) for channel in range(min(X.shape[1], RATE))]
    if X.shape[1] > RATE:
        logs.append(log_curves(np.column_stack([_highest(X), X[:, RATE]]))[:, 1:])
    return logs


def constants(X: Float) -> NDArray[np.float64]:
    """What does not change along a curve: log10 of the highest rate, and for each optimiser whether it is the one.

    Args:
        X: (n_curves, n_channels, n_points), channels of any track.

    Returns:
        (n_curves, n_constants) float64, finite; no column for tracks that show neither.
    """
    X = np.asarray(X, dtype=np.float64)
    columns: list[Float] = []
    if X.shape[1] > RATE:
        columns.append(np.log10(np.clip(_highest(X), _LEAST_RATE, _MOST_RATE)))
    if X.shape[1] > OPTIMIZER:
        columns += [X[:, OPTIMIZER, 0] == code for code in range(len(OPTIMIZERS))]
    return np.array(columns, dtype=np.float64).reshape(len(columns), len(X)).T


def _highest(X: Float) -> Float:
    highest: Float = np.where(np.isfinite(X[:, RATE]), X[:, RATE], 0.0).max(axis=1)
    return highest
