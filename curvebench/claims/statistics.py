"""Means over problem instances with their intervals, and choices that are read off where they were not made."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from curvebench.claims.claim import Estimate
from curvebench.remedies import gain
from curvebench.spec import Float, Int

SEED = 1889
"""Of the generator of bootstrap samples; fixed, so that an interval follows from the figures."""

N_DRAWS = 4000
LEVEL = 0.95


def estimate(values: ArrayLike) -> Estimate:
    """Mean over problem instances with a percentile interval from drawing the instances again with replacement.

    Args:
        values: (n_instances,) float; NaN where an instance says nothing, which leaves it out.

    Source: B. Efron (1979), "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1-26.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if len(known) == 0:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    draws = np.random.default_rng(SEED).integers(0, len(known), size=(N_DRAWS, len(known)))
    low, high = np.quantile(known[draws].mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(float(known.mean()), float(low), float(high), len(known))


def mean_of_known(values: Float) -> Float:
    """(n,) mean over the second axis of (n, m) of what is not NaN; NaN where all of it is.

    >>> mean_of_known(np.array([[1.0, 3.0], [1.0, np.nan], [np.nan, np.nan]])).tolist()
    [2.0, 1.0, nan]
    """
    n_known = (~np.isnan(values)).sum(axis=1)
    return np.where(n_known > 0, np.nansum(values, axis=1) / np.maximum(n_known, 1), np.nan)


def chosen_on_others(losses: Float) -> Int:
    """For each seed the choice that has the lowest mean loss over the other seeds.

    A minimum over noisy choices looks better than it is; the loss of a seed says nothing about its own choice here.

    Args:
        losses: (n_choices, n_seeds) float, at least two seeds.

    Returns:
        (n_seeds,) index of a choice, the lowest of equal ones.

    >>> chosen_on_others(np.array([[0.0, 3.0, 3.0], [2.0, 2.0, 2.0]])).tolist()
    [1, 0, 0]
    """
    others = losses.sum(axis=1, keepdims=True) - losses
    return np.asarray(np.argmin(others, axis=0), dtype=np.intp)


def tuned(losses: Float) -> Float:
    """(n_seeds,) loss of each seed at the choice that the other seeds make, see `chosen_on_others`."""
    return np.asarray(losses[chosen_on_others(losses), np.arange(losses.shape[1])])


def mean_gain(before: Float, after: Float) -> float:
    """Mean over seeds of the gain, in [-1, 1], from one training loss to another, both shares of the cap."""
    return float(gain(before, after, 1.0).mean())
