"""BatchNormalization, LayerNormalization, GroupNormalization, RMSNormalization, UnitNormalization."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.reduce import reduced
from keydnn.convert.build.registry import builds
from keydnn.modules.arithmetic import Binary, Scalar
from keydnn.modules.base import Array, as_float32
from keydnn.modules.merge import Subtract
from keydnn.modules.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, LayerNorm, RMSNorm, UnitNorm
from keydnn.modules.rescale import Affine
from keydnn.modules.standardize import Standardize
from keydnn.modules.unary import Unary

BATCH_NORMS = {2: BatchNorm1d, 3: BatchNorm1d, 4: BatchNorm2d, 5: BatchNorm3d}


@builds("BatchNormalization", passes_mask=True)
def batch_normalization(call: LayerCall) -> Value:
    """gamma, beta, moving_mean, moving_variance -> weight, bias, running_mean, running_var, on axis 1."""
    axes, eps = call.axes("axis", -1), call.number("epsilon", 1e-3)
    use_weight, use_bias = call.boolean("scale", True), call.boolean("center", True)
    renorm = call.boolean("renorm", False)
    call.require("virtual_batch_size", None)
    call.require("adjustment", None)
    mode = _mode_of(call)
    call.ignore("momentum", "fused", "synchronized", "renorm_clipping", "renorm_momentum")
    call.ignore_mask()
    x = call.input()
    rank, positions = len(x.shape), call.positions(x, axes)
    sizes = tuple(call.size(x, axis) if axis in positions else 1 for axis in range(rank))
    channels = math.prod(sizes)
    shape = (channels,) if len(positions) == 1 else sizes
    arrays = call.weights(
        gamma=shape if use_weight else None,
        beta=shape if use_bias else None,
        moving_mean=shape,
        moving_variance=shape,
    )
    if renorm:
        call.ignore_weights("moving_stddev", "renorm_mean", "renorm_stddev")
    if mode == 1:
        return _samplewise(call, x, positions, eps, arrays)
    if len(positions) > 1:
        return _cellwise(call, x, sizes[1:], eps, use_weight, use_bias, arrays)
    weight, bias, mean, variance = _split(arrays, use_weight, use_bias)
    if rank not in BATCH_NORMS:
        call.refuse("axis", f"an input of rank {rank}; up to 5 is supported")
        call.stop()
    module = BATCH_NORMS[rank](
        channels, eps, use_weight, use_bias, weight=weight, bias=bias, running_mean=mean, running_var=variance
    )
    x = call.channel_axis_first(x, positions[0], f"axis={axes[0]}")
    return call.channel_axis_back(call.emit(module, x), positions[0])


def _mode_of(call: LayerCall) -> int:
    """Read Keras 1's ``mode``: 0 is what it does today, 1 normalizes each line of the last axis by itself."""
    mode = call.option("mode") or 0
    if mode == 2:
        call.refuse("mode", "the statistics of the batch itself, so that an example's result depends on the others")
    elif mode not in (0, 1):
        call.refuse("mode", "0 and 1 are expected")
    elif mode == 1 and call.version < (1, 1):
        call.refuse("mode", "its formula changed in the versions before 1.1; the file does not say a later one")
    return int(mode == 1)


def _samplewise(call: LayerCall, x: Value, positions: Sequence[int], eps: float, arrays: Sequence[Array]) -> Value:
    """``(x - mean) / (sqrt(variance + eps) + eps) * gamma + beta`` along the last axis: eps is added twice."""
    last = len(x.shape) - 1
    if list(positions) != [last]:
        call.refuse("axis", "with mode=1 only the last one")
        call.stop()
    mean = reduced(call, "mean", x, (last,), True, "mean")
    difference = call.emit(Subtract(), x, mean, part="difference")
    square = call.emit(Unary("square"), difference, part="square")
    variance = reduced(call, "mean", square, (last,), True, "variance")
    std = call.emit(Unary("sqrt"), call.emit(Scalar("add", eps), variance, part="variance.eps"), part="std")
    std = call.emit(Scalar("add", eps), std, part="std.eps")
    normed = call.emit(Binary("divide"), difference, std, part="normed")
    weight, bias = (array.reshape((1,) * (last - 1) + array.shape) for array in arrays[:2])
    return call.emit(Affine(weight.shape, weight=weight, bias=bias), normed)


def _cellwise(
    call: LayerCall, x: Value, shape: tuple[int, ...], eps: float, use_weight: bool, use_bias: bool, arrays: list[Array]
) -> Value:
    """Normalize by numbers for each cell of several axes, which only Keras 2 can."""
    weight, bias, mean, variance = _split([array.reshape(shape) for array in arrays], use_weight, use_bias)
    std = as_float32(np.sqrt(variance.astype(np.float64) + eps))
    call.rewrite("numbers for each cell of several axes")
    if not (use_weight or use_bias):
        return call.emit(Standardize(shape, mean=mean, std=std), x)
    weight = np.ones(shape, np.float32) if weight is None else weight
    bias = np.zeros(shape, np.float32) if bias is None else bias
    return call.emit(
        Affine(shape, weight=weight, bias=bias), call.emit(Standardize(shape, mean=mean, std=std), x, part="statistics")
    )


def _split(arrays: Sequence[Array], use_weight: bool, use_bias: bool) -> tuple[Any, ...]:
    """Give gamma and beta, None where there is none, and what follows them."""
    left = list(arrays)
    return (left.pop(0) if use_weight else None, left.pop(0) if use_bias else None, *left)


@builds("GroupNormalization", passes_mask=True)
def group_normalization(call: LayerCall) -> Value:
    """gamma, beta -> weight, bias, on axis 1; -1 groups: one a channel."""
    axes, groups, eps = call.axes("axis", -1), call.integer("groups", 32, least=-1), call.number("epsilon", 1e-3)
    use_weight, use_bias = call.boolean("scale", True), call.boolean("center", True)
    if len(axes) != 1:
        call.refuse("axis", "one axis is expected")
    if call.version < (3,) and call.mask():
        call.obstacle("with a mask", "with a mask, over which Keras 2 takes its means")
    x = call.input()
    (position,) = call.positions(x, axes)
    channels = call.size(x, position)
    arrays = call.weights(gamma=(channels,) if use_weight else None, beta=(channels,) if use_bias else None)
    weight, bias = _split(arrays, use_weight, use_bias)
    groups = channels if groups == -1 else groups
    module = GroupNorm(groups, channels, eps, use_weight, use_bias, weight=weight, bias=bias)
    x = call.channel_axis_first(x, position, f"axis={axes[0]}")
    return call.channel_axis_back(call.emit(module, x), position)


@builds("LayerNormalization", passes_mask=True)
def layer_normalization(call: LayerCall) -> Value:
    """gamma, beta -> weight, bias; axes that are not the last ones are moved there and back.

    With ``rms_scaling`` it divides by the standard deviation, although it subtracts nothing; there is no beta then.
    """
    axes, eps = call.axes("axis", -1), call.number("epsilon", 1e-3)
    use_weight, use_bias = call.boolean("scale", True), call.boolean("center", True)
    rms_scaling = call.boolean("rms_scaling", False)
    x = call.input()
    positions = call.positions(x, axes)
    stored, shape = _stored_sizes(call, x, axes), tuple(call.size(x, position) for position in positions)
    use_weight, use_bias = use_weight or rms_scaling, use_bias and not rms_scaling
    arrays = call.weights(gamma=stored if use_weight else None, beta=stored if use_bias else None)
    weight, bias = _split([array.reshape(shape) for array in arrays], use_weight, use_bias)
    x, order = call.axes_last(x, positions)
    if rms_scaling:
        return call.axes_back(call.emit(RMSNorm(shape, eps, centered=True, weight=weight), x), order)
    return call.axes_back(call.emit(LayerNorm(shape, eps, use_weight, use_bias, weight=weight, bias=bias), x), order)


def _stored_sizes(call: LayerCall, x: Value, axes: Sequence[int]) -> tuple[int, ...]:
    """Give the shape of the weights: Keras 3 has sorted the axes as they are written, -1 before 1; Keras 2 has not.

    Both then read the numbers as if they stood in the order of the axes.
    """
    return tuple(call.size(x, axis) for axis in (sorted(axes) if call.version >= (3,) else axes))


@builds("RMSNormalization")
def rms_normalization(call: LayerCall) -> Value:
    """Weight is scale; Keras multiplies it along the last axes, whichever axes the mean square is of."""
    axes, eps = call.axes("axis", -1), call.number("epsilon", 1e-6)
    x = call.input()
    rank, positions = len(x.shape), call.positions(x, axes)
    stored, shape = _stored_sizes(call, x, axes), tuple(call.size(x, position) for position in positions)
    (weight,) = call.weights(scale=stored)
    if positions == list(range(rank - len(axes), rank)) and stored == shape:
        return call.emit(RMSNorm(shape, eps, weight=weight), x)
    moved, order = call.axes_last(x, positions)
    back = call.axes_back(call.emit(RMSNorm(shape, eps, use_weight=False), moved, part="norm"), order)
    broadcast = (1,) * (rank - 1 - len(stored)) + stored
    module = Affine(broadcast, weight=weight.reshape(broadcast), bias=np.zeros(broadcast, np.float32))
    return call.emit(module, back)


@builds("UnitNormalization", passes_mask=True)
def unit_normalization(call: LayerCall) -> Value:
    """Axes that are not the last ones are moved there and back."""
    axes = call.axes("axis", -1)
    x = call.input()
    positions = call.positions(x, axes)
    x, order = call.axes_last(x, positions)
    return call.axes_back(call.emit(UnitNorm(-len(axes), LEAST_LENGTH[call.version >= (3,)]), x), order)


LEAST_LENGTH = {False: 1e-6, True: 1e-12}  # tf.math.l2_normalize takes the root of 1e-12, keras.ops.normalize 1e-12
