"""Curves as rows of numbers, for classifiers of tables."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from curvebench.diagnosers.features import FEATURES
from curvebench.diagnosers.learned.series import RATE, constants, log_channels, resampled
from curvebench.spec import Float

N_LEVELS = 24
"""Points of the log curve that are features themselves."""

LAGS, N_PARTS, N_BENT_PARTS = (1, 2, 4, 8, 16), 4, 8
"""Differences are taken over so many points, each in this many parts of the curve; second differences in finer ones."""


def features_of_channels(X: Float) -> NDArray[np.float64]:
    """The simple features of curves.

    Every feature of `FEATURES` of every channel that is a curve; of the learning rate its logarithm where it is
    highest, and the decades by which it lies below that at the start, at half time and at the end; of the optimiser
    which it is.

    Args:
        X: (n_curves, n_channels, n_points), channels of any track.

    Returns:
        (n_curves, n_features) float64, finite.
    """
    logs, fixed = log_channels(X), constants(X)
    columns = [feature.of(curves) for curves in logs[:RATE] for feature in FEATURES.values()]
    if len(logs) > RATE:
        n_points = logs[RATE].shape[1]
        columns += [fixed[:, 0], *(logs[RATE][:, round(at * (n_points - 1))] for at in (0.0, 0.5, 1.0))]
    return np.column_stack([*columns, fixed[:, 1:]]).astype(np.float64)


def describe(X: Float) -> NDArray[np.float64]:
    """The simple features of curves, and more: where the log curve runs, and how it moves on several scales of time.

    To `features_of_channels` come, for every channel that is a curve: the log curve at `N_LEVELS` points; standard
    deviation, mean and median size of its differences over each of `LAGS` points, in quarters of the curve; the
    standard deviation of its second differences in eighths. Of the learning rate: its curve at `N_LEVELS` points.

    Args:
        X: (n_curves, n_channels, n_points), channels of any track, NaN and inf as they happened, at least one point.

    Returns:
        (n_curves, n_features) float64, finite.
    """
    columns: list[Float] = [*features_of_channels(X).T]
    for channel, logs in enumerate(log_channels(X)):
        columns += [*resampled(logs, N_LEVELS).T]
        if channel < RATE:
            columns += [moved for lag in LAGS for moved in _moves(_differences(logs, lag))]
            columns += _bends(logs)
    return np.column_stack(columns)


def _differences(logs: Float, lag: int) -> Float:
    """(n_curves, at least 1) over so many points; one of zero where the curve is no longer than the lag."""
    if logs.shape[1] <= lag:
        return np.zeros((len(logs), 1))
    difference: Float = logs[:, lag:] - logs[:, :-lag]
    return difference


def _parts(values: Float, n_parts: int) -> list[Float]:
    """Nearly equal pieces, none empty; where there are fewer values than pieces, some stand in several."""
    n_values = values.shape[1]
    edges = np.arange(n_parts + 1) * n_values // n_parts
    return [values[:, first : max(first + 1, last)] for first, last in pairwise(edges)]


def _moves(differences: Float) -> list[Float]:
    """Standard deviation, mean and median size in each part."""
    return [
        measured
        for part in _parts(differences, N_PARTS)
        for measured in (part.std(axis=1), part.mean(axis=1), np.median(np.abs(part), axis=1))
    ]


def _bends(logs: Float) -> list[Float]:
    """Standard deviation of second differences in each of the finer parts."""
    second = _differences(_differences(logs, 1), 1)
    return [part.std(axis=1) for part in _parts(second, N_BENT_PARTS)]
