"""Activations of one element."""

from __future__ import annotations

import math

import numpy as np

from tests import naive
from tests.oracle.bounds import FUNCTION, TINY, Bounded, U, gamma


def elementwise(function, roundings, cancelled=None, lipschitz=None):
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

    def rule(module, x):
        def of(value):
            return np.asarray(function(module, value), dtype=np.float64)

        value = of(x.value)
        low, high = of(x.value - x.error), of(x.value + x.error)
        if lipschitz is None:
            with np.errstate(invalid="ignore"):  # of infinities, whose difference is nothing where the input is exact
                slope = np.where(x.error > 0, np.maximum(np.abs(high - value), np.abs(low - value)), 0)
        else:
            slope = lipschitz * x.error
        relative = gamma(roundings) * np.maximum(np.abs(value) + slope, np.maximum(np.abs(low), np.abs(high)))
        rounded = relative + (cancelled(x.value) * U if cancelled else 0)
        return Bounded(value, slope + rounded + TINY * np.maximum(1, np.abs(x.value)))

    return rule


def f32(value):
    """Give a parameter as float32 holds it."""
    return float(np.float32(value))


def _relu(module, x):
    top = math.inf if module.max_value is None else f32(module.max_value)
    return naive.relu(x, top, f32(module.negative_slope), f32(module.threshold))


def _hard_sigmoid(module, x):
    return np.clip(f32(module.slope) * x + f32(module.offset), 0, module.top) / module.top


def _hard_silu(module, x):
    return x * (np.clip(x + 3, 0, 6) / 6)


def _celu(module, x):
    alpha = f32(module.alpha)
    return np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha)


def _soft_shrink(module, x):
    edge = f32(module.lambd)
    return np.where(np.abs(x) > edge, x - np.copysign(edge, x), 0)


def _squareplus(module, x):
    return (x + np.sqrt(x**2 + f32(module.b))) / 2


def _gelu(module, x):
    return naive.gelu(x) if module.approximate == "none" else naive.gelu_tanh(x)


def _negative(x):
    """``exp(x) - 1`` loses FUNCTION + 1 roundings of ``exp(x)``, where x is negative."""
    return (FUNCTION + 1) * np.exp(np.minimum(x, 0)) * (x < 0)


def prelu(module, x):
    """One product; of slopes beyond 1 the error grows."""
    weight = naive.f64(module.weight)
    value = np.where(x.value > 0, x.value, weight * x.value)
    steepest = np.maximum(np.abs(weight), 1)
    return Bounded(value, steepest * (x.error * (1 + U) + U * np.abs(x.value) + TINY))


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
# TensorFlow's softplus is x above 13.9 and exp(x) below -13.9: 8 roundings off at most there.
SOFTPLUS = 2 * FUNCTION + 9

RULES = {
    "Identity": elementwise(lambda m, x: x, 0),
    "ReLU": elementwise(_relu, 2),
    "LeakyReLU": elementwise(lambda m, x: np.where(x > 0, x, f32(m.negative_slope) * x), 1),
    "PReLU": prelu,
    "ELU": elementwise(lambda m, x: naive.elu(x, f32(m.alpha)), FUNCTION + 1, lambda x: _negative(x) * 2),
    "CELU": elementwise(_celu, FUNCTION + 3),
    "SELU": elementwise(lambda m, x: SELU_SCALE * naive.elu(x, SELU_ALPHA), FUNCTION + 4, lambda x: 2 * _negative(x)),
    "Sigmoid": elementwise(lambda m, x: naive.sigmoid(x), 2 * FUNCTION),
    # x + 3 or 0.2 x + 0.5: roundings of numbers up to twice the top
    "HardSigmoid": elementwise(_hard_sigmoid, 1, lambda x: 4.0),
    "HardSiLU": elementwise(_hard_silu, 2, lambda x: 4 * np.minimum(np.abs(x), 3), lipschitz=1.5),
    "HardTanh": elementwise(lambda m, x: np.clip(x, m.min_val, m.max_val), 0),
    "Tanh": elementwise(lambda m, x: np.tanh(x), FUNCTION),
    "Softplus": elementwise(lambda m, x: naive.softplus(x), SOFTPLUS),
    "LogSigmoid": elementwise(lambda m, x: -naive.softplus(-x), SOFTPLUS),
    "Softsign": elementwise(lambda m, x: x / (1 + np.abs(x)), 3),
    "SiLU": elementwise(lambda m, x: x * naive.sigmoid(x), 2 * FUNCTION + 1, lipschitz=1.1),
    "Mish": elementwise(lambda m, x: x * np.tanh(naive.softplus(x)), FUNCTION + SOFTPLUS + 1, lipschitz=1.1),
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
