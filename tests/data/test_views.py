"""Views against slow twins, point by point, and what every view must keep."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curvebench.data.views import FRACTION_SEEN, LOGGED_OTHERWISE, N_MEASURED, NOISE, SCALE, SHORTER, VIEWS

SHOWN_POINTS = {"first-25": 32, "first-50": 64, "first-75": 96, "every-4th": 32}

anything = arrays(
    np.float32,
    st.tuples(st.integers(0, 3), st.sampled_from([1, 3, 5]), st.integers(1, 12)),
    elements=st.floats(width=32),
)


@pytest.fixture(scope="module")
def curves():
    X = np.random.default_rng(0).lognormal(size=(6, 5, 128)).astype(np.float32)
    X[1, 0, 40:] = np.nan
    X[2, 1, 100:] = np.inf
    X[3, 0, 5] = -np.inf
    X[:, 4] = 2.0
    return X


def splitmix64(state):
    """Steele, Lea & Flood 2014, in whole numbers of any size."""
    while True:
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = state
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        yield z ^ (z >> 31)


def slow_twin(name, X):
    """One point after the other."""
    n_points = X.shape[2]
    if name.startswith("first-"):
        return X[:, :, : round(int(name[6:]) / 100 * n_points)]
    if name == "every-4th":
        return np.stack([X[:, :, t] for t in range(n_points) if t % 4 == 0], axis=2)
    Y = X.copy()
    for i in range(len(X)):
        draws = splitmix64(int.from_bytes(hashlib.blake2b(X[i, 0].tobytes(), digest_size=8).digest(), "little"))
        for c in range(min(3, X.shape[1])):
            for t in range(n_points):
                uniform = (next(draws) >> 11) / 2**53
                if not np.isfinite(X[i, c, t]):
                    continue
                if name == "noised":
                    Y[i, c, t] = float(X[i, c, t]) * (1 + NOISE * 3**0.5 * (2 * uniform - 1))
                elif name == "scaled":
                    Y[i, c, t] = X[i, c, t] * SCALE
                elif name == "smoothed":
                    seen = [x for x in X[i, c, max(0, t - 4) : t + 1].tolist() if np.isfinite(x)]
                    Y[i, c, t] = sum(seen) / len(seen)
    return Y


@pytest.mark.parametrize("name", VIEWS)
def test_views_by_a_slow_twin(name, curves):
    before = curves.copy()
    np.testing.assert_allclose(VIEWS[name](curves), slow_twin(name, curves), rtol=1e-6)
    np.testing.assert_array_equal(curves, before)


@pytest.mark.parametrize("name", VIEWS)
@given(X=anything)
@settings(max_examples=25)
def test_what_every_view_keeps(name, X):
    X.setflags(write=False)
    viewed = VIEWS[name](X)
    assert viewed.dtype == np.float32
    assert viewed.shape[:2] == X.shape[:2]
    assert 1 <= viewed.shape[2] <= X.shape[2]
    assert not np.shares_memory(viewed, X)
    np.testing.assert_array_equal(viewed, VIEWS[name](X))
    for i in range(len(X)):
        np.testing.assert_array_equal(viewed[i : i + 1], VIEWS[name](X[i : i + 1]), "each curve by itself")
    if name not in SHORTER:
        np.testing.assert_array_equal(viewed[:, N_MEASURED:], X[:, N_MEASURED:], "settings stay")
        odd = ~np.isfinite(X)
        np.testing.assert_array_equal(viewed[odd], X[odd])
        assert np.isfinite(viewed[~odd]).all()


@pytest.mark.parametrize("name", VIEWS)
def test_lengths_are_those_that_are_announced(name, curves):
    assert VIEWS[name](curves).shape[2] == SHOWN_POINTS.get(name, 128)
    assert (name in SHORTER) == (name in SHOWN_POINTS)
    assert name in FRACTION_SEEN or name in LOGGED_OTHERWISE


def test_noise_is_that_of_the_curve_and_not_of_its_track(curves):
    np.testing.assert_array_equal(VIEWS["noised"](curves)[:, :1], VIEWS["noised"](curves[:, :1]))


def test_splitmix_is_the_published_one():
    assert next(splitmix64(0)) == 0xE220A8397B1DCDAF  # first output for seed 0 in the reference implementation


def test_noise_has_the_size_that_it_says():
    factors = VIEWS["noised"](np.ones((1, 3, 1000), dtype=np.float32))
    assert np.std(factors) == pytest.approx(NOISE, rel=0.05)
    assert np.mean(factors) == pytest.approx(1.0, abs=0.005)
