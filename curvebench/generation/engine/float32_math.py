"""exp, log, tanh and their kin in float32, from add, multiply, fma and exponent bits only: the same bits everywhere.

None of them branches, so that LLVM turns loops over them into vector code without changing a result. The
polynomials are minimax fits of the relative error (weighted least squares at Chebyshev nodes, reweighted by the
error, in extended precision); the tests hold every function against float64.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import float32, int32, njit, types
from numba.core import cgutils
from numba.extending import intrinsic


@intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """A * b + c, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FloatType()
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), "llvm.fma.f32")
        return builder.call(function, arguments)

    return types.float32(types.float32, types.float32, types.float32), generate


@intrinsic
def _bits(typing_context: Any, value: Any) -> Any:
    """The bits of a float32 as int32."""
    return types.int32(types.float32), lambda _, builder, __, arguments: builder.bitcast(arguments[0], ir.IntType(32))


@intrinsic
def _from_bits(typing_context: Any, bits: Any) -> Any:
    """The float32 with these bits."""
    return types.float32(types.int32), lambda _, builder, __, arguments: builder.bitcast(arguments[0], ir.FloatType())


ZERO, HALF, ONE, TWO = float32(0.0), float32(0.5), float32(1.0), float32(2.0)
INFINITY, NAN = float32("inf"), float32("nan")

_LOG2_E = float32(1.4426950408889634)
_LN_2_HIGH, _LN_2_LOW = float32(0.693359375), float32(-2.12194440e-4)  # the first has 12 bits: times n it is exact
_ROUND = float32(12582912.0)
"""1.5 * 2**23: adding and subtracting it rounds to the nearest integer."""


@njit(forceinline=True, error_model="numpy")
def exp(x: float) -> float:
    """e**x; 0 below -104, inf above 88.72; at most 1 ulp off."""
    x = float32(-104.0) if x < float32(-104.0) else x
    x = float32(89.0) if x > float32(89.0) else x
    n = (x * _LOG2_E + _ROUND) - _ROUND
    r = fma(n, -_LN_2_HIGH, x)
    r = fma(n, -_LN_2_LOW, r)
    q = fma(float32(0.0013950486), r, float32(0.008368888))
    q = fma(q, r, float32(0.041666206))
    q = fma(q, r, float32(0.16666518))
    q = fma(q, r, HALF)
    y = fma(r * r, q, r) + ONE
    k = int32(n if n == n else ZERO)
    half = k >> int32(1)
    return (y * _power_of_two(half)) * _power_of_two(int32(k - half))


@njit(forceinline=True, error_model="numpy")
def _power_of_two(k: int) -> float:
    """2**k for k in [-126, 127]."""
    return _from_bits(int32((k + int32(127)) << int32(23)))


_ROOT_HALF_BITS = 0x3F3504F3


@njit(forceinline=True, error_model="numpy")
def log(x: float) -> float:
    """The natural logarithm; -inf at 0, NaN below; at most 1 ulp off. Denormals count as 0."""
    bits = _bits(x)
    e = int32(int32(bits - int32(_ROOT_HALF_BITS)) >> int32(23))
    f = _from_bits(int32(bits - int32(e << int32(23)))) - ONE
    n = float32(e)
    q = fma(float32(0.0674660131), f, float32(-0.116756409))
    q = fma(q, f, float32(0.118881747))
    q = fma(q, f, float32(-0.124055915))
    q = fma(q, f, float32(0.142195508))
    q = fma(q, f, float32(-0.166679963))
    q = fma(q, f, float32(0.200021192))
    q = fma(q, f, float32(-0.250000089))
    q = fma(q, f, float32(0.333333135))
    square = f * f
    r = fma(f * square, q, -HALF * square)
    r = fma(n, _LN_2_LOW, r)
    y = fma(n, _LN_2_HIGH, f + r)
    y = INFINITY if x == INFINITY else y
    y = -INFINITY if x < float32(1.17549435e-38) else y
    y = NAN if x < ZERO else y
    return x if x != x else y


@njit(forceinline=True, error_model="numpy")
def log1p_of_small(u: float) -> float:
    """log(1 + u) for u in [0, 1]; at most 2 ulp off."""
    w = ONE + u
    return log(w) + (u - (w - ONE)) / w


@njit(forceinline=True, error_model="numpy")
def tanh(x: float) -> float:
    """The hyperbolic tangent; at most 2 ulp off."""
    size = -x if x < ZERO else x
    z = x * x
    q = fma(float32(-0.005717037), z, float32(0.020650579))
    q = fma(q, z, float32(-0.053743497))
    q = fma(q, z, float32(0.13331491))
    q = fma(q, z, float32(-0.33333284))
    near_zero = fma(x * z, q, x)
    far = ONE - TWO / (exp(TWO * size) + ONE)
    far = -far if x < ZERO else far
    return near_zero if size < float32(0.625) else far


@njit(forceinline=True, error_model="numpy")
def sigmoid(x: float) -> float:
    """1 / (1 + e**-x); at most 2 ulp off."""
    return ONE / (ONE + exp(-x))


@njit(forceinline=True, error_model="numpy")
def softplus(x: float) -> float:
    """log(1 + e**x); at most 3 ulp off."""
    size = -x if x < ZERO else x
    rest = log1p_of_small(exp(-size))
    return (x if x > ZERO else ZERO) + rest


@njit(forceinline=True, error_model="numpy")
def erf(x: float) -> float:
    """The error function; at most 2 ulp off."""
    size = -x if x < ZERO else x
    z = x * x
    p = fma(float32(-9.6415178e-06), z, float32(0.00011256948))
    p = fma(p, z, float32(-0.00084828288))
    p = fma(p, z, float32(0.0052209455))
    p = fma(p, z, float32(-0.0268654))
    p = fma(p, z, float32(0.11283782))
    p = fma(p, z, float32(-0.37612638))
    p = fma(p, z, float32(0.12837917))
    t = float32(4.0) if size > float32(4.0) else size
    q = fma(float32(-5.55558195e-08), t, float32(2.86496038e-06))
    q = fma(q, t, float32(-5.78272629e-05))
    q = fma(q, t, float32(0.000660916499))
    q = fma(q, t, float32(-0.00497793965))
    q = fma(q, t, float32(0.0269024968))
    q = fma(q, t, float32(-0.110766076))
    q = fma(q, t, float32(-0.631217301))
    q = fma(q, t, float32(-1.13053846))
    q = fma(q, t, float32(0.000385898369))
    far = ONE - exp(q)
    far = -far if x < ZERO else far
    far = x if x != x else far
    return fma(p, x, x) if size < ONE else far


_ROOT_HALF = float32(0.70710678118654752)
_ROOT_2_PI_INVERSE = float32(0.39894228040143268)


@njit(forceinline=True, error_model="numpy")
def gelu(x: float) -> float:
    """X times the normal distribution function."""
    return HALF * x * (ONE + erf(x * _ROOT_HALF))


@njit(forceinline=True, error_model="numpy")
def gelu_slope(x: float) -> float:
    """Derivative of `gelu`; 0 or 1 in the far tails."""
    density = _ROOT_2_PI_INVERSE * exp(-HALF * x * x)
    return fma(x, density, HALF * (ONE + erf(x * _ROOT_HALF)))
