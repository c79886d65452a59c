"""BatchNormalization, LayerNormalization."""

from __future__ import annotations

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.base import inverse
from keydnn.modules.norm import BatchNorm1d, BatchNorm2d, LayerNorm


@builds("BatchNormalization")
def batch_normalization(call: LayerCall) -> Value:
    """gamma, beta, moving_mean, moving_variance -> weight, bias, running_mean, running_var, on axis 1."""
    axis = call.option("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if type(axis) is not int:
        call.refuse("axis", "one axis is expected")
    eps = call.number("epsilon", 1e-3)
    use_weight, use_bias = call.boolean("scale", True), call.boolean("center", True)
    call.require("renorm", False)
    call.require("virtual_batch_size", None)
    call.require("adjustment", None)
    call.require("mode", 0, None)
    call.ignore("momentum", "fused", "synchronized", "renorm_clipping", "renorm_momentum")
    x = call.input()
    rank = len(x.shape)
    position = axis + rank if axis < 0 else axis
    if not 1 <= position < rank or rank not in (2, 3, 4):
        call.refuse("axis", f"the input has rank {rank}")
        call.stop()
    channels = call.size(x, position)
    shape = (channels,)
    arrays = call.weights(
        gamma=shape if use_weight else None,
        beta=shape if use_bias else None,
        moving_mean=shape,
        moving_variance=shape,
    )
    weight = arrays.pop(0) if use_weight else None
    bias = arrays.pop(0) if use_bias else None
    module_type = BatchNorm2d if rank == 4 else BatchNorm1d
    module = module_type(
        channels, eps, use_weight, use_bias, weight=weight, bias=bias, running_mean=arrays[0], running_var=arrays[1]
    )
    x = call.channel_axis_first(x, position, f"axis={axis}")
    return call.channel_axis_back(call.emit(module, x), position)


@builds("LayerNormalization")
def layer_normalization(call: LayerCall) -> Value:
    """gamma, beta -> weight, bias; axes that are not the last ones are moved there and back."""
    axis = call.option("axis", -1)
    axes = axis if isinstance(axis, list) else [axis]
    eps = call.number("epsilon", 1e-3)
    use_weight, use_bias = call.boolean("scale", True), call.boolean("center", True)
    call.require("rms_scaling", False)
    if not axes or any(type(item) is not int for item in axes):
        call.refuse("axis", "axes are expected")
    x = call.input()
    rank = len(x.shape)
    positions = [item + rank if item < 0 else item for item in axes]
    if positions != sorted(set(positions)) or not 1 <= positions[0] <= positions[-1] < rank:
        call.refuse("axis", f"axes of an input of rank {rank} in ascending order, without the batch, are expected")
        call.stop()
    shape = tuple(call.size(x, position) for position in positions)
    arrays = call.weights(gamma=shape if use_weight else None, beta=shape if use_bias else None)
    weight = arrays.pop(0) if use_weight else None
    bias = arrays.pop(0) if use_bias else None
    module = LayerNorm(shape, eps, use_weight, use_bias, weight=weight, bias=bias)
    order = (*(other for other in range(rank) if other not in positions), *positions)
    if order == tuple(range(rank)):
        return call.emit(module, x)
    call.rewrite(f"axes {positions} moved to the end and back")
    x = call.permute(x, order, "axes_last")
    return call.permute(call.emit(module, x), inverse(order), "axes_back")
