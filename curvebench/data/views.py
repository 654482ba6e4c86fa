"""How else a curve might have been logged: views, each a pure function of curves.

A view keeps the channels and their order. Shorter views leave points out of every channel; the others change only what
was measured (losses and gradient norm), never the settings (learning rate, optimiser). What is NaN or infinite stays
as it is.
"""

from __future__ import annotations

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
"""Standard deviation of the natural logarithm of what `noised` multiplies by."""

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
    """Every measured point times a factor of its own.

    The factors are drawn by Philox, a counter-based generator, whose key is a hash of the curve's training loss: the
    same for a curve in any batch and on any track.
    """
    viewed = np.array(X, dtype=np.float32)
    for curve in viewed:
        key = int.from_bytes(blake2b(curve[0].astype("<f4").tobytes(), digest_size=16).digest(), "little")
        measured = curve[:N_MEASURED]
        factors = np.exp(NOISE * np.random.Generator(np.random.Philox(key=key)).standard_normal(measured.shape))
        with np.errstate(over="ignore"):
            measured[:] = np.where(np.isfinite(measured), _at_most_finite(measured * factors), measured)
    return viewed


def _at_most_finite(values: Float) -> Float:
    """Values that float32 can hold."""
    limit = np.finfo(np.float32).max
    return np.clip(values, -limit, limit)


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
