"""Curves that come out of nowhere: constant, jumping, falling, with holes, of one point or a hundred and thirty."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

LENGTHS = (1, 2, 3, 4, 9, 11, 12, 31, 32, 33, 63, 64, 65, 100, 130)
FEW = (0.0, 0.5, 1.0, 1.02, 2.0, -1.0)
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, 1e-45, 3e38, -3e38, 1e-8, 2e3)


def _constant(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.full(n, rng.choice((*FEW, *SPECIAL)))


def _jumping(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.choice(FEW, n)


def _walking(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.exp(rng.normal(0, rng.choice((0.01, 0.3)), n).cumsum())


def _falling(rng: np.random.Generator, n: int) -> np.ndarray:
    fall = np.exp(-(10.0 ** rng.uniform(-2, 2)) * np.linspace(0, 1, n))
    return 10.0 ** rng.uniform(-9, 1) * (rng.choice((0.0, 0.3)) + fall + rng.choice((0.0, 0.05)) * rng.normal(size=n))


SHAPES = (_constant, _jumping, _walking, _falling, _falling)


@st.composite
def odd_curves(draw: st.DrawFn, n_channels: int) -> np.ndarray:
    """One curve, (n_channels, n_points) float32."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n_points = draw(st.sampled_from(LENGTHS))
    channels = np.array([SHAPES[draw(st.integers(0, len(SHAPES) - 1))](rng, n_points) for _ in range(n_channels)])
    if draw(st.booleans()):
        holes = rng.integers(0, n_points, (n_channels, draw(st.integers(1, 3))))
        np.put_along_axis(channels, holes, rng.choice(SPECIAL, holes.shape), axis=1)
    return channels.astype(np.float32)
