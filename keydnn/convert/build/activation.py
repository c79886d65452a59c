"""Activation and the activation layers; every activation function of Keras by name, right by version."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.convert.normalize.activations import activation_name
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
    Threshold,
)
from keydnn.modules.base import Module
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
# What Keras meant by the same name in the versions before the one named.
OLD_FUNCTIONS: Mapping[str, tuple[tuple[int, ...], Callable[[], Module]]] = {
    "hard_sigmoid": ((3,), lambda: HardSigmoid(slope=0.2, offset=0.5, top=1.0)),
    # Up to 3.15 the threshold is worked out from a sum of running sums (keras issue 23425).
    "sparsemax": ((3, 16), lambda: Sparsemax(-1, "cumulative")),
}


def function_of(call: LayerCall, key: str, default: str = "linear") -> Module | None:
    """Give the module of an activation function that an option names; None for ``linear`` and what is refused."""
    name = activation_name(call.option(key, default))
    before, old = OLD_FUNCTIONS.get(name, ((), None))
    function = old if old and call.version < before else FUNCTIONS.get(name)
    if function is None and name != "linear":
        call.refuse(key, "a function that KeyDNN does not know")
    return function() if function else None


@builds("Activation")
def activation(call: LayerCall) -> Value:
    """A function by name; ``linear`` is left out."""
    function = function_of(call, "activation")
    x = call.input()
    return call.emit(function, x) if function else call.identity(x)


@builds("ReLU", "ops>ReLU")
def relu(call: LayerCall) -> Value:
    """With all three arguments; ``ops>ReLU`` is ``keras.activations.relu`` called on a tensor."""
    max_value = call.option("max_value")
    largest = None if max_value is None else call.number("max_value", 0.0)
    module = ReLU(largest, call.number("negative_slope", 0.0), call.number("threshold", 0.0))
    return call.emit(module, call.input())


@builds("LeakyReLU")
def leaky_relu(call: LayerCall) -> Value:
    """``alpha`` in Keras 2 (see ``normalize/spelling.py``)."""
    return call.emit(LeakyReLU(call.number("negative_slope", 0.3)), call.input())


@builds("ELU")
def elu(call: LayerCall) -> Value:
    """With its alpha."""
    return call.emit(ELU(call.number("alpha", 1.0)), call.input())


@builds("ThresholdedReLU")
def thresholded_relu(call: LayerCall) -> Value:
    """X where x > theta, else 0; Keras 2 only."""
    return call.emit(Threshold(call.number("theta", 1.0), 0.0), call.input())


@builds("Softmax", "ops>Softmax")
def softmax(call: LayerCall) -> Value:
    """Over one axis."""
    axis = call.option("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if type(axis) is not int:
        call.refuse("axis", "one axis is expected")
    x = call.input()
    return call.emit(Softmax(axis), x)
