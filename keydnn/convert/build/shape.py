"""Flatten, Reshape, Permute, RepeatVector, ZeroPadding, Cropping."""

from __future__ import annotations

from typing import Any

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.geometry import Pads
from keydnn.modules.shape import (
    Crop1d,
    Crop2d,
    Crop3d,
    Flatten,
    Permute,
    RepeatInterleave,
    Reshape,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from keydnn.strict_json import Json

PADDING: dict[str, Any] = {"ZeroPadding1D": ZeroPad1d, "ZeroPadding2D": ZeroPad2d, "ZeroPadding3D": ZeroPad3d}
CROPPING: dict[str, Any] = {"Cropping1D": Crop1d, "Cropping2D": Crop2d, "Cropping3D": Crop3d}


@builds("Flatten")
def flatten(call: LayerCall) -> Value:
    """Keras flattens a channels_first input in channels_last order: a Permute makes that visible."""
    first = call.choice("data_format", "channels_last", ("channels_last", "channels_first")) == "channels_first"
    x = call.input()
    rank = len(x.shape)
    if first and rank > 2:
        call.rewrite("channels_first input is flattened in channels_last order, as Keras does")
        x = call.permute(x, (0, *range(2, rank), 1), "channels_last")
    return call.emit(Flatten(), x)


@builds("Reshape")
def reshape(call: LayerCall) -> Value:
    """The batch axis stays; one size may be -1."""
    target = call.option("target_shape")
    if not isinstance(target, list) or any(type(size) is not int for size in target):
        call.refuse("target_shape", "integers are expected")
    x = call.input()
    return call.emit(Reshape(tuple(target)), x)


@builds("Permute")
def permute(call: LayerCall) -> Value:
    """``dims`` counts from 1, without the batch."""
    dims = call.option("dims")
    if not isinstance(dims, list) or any(type(axis) is not int for axis in dims):
        call.refuse("dims", "integers are expected")
    x = call.input()
    return call.emit(Permute((0, *dims)), x)


@builds("RepeatVector")
def repeat_vector(call: LayerCall) -> Value:
    """(N, F) -> (N, 1, F) -> (N, n, F)."""
    repeats = call.integer("n")
    x = call.input(rank=2)
    row = call.emit(Reshape((1, -1 if x.shape[1] is None else x.shape[1])), x, part="row")
    return call.emit(RepeatInterleave(repeats, 1), row)


@builds(*PADDING)
def zero_padding(call: LayerCall) -> Value:
    """Padding as one pair an axis."""
    module_type = PADDING[call.class_name]
    padding, last = _pairs(call, "padding", module_type.axes, 1), call.channels_last()
    x = call.to_channels_first(call.input(rank=2 + module_type.axes), last)
    return call.to_channels_last(call.emit(module_type(padding), x), last)


@builds(*CROPPING)
def cropping(call: LayerCall) -> Value:
    """Cropping as one pair an axis."""
    module_type = CROPPING[call.class_name]
    cut, last = _pairs(call, "cropping", module_type.axes, 0 if module_type.axes == 2 else 1), call.channels_last()
    x = call.to_channels_first(call.input(rank=2 + module_type.axes), last)
    return call.to_channels_last(call.emit(module_type(cut), x), last)


def _pairs(call: LayerCall, key: str, axes: int, default: int) -> Pads:
    """Read 1, [1, 2] (one an axis; of a sequence: before and after), or one pair an axis."""
    value: Json = call.option(key, default)
    per_axis = value if isinstance(value, list) else [value] * axes
    if axes == 1 and len(per_axis) == 2:
        per_axis = [per_axis]
    pairs = [axis if isinstance(axis, list) else [axis, axis] for axis in per_axis]
    if len(pairs) != axes or any(len(p) != 2 or any(type(n) is not int or n < 0 for n in p) for p in pairs):
        call.refuse(key, "an integer, or integers or pairs of them for each axis, are expected")
        return ((0, 0),) * axes
    return tuple((before, after) for before, after in pairs)
