"""Flatten, Reshape, Permute, ZeroPadding2D, Cropping2D."""

from __future__ import annotations

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.shape import Crop2d, Flatten, Permute, Reshape, ZeroPad2d
from keydnn.strict_json import Json

Pairs = tuple[tuple[int, int], tuple[int, int]]


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


@builds("ZeroPadding2D")
def zero_padding2d(call: LayerCall) -> Value:
    """Padding as ((top, bottom), (left, right))."""
    padding, last = _pairs(call, "padding", 1), call.channels_last()
    x = call.to_channels_first(call.input(rank=4), last)
    return call.to_channels_last(call.emit(ZeroPad2d(padding), x), last)


@builds("Cropping2D")
def cropping2d(call: LayerCall) -> Value:
    """Cropping as ((top, bottom), (left, right))."""
    cropping, last = _pairs(call, "cropping", 0), call.channels_last()
    x = call.to_channels_first(call.input(rank=4), last)
    return call.to_channels_last(call.emit(Crop2d(cropping), x), last)


def _pairs(call: LayerCall, key: str, default: int) -> Pairs:
    """Read 1, [1, 2] or [[1, 2], [3, 4]]."""
    value: Json = call.option(key, default)
    axes = value if isinstance(value, list) else [value, value]
    pairs = [axis if isinstance(axis, list) else [axis, axis] for axis in axes]
    if len(pairs) != 2 or any(len(p) != 2 or any(type(n) is not int or n < 0 for n in p) for p in pairs):
        call.refuse(key, "an integer, two, or two pairs are expected")
        return ((0, 0), (0, 0))
    return ((pairs[0][0], pairs[0][1]), (pairs[1][0], pairs[1][1]))
