"""The compiled elementary functions against float64, and what they do at the ends."""

import math

import numpy as np
import pytest

numba = pytest.importorskip("numba")

from curvebench.generation.engine import float32_math

RNG = np.random.default_rng(0)


def over(function):
    @numba.njit(error_model="numpy")
    def loop(x, y):
        for i in range(len(x)):
            y[i] = function(x[i])

    def call(x):
        x = np.asarray(x, dtype=np.float32)
        y = np.empty_like(x)
        loop(x, y)
        return y

    return call


def exact(function):
    return np.vectorize(function, otypes=[np.float64])


def softplus(x):
    return math.log1p(math.exp(-abs(x))) + max(x, 0.0)


def sigmoid(x):
    return 1.0 / (1.0 + math.exp(-x)) if x > -700 else 0.0


CASES = {
    # name: (oracle in float64, lowest, highest, bound in units of the last place)
    "exp": (math.exp, -87.0, 88.7, 1.5),
    "log": (math.log, None, None, 1.0),
    "log1p_of_small": (math.log1p, 0.0, 1.0, 2.0),
    "tanh": (math.tanh, -12.0, 12.0, 2.0),
    "sigmoid": (sigmoid, -80.0, 80.0, 2.5),
    "softplus": (softplus, -80.0, 80.0, 3.0),
    "erf": (math.erf, -5.0, 5.0, 2.0),
}


def arguments(name):
    _, low, high, _ = CASES[name]
    if name == "log":
        near_one = 1.0 + RNG.normal(scale=0.3, size=20_000).clip(-0.9)
        return np.concatenate([np.exp(RNG.uniform(-87, 88, 40_000)), near_one]).astype(np.float32)
    near_zero = np.clip(RNG.normal(scale=0.3, size=20_000), low, high)
    return np.concatenate([RNG.uniform(low, high, 40_000), near_zero]).astype(np.float32)


@pytest.mark.parametrize("name", CASES)
def test_errors_stay_within_their_bounds(name):
    oracle, _, _, bound = CASES[name]
    x = arguments(name)
    expected = exact(oracle)(x.astype(np.float64))
    error = np.abs(over(getattr(float32_math, name))(x) - expected) / np.spacing(np.abs(expected).astype(np.float32))
    assert error.max() <= bound, f"{error.max():.2f} at {x[error.argmax()]}"


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        ("exp", [np.nan, np.inf, -np.inf, 0.0, 200.0, -200.0], [np.nan, np.inf, 0.0, 1.0, np.inf, 0.0]),
        ("log", [np.nan, np.inf, 0.0, 1.0, -1.0, 1e-40], [np.nan, np.inf, -np.inf, 0.0, np.nan, -np.inf]),
        ("tanh", [np.nan, np.inf, -np.inf, 0.0], [np.nan, 1.0, -1.0, 0.0]),
        ("sigmoid", [np.nan, np.inf, -np.inf, 0.0], [np.nan, 1.0, 0.0, 0.5]),
        ("softplus", [np.nan, np.inf, -np.inf, 200.0], [np.nan, np.inf, 0.0, 200.0]),
        ("erf", [np.nan, np.inf, -np.inf, 0.0], [np.nan, 1.0, -1.0, 0.0]),
        ("gelu_slope", [np.nan, 30.0, -30.0, 0.0], [np.nan, 1.0, 0.0, 0.5]),
    ],
)
def test_ends(name, x, expected):
    np.testing.assert_array_equal(over(getattr(float32_math, name))(x), np.array(expected, dtype=np.float32))


def test_gelu_and_its_slope():
    x = np.linspace(-6, 6, 10_001)
    normal = 0.5 * (1 + exact(math.erf)(x / math.sqrt(2)))
    slope = normal + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(over(float32_math.gelu)(x), x * normal, atol=3e-7)
    np.testing.assert_allclose(over(float32_math.gelu_slope)(x), slope, atol=4e-7)


def test_fma_rounds_once():
    x = np.float32(1 + 2**-12)

    @numba.njit
    def square_less_one_and_a_bit(x):
        return float32_math.fma(x, x, np.float32(-(1 + 2**-11)))

    assert square_less_one_and_a_bit(x) == np.float32(2**-24)
