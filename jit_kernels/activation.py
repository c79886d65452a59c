"""Elementwise activations, float32: one scalar function each, and the factory that makes a kernel of it.

The scalar functions are compiled without fastmath: each operation rounds once, in the order written, which is Keras'
order.  So ``x / 6`` is a division, no product is fused into a sum, and zeros keep their sign.  None of them calls the C
library, so that LLVM makes vector code of all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import prange

from jit_kernels import _elementary as elementary
from jit_kernels._broadcast import BLOCK, broadcasting
from jit_kernels._elementary import HALF, ONE, TWO, ZERO, exact, exp, expm1, log1p_of_share, normal_product
from jit_kernels._jit import Kernel, kernel

QUARTER, THREE, SIX = np.float32(0.25), np.float32(3), np.float32(6)
GELU_SCALE, GELU_CUBE = np.float32(math.sqrt(8 / math.pi)), np.float32(0.044715)  # twice sqrt(2 / pi); Hendrycks 2016
SELU_SCALE = np.float32(1.0507009873554804934193349852946)  # Klambauer et al. 2017
SELU_ALPHA = np.float32(1.6732632423543772848170429916717)


SCALARS: dict[str, Callable[..., Any]] = {}  # of all kernels made here, by name without the type: others take them in


def elementwise(name: str, scalar: Callable[..., Any]) -> Kernel:
    """Make the kernel ``out[i] = scalar(x[i], a, b, c)``; ``a``, ``b`` and ``c`` are parameters, 0 where unused."""
    SCALARS[name.removesuffix("_f32")] = scalar

    @kernel("void(f4[::1], f4, f4, f4, f4[::1])", name=name)
    def compute(x: Any, a: Any, b: Any, c: Any, out: Any) -> None:
        """Apply the scalar function to ``x`` (any number of elements), writing ``out`` (as many).

        Parallel axis: blocks of elements.
        """
        size = x.size
        for block in prange((size + BLOCK - 1) // BLOCK):
            start, stop = block * BLOCK, min((block + 1) * BLOCK, size)
            # An index that counts from 0 cannot be negative, which Numba would otherwise ask of each.
            numbers, results = x[start:stop], out[start:stop]
            for i in range(stop - start):
                results[i] = scalar(numbers[i], a, b, c)

    return compute


# --- piecewise linear ------------------------------------------------------------------------------------------------
# A comparison with NaN is false: each function says by the branch it takes whether NaN passes.


@exact
def relu(x: Any, max_value: Any, negative_slope: Any, threshold: Any) -> Any:
    """Keras' relu with all its options; a threshold other than 0 turns NaN into 0 unless there is a slope."""
    if threshold == ZERO:
        y = ZERO if x < ZERO else x
    else:
        y = x if x > threshold else ZERO
    if y > max_value:
        y = max_value
    if negative_slope != ZERO:
        below = threshold - x
        y -= negative_slope * (ZERO if below < ZERO else below)
    return y


@exact
def leaky_relu(x: Any, negative_slope: Any, b: Any, c: Any) -> Any:
    """``x`` above 0, ``negative_slope * x`` otherwise."""
    return x if x > ZERO else negative_slope * x


@exact
def prelu(x: Any, slope: Any, same: Any) -> Any:
    """``x`` above 0, ``slope * x`` otherwise."""
    return x if x > ZERO else slope * x


@exact
def clip(x: Any, low: Any, high: Any, c: Any) -> Any:
    """``x`` within [low, high]; NaN passes."""
    return low if x < low else high if x > high else x


@exact
def hard_sigmoid(x: Any, slope: Any, offset: Any, top: Any) -> Any:
    """``clip(slope * x + offset, 0, top) / top``."""
    y = slope * x + offset
    return (ZERO if y < ZERO else top if y > top else y) / top


@exact
def hard_silu(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``x * relu6(x + 3) / 6``; NaN for -inf, which is -inf * 0."""
    y = x + THREE
    return x * ((ZERO if y < ZERO else SIX if y > SIX else y) / SIX)


@exact
def threshold(x: Any, least: Any, value: Any, c: Any) -> Any:
    """``x`` above ``least``, ``value`` otherwise (also for NaN)."""
    return x if x > least else value


@exact
def hard_shrink(x: Any, lambd: Any, b: Any, c: Any) -> Any:
    """``x`` where |x| is above ``lambd``, 0 otherwise (also for NaN)."""
    return x if abs(x) > lambd else ZERO


@exact
def soft_shrink(x: Any, lambd: Any, b: Any, c: Any) -> Any:
    """``x`` moved towards 0 by ``lambd``, 0 where |x| is not above it (also for NaN)."""
    return x - lambd if x > lambd else x + lambd if x < -lambd else ZERO


@exact
def sparse_plus(x: Any, a: Any, b: Any, c: Any) -> Any:
    """0 up to -1, ``x`` from 1 on, ``(x + 1)**2 / 4`` between."""
    y = x + ONE
    return ZERO if x <= -ONE else QUARTER * (y * y) if x < ONE else x


@exact
def sparse_sigmoid(x: Any, a: Any, b: Any, c: Any) -> Any:
    """0 up to -1, 1 from 1 on, ``(x + 1) / 2`` between."""
    return ZERO if x <= -ONE else ONE if x >= ONE else HALF * (x + ONE)


# --- algebraic -------------------------------------------------------------------------------------------------------


@exact
def softsign(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``x / (1 + |x|)``; NaN for infinities, as in Keras."""
    return x / (ONE + abs(x))


@exact
def squareplus(x: Any, b: Any, unused: Any, c: Any) -> Any:
    """``(x + sqrt(x**2 + b)) / 2`` as Keras sums it: x**2 overflows from 1.8e19 on, and -inf gives NaN."""
    return (x + elementary.square_root(x * x + b)) / TWO


# --- of the exponential ----------------------------------------------------------------------------------------------
# exp is only called where it cannot overflow, except by Exponential itself.


@exact
def exponential(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``exp(x)``."""
    return exp(x)


@exact
def sigmoid(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``1 / (1 + exp(-x))``, both halves from the exponential that does not overflow."""
    e = exp(-abs(x))
    return (e if x < ZERO else ONE) / (ONE + e)


@exact
def silu(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``x * sigmoid(x)``; NaN for -inf, which is -inf * 0."""
    return x * sigmoid(x, a, b, c)


@exact
def softplus(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|))``."""
    return (ZERO if x < ZERO else x) + log1p_of_share(exp(-abs(x)))


@exact
def log_sigmoid(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``log(sigmoid(x)) = -softplus(-x)``."""
    return -softplus(-x, a, b, c)


@exact
def mish(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``x * tanh(softplus(x))``; NaN for -inf, which is -inf * 0.

    The tangent is ``((1 + exp(x))**2 - 1) / ((1 + exp(x))**2 + 1)``, here multiplied out, and divided by ``exp(2 x)``
    for positive ``x``.
    """
    e = exp(-abs(x))
    square = e * e
    y = (square if x < ZERO else ONE) + (e + e)
    return x * (y / (y + TWO * (ONE if x < ZERO else square)))


@exact
def elu(x: Any, alpha: Any, b: Any, c: Any) -> Any:
    """``x`` above 0, ``alpha * (exp(x) - 1)`` otherwise."""
    return x if x > ZERO else alpha * expm1(x)


@exact
def celu(x: Any, alpha: Any, b: Any, c: Any) -> Any:
    """``max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1)``."""
    return (ZERO if x < ZERO else x) + alpha * expm1((ZERO if x > ZERO else x) / alpha)


@exact
def selu(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``scale * elu(x, alpha)`` with the paper's constants."""
    return SELU_SCALE * (x if x > ZERO else SELU_ALPHA * expm1(x))


@exact
def tanh(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``tanh(x)``."""
    return elementary.tanh(x)


@exact
def tanh_shrink(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``x - tanh(x)``."""
    return x - elementary.tanh(x)


@exact
def gelu(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``x / 2 * (1 + erf(x / sqrt(2)))``, which keeps its digits for negative ``x``; NaN for -inf."""
    return normal_product(x)


@exact
def gelu_tanh(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``x / 2 * (1 + tanh(y)) = x * sigmoid(2 y)``, ``y = sqrt(2 / pi) * (x + 0.044715 x**3)``; NaN for -inf."""
    return x * sigmoid(GELU_SCALE * (x + GELU_CUBE * x * x * x), a, b, c)


relu_f32 = elementwise("relu_f32", relu)
leaky_relu_f32 = elementwise("leaky_relu_f32", leaky_relu)
prelu_f32 = broadcasting("prelu_f32", prelu)
clip_f32 = elementwise("clip_f32", clip)
hard_sigmoid_f32 = elementwise("hard_sigmoid_f32", hard_sigmoid)
hard_silu_f32 = elementwise("hard_silu_f32", hard_silu)
threshold_f32 = elementwise("threshold_f32", threshold)
hard_shrink_f32 = elementwise("hard_shrink_f32", hard_shrink)
soft_shrink_f32 = elementwise("soft_shrink_f32", soft_shrink)
sparse_plus_f32 = elementwise("sparse_plus_f32", sparse_plus)
sparse_sigmoid_f32 = elementwise("sparse_sigmoid_f32", sparse_sigmoid)
softsign_f32 = elementwise("softsign_f32", softsign)
squareplus_f32 = elementwise("squareplus_f32", squareplus)
exponential_f32 = elementwise("exponential_f32", exponential)
sigmoid_f32 = elementwise("sigmoid_f32", sigmoid)
silu_f32 = elementwise("silu_f32", silu)
softplus_f32 = elementwise("softplus_f32", softplus)
log_sigmoid_f32 = elementwise("log_sigmoid_f32", log_sigmoid)
mish_f32 = elementwise("mish_f32", mish)
elu_f32 = elementwise("elu_f32", elu)
celu_f32 = elementwise("celu_f32", celu)
selu_f32 = elementwise("selu_f32", selu)
tanh_f32 = elementwise("tanh_f32", tanh)
tanh_shrink_f32 = elementwise("tanh_shrink_f32", tanh_shrink)
gelu_f32 = elementwise("gelu_f32", gelu)
gelu_tanh_f32 = elementwise("gelu_tanh_f32", gelu_tanh)
