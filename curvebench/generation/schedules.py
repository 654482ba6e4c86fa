"""Learning-rate schedules: shapes in [0, 1] over the updates of a training; a base rate multiplies them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from curvebench.generation.portable_math import cos, exp, log
from curvebench.spec import Float

Shape = Callable[[Float, float, float], Float]


def _constant(u: Float, decay: float, cycles: float) -> Float:
    return np.ones_like(u)


def _step(u: Float, decay: float, cycles: float) -> Float:
    """Halve (as nearly as the decay allows) at equal distances: the last drop comes one interval before the end."""
    n_drops = max(1, round(float(log(np.float64(decay)) / log(np.float64(2.0)))))
    dropped = np.minimum(np.floor(u * (n_drops + 1)), n_drops)
    return _power(decay, -dropped / n_drops)


def _milestones(u: Float, decay: float, cycles: float) -> Float:
    """Two drops by the same factor, at a half and at three quarters, as image classifiers are often trained."""
    n_drops = (u >= 0.5).astype(np.float64) + (u >= 0.75)
    return _power(decay, -n_drops / 2.0)


def _exponential(u: Float, decay: float, cycles: float) -> Float:
    return _power(decay, -u)


def _inverse_time(u: Float, decay: float, cycles: float) -> Float:
    """1 / (1 + k u) with k = decay - 1: with k a unit of progress, not of steps."""
    return 1.0 / (1.0 + (decay - 1.0) * u)


def _cosine(u: Float, decay: float, cycles: float) -> Float:
    return 1.0 / decay + (1.0 - 1.0 / decay) * (0.5 + 0.5 * cos(np.pi * u))


def _cosine_restarts(u: Float, decay: float, cycles: float) -> Float:
    """Cosines one after the other, each from the peak (Loshchilov & Hutter 2017, with cycles of one length)."""
    return _cosine(_phase(u, cycles), decay, cycles)


def _triangular(u: Float, decay: float, cycles: float) -> Float:
    """Up and down along straight lines, from the bottom (Smith 2017)."""
    height: Float = 1.0 - np.abs(2.0 * _phase(u, cycles) - 1.0)
    return 1.0 / decay + (1.0 - 1.0 / decay) * height


def _phase(u: Float, cycles: float) -> Float:
    """Progress within a cycle, in [0, 1); 1 where the last one ends with the training."""
    passed = cycles * u
    phase: Float = np.where(u < 1.0, passed - np.floor(passed), passed - np.ceil(passed) + 1.0)
    return phase


def _power(base: float, exponent: Float) -> Float:
    return exp(exponent * log(np.float64(base)))


SHAPES: dict[str, Shape] = {
    "constant": _constant,
    "step": _step,
    "milestones": _milestones,
    "exponential": _exponential,
    "inverse_time": _inverse_time,
    "cosine": _cosine,
    "cosine_restarts": _cosine_restarts,
    "triangular": _triangular,
}
"""Name -> function of progress u in [0, 1], of the factor between peak and bottom, and of the number of cycles."""

CYCLIC: frozenset[str] = frozenset({"cosine_restarts", "triangular"})
"""Shapes whose rate rises again."""


def schedule_shape(
    name: str, n_steps: int, decay: float = 1.0, warmup: float = 0.0, until: float = 1.0, cycles: float = 1.0
) -> Float:
    """The shape of a schedule over the updates of one training.

    Args:
        name: a key of `SHAPES`.
        n_steps: number of updates.
        decay: factor >= 1 by which the rate has fallen at the end of the decay; ignored by "constant".
        warmup: share of the updates, in [0, 0.5], in which the rate first rises linearly to the peak.
        until: share of the updates after warm-up, in (0, 1], at which the shape stops: its value there is kept.
        cycles: of a cyclic shape in the whole training, not necessarily a whole number; others ignore it.

    Returns:
        (n_steps,) float64 in (0, 1].

    >>> schedule_shape("exponential", 3, decay=100).round(6).tolist()
    [1.0, 0.1, 0.01]
    >>> schedule_shape("constant", 4, warmup=0.5).round(3).tolist()
    [0.333, 0.667, 1.0, 1.0]
    >>> schedule_shape("exponential", 5, decay=16, until=0.5).round(3).tolist()
    [1.0, 0.5, 0.25, 0.25, 0.25]
    """
    n_warmup = int(warmup * n_steps)
    steps = np.arange(n_steps, dtype=np.float64)
    u = np.clip((steps - n_warmup) / max(1, n_steps - 1 - n_warmup), 0.0, until)
    rising = np.minimum((steps + 1.0) / (n_warmup + 1.0), 1.0)
    shape = SHAPES[name](u, float(decay), float(cycles))
    return np.minimum(shape, 1.0) * rising
