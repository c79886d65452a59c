"""Elementary functions of float32 in plain arithmetic, without branches, which LLVM makes vector code of.

It does not vectorise calls of the C library.  Each function takes the same steps for every number, and each step rounds
in the same way in vector code and in the rest of a loop, so that a result does not depend on its place in an array.
``multiply_add`` is fused where the CPU can do so: CPUs may differ in the last bit, but the bounds hold on all of them.

Bounds are in ulps of the result (the distance of the two float32 around it), over all float32 that a function takes;
tests/kernels/test_elementary.py holds them.  Polynomials are evaluated by Horner's rule.  Sources:

- Cephes (S. Moshier): the reduction of exp and its polynomial (expf.c), tanh (tanhf.c).
- fdlibm (Sun Microsystems): the form of log1p (s_log1p.c); expm1 by halves, ``2**n (exp(r) - 1) + (2**n - 1)``
  (s_expm1.c).
- M. M. Shepherd and J. G. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x**2) erfc x", Math. Comp. 36, 1981:
  the form of the normal tail.
- Where the text below says "fitted": coefficients of least largest relative error, by weighted least squares in 40
  digits at 400 Chebyshev nodes, with weights multiplied by the error until it is level (Lawson).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])

# Numba's own type counts the typing context as an argument of the call.
intrinsic: Callable[[Callable[..., Any]], Any] = numba_intrinsic

F32, I32 = ir.FloatType(), ir.IntType(32)

# Literals would be float64 and drag the whole expression along.
ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)


# Python cannot call these, which halves the time to compile them.
_OPTIONS: dict[str, Any] = {
    "nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False
}  # fmt: skip


def exact(function: Function) -> Function:
    """Declare a function that kernels inline, compiled without fastmath.

    ``fastmath=False`` must be said: a function that leaves it open takes the flags of the kernel that calls it.
    """
    return numba.njit(fastmath=False, **_OPTIONS)(function)  # type: ignore[no-any-return]  # numba gives no type here


def inlined(function: Function) -> Function:
    """Declare a function as :func:`exact` does, and have it inlined however long it is.

    For loops over short slices: an array goes to a function as seven numbers, over the stack.
    """
    return numba.njit(fastmath=False, forceinline=True, **_OPTIONS)(function)  # type: ignore[no-any-return]  # as above


# --- single instructions ---------------------------------------------------------------------------------------------


def _instruction(name: str, arity: int) -> Any:
    """Make a function of an LLVM intrinsic that takes and gives float32."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(F32, [F32] * arity)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)

    return codegen


@intrinsic
def multiply_add(typing_context: Any, x: Any, y: Any, z: Any) -> Any:
    """Give ``x * y + z`` of float32, rounded once if the CPU can and twice otherwise."""
    return types.float32(*[types.float32] * 3), _instruction("llvm.fmuladd.f32", 3)


@intrinsic
def copy_sign(typing_context: Any, magnitude: Any, sign: Any) -> Any:
    """Give ``|magnitude|`` with the sign of ``sign``, float32."""
    return types.float32(*[types.float32] * 2), _instruction("llvm.copysign.f32", 2)


@intrinsic
def square_root(typing_context: Any, x: Any) -> Any:
    """Give the square root of a float32, correctly rounded."""
    return types.float32(types.float32), _instruction("llvm.sqrt.f32", 1)


@intrinsic
def floor(typing_context: Any, x: Any) -> Any:
    """Give the largest whole number not above a float32."""
    return types.float32(types.float32), _instruction("llvm.floor.f32", 1)


@intrinsic
def ceil(typing_context: Any, x: Any) -> Any:
    """Give the smallest whole number not below a float32."""
    return types.float32(types.float32), _instruction("llvm.ceil.f32", 1)


@intrinsic
def trunc(typing_context: Any, x: Any) -> Any:
    """Give the whole number next to a float32 on the way to 0."""
    return types.float32(types.float32), _instruction("llvm.trunc.f32", 1)


@intrinsic
def round_even(typing_context: Any, x: Any) -> Any:
    """Give the whole number nearest to a float32, the even one of two."""
    return types.float32(types.float32), _instruction("llvm.rint.f32", 1)


@intrinsic
def bits(typing_context: Any, x: Any) -> Any:
    """Give the bits of a float32 as an int32."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], I32)

    return types.int32(types.float32), codegen


@intrinsic
def power_of_two(typing_context: Any, n: Any) -> Any:
    """Give 2**n as float32, for n from -126 to 127: the number whose exponent bits are n + 127."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        biased = builder.add(arguments[0], ir.Constant(I32, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(I32, 23)), F32)

    return types.float32(types.int32), codegen


@intrinsic
def halved(typing_context: Any, n: Any) -> Any:
    """Give ``n // 2`` of an int32."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ashr(arguments[0], ir.Constant(I32, 1))

    return types.int32(types.int32), codegen


@intrinsic
def difference(typing_context: Any, n: Any, m: Any) -> Any:
    """Give ``n - m`` of two int32 as an int32 (Numba's own is an int64); it wraps around."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.sub(*arguments)

    return types.int32(types.int32, types.int32), codegen


# --- the exponential -------------------------------------------------------------------------------------------------
# exp(x) = 2**n exp(r), n = round(x / log(2)), |r| <= log(2) / 2; exp(r) = 1 + r + r**2 P(r).

LOG2_E = np.float32(1 / math.log(2))
LOG_2_HIGH = np.float32(0.693359375)  # few bits: its products with whole numbers are exact
LOG_2_LOW = np.float32(math.log(2) - 0.693359375)
P0, P1, P2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
P3, P4, P5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)
# A sum with ROUNDER keeps no digit behind the point, and its last bits are the whole number (below 2**22).
ROUNDER = np.float32(1.5 * 2**23)
ROUNDER_BITS = np.int32(ROUNDER.view(np.int32))


@exact
def scaled(x: Any, n: Any) -> Any:
    """``x * 2**n`` for n from -252 to 254, in two steps: 2**n alone may be denormal or infinite."""
    half = halved(n)
    return x * power_of_two(half) * power_of_two(difference(n, half))


@exact
def exp_minus_1_of_remainder(r: Any) -> Any:
    """``exp(r) - 1 = r + r**2 P(r)`` for |r| <= log(2) / 2."""
    p = multiply_add(P0, r, P1)
    p = multiply_add(p, r, P2)
    p = multiply_add(p, r, P3)
    p = multiply_add(p, r, P4)
    p = multiply_add(p, r, P5)
    return multiply_add(p, r * r, r)


@exact
def exp(x: Any) -> Any:
    """``exp(x)``, within 1.2 ulps; NaN, infinities and denormal results as in C."""
    x = np.float32(-104) if x < np.float32(-104) else np.float32(89) if x > np.float32(89) else x  # 0 and infinity
    shifted = multiply_add(x, LOG2_E, ROUNDER)
    whole = shifted - ROUNDER
    r = multiply_add(whole, -LOG_2_LOW, multiply_add(whole, -LOG_2_HIGH, x))
    return scaled(exp_minus_1_of_remainder(r) + ONE, difference(bits(shifted), ROUNDER_BITS))


@exact
def expm1(x: Any) -> Any:
    """``exp(x) - 1``, within 2 ulps; NaN, infinities and -0 as in C."""
    bounded = np.float32(-18) if x < np.float32(-18) else np.float32(89) if x > np.float32(89) else x  # -1 and infinity
    shifted = multiply_add(bounded, LOG2_E, ROUNDER)
    whole = shifted - ROUNDER
    r = multiply_add(whole, -LOG_2_LOW, multiply_add(whole, -LOG_2_HIGH, bounded))
    half = power_of_two(difference(difference(bits(shifted), ROUNDER_BITS), np.int32(1)))  # 2**128 would be infinite
    y = TWO * multiply_add(exp_minus_1_of_remainder(r), half, half - HALF)
    return copy_sign(y, x)


# --- tanh ------------------------------------------------------------------------------------------------------------

T0, T1, T2 = np.float32(-5.70498872745e-3), np.float32(2.06390887954e-2), np.float32(-5.37397155531e-2)
T3, T4 = np.float32(1.33314422036e-1), np.float32(-3.33332819422e-1)


@exact
def tanh(x: Any) -> Any:
    """``tanh(x)``, within 1.5 ulps; NaN, infinities and -0 as in C.

    ``|x| + |x|**3 T(x**2)`` up to 0.625, ``1 - 2 / (exp(2 |x|) + 1)`` above.
    """
    a = abs(x)
    s = a * a
    t = multiply_add(T0, s, T1)
    t = multiply_add(t, s, T2)
    t = multiply_add(t, s, T3)
    t = multiply_add(t, s, T4)
    small = multiply_add(t * s, a, a)
    doubled = np.float32(20) if a > np.float32(10) else a + a  # tanh(10) rounds to 1
    shifted = multiply_add(doubled, LOG2_E, ROUNDER)
    whole = shifted - ROUNDER
    r = multiply_add(whole, -LOG_2_LOW, multiply_add(whole, -LOG_2_HIGH, doubled))
    power = power_of_two(difference(bits(shifted), ROUNDER_BITS))
    e = multiply_add(exp_minus_1_of_remainder(r), power, power)
    return copy_sign(small if a < np.float32(0.625) else ONE - TWO / (e + ONE), x)


# --- gates of recurrent layers ----------------------------------------------------------------------------------------


@exact
def exp_of_negative(x: Any) -> Any:
    """``exp(-x)`` of x within [-88, 87], within 1.2 ulps; beyond it, what it is at that end.  NaN passes."""
    x = np.float32(87) if x > np.float32(87) else np.float32(-88) if x < np.float32(-88) else x
    shifted = multiply_add(x, -LOG2_E, ROUNDER)
    whole = shifted - ROUNDER
    r = multiply_add(whole, -LOG_2_LOW, multiply_add(whole, -LOG_2_HIGH, -x))
    power = power_of_two(difference(bits(shifted), ROUNDER_BITS))
    return multiply_add(exp_minus_1_of_remainder(r), power, power)


@exact
def expm1_of_minus_twice(a: Any) -> Any:
    """``exp(-2 a) - 1`` of a >= 0, within 2 ulps.  NaN passes."""
    doubled = np.float32(20) if a > np.float32(10) else a + a  # tanh(10) rounds to 1
    shifted = multiply_add(doubled, -LOG2_E, ROUNDER)
    whole = shifted - ROUNDER
    r = multiply_add(whole, -LOG_2_LOW, multiply_add(whole, -LOG_2_HIGH, -doubled))
    power = power_of_two(difference(bits(shifted), ROUNDER_BITS))
    return multiply_add(exp_minus_1_of_remainder(r), power, power - ONE)


@exact
def short_tanh(x: Any) -> Any:
    """``tanh(x) = -m / (2 + m)`` with ``m = exp(-2 |x|) - 1``, within 4 ulps: fewer steps than :func:`tanh`."""
    m = expm1_of_minus_twice(abs(x))
    return copy_sign(m / (TWO + m), x)


@exact
def sigmoid_times_tanh(x: Any, y: Any) -> Any:
    """``sigmoid(x) * tanh(y)`` with one division, within 5 ulps and the smallest normal number."""
    m = expm1_of_minus_twice(abs(y))
    return copy_sign(m / ((ONE + exp_of_negative(x)) * (TWO + m)), y)


# --- the logarithm ---------------------------------------------------------------------------------------------------
# log(1 + e) = 2 atanh(s), s = e / (2 + e), is e - s * (e - s**2 L(s**2)).  L is fitted to s**2 from 0 to 1 / 9,
# relative error 0.08 * 2**-24 of the logarithm.

L0, L1 = np.float32(2.801201996e-1), np.float32(2.800179711e-1)
L2, L3 = np.float32(4.002152788e-1), np.float32(6.666641627e-1)


@exact
def log1p_of_share(e: Any) -> Any:
    """``log(1 + e)`` for e from 0 to 1, within 1.5 ulps; NaN gives NaN."""
    s = e / (TWO + e)
    w = s * s
    p = multiply_add(L0, w, L1)
    p = multiply_add(p, w, L2)
    p = multiply_add(p, w, L3)
    return e - s * multiply_add(-p, w, e)


# --- the normal distribution -----------------------------------------------------------------------------------------
# Of t >= 0 the upper tail is exp(-t**2 / 2) G(v) / (t + 2.5), v = t / (t + 2.5): Shepherd and Laframboise's form, but
# for v in place of 2 v - 1, so that near 0, where v is small, the error of the division counts once.  G is fitted to t
# from 0 to 15, relative error 0.26 * 2**-24.

SHIFT = np.float32(2.5)
G0, G1, G2 = np.float32(-8.074363159e-2), np.float32(2.835708117e-1), np.float32(-3.199857695e-1)
G3, G4, G5 = np.float32(1.442943596e-1), np.float32(-1.533239244e-1), np.float32(5.727048205e-2)
G6, G7, G8 = np.float32(2.916159198e-1), np.float32(1.696348333e-1), np.float32(-1.243393594e0)
G9 = np.float32(1.250000019e0)
TRUNCATER = np.float32(1.5 * 2**15)  # a sum with it keeps 8 bits behind the point


@exact
def normal_product(x: Any) -> Any:
    """``x * Phi(x)``, which is ``x / 2 * erfc(-x / sqrt(2))``, within 6 ulps; NaN for -inf, which is -inf * 0.

    ``x * tail(-x)`` for negative x, where it keeps its digits, and ``x * (1 - tail(x))`` above.
    """
    a = abs(x)
    t = np.float32(15) if a > np.float32(15) else a  # 15 * tail(15) is below the smallest denormal
    u = ONE / (t + SHIFT)
    v = t * u
    g = multiply_add(G0, v, G1)
    g = multiply_add(g, v, G2)
    g = multiply_add(g, v, G3)
    g = multiply_add(g, v, G4)
    g = multiply_add(g, v, G5)
    g = multiply_add(g, v, G6)
    g = multiply_add(g, v, G7)
    g = multiply_add(g, v, G8)
    g = multiply_add(g, v, G9)
    # exp(-t**2 / 2) from both halves of t**2: the square of t's first 12 bits, which is exact, and the rest.
    high = (t + TRUNCATER) - TRUNCATER
    rest = (t - high) * (t + high) * -HALF
    square = high * high * -HALF
    shifted = multiply_add(square, LOG2_E, ROUNDER)
    whole = shifted - ROUNDER
    r = multiply_add(whole, -LOG_2_LOW, multiply_add(whole, -LOG_2_HIGH, square) + rest)
    share = (exp_minus_1_of_remainder(r) + ONE) * (g * u)
    # A tail may be denormal: it is multiplied by x before it is scaled, and so rounded once.
    tail = scaled(share * -t if x < ZERO else share, difference(bits(shifted), ROUNDER_BITS))
    return tail + x * ZERO if x < ZERO else x * (ONE - tail)
