"""Reductions of Keras 3, norms, and running sums; variances, norms and their kin as the modules they consist of."""

from __future__ import annotations

from keydnn.convert.build.arithmetic import combined
from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.operands import axes_of, axis_of
from keydnn.convert.build.registry import builds
from keydnn.modules.activation import Exponential
from keydnn.modules.arithmetic import Scalar, Where
from keydnn.modules.merge import Add, Multiply, Subtract
from keydnn.modules.pool import GlobalAvgPool2d, GlobalMaxPool2d
from keydnn.modules.rearrange import Squeeze
from keydnn.modules.reduce import Cumulate, Reduce
from keydnn.modules.unary import FullLike, Unary

REDUCTIONS = {
    "ops>Sum": "sum",
    "ops>Mean": "mean",
    "ops>Max": "max",
    "ops>Min": "min",
    "ops>Amax": "max",
    "ops>Amin": "min",
    "ops>Prod": "prod",
}
Axes = tuple[int, ...]


def _axes_and_keepdims(call: LayerCall) -> tuple[Value, Axes, bool]:
    axis, keepdims = call.option("axis"), call.boolean("keepdims", False) if call.option("keepdims") else False
    x = call.input()
    rank = len(x.shape)
    return x, axes_of(call, list(range(rank)) if axis is None else axis, rank), keepdims


def reduced(
    call: LayerCall, operation: str, x: Value, axes: Axes, keepdims: bool, part: str = "", *, pool: bool = True
) -> Value:
    """Emit a reduction.

    Means and maxima of images are global pooling, which plans know.  Otherwise the axes are kept and then dropped, so
    that the order of the axes may be changed between channels_last layers.
    """
    rank = len(x.shape)
    pooling = {"mean": GlobalAvgPool2d, "max": GlobalMaxPool2d}.get(operation)
    if pool and rank == 4 and pooling and axes in ((1, 2), (2, 3)):
        last = axes == (1, 2)
        y = call.emit(pooling(keepdims=keepdims), call.to_channels_first(x, last), part=part)
        return call.to_channels_last(y, last and keepdims)
    if keepdims or rank == 2:
        return call.emit(Reduce(operation, axes, keepdims), x, part=part)
    kept = call.emit(Reduce(operation, axes, True), x, part=f"{part}.kept" if part else "kept")
    return call.emit(Squeeze(axes), kept, part=part)


@builds(*REDUCTIONS)
def reduction(call: LayerCall) -> Value:
    """Over any axes but the batch."""
    call.require("initial", None)
    call.ignore("dtype")
    return reduced(call, REDUCTIONS[f"ops>{call.class_name}"], *_axes_and_keepdims(call))


@builds("ops>Average")
def average(call: LayerCall) -> Value:
    """Without weights."""
    if call.argument("weights", 1) is not None:
        call.obstacle("called with weights", "called with weights")
    return reduced(call, "mean", *_axes_and_keepdims(call))


@builds("ops>Any", "ops>All")
def truth(call: LayerCall) -> Value:
    """The largest or smallest of what tells whether cells are not 0."""
    x, axes, keepdims = _axes_and_keepdims(call)
    true = call.emit(Scalar("not_equal", 0.0), x, part="true")
    return reduced(call, "max" if call.class_name == "Any" else "min", true, axes, keepdims, pool=False)


@builds("ops>CountNonzero")
def count_nonzero(call: LayerCall) -> Value:
    """The sum of what tells whether cells are not 0."""
    call.ignore("dtype")
    x, axes, keepdims = _axes_and_keepdims(call)
    return reduced(call, "sum", call.emit(Scalar("not_equal", 0.0), x, part="true"), axes, keepdims)


@builds("ops>Argmax", "ops>Argmin")
def place(call: LayerCall) -> Value:
    """Along one axis."""
    x, axes, keepdims = _axes_and_keepdims(call)
    return reduced(call, call.class_name.lower(), x, axes, keepdims)


def _variance(call: LayerCall, x: Value, axes: Axes, keepdims: bool, part: str = "") -> Value:
    mean = reduced(call, "mean", x, axes, True, "mean")
    square = call.emit(Unary("square"), call.emit(Subtract(), x, mean, part="difference"), part="square")
    return reduced(call, "mean", square, axes, keepdims, part)


@builds("ops>Var")
def variance(call: LayerCall) -> Value:
    """The mean of the squared differences from the mean."""
    return _variance(call, *_axes_and_keepdims(call))


@builds("ops>Std")
def standard_deviation(call: LayerCall) -> Value:
    """The root of the variance."""
    return call.emit(Unary("sqrt"), _variance(call, *_axes_and_keepdims(call), "variance"))


@builds("ops>Moments")
def moments(call: LayerCall) -> list[Value]:
    """Mean and variance."""
    call.require("synchronized", False)
    axes, keepdims = call.option("axes"), call.boolean("keepdims", False)
    x = call.input()
    axes = axes_of(call, axes, len(x.shape), "axes")
    return [reduced(call, "mean", x, axes, keepdims, "first"), _variance(call, x, axes, keepdims)]


def _sum_of_squares(call: LayerCall, x: Value, axes: Axes, keepdims: bool) -> Value:
    return reduced(call, "sum", call.emit(Unary("square"), x, part="square"), axes, keepdims, "sum")


@builds("ops>Norm")
def norm(call: LayerCall) -> Value:
    """The root of the sum of squares; the sum of absolute values for order 1 of vectors."""
    order = call.option("ord")
    x, axes, keepdims = _axes_and_keepdims(call)
    if order == 1 and len(axes) == 1:
        return reduced(call, "sum", call.emit(Unary("abs"), x, part="abs"), axes, keepdims)
    if order not in (None, "euclidean", "fro") and not (order == 2 and len(axes) == 1):
        call.refuse("ord", "only 1 and 2 of vectors, and the root of the sum of squares")
        call.stop()
    return call.emit(Unary("sqrt"), _sum_of_squares(call, x, axes, keepdims))


@builds("ops>Normalize")
def normalize(call: LayerCall) -> Value:
    """``x`` by its norm along axes, of order 2 or 1; the norm is at least ``epsilon``."""
    order, epsilon = call.option("order", 2), call.number("epsilon", 1e-7) if call.option("epsilon") else 1e-7
    if order not in (1, 2):
        call.refuse("order", "only 1 and 2")
    x, axes, _ = _axes_and_keepdims(call)
    if order == 2:
        inverse = call.emit(Unary("rsqrt"), _sum_of_squares(call, x, axes, True), part="rsqrt")
        return call.emit(Multiply(), x, call.emit(Scalar("minimum", 1 / epsilon), inverse, part="at_most"))
    norms = reduced(call, "sum", call.emit(Unary("abs"), x, part="abs"), axes, True, "norm")
    return combined(call, "divide", x, call.emit(Scalar("maximum", epsilon), norms, part="at_least"))


@builds("ops>L2Normalize")
def l2_normalize(call: LayerCall) -> Value:
    """TensorFlow's: the sum of squares is at least ``epsilon``."""
    epsilon = call.number("epsilon", 1e-12)
    x, axes, _ = _axes_and_keepdims(call)
    squares = call.emit(Scalar("maximum", epsilon), _sum_of_squares(call, x, axes, True), part="at_least")
    return call.emit(Multiply(), x, call.emit(Unary("rsqrt"), squares, part="rsqrt"))


@builds("ops>Logsumexp")
def logsumexp(call: LayerCall) -> Value:
    """``max + log(sum(exp(x - max)))``, with 0 for a maximum that is not finite."""
    x, axes, keepdims = _axes_and_keepdims(call)
    largest = reduced(call, "max", x, axes, True, "max")
    finite = call.emit(Unary("isfinite"), largest, part="isfinite")
    largest = call.emit(Where(), finite, largest, call.emit(FullLike(0.0), largest, part="zero"), part="finite")
    shares = call.emit(Exponential(), call.emit(Subtract(), x, largest, part="difference"), part="exp")
    logarithm = call.emit(Unary("log"), reduced(call, "sum", shares, axes, True, "sum"), part="log")
    if keepdims:
        return call.emit(Add(), logarithm, largest)
    return call.emit(Squeeze(axes), call.emit(Add(), logarithm, largest, part="kept"))


@builds("ops>Cumsum", "ops>Cumprod")
def cumulative(call: LayerCall) -> Value:
    """Along one axis, forwards, each cell among those it sums."""
    call.require("exclusive", False)
    call.require("reverse", False)
    call.ignore("dtype")
    axis, x = call.option("axis"), call.input()
    return call.emit(Cumulate(call.class_name.removeprefix("Cum"), axis_of(call, axis, len(x.shape))), x)
