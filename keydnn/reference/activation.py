"""Activations of one element."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference.bounds import F64, FUNCTION, TINY, Bounded, Rule, Rules, U, f64, gamma


def relu(x: npt.ArrayLike, max_value: float, negative_slope: float, threshold: float) -> F64:
    """Keras' relu, written as its documentation's cases; NaN as its code has it."""
    x = f64(x)
    if not threshold and not negative_slope:
        return f64(np.minimum(np.maximum(x, 0), max_value))
    below = x <= threshold if threshold else x < 0
    y = np.where(below, negative_slope * np.where(below, x - threshold, 0), np.minimum(x, max_value))
    return np.where(np.isnan(x), 0.0 if threshold and not negative_slope else np.nan, y)


def sigmoid(x: npt.ArrayLike) -> F64:
    """``1 / (1 + exp(-x))``, where nothing overflows."""
    e = np.exp(-np.abs(f64(x)))
    return f64(np.where(f64(x) < 0, e, 1) / (1 + e))


def softplus(x: npt.ArrayLike) -> F64:
    """``log(1 + exp(x))``."""
    return np.logaddexp(0, f64(x))


def elu(x: npt.ArrayLike, alpha: float) -> F64:
    """``x``, or ``alpha * (exp(x) - 1)`` where x is negative."""
    return np.where(f64(x) > 0, f64(x), alpha * np.expm1(np.minimum(f64(x), 0)))


_ERFC = np.vectorize(math.erfc, otypes=[float])


def gelu(x: npt.ArrayLike) -> F64:
    """``x`` times the normal distribution's share below it."""
    return f64(x) * 0.5 * f64(_ERFC(-f64(x) / math.sqrt(2)))


def gelu_tanh(x: npt.ArrayLike) -> F64:
    """The approximation of :func:`gelu` by tanh."""
    x = f64(x)
    return x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def elementwise(
    function: Callable[[Any, F64], npt.ArrayLike],
    roundings: int,
    cancelled: Callable[[F64], npt.ArrayLike] | None = None,
    lipschitz: float | None = None,
) -> Rule:
    """Apply a function of one element.

    Parameters
    ----------
    function
        Of the module's float32 parameters and x, in float64.
    roundings
        Relative to the result.
    cancelled
        Of x: an absolute error, in roundings, of formulas that subtract.
    lipschitz
        Largest slope; None for monotone functions, which are evaluated at both ends of the error instead.
    """

    def of(module: Any, x: F64) -> F64:
        return f64(function(module, x))

    def rule(module: Any, x: Bounded) -> Bounded:
        value = of(module, x.value)
        if lipschitz is None:
            low, high = of(module, x.value - x.error), of(module, x.value + x.error)
            with np.errstate(invalid="ignore"):  # of infinities, whose difference is nothing where the input is exact
                slope = np.where(x.error > 0, np.maximum(np.abs(high - value), np.abs(low - value)), 0)
            largest = np.maximum(np.abs(value) + slope, np.maximum(np.abs(low), np.abs(high)))
        else:
            slope = lipschitz * x.error
            largest = np.abs(value) + slope
        error = slope + TINY * np.maximum(1, np.abs(x.value))
        if roundings:
            error += gamma(roundings) * largest
        if cancelled:
            error += U * f64(cancelled(x.value))
        return Bounded(value, error)

    return Rule(rule, of)


def f32(value: float) -> float:
    """Give a parameter as float32 holds it."""
    return float(np.float32(value))


def _relu(module: Any, x: F64) -> F64:
    top = math.inf if module.max_value is None else f32(module.max_value)
    return relu(x, top, f32(module.negative_slope), f32(module.threshold))


def _hard_sigmoid(module: Any, x: F64) -> F64:
    return f64(np.clip(f32(module.slope) * x + f32(module.offset), 0, module.top) / module.top)


def _hard_silu(module: Any, x: F64) -> F64:
    return x * (np.clip(x + 3, 0, 6) / 6)


def _celu(module: Any, x: F64) -> F64:
    alpha = f32(module.alpha)
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha)


def _soft_shrink(module: Any, x: F64) -> F64:
    edge = f32(module.lambd)
    return np.where(np.abs(x) > edge, x - np.copysign(edge, x), 0)


def _squareplus(module: Any, x: F64) -> F64:
    return (x + np.sqrt(x**2 + f32(module.b))) / 2


def _gelu(module: Any, x: F64) -> F64:
    return gelu(x) if module.approximate == "none" else gelu_tanh(x)


def _negative(x: F64) -> F64:
    """``exp(x) - 1`` loses FUNCTION + 1 roundings of ``exp(x)``, where x is negative."""
    return (FUNCTION + 1) * np.exp(np.minimum(x, 0)) * (x < 0)


def prelu(module: Any, x: Bounded) -> Bounded:
    """One product; of slopes beyond 1 the error grows."""
    weight = f64(module.weight)
    value = np.where(x.value > 0, x.value, weight * x.value)
    steepest = np.maximum(np.abs(weight), 1)
    return Bounded(value, steepest * (x.error * (1 + U) + U * np.abs(x.value) + TINY))


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
# TensorFlow's softplus is x above 13.9 and exp(x) below -13.9: 8 roundings off at most there.
SOFTPLUS = 2 * FUNCTION + 9

RULES: Rules = {
    "Identity": elementwise(lambda m, x: x, 0),
    "ReLU": elementwise(_relu, 2),
    "LeakyReLU": elementwise(lambda m, x: np.where(x > 0, x, f32(m.negative_slope) * x), 1),
    "PReLU": prelu,
    "ELU": elementwise(lambda m, x: elu(x, f32(m.alpha)), FUNCTION + 1, lambda x: _negative(x) * 2),
    "CELU": elementwise(_celu, FUNCTION + 3),
    "SELU": elementwise(lambda m, x: SELU_SCALE * elu(x, SELU_ALPHA), FUNCTION + 4, lambda x: 2 * _negative(x)),
    "Sigmoid": elementwise(lambda m, x: sigmoid(x), 2 * FUNCTION),
    # x + 3 or 0.2 x + 0.5: roundings of numbers up to twice the top
    "HardSigmoid": elementwise(_hard_sigmoid, 1, lambda x: 4.0),
    "HardSiLU": elementwise(_hard_silu, 2, lambda x: 4 * np.minimum(np.abs(x), 3), lipschitz=1.5),
    "HardTanh": elementwise(lambda m, x: np.clip(x, m.min_val, m.max_val), 0),
    "Tanh": elementwise(lambda m, x: np.tanh(x), FUNCTION),
    "Softplus": elementwise(lambda m, x: softplus(x), SOFTPLUS),
    "LogSigmoid": elementwise(lambda m, x: -softplus(-x), SOFTPLUS),
    "Softsign": elementwise(lambda m, x: x / (1 + np.abs(x)), 3),
    "SiLU": elementwise(lambda m, x: x * sigmoid(x), 2 * FUNCTION + 1, lipschitz=1.1),
    "Mish": elementwise(lambda m, x: x * np.tanh(softplus(x)), FUNCTION + SOFTPLUS + 1, lipschitz=1.1),
    # x / sqrt(2), erf, 1 + erf, two products; for negative x, 1 + erf cancels
    "GELU": elementwise(_gelu, FUNCTION + 4, lambda x: (FUNCTION + 4) * np.abs(x) * (x < 0), lipschitz=1.13),
    "Exponential": elementwise(lambda m, x: np.exp(x), FUNCTION),
    "HardShrink": elementwise(lambda m, x: np.where(np.abs(x) > f32(m.lambd), x, 0), 0),
    "SoftShrink": elementwise(_soft_shrink, 1),
    "TanhShrink": elementwise(lambda m, x: x - np.tanh(x), 1, lambda x: FUNCTION * np.abs(np.tanh(x))),
    "Threshold": elementwise(lambda m, x: np.where(x > f32(m.threshold), x, f32(m.value)), 0),
    # the root is off by 2 roundings; x plus it cancels for negative x
    "Squareplus": elementwise(_squareplus, 2, lambda x: 2 * (np.abs(x) + 2)),
    # x + 1, squared by a call of pow
    "SparsePlus": elementwise(lambda m, x: np.where(x >= 1, x, np.square(np.clip(x, -1, 1) + 1) / 4), FUNCTION + 2),
    "SparseSigmoid": elementwise(lambda m, x: (np.clip(x, -1, 1) + 1) / 2, 1),
}
