"""How low a loss can get with an output that cannot reach the targets: the floor that a bounded output stands on."""

from __future__ import annotations

import math

import numpy as np

from curvebench.generation.portable_math import Float64, exp, log, ordered_mean, ordered_sum
from curvebench.generation.problems.problem import entropy
from curvebench.spec import PROBABILITY_FLOOR, Float, Output

OUTPUT_RANGES: dict[str, tuple[float, float]] = {
    "identity": (-math.inf, math.inf),
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "softplus": (0.0, math.inf),
    "softmax": (0.0, 1.0),
    "hardtanh": (-1.0, 1.0),
}
"""Output activation -> the interval that its values come from; those of softmax sum to one besides."""


def output_floor(targets: Float, task: str, output: Output) -> float:
    """The lowest loss that any predictions in the range of an output reach on these targets.

    No network that ends in this output can get lower, however it is trained.

    Args:
        targets: (n, n_outputs), as in a problem.
        task: one of `curvebench.spec.TASKS`.
        output: the output activation and its loss.

    Returns:
        Mean squared error or cross entropy in nats; NaN where no formula is known: classes that are neither there
        nor not, in logits from a bounded interval.

    >>> output_floor(np.array([[2.0], [-1.0]]), "regression", Output("tanh", "squared_error"))
    0.5
    """
    y = np.asarray(targets, dtype=np.float64)
    low, high = OUTPUT_RANGES[output.activation]
    if output.loss == "squared_error":
        nearest = _on_simplex(y) if output.activation == "softmax" else np.clip(y, low, high)
        return float(ordered_mean((y - nearest) ** 2))
    if output.loss == "cross_entropy_logits":
        return _floor_of_logits(y, task, low, high)
    return _floor_of_probabilities(y, task, is_softmax=output.activation == "softmax")


def _on_simplex(y: Float64) -> Float64:
    """The nearest point with parts >= 0 that sum to one, for each row (Held, Wolfe & Crowder 1974)."""
    descending = -np.sort(-y, axis=1)
    excess = (np.cumsum(descending, axis=1) - 1.0) / np.arange(1, y.shape[1] + 1)
    n_positive = np.count_nonzero(descending > excess, axis=1)
    nearest: Float64 = np.maximum(y - excess[np.arange(len(y)), n_positive - 1][:, None], 0.0)
    return nearest


def _floor_of_logits(y: Float64, task: str, low: float, high: float) -> float:
    """The right class at the top of the interval, all others at its bottom."""
    if not np.isin(y, (0.0, 1.0)).all():
        is_free = math.isinf(low) and math.isinf(high)
        return float(ordered_mean(entropy(y))) if is_free and task == "multiclass" else math.nan
    if task == "binary":
        return float(ordered_mean(np.where(y == 1.0, _softplus(-high), _softplus(low))))
    n_others = y.shape[1] - 1
    return float(log(1.0 + n_others * exp(np.float64(low - high)))) if math.isfinite(low - high) else 0.0


def _softplus(x: float) -> float:
    if math.isinf(x):
        return max(x, 0.0)
    return float(log(1.0 + exp(np.float64(x))))


def _floor_of_probabilities(y: Float64, task: str, *, is_softmax: bool) -> float:
    """Zero for certain classes; but a softmax has to share one among several labels, or spend it where none is."""
    if task == "multiclass":
        return float(ordered_mean(entropy(y)))
    if not is_softmax:
        return float(ordered_mean(entropy(np.stack([1.0 - y, y], axis=-1))))
    if not np.isin(y, (0.0, 1.0)).all():
        return math.nan
    n_labels, n_there = y.shape[1], ordered_sum(y, axis=1)
    least_rest = max(1.0 - 1.0 / n_labels, PROBABILITY_FLOOR)
    shared = n_there * log(np.maximum(n_there, 1.0)) / n_labels
    spent = -float(log(np.float64(least_rest)))
    return float(ordered_mean(np.where(n_there == 0.0, spent, shared)))
