"""Activation and the activation layers; every activation function of Keras by name, right by version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.convert.normalize.activations import activation_name
from keydnn.errors import ShapeError
from keydnn.modules.activation import (
    CELU,
    ELU,
    GELU,
    SELU,
    Exponential,
    HardShrink,
    HardSigmoid,
    HardSiLU,
    HardTanh,
    LeakyReLU,
    LogSigmoid,
    Mish,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    SoftShrink,
    Softsign,
    SparsePlus,
    SparseSigmoid,
    Squareplus,
    Tanh,
    TanhShrink,
)
from keydnn.modules.arithmetic import Scalar, Where
from keydnn.modules.base import Array, Module, shape_text
from keydnn.modules.constant import Constant
from keydnn.modules.merge import Add, Minimum, Multiply, Subtract
from keydnn.modules.rescale import Affine, Rescale
from keydnn.modules.shape import Reshape
from keydnn.modules.softmax import GLU, LogSoftmax, Softmax, Sparsemax

# Keras' activation functions with their default arguments (keras/src/activations/activations.py).
FUNCTIONS: Mapping[str, Callable[[], Module]] = {
    "celu": CELU,
    "elu": ELU,
    "exponential": Exponential,
    "gelu": GELU,
    "glu": lambda: GLU(-1),
    "hard_shrink": HardShrink,
    "hard_sigmoid": HardSigmoid,
    "hard_silu": HardSiLU,
    "hard_swish": HardSiLU,
    "hard_tanh": HardTanh,
    "leaky_relu": lambda: LeakyReLU(0.2),
    "log_sigmoid": LogSigmoid,
    "log_softmax": lambda: LogSoftmax(-1),
    "mish": Mish,
    "relu": ReLU,
    "relu6": lambda: ReLU(max_value=6.0),
    "selu": SELU,
    "sigmoid": Sigmoid,
    "silu": SiLU,
    "soft_shrink": SoftShrink,
    "softmax": lambda: Softmax(-1),
    "softplus": Softplus,
    "softsign": Softsign,
    "sparse_plus": SparsePlus,
    "sparse_sigmoid": SparseSigmoid,
    "sparsemax": lambda: Sparsemax(-1),
    "squareplus": Squareplus,
    "swish": SiLU,
    "tanh": Tanh,
    "tanh_shrink": TanhShrink,
}
# How TensorFlow's functions are named in files, where a model took tf.nn.softmax.
OTHER_NAMES = {"softmax_v2": "softmax", "log_softmax_v2": "log_softmax"}
# What Keras meant by the same name in the versions before the one named.
OLD_FUNCTIONS: Mapping[str, tuple[tuple[int, ...], Callable[[], Module]]] = {
    "hard_sigmoid": ((3,), lambda: HardSigmoid(slope=0.2, offset=0.5, top=1.0)),
    # Up to 3.15 the threshold is worked out from a sum of running sums (keras issue 23425).
    "sparsemax": ((3, 16), lambda: Sparsemax(-1, "cumulative")),
}


def function_of(call: LayerCall, key: str, default: str = "linear") -> Module | None:
    """Give the module of an activation function that an option names; None for ``linear`` and what is refused."""
    name = activation_name(call.option(key, default))
    name = OTHER_NAMES.get(name, name)
    before, old = OLD_FUNCTIONS.get(name, ((), None))
    function = old if old and call.version < before else FUNCTIONS.get(name)
    if function is None and name != "linear":
        code = name == "lambda"
        call.refuse(key, "Python code in the file, never run" if code else "a function that KeyDNN does not know")
    return function() if function else None


@builds("Identity", passes_mask=3)
def identity(call: LayerCall) -> Value:
    """Left out."""
    return call.identity(call.input())


@builds("Activation", passes_mask=True, stepwise=True)
def activation(call: LayerCall) -> Value:
    """A function by name; ``linear`` is left out."""
    function = function_of(call, "activation")
    x = call.input()
    return call.emit(function, x) if function else call.identity(x)


@builds("ops>ReLU")
@builds("ReLU", passes_mask=True, stepwise=True)
def relu(call: LayerCall) -> Value:
    """With all three arguments; ``ops>ReLU`` is ``keras.activations.relu`` called on a tensor."""
    max_value = call.option("max_value")
    largest = None if max_value is None else call.number("max_value", 0.0)
    module = ReLU(largest, call.number("negative_slope", 0.0), call.number("threshold", 0.0))
    return call.emit(module, call.input())


@builds("LeakyReLU", passes_mask=True, stepwise=True)
def leaky_relu(call: LayerCall) -> Value:
    """``alpha`` in Keras 2 (see ``normalize/spelling.py``)."""
    return call.emit(LeakyReLU(call.number("negative_slope", 0.3)), call.input())


@builds("PReLU", passes_mask=True)
def prelu(call: LayerCall) -> Value:
    """Weight is alpha; ``shared_axes`` count from 1."""
    shared = call.option("shared_axes") or []
    shared = shared if isinstance(shared, list) else [shared]
    x = call.input()
    if not set(shared) <= set(range(1, len(x.shape))):
        call.refuse("shared_axes", f"axes of an input of rank {len(x.shape)} without the batch are expected")
        call.stop()
    shape = tuple(1 if axis in shared else call.size(x, axis) for axis in range(1, len(x.shape)))
    (weight,) = call.weights(alpha=shape)
    return call.emit(PReLU(shape, weight=weight), x)


def _numbers_of_cells(call: LayerCall, x: Value, *names: str) -> list[Array]:
    """Read weights that have a number for each cell, or one for a whole axis, as ``shared_axes`` said in training.

    Keras 1 did not always write that option, but the weights have those axes as 1.
    """
    sizes = call.stored_shape(names[0], 0) or tuple(call.size(x, axis) for axis in range(1, len(x.shape)))
    fits = len(sizes) == len(x.shape) - 1 and all(a in (1, b) for a, b in zip(sizes, x.shape[1:], strict=True))
    if not fits:
        raise ShapeError(f"weights of shape {shape_text(sizes)} for an input {shape_text(x.shape)}")
    shapes: dict[str, tuple[int, ...] | None] = dict.fromkeys(names, sizes)
    return call.weights((), **shapes)


def _affine(call: LayerCall, x: Value, weight: Array, bias: Array | float, part: str = "") -> Value:
    bias = np.broadcast_to(np.float32(bias), weight.shape)
    return call.emit(Affine(weight.shape, weight=weight, bias=bias), x, part=part)


@builds("ParametricSoftplus", passes_mask=True, gone=2)
def parametric_softplus(call: LayerCall) -> Value:
    """``alpha * softplus(beta * x)`` with numbers for each cell."""
    call.ignore("alpha_init", "shared_axes")
    x = call.input()
    alpha, beta = _numbers_of_cells(call, x, "alpha", "beta")
    return _affine(call, call.emit(Softplus(), _affine(call, x, beta, 0.0, "scaled"), part="softplus"), alpha, 0.0)


@builds("SReLU", passes_mask=True, gone=2)
def s_shaped_relu(call: LayerCall) -> Value:
    """``x`` between two thresholds, and a slope of its own on either side; numbers for each cell.

    The threshold on the right is ``t_left + |t_right|``, rounded as Keras 1 did.
    """
    call.ignore("shared_axes", "t_left_init", "a_left_init", "t_right_init", "a_right_init")
    x = call.input()
    t_left, a_left, t_right, a_right = _numbers_of_cells(call, x, "t_left", "a_left", "t_right", "a_right")
    top, one = t_left + abs(t_right), np.ones_like(t_left)
    below = call.emit(ReLU(), _affine(call, x, -one, t_left, "under"), part="below")
    above = call.emit(ReLU(), _affine(call, x, one, -t_left, "over"), part="above")
    center = call.emit(Minimum(), above, call.constant(top - t_left, "width"), part="center")
    left = call.emit(Subtract(), center, _affine(call, below, a_left, 0.0, "left"), part="both")
    beyond = call.emit(ReLU(), _affine(call, x, one, -top, "past"), part="beyond")
    return call.emit(Add(), _affine(call, left, one, t_left, "shifted"), _affine(call, beyond, a_right, 0.0, "right"))


@builds("ELU", passes_mask=True, stepwise=True)
def elu(call: LayerCall) -> Value:
    """With its alpha."""
    return call.emit(ELU(call.number("alpha", 1.0)), call.input())


@builds("ThresholdedReLU", passes_mask=True, stepwise=True)
def thresholded_relu(call: LayerCall) -> Value:
    """``x * (x > theta)``, which is NaN for NaN and -inf; Keras 2 only."""
    theta = call.number("theta", 1.0)
    x = call.input()
    return call.emit(Multiply(), x, call.emit(Scalar("greater", theta), x, part="above"))


@builds("ops>Softmax")
def softmax_operation(call: LayerCall) -> Value:
    """Over one axis; masks play no part."""
    axes = call.axes("axis", -1)
    return _shares(call, call.input(), axes)


@builds("Softmax", passes_mask=True)
def softmax(call: LayerCall) -> Value:
    """Over several axes by making them one; cells that a mask hides get no share.

    Keras 2 adds -1e9 to them; with ``robust_masking`` and since 3.13 they become -1e9.  Since 3.10 their shares are set
    to 0, also where all of a line are hidden.  Up to 2.3 the layer did not look at masks.
    """
    axes, robust = call.axes("axis", -1), call.boolean("robust_masking", False)
    mask = call.mask() if call.version >= (2, 4) else None
    x = call.input()
    if mask is None:
        return _shares(call, x, axes)
    if len(mask.shape) != len(x.shape):
        found = f"a mask {shape_text(mask.shape)} for its input {shape_text(x.shape)}"
        call.obstacle("with a mask of another rank", f"{found}, which Keras does not take")
        call.stop()
    ones = (1,) * (len(x.shape) - 1)
    if robust or call.version >= (3, 13):
        mask = call.emit(Scalar("greater", 0.5), mask, part="mask")
        lowest = call.emit(Constant(ones, value=np.full(ones, -1e9, np.float32)), part="lowest")
        seen = call.emit(Where(), mask, x, lowest, part="seen")
    else:
        amount = call.emit(Rescale(1e9, -1e9), mask, part="amount")
        seen = call.emit(Add(), x, amount, part="seen")
    if call.version < (3, 10):
        return _shares(call, seen, axes)
    return call.emit(Multiply(), _shares(call, seen, axes, "shares"), mask)


def _shares(call: LayerCall, x: Value, axes: Sequence[int], part: str = "") -> Value:
    positions = call.positions(x, axes)
    if len(axes) == 1:
        return call.emit(Softmax(axes[0]), x, part=part)
    moved, order = call.axes_last(x, positions)
    kept = len(moved.shape) - len(axes)
    sizes = [-1 if size is None else size for size in moved.shape]
    outer, inner = sizes[1:kept], sizes[kept:]
    if outer.count(-1) or inner.count(-1) > 1:
        call.obstacle(f"on an input {shape_text(x.shape)}", "several axes of an input with free sizes")
        call.stop()
    joined = call.emit(Reshape((*outer, -1)), moved, part="joined")
    shares = call.emit(Softmax(-1), joined, part="joined_shares")
    return call.axes_back(call.emit(Reshape((*outer, *inner)), shares, part=part), order)
