"""A whole graph in float64, with a bound on how far float32 may be off: running error analysis.

Every value is carried with ``error``, a bound on the distance of *any* float32 computation of it from ``value``, by the
rules of Higham, "Accuracy and Stability of Numerical Algorithms" (2nd ed.), sections 3.1 to 3.4: what an operation is
given wrong is passed on (by absolute weights, or by the function itself), and what it rounds is added.  Sums may be in
any order, products may be fused; functions are within ``FUNCTION`` roundings.  So KeyDNN and Keras must both lie within
``error`` of ``value``, and that is what the tests assert.  Nothing here is fitted to results.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tests import naive

U = 2.0**-24
TINY = float(np.finfo(np.float32).tiny)  # TensorFlow flushes denormal numbers to zero
# One call of exp, log, tanh or erf, in roundings: glibc's manual lists at most 2 ulps (4 roundings); Eigen's, which
# TensorFlow calls, are rational approximations tested to 4 ulps.
FUNCTION = 8


@dataclass
class Bounded:
    """A value in float64 and how far float32 may be from it."""

    value: np.ndarray
    error: np.ndarray

    @property
    def largest(self):
        """Bound of the absolute value that float32 has."""
        return np.abs(self.value) + self.error


def gamma(n):
    """Bound of n roundings, relative."""
    return n * U / (1 - n * U)


def exact(value):
    """Give a value without error."""
    value = naive.f64(value)
    return Bounded(value, np.zeros_like(value))


def evaluate(graph, inputs):
    """Give the outputs of a KeyDNN graph as Bounded, in order."""
    values = {given.name: exact(array) for given, array in zip(graph.inputs, inputs, strict=True)}
    for node in graph.nodes:
        rule = RULES[type(node.module).__name__]
        with np.errstate(over="ignore", under="ignore"):
            values[node.name] = rule(node.module, *(values[name] for name in node.inputs))
    return [values[output.value] for output in graph.outputs]


def assert_informative(bounded, relative):
    """Assert that a bound is so small, beside the largest value, that the comparison says something."""
    finite = np.isfinite(bounded.value)
    largest = np.abs(bounded.value[finite]).max(initial=0)
    worst = np.max(bounded.error[finite], initial=0)
    assert worst <= relative * largest + TINY, f"a bound of {worst:.3g} on values up to {largest:.3g} says nothing"


# --- sums of products ------------------------------------------------------------------------------------------------


def _linear(operation, terms, x, weight, bias):
    """Sum products: the absolute operation on errors, and gamma on absolute values; section 3.1."""
    weight, bias = naive.f64(weight), naive.f64(bias)
    passed = operation(x.error, np.abs(weight), 0 * bias)
    rounded = gamma(terms + 2) * operation(x.largest, np.abs(weight), np.abs(bias))
    return Bounded(operation(x.value, weight, bias), passed + rounded + TINY)


def _bias(module, count):
    return np.zeros(count) if module.bias is None else module.bias


def conv(module, x):
    stride, dilation = module.stride, module.dilation
    pads = module.padding
    if pads == "same":
        pads = naive.same_pads(x.value.shape[2:], module.kernel_size, stride, dilation)

    def operation(x, weight, bias):
        return naive.conv(x, weight, bias, stride, pads, dilation, module.groups)

    return _linear(operation, module.weight[0].size, x, module.weight, _bias(module, module.out_channels))


def conv_transpose(module, x):
    def operation(x, weight, bias):
        return naive.conv_transpose(
            x, weight, bias, module.stride, module.padding, module.output_padding, module.dilation, module.groups
        )

    return _linear(operation, module.weight[:, 0].size, x, module.weight, _bias(module, module.out_channels))


def linear(module, x):
    return _linear(naive.linear, module.in_features, x, module.weight, _bias(module, module.out_features))


def average(operation, terms):
    """Take a mean: a sum and a division."""

    def rule(module, x):
        error = operation(module, x.error) + gamma(terms(module, x) + 1) * operation(module, x.largest) + TINY
        return Bounded(operation(module, x.value), error)

    return rule


# --- pooling ---------------------------------------------------------------------------------------------------------


def _pads(module, x):
    ones = (1,) * len(module.kernel_size)
    same = module.padding == "same"
    return naive.same_pads(x.shape[2:], module.kernel_size, module.stride, ones) if same else module.padding


def _max_pool(module, x):
    return naive.max_pool(x, module.kernel_size, module.stride, _pads(module, x))


def _avg_pool(module, x):
    return naive.avg_pool(x, module.kernel_size, module.stride, _pads(module, x), module.count_include_pad)


def _global(reduce):
    def operation(module, x):
        return reduce(x, axis=tuple(range(2, x.ndim)), keepdims=module.keepdims)

    return operation


def selected(operation):
    """Pick or move elements: whatever happens to the values happens to their errors, and nothing is rounded.

    It holds for maxima too: the largest values of two sets differ by no more than their elements do.
    """

    def rule(module, *inputs):
        values, errors = ([getattr(x, name) for x in inputs] for name in ("value", "error"))
        return Bounded(operation(module, *values), operation(module, *errors))

    return rule


# --- normalisation ---------------------------------------------------------------------------------------------------


def batch_norm(module, x):
    """``(x - mean) * factor + bias`` or ``x * factor + (bias - mean * factor)``: ten roundings of each term.

    Half of the one of ``variance + eps``, FUNCTION / 2 of rsqrt, the product with the weight, and three operations.
    """
    ones, zeros = np.ones(module.num_features), np.zeros(module.num_features)
    weight = ones if module.weight is None else naive.f64(module.weight)
    bias = zeros if module.bias is None else naive.f64(module.bias)
    mean, variance = naive.f64(module.running_mean), naive.f64(module.running_var)
    value = naive.batch_norm(x.value, weight, bias, mean, variance, module.eps)
    shape = (-1, *[1] * (x.value.ndim - 2))
    factor = (np.abs(weight) / np.sqrt(variance + module.eps)).reshape(shape)
    terms = factor * (x.largest + np.abs(mean).reshape(shape)) + np.abs(bias).reshape(shape)
    return Bounded(value, factor * x.error + gamma(10) * terms + TINY)


def layer_norm(module, x):
    """Mean, differences, variance and inverse root, each with what the ones before it had wrong.

    Keras multiplies x and the mean by the factor apart, so its last roundings are relative to both.
    """
    axes = tuple(range(-len(module.normalized_shape), 0))
    count = math.prod(module.normalized_shape)
    weight = np.ones(module.normalized_shape) if module.weight is None else naive.f64(module.weight)
    bias = np.zeros(module.normalized_shape) if module.bias is None else naive.f64(module.bias)

    def mean_of(array):
        return array.mean(axes, keepdims=True)

    mean, size = mean_of(x.value), mean_of(x.largest)
    mean_error = mean_of(x.error) + gamma(count + 1) * size
    difference = np.abs(x.value - mean)
    difference_error = x.error + mean_error + U * (difference + x.error + mean_error)
    squares = (difference + difference_error) ** 2
    variance = mean_of(difference**2) + module.eps
    variance_error = mean_of(squares - difference**2) + gamma(count + 3) * mean_of(squares) + U * variance
    wrong = np.minimum(variance_error / variance, 0.5)
    inverse = 1 / np.sqrt(variance)
    inverse_wrong = 1 / np.sqrt(1 - wrong) - 1 + gamma(FUNCTION)
    error = difference_error * inverse * (1 + inverse_wrong) + difference * inverse * inverse_wrong
    rounded = gamma(4) * ((x.largest + size) * inverse * (1 + inverse_wrong) * np.abs(weight) + np.abs(bias))
    value = naive.layer_norm(x.value, weight, bias, module.eps)
    return Bounded(value, error * np.abs(weight) + rounded + TINY)


# --- merges ----------------------------------------------------------------------------------------------------------


def _fold(operation, values):
    result = values[0]
    for value in values[1:]:
        result = operation(result, value)
    return result


def add(module, *inputs):
    value = _fold(np.add, [x.value for x in inputs])
    error = _fold(np.add, [x.error for x in inputs])
    return Bounded(value, error + gamma(len(inputs) - 1) * _fold(np.add, [x.largest for x in inputs]) + TINY)


def mean(module, *inputs):
    total = add(module, *inputs)
    return Bounded(total.value / len(inputs), (total.error + U * total.largest) / len(inputs) + TINY)


def subtract(module, x, y):
    return add(module, x, Bounded(-y.value, y.error))


def multiply(module, *inputs):
    value, largest = (_fold(np.multiply, [getattr(x, name) for x in inputs]) for name in ("value", "largest"))
    return Bounded(value, largest - np.abs(value) + gamma(len(inputs) - 1) * largest + TINY)


def extreme(operation):
    """Take the larger or smaller: off by no more than the worst of the inputs (see ``selected``)."""

    def rule(module, *inputs):
        return Bounded(_fold(operation, [x.value for x in inputs]), _fold(np.maximum, [x.error for x in inputs]))

    return rule


# --- activations -----------------------------------------------------------------------------------------------------


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


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
# TensorFlow's softplus is x above 13.9 and exp(x) below -13.9: 8 roundings off at most there.
SOFTPLUS = 2 * FUNCTION + 9

ACTIVATIONS = {
    "Identity": elementwise(lambda m, x: x, 0),
    "Dropout": elementwise(lambda m, x: x, 0),
    "ReLU": elementwise(_relu, 2),
    "LeakyReLU": elementwise(lambda m, x: np.where(x > 0, x, f32(m.negative_slope) * x), 1),
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


def _softmax_wrong(x, axis):
    """Bound the relative errors: what the inputs have wrong (the subtracted maximum cancels), differences, exp, sum."""
    count = x.value.shape[axis]
    distance = x.value.max(axis, keepdims=True) - x.value
    p = naive.softmax(x.value, axis)
    passed = np.expm1(2 * x.error.max(axis, keepdims=True))
    return passed, gamma(1) * distance, gamma(1) * (p * distance).sum(axis, keepdims=True) + gamma(FUNCTION + count)


def softmax(module, x):
    passed, difference, total = _softmax_wrong(x, module.dim)
    value = naive.softmax(x.value, module.dim)
    relative = (1 + passed) * (1 + difference + total + gamma(FUNCTION + 1)) - 1
    return Bounded(value, value * relative + TINY)


def log_softmax(module, x):
    _, difference, total = _softmax_wrong(x, module.dim)
    value = naive.log_softmax(x.value, module.dim)
    passed = 2 * x.error.max(module.dim, keepdims=True)
    log = np.log(np.exp(x.value - x.value.max(module.dim, keepdims=True)).sum(module.dim, keepdims=True))
    return Bounded(value, passed + difference + total + gamma(FUNCTION) * log + gamma(1) * np.abs(value) + TINY)


def sparsemax(module, x):
    """tau is a sum over the support (of running sums, in Keras' way) less 1, divided by their number."""
    assert not x.error.any(), "only of exact inputs: the support may change"
    moved = np.moveaxis(x.value, module.dim, -1)
    ordered = -np.sort(-moved, axis=-1)
    count = moved.shape[-1]
    support = ordered * np.arange(1, count + 1) - (np.cumsum(ordered, axis=-1) - 1) > 0
    if module.threshold == "sum":
        terms, value = ordered, naive.sparsemax(x.value, module.dim)
    else:
        terms = np.cumsum(ordered, axis=-1)
        tau = (np.where(support, terms, 0).sum(-1, keepdims=True) - 1) / support.sum(-1, keepdims=True)
        value = np.moveaxis(np.maximum(moved - tau, 0), -1, module.dim)
    size = np.where(support, np.cumsum(np.abs(ordered), axis=-1) if terms is not ordered else np.abs(ordered), 0)
    size = (size.sum(-1, keepdims=True) + 1) / support.sum(-1, keepdims=True) + np.abs(moved)
    return Bounded(value, np.moveaxis(gamma(2 * count + 3) * size, -1, module.dim) + TINY)


def glu(module, x):
    halves = [
        Bounded(*parts)
        for parts in zip(np.split(x.value, 2, module.dim), np.split(x.error, 2, module.dim), strict=True)
    ]
    return multiply(module, halves[0], ACTIVATIONS["Sigmoid"](module, halves[1]))


# --- moves of memory -------------------------------------------------------------------------------------------------


def _pad(module, x):
    return np.pad(x, [(0, 0), (0, 0), *module.padding])


def _crop(module, x):
    sizes = zip(module.cropping, x.shape[2:], strict=True)
    return x[(..., *(slice(before, size - after) for (before, after), size in sizes))]


def _reshape(module, x):
    return x.reshape(x.shape[0], *module.shape)


def upsample(module, x):
    """Nearest moves; bilinear weighs four neighbours, by weights from places that are off by a rounding of the size."""
    value, error, largest = (
        naive.upsample(array, module.scale_factor, module.mode) for array in (x.value, x.error, x.largest)
    )
    if module.mode == "bilinear":
        size = max(x.value.shape[2:])
        error = error + gamma(8) * largest + gamma(4 * size) * x.largest.max(axis=(2, 3), keepdims=True) + TINY
    return Bounded(value, error)


AVERAGE = average(_avg_pool, lambda module, x: math.prod(module.kernel_size))
GLOBAL_AVERAGE = average(_global(np.mean), lambda module, x: math.prod(x.value.shape[2:]))
MAX, GLOBAL_MAX = selected(_max_pool), selected(_global(np.max))

RULES = {
    **ACTIVATIONS,
    "Softmax": softmax,
    "LogSoftmax": log_softmax,
    "Sparsemax": sparsemax,
    "GLU": glu,
    "Conv1d": conv,
    "Conv2d": conv,
    "ConvTranspose2d": conv_transpose,
    "Linear": linear,
    "BatchNorm1d": batch_norm,
    "BatchNorm2d": batch_norm,
    "LayerNorm": layer_norm,
    "MaxPool1d": MAX,
    "MaxPool2d": MAX,
    "AvgPool1d": AVERAGE,
    "AvgPool2d": AVERAGE,
    "GlobalAvgPool1d": GLOBAL_AVERAGE,
    "GlobalAvgPool2d": GLOBAL_AVERAGE,
    "GlobalMaxPool1d": GLOBAL_MAX,
    "GlobalMaxPool2d": GLOBAL_MAX,
    "Add": add,
    "Subtract": subtract,
    "Multiply": multiply,
    "Average": mean,
    "Maximum": extreme(np.maximum),
    "Minimum": extreme(np.minimum),
    "Concatenate": selected(lambda module, *inputs: np.concatenate(inputs, module.dim)),
    "Flatten": selected(lambda module, x: x.reshape(x.shape[0], -1)),
    "Reshape": selected(_reshape),
    "Permute": selected(lambda module, x: np.transpose(x, module.dims)),
    "ZeroPad1d": selected(_pad),
    "ZeroPad2d": selected(_pad),
    "Crop1d": selected(_crop),
    "Crop2d": selected(_crop),
    "Upsample2d": upsample,
}
