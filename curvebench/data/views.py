"""How else a curve might have been logged: views, each a pure function of curves.

A view keeps the channels and their order. Shorter views leave points out of every channel; the others change only what
was measured (losses and gradient norm), never the settings (learning rate, optimiser). What is NaN or infinite stays
as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from curvebench.spec import CHANNELS, Float

N_MEASURED = CHANNELS.index("learning_rate")
"""The first three channels are measured while training; every track begins with some of them."""

SMOOTHED_OVER = 5
"""Points of the moving mean: the point itself and the four before it, as a tracker that smooths live shows them."""

EVERY = 4
"""Every fourth point is kept, the first one among them."""

SCALE = 0.01
"""What `scaled` multiplies by: a mean over a hundred outputs in place of their sum."""

NOISE = 0.05
"""Standard deviation of what `noised` multiplies by."""

View = Callable[[Float], NDArray[np.float32]]
"""(n_curves, n_channels, n_points) -> (n_curves, n_channels, n_points or fewer), float32, an array of its own."""


def _first(share: float) -> View:
    """The first share of the points, at least one."""

    def view(X: Float) -> NDArray[np.float32]:
        return np.array(X[:, :, : max(1, round(share * X.shape[2]))], dtype=np.float32)

    return view


def _every_4th(X: Float) -> NDArray[np.float32]:
    return np.array(X[:, :, ::EVERY], dtype=np.float32)


def _smoothed(X: Float) -> NDArray[np.float32]:
    """Mean over the finite ones of the last few points; what is not finite stays."""
    viewed = np.array(X, dtype=np.float32)
    measured = viewed[:, :N_MEASURED]
    is_finite = np.isfinite(measured)
    values = np.where(is_finite, measured, 0.0).astype(np.float64)
    total, count = np.zeros(values.shape), np.zeros(values.shape)
    for lag in range(min(SMOOTHED_OVER, values.shape[2])):
        total[:, :, lag:] += values[:, :, : values.shape[2] - lag]
        count[:, :, lag:] += is_finite[:, :, : values.shape[2] - lag]
    measured[:] = np.where(is_finite, total / np.maximum(count, 1), measured)
    return viewed


def _scaled(X: Float) -> NDArray[np.float32]:
    viewed = np.array(X, dtype=np.float32)
    viewed[:, :N_MEASURED] *= np.float32(SCALE)
    return viewed


def _noised(X: Float) -> NDArray[np.float32]:
    """Every measured point times a factor of its own, uniform around one.

    The factors are counted off from a hash of the curve's training loss: the same for a curve in any batch, on any
    track and on any machine.
    """
    viewed = np.array(X, dtype=np.float32)
    measured = viewed[:, :N_MEASURED]
    factors = 1.0 + NOISE * math.sqrt(3.0) * (2.0 * _uniform(_keys(viewed[:, 0]), measured.shape[1:]) - 1.0)
    limit = np.finfo(np.float32).max
    with np.errstate(invalid="ignore"):
        noised = np.clip(measured * factors, -limit, limit)
    measured[:] = np.where(np.isfinite(measured), noised, measured)
    return viewed


def _keys(losses: NDArray[np.float32]) -> NDArray[np.uint64]:
    """(n_curves,) a hash of each curve (n_curves, n_points)."""
    digests = b"".join(blake2b(curve.astype("<f4").tobytes(), digest_size=8).digest() for curve in losses)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def _uniform(keys: NDArray[np.uint64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """(n_keys, *shape) numbers in [0, 1): for each key the first of SplitMix64 (Steele, Lea & Flood 2014)."""
    counter = np.arange(1, math.prod(shape) + 1, dtype=np.uint64)
    z = keys[:, None] + counter * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    draws: NDArray[np.float64] = (z >> np.uint64(11)) * 2.0**-53
    return draws.reshape(len(keys), *shape)


VIEWS: Mapping[str, View] = {
    "whole": _first(1.0),
    "first-25": _first(0.25),
    "first-50": _first(0.5),
    "first-75": _first(0.75),
    "smoothed": _smoothed,
    "every-4th": _every_4th,
    "scaled": _scaled,
    "noised": _noised,
}
"""Name -> view."""

FRACTION_SEEN: Mapping[str, float] = {"first-25": 0.25, "first-50": 0.5, "first-75": 0.75, "whole": 1.0}
"""View -> the share of training that a diagnoser has seen, for the views that show how early it can tell."""

LOGGED_OTHERWISE: tuple[str, ...] = ("whole", "smoothed", "every-4th", "scaled", "noised")
"""Views of a whole training: who watches it should say the same of all of them."""

SHORTER: tuple[str, ...] = ("first-25", "first-50", "first-75", "every-4th")
"""Views with fewer points. Whoever fits a classifier knows how many points it will see, so it is fitted on the view."""
