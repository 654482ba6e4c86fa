"""Patience: how long a loss goes without an improvement, as schedulers and early stopping count it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from curvebench.spec import Bool, Float


def has_stalled(losses: Float, n_checks: int, is_better: Callable[[Float, Float], Bool]) -> Bool:
    """Whether so many checks in a row, anywhere on the curve, bring no improvement.

    The first check improves on infinity. A loss that is NaN improves on nothing.

    Args:
        losses: (n_curves, n_points), one check for each point.
        n_checks: checks without an improvement, in a row.
        is_better: from the losses of one check and the best so far, each (n_curves,), to whether they improve on it.

    Returns:
        (n_curves,) bool.
    """
    n_curves, n_points = losses.shape
    best = np.full(n_curves, np.inf)
    improves = np.empty((n_points, n_curves), dtype=np.bool_)
    for point, loss in enumerate(np.ascontiguousarray(losses.T)):
        improves[point] = is_better(loss, best)
        np.copyto(best, loss, where=improves[point])
    number = np.arange(n_points, dtype=np.int64)[:, None]
    last_improvement = np.maximum.accumulate(np.where(improves, number, -1), axis=0)
    return np.asarray((number - last_improvement >= n_checks).any(axis=0))
