"""Scores that become probabilities: one number, the sharpness, is fitted to curves that were held out.

Temperature scaling (Guo et al. 2017, On Calibration of Modern Neural Networks, section 4.2): probabilities are the
softmax of the scores times a sharpness. It does not change which diagnosis is the most probable.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from curvebench.spec import Bool, Float, Int

N_BLOCKS, EVERY = 60, 4
"""Rows are cut into so many blocks; every fourth is held out."""

LEAST_SHARPNESS, MOST_SHARPNESS = 1e-3, 1e3


def held_out(n_curves: int) -> Bool:
    """(n_curves,) which curves are held out: every fourth block of neighbouring rows, so a quarter.

    Runs of one problem, and seeds of one run, are neighbours in a data set. Drawn row by row, what is held out would
    have twins in what is learned from, and everybody would look surer than they may be. A diagnoser is not told which
    rows belong together; blocks of neighbours keep nearly all of them together.

    >>> int(held_out(600).sum())
    150
    """
    is_held: Bool = np.arange(n_curves) * N_BLOCKS // max(n_curves, 1) % EVERY == EVERY - 1
    return is_held


def softmax(scores: Float) -> NDArray[np.float64]:
    """Probabilities in proportion to exp(score), row by row."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def best_sharpness(scores: Float, codes: Int) -> float:
    """The factor on the scores whose softmax has the lowest log loss.

    Args:
        scores: (n_curves, n_classes), at least one curve.
        codes: (n_curves,) int, the right class of each.

    Returns:
        The factor, from `LEAST_SHARPNESS` to `MOST_SHARPNESS`.
    """
    right = scores[np.arange(len(scores)), codes]
    low, high = LEAST_SHARPNESS, MOST_SHARPNESS
    for _ in range(60):  # the loss is convex in the factor: halve, on a logarithmic scale, where its slope changes sign
        middle = float(np.sqrt(low * high))
        slope = (softmax(middle * scores) * scores).sum(axis=1) - right
        low, high = (middle, high) if slope.mean() < 0 else (low, middle)
    return float(np.sqrt(low * high))


def log_loss(probabilities: Float, codes: Int) -> float:
    """Mean of -log(probability of the right class)."""
    right = probabilities[np.arange(len(codes)), codes]
    return float(-np.log(np.maximum(right, 1e-300)).mean())


def fitted_sharpness(scores_after: Callable[[Bool, Bool], Float], codes: Int) -> float:
    """The best sharpness on held-out rows of scores that were learned from the others.

    Args:
        scores_after: from the rows to learn from and those to score, (n_curves,) each, to scores (n_scored, n_classes).
        codes: (n_curves,) int.

    Returns:
        The sharpness; 1 where the rows that are left to learn from lack a class, so that nothing can be told.
    """
    is_held = held_out(len(codes))
    if not is_held.any() or len(np.unique(codes[~is_held])) < len(np.unique(codes)):
        return 1.0
    return best_sharpness(scores_after(~is_held, is_held), codes[is_held])


def balanced_weights(codes: Int) -> NDArray[np.float64]:
    """(n_curves,) weights whose mean is one, under which all classes weigh alike."""
    counts = np.bincount(codes)
    weights: NDArray[np.float64] = len(codes) / (np.count_nonzero(counts) * counts[codes])
    return weights
