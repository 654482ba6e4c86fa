"""Elementary functions whose results have the same bits on every machine.

NumPy takes sin, exp, log and the like from whatever library or vector code the machine offers, sums in an order that
depends on its vector width, and leaves products of matrices to a BLAS. Everything here is made of operations that
IEEE 754 defines to the last bit instead (+, −, ×, ÷, square root, rounding to integers, exponents), each by its own
NumPy call, so that nothing can be fused or reordered. Sums go through `math.fsum`, which rounds once.

All functions take anything that becomes a float64 array, of any shape, and return a new float64 array of that shape
(0-d for a number). NaN comes back as NaN. Subnormal numbers count as zero, as argument of a logarithm and as result of
an exponential, so that a processor that flushes them gives the same bits. Error bounds are in units in the last place
(ulp) of the result. The methods are the textbook ones: reduce the argument, then a Taylor series (Cody & Waite 1980,
"Software Manual for the Elementary Functions"; the compensated forms of the logarithms and of the argument reduction
follow FreeBSD's msun and fdlibm, Sun Microsystems 1993).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]

# High parts have so few bits that their products with the integers of an argument reduction are exact.
_LOG2_E = float.fromhex("0x1.71547652b82fep+0")
_LN2_HIGH, _LN2_LOW = float.fromhex("0x1.62e42fee00000p-1"), float.fromhex("0x1.a39ef35793c76p-33")
_LN10 = float.fromhex("0x1.26bb1bbb55516p+1")
_LOG10_2_HIGH, _LOG10_2_LOW = float.fromhex("0x1.3441350800000p-2"), float.fromhex("0x1.f79fef311f12bp-34")
_LOG10_E_HIGH, _LOG10_E_LOW = float.fromhex("0x1.bcb7b10000000p-2"), float.fromhex("0x1.49b9438ca9aaep-28")
_TWO_OVER_PI = float.fromhex("0x1.45f306dc9c883p-1")
_HALF_PI = tuple(
    float.fromhex(part) for part in ("0x1.921fb54400000p+0", "0x1.0b4611a600000p-34", "0x1.3198a2e037073p-69")
)
_SQRT_HALF = math.sqrt(0.5)
_SMALLEST_NORMAL = 2.0**-1022
_EXP_UNDERFLOW, _EXP_OVERFLOW = -708.39, 709.79
_POWER10_UNDERFLOW, _POWER10_OVERFLOW = -307.65, 308.26
MAX_ANGLE = 2.0**20
"""Largest magnitude that `sin` and `cos` accept, in radians."""

# Taylor coefficients, highest power first; each is a quotient of exact integers, rounded once.
_EXP_SERIES = [1 / math.factorial(k) for k in range(14, 1, -1)]
_EXPM1_SERIES = [1 / math.factorial(k) for k in range(22, 1, -1)]
_SIN_SERIES = [(-1) ** k / math.factorial(2 * k + 1) for k in range(9, 0, -1)]
_COS_SERIES = [(-1) ** k / math.factorial(2 * k) for k in range(10, 1, -1)]
_LOG_SERIES = [2 / (2 * k + 1) for k in range(11, 0, -1)]
_POWERS_OF_TEN = np.array([float(f"1e{n}") for n in range(-307, 309)])


def exp(x: ArrayLike) -> Float64:
    """The exponential function, to 1 ulp; 0 below −708.39 and inf above 709.79.

    >>> exp([-1.0, 0.0]).tolist()
    [0.36787944117144233, 1.0]
    """
    x = np.asarray(x, dtype=np.float64)
    safe = _clip(x, _EXP_UNDERFLOW, _EXP_OVERFLOW)
    k = np.rint(safe * _LOG2_E)
    r = (safe - k * _LN2_HIGH) - k * _LN2_LOW
    result = _times_power_of_two(1.0 + (r + (r * r) * _polynomial(r, _EXP_SERIES)), k)
    result = np.where(x < _EXP_UNDERFLOW, 0.0, result)
    result = np.where(x > _EXP_OVERFLOW, np.inf, result)
    return _keep_nan(x, result)


def log(x: ArrayLike) -> Float64:
    """The natural logarithm, to 1 ulp; −inf at zero and at subnormal numbers, NaN below.

    >>> float(log(10.0))
    2.302585092994046
    """
    x = np.asarray(x, dtype=np.float64)
    k, f = _split_mantissa(x)
    half_square, remainder = _log1p_parts(f)
    result = k * _LN2_HIGH - ((half_square - (remainder + k * _LN2_LOW)) - f)
    return _at_ends_of_log(x, result)


def log10(x: ArrayLike) -> Float64:
    """The decimal logarithm, to 1 ulp; −inf at zero and at subnormal numbers, NaN below.

    >>> log10([1e-3, 1.0, 1000.0]).tolist()
    [-3.0, 0.0, 3.0]
    """
    x = np.asarray(x, dtype=np.float64)
    k, f = _split_mantissa(x)
    half_square, remainder = _log1p_parts(f)
    high = _upper_half(f - half_square)
    low = ((f - high) - half_square) + remainder
    scaled, exponent = high * _LOG10_E_HIGH, k * _LOG10_2_HIGH
    total = exponent + scaled
    rest = k * _LOG10_2_LOW + (low + high) * _LOG10_E_LOW + low * _LOG10_E_HIGH
    return _at_ends_of_log(x, total + (rest + ((exponent - total) + scaled)))


def power10(x: ArrayLike) -> Float64:
    """Ten to the power x, to 4 ulp and correctly rounded at integers; 0 below −307.65, inf above 308.26.

    >>> power10([-2.0, 0.5, 3.0]).tolist()
    [0.01, 3.1622776601683795, 1000.0]
    """
    x = np.asarray(x, dtype=np.float64)
    safe = _clip(x, _POWER10_UNDERFLOW, _POWER10_OVERFLOW)
    n = np.minimum(np.maximum(np.rint(safe), -307.0), 308.0)
    with np.errstate(over="ignore"):
        result = _POWERS_OF_TEN[n.astype(np.int64) + 307] * exp((safe - n) * _LN10)
    result = np.where(x < _POWER10_UNDERFLOW, 0.0, result)
    result = np.where(x > _POWER10_OVERFLOW, np.inf, result)
    return _keep_nan(x, result)


@lru_cache(maxsize=65_536)
def power10_of(x: float) -> float:
    """The same of one number, remembered: a group asks for the few rates of its sweep for every run and remedy.

    >>> power10_of(-2.0)
    0.01
    """
    return float(power10(x))


def sin(x: ArrayLike) -> Float64:
    """The sine of an angle in radians, to 1 ulp.

    Raises:
        ValueError: an angle is infinite or larger than `MAX_ANGLE`.

    >>> sin([0.0, 0.5]).tolist()
    [0.0, 0.479425538604203]
    """
    return _sine_in_quadrant(np.asarray(x, dtype=np.float64), 0)


def cos(x: ArrayLike) -> Float64:
    """The cosine of an angle in radians, to 1 ulp.

    Raises:
        ValueError: an angle is infinite or larger than `MAX_ANGLE`.

    >>> cos([0.0, 0.5]).tolist()
    [1.0, 0.8775825618903728]
    """
    return _sine_in_quadrant(np.asarray(x, dtype=np.float64), 1)


def tanh(x: ArrayLike) -> Float64:
    """The hyperbolic tangent, to 3 ulp.

    >>> tanh([-0.5, 0.0, 40.0]).tolist()
    [-0.46211715726000974, 0.0, 1.0]
    """
    x = np.asarray(x, dtype=np.float64)
    size = np.minimum(np.abs(np.where(np.isnan(x), 0.0, x)), 22.0)
    small = 2.0 * np.minimum(size, 0.55)
    growth = small + (small * small) * _polynomial(small, _EXPM1_SERIES)
    result = np.where(size < 0.55, growth / (growth + 2.0), 1.0 - 2.0 / (exp(2.0 * size) + 1.0))
    return _keep_nan(x, np.copysign(result, x))


def sigmoid(x: ArrayLike) -> Float64:
    """The logistic function 1 / (1 + exp(−x)), to 3 ulp; 0 below −708.39.

    >>> sigmoid([0.0, 1.0]).tolist()
    [0.5, 0.7310585786300049]
    """
    x = np.asarray(x, dtype=np.float64)
    return _keep_nan(x, np.where(x < _EXP_UNDERFLOW, 0.0, 1.0 / (1.0 + exp(-np.maximum(x, _EXP_UNDERFLOW)))))


def normal_quantile(p: ArrayLike) -> Float64:
    """The inverse of the standard normal distribution function, to a relative error of 1e-15.

    Source: algorithm AS 241, PPND16 (M. J. Wichura 1988, Applied Statistics 37, 477–484).

    Args:
        p: probabilities in [0, 1]; 0 gives −inf, 1 gives inf, NaN and anything outside give NaN.

    >>> normal_quantile([0.5, 0.975]).tolist()
    [0.0, 1.9599639845400536]
    """
    p = np.asarray(p, dtype=np.float64)
    q = p - 0.5
    is_central = np.abs(q) <= 0.425
    t = 0.180625 - q * q
    result = q * _polynomial(t, _CENTRE_NUMERATOR) / _polynomial(t, _CENTRE_DENOMINATOR)
    if not is_central.all():
        in_tail = (p > 0.0) & (p < 1.0) & ~is_central
        result = np.where(is_central, result, np.nan)
        result[in_tail] = np.copysign(_tail_quantile(np.minimum(p, 1.0 - p)[in_tail]), q[in_tail])
        result = np.where(p == 0.0, -np.inf, np.where(p == 1.0, np.inf, result))
    return np.asarray(result)


def ordered_sum(values: ArrayLike, axis: int | None = None) -> Float64:
    """The sum over one axis (all values without one), rounded once, whatever the order.

    >>> float(ordered_sum([1e100, 1.0, -1e100]))
    1.0
    """
    values = np.asarray(values, dtype=np.float64)
    if axis is None:
        return np.asarray(math.fsum(values.ravel().tolist()))
    lanes = np.moveaxis(values, axis, -1)
    sums = [math.fsum(lane) for lane in lanes.reshape(math.prod(lanes.shape[:-1]), lanes.shape[-1]).tolist()]
    return np.array(sums, dtype=np.float64).reshape(lanes.shape[:-1])


def ordered_mean(values: ArrayLike, axis: int | None = None) -> Float64:
    """The mean over one axis (all values without one): `ordered_sum` over the count.

    >>> ordered_mean([[1.0, 2.0], [3.0, 4.0]], axis=0).tolist()
    [2.0, 3.0]
    """
    values = np.asarray(values, dtype=np.float64)
    count = values.size if axis is None else values.shape[axis]
    return np.asarray(ordered_sum(values, axis) / count)


def ordered_matmul(a: ArrayLike, b: ArrayLike) -> Float64:
    """The matrix product, every element summed from the first inner index to the last.

    Args:
        a: (..., n, k).
        b: (..., k, m); leading axes broadcast against those of `a`.

    Returns:
        (..., n, m).

    Raises:
        ValueError: the inner sizes differ.

    >>> ordered_matmul([[1.0, 2.0]], [[3.0], [4.0]]).tolist()
    [[11.0]]
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matrices of shapes {a.shape} and {b.shape} cannot be multiplied: inner sizes differ")
    leading = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    product = np.zeros((*leading, a.shape[-2], b.shape[-1]))
    for k in range(a.shape[-1]):
        product += a[..., :, k, None] * b[..., None, k, :]
    return product


# ------------------------------------------------------------------------------------------------ parts


def _polynomial(x: Float64, coefficients: Sequence[float]) -> Float64:
    """Horner's rule; coefficients from the highest power to the constant."""
    value = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value *= x
        value += coefficient
    return value


def _clip(x: Float64, low: float, high: float) -> Float64:
    """Values between `low` and `high`, with 0 for NaN, so that no branch that is thrown away can warn."""
    return np.asarray(np.minimum(np.maximum(np.where(np.isnan(x), 0.0, x), low), high))


def _keep_nan(x: Float64, result: Float64) -> Float64:
    return np.asarray(np.where(np.isnan(x), np.nan, result))


def _times_power_of_two(values: Float64, k: Float64) -> Float64:
    """Values times 2**k for integral k of magnitude up to 2044, in two exact steps; inf where it overflows."""
    first = np.floor(0.5 * k)
    with np.errstate(over="ignore"):
        return np.asarray((values * _power_of_two(first)) * _power_of_two(k - first))


def _power_of_two(k: Float64) -> Float64:
    return np.asarray(((k.astype(np.int64) + 1023) << 52).view(np.float64))


def _split_mantissa(x: Float64) -> tuple[Float64, Float64]:
    """The k and f of x = 2**k (1 + f), with 1 + f in [sqrt(1/2), sqrt(2)); as if x were 1 where it has no logarithm."""
    is_usable = (x >= _SMALLEST_NORMAL) & (x < np.inf)
    mantissa, exponent = np.frexp(np.where(is_usable, x, 1.0))
    is_low = mantissa < _SQRT_HALF
    mantissa = np.where(is_low, 2.0 * mantissa, mantissa)
    return np.where(is_low, exponent - 1, exponent).astype(np.float64), mantissa - 1.0


def _log1p_parts(f: Float64) -> tuple[Float64, Float64]:
    """The parts h = f²/2 and r of log(1 + f) = f − h + r, from the series in s = f / (2 + f)."""
    half_square = 0.5 * f * f
    s = f / (2.0 + f)
    z = s * s
    return half_square, s * (half_square + z * _polynomial(z, _LOG_SERIES))


def _at_ends_of_log(x: Float64, result: Float64) -> Float64:
    result = np.where(x == np.inf, np.inf, np.where(x < _SMALLEST_NORMAL, -np.inf, result))
    return _keep_nan(x, np.where(x < 0.0, np.nan, result))


def _upper_half(x: Float64) -> Float64:
    """The number with the lower 32 bits of its mantissa cleared."""
    return np.asarray((np.asarray(x).view(np.int64) & np.int64(-(1 << 32))).view(np.float64))


def _sine_in_quadrant(x: Float64, shift: int) -> Float64:
    """The sine of x + shift · π/2."""
    angle = np.where(np.isnan(x), 0.0, x)
    if np.any(np.abs(angle) > MAX_ANGLE):
        raise ValueError(f"angles must be finite and at most {MAX_ANGLE:.0f} radians in magnitude")
    quadrant, high, low = _reduce_angle(angle)
    quadrant = (quadrant + shift) % 4
    z = high * high
    sine = high + (low * (1.0 - 0.5 * z) + high * z * _polynomial(z, _SIN_SERIES))
    near_one = 1.0 - 0.5 * z
    cosine = near_one + (((1.0 - near_one) - 0.5 * z) + (z * z * _polynomial(z, _COS_SERIES) - high * low))
    result = np.where(quadrant % 2 == 0, sine, cosine)
    return _keep_nan(x, np.where(quadrant >= 2, -result, result))


def _reduce_angle(x: Float64) -> tuple[NDArray[np.int64], Float64, Float64]:
    """The nearest multiple of π/2, and what is left as an unevaluated sum of two numbers."""
    k = np.rint(x * _TWO_OVER_PI)
    first, second, third = (k * part for part in _HALF_PI)
    coarse = x - first
    fine = coarse - second
    correction = third - ((coarse - fine) - second)
    high = fine - correction
    return k.astype(np.int64), high, (fine - high) - correction


def _tail_quantile(p: Float64) -> Float64:
    """The magnitude of the normal quantile of tail probabilities p in (0, 0.075)."""
    r = np.sqrt(-log(p))
    near, far = r - 1.6, r - 5.0
    in_near_tail = _polynomial(near, _NEAR_NUMERATOR) / _polynomial(near, _NEAR_DENOMINATOR)
    in_far_tail = _polynomial(far, _FAR_NUMERATOR) / _polynomial(far, _FAR_DENOMINATOR)
    return np.asarray(np.where(r <= 5.0, in_near_tail, in_far_tail))


# Coefficients of AS 241, highest power first: |p − 1/2| up to 0.425, sqrt(−ln p) up to 5, and beyond.
_CENTRE_NUMERATOR = (
    2.5090809287301226727e3,
    3.3430575583588128105e4,
    6.7265770927008700853e4,
    4.5921953931549871457e4,
    1.3731693765509461125e4,
    1.9715909503065514427e3,
    1.3314166789178437745e2,
    3.3871328727963666080e0,
)
_CENTRE_DENOMINATOR = (
    5.2264952788528545610e3,
    2.8729085735721942674e4,
    3.9307895800092710610e4,
    2.1213794301586595867e4,
    5.3941960214247511077e3,
    6.8718700749205790830e2,
    4.2313330701600911252e1,
    1.0,
)
_NEAR_NUMERATOR = (
    7.74545014278341407640e-4,
    2.27238449892691845833e-2,
    2.41780725177450611770e-1,
    1.27045825245236838258e0,
    3.64784832476320460504e0,
    5.76949722146069140550e0,
    4.63033784615654529590e0,
    1.42343711074968357734e0,
)
_NEAR_DENOMINATOR = (
    1.05075007164441684324e-9,
    5.47593808499534494600e-4,
    1.51986665636164571966e-2,
    1.48103976427480074590e-1,
    6.89767334985100004550e-1,
    1.67638483018380384940e0,
    2.05319162663775882187e0,
    1.0,
)
_FAR_NUMERATOR = (
    2.01033439929228813265e-7,
    2.71155556874348757815e-5,
    1.24266094738807843860e-3,
    2.65321895265761230930e-2,
    2.96560571828504891230e-1,
    1.78482653991729133580e0,
    5.46378491116411436990e0,
    6.65790464350110377720e0,
)
_FAR_DENOMINATOR = (
    2.04426310338993978564e-15,
    1.42151175831644588870e-7,
    1.84631831751005468180e-5,
    7.86869131145613259100e-4,
    1.48753612908506148525e-2,
    1.36929880922735805310e-1,
    5.99832206555887937690e-1,
    1.0,
)
