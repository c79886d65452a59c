"""exp in plain arithmetic, which LLVM vectorises; it does not vectorise calls of the C library."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types

from jit_kernels._simd import intrinsic

LOG2_E = np.float32(1 / math.log(2))
LOG_2_HIGH = np.float32(0.693359375)  # few bits: its products with whole numbers are exact
LOG_2_LOW = np.float32(math.log(2) - 0.693359375)
HALF, ONE = np.float32(0.5), np.float32(1)
LOWEST, HIGHEST = np.float32(-104), np.float32(89)  # beyond: 0 and infinity
# exp(r) = 1 + r + r**2 P(r), |r| <= log(2) / 2.  Source: Cephes, expf.c (S. Moshier).
P0, P1, P2 = np.float32(1.9875691500e-4), np.float32(1.3981999507e-3), np.float32(8.3334519073e-3)
P3, P4, P5 = np.float32(4.1665795894e-2), np.float32(1.6666665459e-1), np.float32(5.0000001201e-1)


@intrinsic
def power_of_two_f32(typing_context: Any, n: Any) -> Any:
    """Give 2**n as float32, for n from -126 to 127: the number whose exponent bits are n + 127."""
    signature = types.float32(types.int32)

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.IntType(32)
        biased = builder.add(arguments[0], ir.Constant(kind, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(kind, 23)), ir.FloatType())

    return signature, codegen


@numba.njit(nogil=True, error_model="numpy", fastmath=False)
def exp(x: Any) -> Any:
    """``exp(x)`` of a float32, within 2 ulps; NaN, infinities and denormal results as in C."""
    bounded = LOWEST if x < LOWEST else HIGHEST if x > HIGHEST else x
    whole = np.floor(bounded * LOG2_E + HALF)
    r = bounded - whole * LOG_2_HIGH
    r -= whole * LOG_2_LOW
    p = P0 * r + P1
    p = p * r + P2
    p = p * r + P3
    p = p * r + P4
    p = p * r + P5
    y = p * (r * r) + r + ONE
    n = np.int32(0 if x != x else whole)
    half = n >> np.int32(1)  # in two steps: 2**n alone may be denormal or infinite
    y = y * power_of_two_f32(half) * power_of_two_f32(n - half)
    return x if x != x else y
