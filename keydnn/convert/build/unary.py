"""Operations of Keras 3 on each element of one tensor: functions, activations, rounding, casts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from keydnn.convert.build.activation import FUNCTIONS
from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.operands import axis_of
from keydnn.convert.build.registry import builds
from keydnn.modules.activation import (
    CELU,
    ELU,
    GELU,
    Exponential,
    HardShrink,
    HardTanh,
    LeakyReLU,
    ReLU,
    SoftShrink,
    Squareplus,
    Threshold,
)
from keydnn.modules.arithmetic import Scalar
from keydnn.modules.base import Module
from keydnn.modules.softmax import GLU, LogSoftmax, Sparsemax
from keydnn.modules.unary import FullLike, Unary

SIMPLE: Mapping[str, Callable[[], Module]] = {
    **{
        f"ops>{class_name}": FUNCTIONS[name]
        for class_name, name in {
            "HardSigmoid": "hard_sigmoid",
            "HardSilu": "hard_silu",
            "LogSigmoid": "log_sigmoid",
            "Relu6": "relu6",
            "Selu": "selu",
            "Sigmoid": "sigmoid",
            "Softplus": "softplus",
            "Softsign": "softsign",
            "SparsePlus": "sparse_plus",
            "SparseSigmoid": "sparse_sigmoid",
            "Tanh": "tanh",
            "TanhShrink": "tanh_shrink",
        }.items()
    },
    "ops>HardTanh": HardTanh,
    "ops>Relu": ReLU,
    "ops>Exp": Exponential,
    "ops>Exp2": lambda: Scalar("power", 2.0, reverse=True),
}
UNARY = {
    "ops>Absolute": "abs",
    "ops>Negative": "neg",
    "ops>Sign": "sign",
    "ops>Square": "square",
    "ops>Sqrt": "sqrt",
    "ops>Rsqrt": "rsqrt",
    "ops>Reciprocal": "reciprocal",
    "ops>Expm1": "expm1",
    "ops>Log": "log",
    "ops>Log1p": "log1p",
    "ops>Sin": "sin",
    "ops>Cos": "cos",
    "ops>Tan": "tan",
    "ops>Arcsin": "asin",
    "ops>Arccos": "acos",
    "ops>Arctan": "atan",
    "ops>Sinh": "sinh",
    "ops>Cosh": "cosh",
    "ops>Arcsinh": "asinh",
    "ops>Arccosh": "acosh",
    "ops>Arctanh": "atanh",
    "ops>Erf": "erf",
    "ops>Floor": "floor",
    "ops>Ceil": "ceil",
    "ops>Trunc": "trunc",
    "ops>Isnan": "isnan",
    "ops>Isinf": "isinf",
    "ops>Isfinite": "isfinite",
    "ops>LogicalNot": "logical_not",
}


@builds(*SIMPLE)
def simple(call: LayerCall) -> Value:
    """An activation or function without options."""
    x = call.input()
    return call.emit(SIMPLE[f"ops>{call.class_name}"](), x)


@builds(*UNARY)
def unary(call: LayerCall) -> Value:
    """A function without options."""
    x = call.input()
    return call.emit(Unary(UNARY[f"ops>{call.class_name}"]), x)


@builds("ops>Elu")
def elu(call: LayerCall) -> Value:
    """With its alpha."""
    return call.emit(ELU(call.number("alpha", 1.0)), call.input())


@builds("ops>Celu")
def celu(call: LayerCall) -> Value:
    """With its alpha."""
    return call.emit(CELU(call.number("alpha", 1.0)), call.input())


@builds("ops>LeakyRelu")
def leaky_relu(call: LayerCall) -> Value:
    """With its slope."""
    return call.emit(LeakyReLU(call.number("negative_slope", 0.2)), call.input())


@builds("ops>Gelu")
def gelu(call: LayerCall) -> Value:
    """``approximate`` is true in Keras 3 unless it says otherwise, and false in TensorFlow."""
    return call.emit(GELU("tanh" if call.boolean("approximate", True) else "none"), call.input())


@builds("ops>Silu")
def silu(call: LayerCall) -> Value:
    """Without TensorFlow's ``beta``."""
    call.require("beta", 1.0, 1)
    return call.emit(FUNCTIONS["silu"](), call.input())


@builds("ops>HardShrink")
def hard_shrink(call: LayerCall) -> Value:
    """With its threshold."""
    return call.emit(HardShrink(call.number("threshold", 0.5)), call.input())


@builds("ops>SoftShrink")
def soft_shrink(call: LayerCall) -> Value:
    """With its threshold."""
    return call.emit(SoftShrink(call.number("threshold", 0.5)), call.input())


@builds("ops>Threshold")
def threshold(call: LayerCall) -> Value:
    """Its threshold, and the value below."""
    module = Threshold(call.number("threshold", 0.0), call.number("default_value", 0.0))
    return call.emit(module, call.input())


@builds("ops>Squareplus")
def squareplus(call: LayerCall) -> Value:
    """With its ``b``."""
    return call.emit(Squareplus(call.number("b", 4.0)), call.input())


@builds("ops>Glu")
def glu(call: LayerCall) -> Value:
    """Along one axis."""
    axis, x = call.option("axis", -1), call.input()
    return call.emit(GLU(axis_of(call, axis, len(x.shape))), x)


@builds("ops>LogSoftmax")
def log_softmax(call: LayerCall) -> Value:
    """Along one axis."""
    axis, x = call.option("axis", -1), call.input()
    return call.emit(LogSoftmax(axis_of(call, axis, len(x.shape))), x)


@builds("ops>Sparsemax")
def sparsemax(call: LayerCall) -> Value:
    """Along one axis; right by version as the activation."""
    axis, x = call.option("axis", -1), call.input()
    axis = axis_of(call, axis, len(x.shape))
    return call.emit(Sparsemax(axis, "cumulative") if call.version < (3, 16) else Sparsemax(axis), x)


@builds("ops>Log2", "ops>Log10")
def logarithm(call: LayerCall) -> Value:
    """``log(x) / log(base)``, as Keras computes it."""
    base = 2 if call.class_name == "Log2" else 10
    x = call.emit(Unary("log"), call.input(), part="log")
    return call.emit(Scalar("divide", math.log(base)), x)


@builds("ops>Clip")
def clip(call: LayerCall) -> Value:
    """Between two numbers; the lower one wins."""
    low, high = call.number("x_min", 0.0), call.number("x_max", 0.0)
    x = call.input()
    if low <= high:
        return call.emit(HardTanh(low, high), x)
    return call.emit(Scalar("maximum", low), call.emit(Scalar("minimum", high), x, part="at_most"))


@builds("ops>Round")
def rounding(call: LayerCall) -> Value:
    """To ``decimals`` digits: multiplied, rounded, divided, as in Keras."""
    decimals, x = call.integer("decimals", 0, least=-30), call.input()
    if decimals == 0:
        return call.emit(Unary("round"), x)
    x = call.emit(Scalar("multiply", 10.0**decimals), x, part="scaled")
    x = call.emit(Unary("round"), x, part="round")
    return call.emit(Scalar("divide", 10.0**decimals), x)


@builds("ops>Cast", "ops>SaturateCast")
def cast(call: LayerCall) -> Value:
    """To floats: left out; to integers: without the digits behind the point; to booleans: whether it is not 0.

    A cast from float32 to float32 gives the same tensor in TensorFlow, and so with its mask.
    """
    dtype, x = str(call.option("dtype")), call.input()
    if dtype == "bool":
        return call.emit(Scalar("not_equal", 0.0), x)
    if dtype.startswith(("int", "uint")):
        return call.emit(Unary("trunc"), x)
    if "float" not in dtype:
        call.refuse("dtype", "a number type is expected")
        call.stop()
    return replace(call.identity(x), mask=x.mask if dtype == "float32" else None)


@builds("ops>ConvertToTensor", passes_mask=True)
def itself(call: LayerCall) -> Value:
    """Left out: the very tensor, and so with its mask; the Kerases before 2.4 do not agree on that."""
    if call.mask() and call.version < (2, 4):
        found = "a masked tensor handed on unchanged, whose mask some Kerases before 2.4 keep and others drop"
        call.obstacle("of a masked tensor", found)
    return call.identity(call.input())


@builds("ops>Copy", "ops>StopGradient")
def unchanged(call: LayerCall) -> Value:
    """Left out."""
    call.ignore("copy")
    return call.identity(call.input())


@builds("ops>ZerosLike", "ops>OnesLike")
def constant_like(call: LayerCall) -> Value:
    """0 or 1 in the shape of the input."""
    call.ignore("dtype")
    return call.emit(FullLike(0.0 if call.class_name == "ZerosLike" else 1.0), call.input())


@builds("ops>FullLike")
def full_like(call: LayerCall) -> Value:
    """A number in the shape of the input."""
    call.ignore("dtype")
    value = call.argument("fill_value", 1)
    x = call.input()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        call.obstacle("with a fill_value that is no number", "fill_value must be a number")
        call.stop()
    return call.emit(FullLike(float(value)), x)
