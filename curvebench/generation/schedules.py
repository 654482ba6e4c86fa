"""Learning-rate schedules: shapes in [0, 1] over the updates of a training; a base rate multiplies them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from curvebench.generation.portable_math import cos, exp, log
from curvebench.spec import Float

Shape = Callable[[Float, float], Float]


def _constant(u: Float, decay: float) -> Float:
    return np.ones_like(u)


def _step(u: Float, decay: float) -> Float:
    """Halve (as nearly as the decay allows) at equal distances: the last drop comes one interval before the end."""
    n_drops = max(1, round(float(log(np.float64(decay)) / log(np.float64(2.0)))))
    dropped = np.minimum(np.floor(u * (n_drops + 1)), n_drops)
    return _power(decay, -dropped / n_drops)


def _exponential(u: Float, decay: float) -> Float:
    return _power(decay, -u)


def _inverse_time(u: Float, decay: float) -> Float:
    return 1.0 / (1.0 + (decay - 1.0) * u)


def _cosine(u: Float, decay: float) -> Float:
    return 1.0 / decay + (1.0 - 1.0 / decay) * (0.5 + 0.5 * cos(np.pi * u))


def _power(base: float, exponent: Float) -> Float:
    return exp(exponent * log(np.float64(base)))


SHAPES: dict[str, Shape] = {
    "constant": _constant,
    "step": _step,
    "exponential": _exponential,
    "inverse_time": _inverse_time,
    "cosine": _cosine,
}
"""Name -> function of progress u in [0, 1] and of the factor by which the rate has fallen at u = 1."""


def schedule_shape(name: str, n_steps: int, decay: float = 1.0, warmup: float = 0.0) -> Float:
    """The shape of a schedule over the updates of one training.

    Args:
        name: a key of `SHAPES`.
        n_steps: number of updates.
        decay: factor >= 1 by which the rate has fallen at the last update; ignored by "constant".
        warmup: share of the updates, in [0, 0.5], in which the rate first rises linearly to the peak.

    Returns:
        (n_steps,) float64 in (0, 1].

    >>> schedule_shape("exponential", 3, decay=100).round(6).tolist()
    [1.0, 0.1, 0.01]
    >>> schedule_shape("constant", 4, warmup=0.5).round(3).tolist()
    [0.333, 0.667, 1.0, 1.0]
    """
    n_warmup = int(warmup * n_steps)
    steps = np.arange(n_steps, dtype=np.float64)
    u = np.clip((steps - n_warmup) / max(1, n_steps - 1 - n_warmup), 0.0, 1.0)
    rising = np.minimum((steps + 1.0) / (n_warmup + 1.0), 1.0)
    shape = SHAPES[name](u, float(decay))
    return np.minimum(shape, 1.0) * rising
