"""Portable functions: within their stated error of an exact oracle, right at the ends, and the same bits as ever."""

import hashlib
import math
from decimal import Decimal, localcontext
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest

from curvebench.generation import portable_math

PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211707")


def exact_sine(x):
    """The Taylor series of sin on x modulo 2π, with 60 digits."""
    angle = x - 2 * PI * (x / (2 * PI)).to_integral_value()
    term, total, k = angle, angle, 1
    while abs(term) > Decimal("1e-60"):
        term *= -angle * angle / ((k + 1) * (k + 2))
        total, k = total + term, k + 2
    return total


def exact_tanh(x):
    growth = (2 * x).exp()
    return (growth - 1) / (growth + 1)


EXACT = {
    "exp": lambda x: x.exp(),
    "log": lambda x: x.ln(),
    "log10": lambda x: x.log10(),
    "power10": lambda x: Decimal(10) ** x,
    "sin": exact_sine,
    "cos": lambda x: exact_sine(x + PI / 2),
    "tanh": exact_tanh,
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
}

MAX_ULP = {"exp": 1, "log": 1, "log10": 1, "power10": 4, "sin": 1, "cos": 1, "tanh": 3, "sigmoid": 3}


def grid(low, high, n=200):
    """Numbers of all 53 bits between two ends, the same everywhere: multiples of the golden section, wrapped."""
    steps = (np.arange(1, n + 1) * 0.6180339887498949) % 1.0
    return low + (high - low) * steps


POSITIVE = np.concatenate(
    [grid(1e-3, 3.0), 1.0 + grid(-1e-5, 1e-5), np.ldexp(grid(1.0, 2.0), np.arange(-1000, 1000, 10))]
)
ANGLES = np.concatenate([grid(-10, 10), grid(-1e6, 1e6), np.arange(1, 200) * (math.pi / 2)])
ARGUMENTS = {
    "exp": np.concatenate([grid(-708, 709), grid(-1, 1), grid(-1e-9, 1e-9, 20)]),
    "log": POSITIVE,
    "log10": POSITIVE,
    "power10": np.concatenate([grid(-307.6, 308.2), grid(-6, 3)]),
    "sin": ANGLES,
    "cos": ANGLES,
    "tanh": np.concatenate([grid(-1.2, 1.2), grid(-25, 25), grid(-1e-9, 1e-9, 20)]),
    "sigmoid": np.concatenate([grid(-40, 40), grid(-700, 700)]),
}


@pytest.mark.parametrize("name", EXACT)
def test_error_is_within_the_stated_bound(name):
    values = getattr(portable_math, name)(ARGUMENTS[name])
    with localcontext() as context:
        context.prec = 70
        for x, value in zip(ARGUMENTS[name].tolist(), values.tolist(), strict=True):
            exact = EXACT[name](Decimal(x))
            error = abs(Decimal(value) - exact) / Decimal(math.ulp(abs(float(exact))))
            assert error <= MAX_ULP[name], f"{name}({x!r}) = {value!r} is off by {error:.2f} ulp"


def test_quantile_agrees_with_the_standard_library():
    p = np.concatenate([grid(0.0, 1.0), 10.0 ** grid(-300, -1), 1.0 - 2.0 ** grid(-52, -2)])
    expected = np.array([NormalDist().inv_cdf(x) for x in p])
    np.testing.assert_allclose(portable_math.normal_quantile(p), expected, rtol=2e-15)


def test_quantile_inverts_the_distribution_function():
    p = np.concatenate([grid(0.0, 0.5), 10.0 ** grid(-100, -1)])
    x = portable_math.normal_quantile(p)
    back = np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in x])
    np.testing.assert_array_less(np.abs(back / p - 1), 3e-15 * (1 + x * x))


INF, NAN, TINY = math.inf, math.nan, 2.0**-1022


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("exp", [0.0, -INF, INF, NAN, -708.4, -1e300, 709.8, 1e300], [1.0, 0.0, INF, NAN, 0.0, 0.0, INF, INF]),
        ("log", [1.0, 0.0, -0.0, INF, NAN, -1.0, -INF, TINY / 2], [0.0, -INF, -INF, INF, NAN, NAN, NAN, -INF]),
        ("log10", [1.0, 0.0, INF, NAN, -1.0, TINY / 2, 1e-300], [0.0, -INF, INF, NAN, NAN, -INF, -300.0]),
        ("power10", [0.0, -INF, INF, NAN, -308.0, 308.3, 308.0, -307.0], [1.0, 0.0, INF, NAN, 0.0, INF, 1e308, 1e-307]),
        ("sin", [0.0, NAN], [0.0, NAN]),
        ("cos", [0.0, NAN], [1.0, NAN]),
        ("tanh", [0.0, INF, -INF, NAN, 30.0], [0.0, 1.0, -1.0, NAN, 1.0]),
        ("sigmoid", [0.0, INF, -INF, NAN, -709.0, 1e300], [0.5, 1.0, 0.0, NAN, 0.0, 1.0]),
        ("normal_quantile", [0.5, 0.0, 1.0, NAN, -0.1, 1.1], [0.0, -INF, INF, NAN, NAN, NAN]),
    ],
)
def test_ends_and_special_values(name, arguments, expected):
    np.testing.assert_array_equal(getattr(portable_math, name)(arguments), expected)


def test_powers_of_ten_are_exact_at_integers():
    n = np.arange(-307, 309)
    assert portable_math.power10(n).tolist() == [float(f"1e{k}") for k in n]
    assert portable_math.log10(10.0 ** np.arange(23)).tolist() == list(range(23))


@pytest.mark.parametrize("angle", [INF, -INF, 2.0**21])
def test_angles_too_large_are_refused(angle):
    with pytest.raises(ValueError, match="angles must be finite"):
        portable_math.sin([0.0, angle])


@pytest.mark.parametrize("name", [*EXACT, "normal_quantile"])
def test_shape_dtype_and_argument_are_kept(name):
    function = getattr(portable_math, name)
    argument = np.full((2, 3), 0.25, dtype=np.float32)
    argument.setflags(write=False)
    assert function(argument).shape == (2, 3)
    assert function(argument).dtype == np.float64
    assert function(0.25).shape == ()
    assert function(np.empty((0, 2))).shape == (0, 2)
    assert function(argument[:, ::2])[1, 1] == function(0.25)


def test_sums_are_rounded_once():
    values = grid(-1.0, 1.0, 301).reshape(7, 43) * 10.0 ** grid(-8, 8, 301).reshape(7, 43)
    exact = [float(sum(map(Fraction, row.tolist()))) for row in values]
    assert portable_math.ordered_sum(values, axis=1).tolist() == exact
    assert np.array_equal(portable_math.ordered_sum(values[:, ::-1].T, axis=0), exact)
    assert portable_math.ordered_sum(values) == float(sum(map(Fraction, values.ravel().tolist())))
    assert portable_math.ordered_mean(values, axis=1).tolist() == [total / 43 for total in exact]
    assert portable_math.ordered_sum(np.empty((0, 2)), axis=0).tolist() == [0.0, 0.0]


def test_matrix_product_sums_from_first_to_last():
    a, b = grid(-1, 1, 6 * 5).reshape(6, 5), grid(-2, 3, 5 * 4).reshape(5, 4)
    expected = [[0.0] * 4 for _ in range(6)]
    for i in range(6):
        for j in range(4):
            for k in range(5):
                expected[i][j] += float(a[i, k]) * float(b[k, j])
    assert portable_math.ordered_matmul(a, b).tolist() == expected
    stacked = portable_math.ordered_matmul(np.stack([a, 2 * a]), b)
    assert np.array_equal(stacked[1], 2 * np.array(expected))
    with pytest.raises(ValueError, match="inner sizes differ"):
        portable_math.ordered_matmul(a, a)


def test_bits_are_what_they_were():
    """A new hash here means that every data set changes: decide it, do not let it happen."""
    digest = hashlib.sha256()
    for name, arguments in ARGUMENTS.items():
        digest.update(getattr(portable_math, name)(arguments).astype("<f8").tobytes())
    digest.update(portable_math.normal_quantile(grid(0.0, 1.0, 2000)).astype("<f8").tobytes())
    a = grid(-1, 1, 400).reshape(20, 20)
    digest.update(portable_math.ordered_matmul(a, a).astype("<f8").tobytes())
    assert digest.hexdigest() == "d3e210bc665eb46691963243c2e05f81c382450c9f38d9ed7a17c3942fab586b"
