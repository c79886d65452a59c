"""Operations of Keras 3 that move axes, add and drop them, repeat and join; sizes of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

from keydnn.convert.build.call import LayerCall, Sizes, Value
from keydnn.convert.build.operands import axes_of, axis_of, per_axis, sizes_of, tensors
from keydnn.convert.build.registry import builds
from keydnn.modules.base import Shape, inverse, shape_text
from keydnn.modules.merge import Add, Concatenate
from keydnn.modules.rearrange import (
    DepthToSpace,
    Expand,
    Patches,
    Roll,
    SpaceToDepth,
    Squeeze,
    Tile,
    Unsqueeze,
)
from keydnn.modules.shape import Permute, RepeatInterleave, Reshape
from keydnn.strict_json import clip


def _with_batch(call: LayerCall, target: list[int | None], what: str) -> list[int | None]:
    """Check that the first of some sizes leaves the batch alone, and give the others."""
    if not target or target[0] not in (None, -1):
        call.obstacle(f"with {what}={clip(str(target), 60)}", f"{what}: another size for the batch")
        call.stop()
    return target[1:]


@builds("ops>Reshape")
def reshape(call: LayerCall) -> Value:
    """The elements of each example stay together; the first size is the batch's, or -1 where that follows."""
    target = sizes_of(call, "target_shape")
    x = call.input()
    if not target or not _keeps_examples(x.shape[1:], target[0], target[1:]):
        wanted = clip(str(tuple(target)), 60)
        call.obstacle(f"to {wanted}", f"{shape_text(x.shape)} to {wanted}: examples of the batch would be mixed")
        call.stop()
    return call.emit(Reshape(tuple(-1 if size is None else size for size in target[1:])), x)


def _keeps_examples(given: Shape, batch: int | None, wanted: Sequence[int | None]) -> bool:
    """Tell whether each example is reshaped by itself, whatever the batch and the sizes that are not known."""
    free, unknown = [size for size in given if size is None], [size for size in wanted if size in (None, -1)]
    before = math.prod(size for size in given if size is not None)
    after = math.prod(size for size in wanted if size not in (None, -1) and size is not None)
    if not unknown:
        return before == after if not free else batch is None
    same = len(free) == 1 and before == after and -1 not in unknown
    return len(unknown) == 1 and (batch is None or (batch == -1 and same))


@builds("ops>Transpose")
def transpose(call: LayerCall) -> Value:
    """The batch stays first; without ``axes`` it would not."""
    axes, x = call.option("axes"), call.input()
    rank = len(x.shape)
    return _permuted(call, x, list(range(rank))[::-1] if axes is None else axes, "axes")


def _permuted(call: LayerCall, x: Value, order: object, key: str) -> Value:
    rank = len(x.shape)
    axes = [
        axis + rank if type(axis) is int and axis < 0 else axis for axis in (order if isinstance(order, list) else [])
    ]
    if sorted(map(str, axes)) != sorted(map(str, range(rank))) or axes[0] != 0:
        call.refuse(key, f"axes of an input of rank {rank} are expected, the batch first")
        call.stop()
    return call.emit(Permute(tuple(axes)), x)


@builds("ops>Swapaxes")
def swapaxes(call: LayerCall) -> Value:
    """Of two axes, not the batch."""
    given, x = (call.option("axis1"), call.option("axis2")), call.input()
    rank = len(x.shape)
    first, second = (axis_of(call, axis, rank, key) for axis, key in zip(given, ("axis1", "axis2"), strict=True))
    order = list(range(rank))
    order[first], order[second] = second, first
    return call.emit(Permute(tuple(order)), x)


@builds("ops>Moveaxis")
def moveaxis(call: LayerCall) -> Value:
    """Of some axes, not the batch."""
    source, destination, x = call.option("source"), call.option("destination"), call.input()
    rank = len(x.shape)
    pairs = [
        [axis_of(call, axis, rank, key) for axis in (given if isinstance(given, list) else [given])]
        for given, key in ((source, "source"), (destination, "destination"))
    ]
    if len(pairs[0]) != len(pairs[1]):
        call.refuse("source", "as many axes as destination are expected")
        call.stop()
    order = [axis for axis in range(rank) if axis not in pairs[0]]
    for place, axis in sorted(zip(pairs[1], pairs[0], strict=True)):
        order.insert(place, axis)
    return _permuted(call, x, order, "source")


@builds("ops>ExpandDims")
def expand_dims(call: LayerCall) -> Value:
    """``axis`` counts in the output; not before the batch."""
    axis, x = call.option("axis"), call.input()
    count = len(axis) if isinstance(axis, list) else 1
    return call.emit(Unsqueeze(axes_of(call, axis, len(x.shape) + count)), x)


@builds("ops>Squeeze")
def squeeze(call: LayerCall) -> Value:
    """Some axes, or all of size 1 behind the batch."""
    axis, x = call.option("axis"), call.input()
    if axis in (None, []):
        axis = [place for place, size in enumerate(x.shape) if size == 1 and place]
        if None in x.shape[1:]:
            call.obstacle(f"on an input {shape_text(x.shape)}", "axes of size 1, where sizes are free")
            call.stop()
    return call.emit(Squeeze(axes_of(call, axis, len(x.shape))), x) if axis != [] else call.identity(x)


@builds("ops>BroadcastTo")
def broadcast_to(call: LayerCall) -> Value:
    """The batch stays as it is: its size must not be given."""
    target = sizes_of(call, "shape")
    x = call.input()
    rest = _with_batch(call, target, "shape")
    if len(target) > len(x.shape):
        call.obstacle(f"on an input {shape_text(x.shape)}", "new axes before the batch")
        call.stop()
    sizes = tuple(call.size(x, axis) if size in (None, -1) else size for axis, size in enumerate(rest, 1))
    return call.emit(Expand(sizes), x)


@builds("ops>Tile")
def tile(call: LayerCall) -> Value:
    """Not along the batch."""
    repeats = sizes_of(call, "repeats")
    x = call.input()
    dims = [1] * (len(x.shape) - len(repeats)) + repeats
    if len(dims) != len(x.shape) or dims[0] != 1 or None in dims:
        call.obstacle(f"with repeats={repeats}", "repeats of the batch, new axes, or unknown ones")
        call.stop()
    return call.emit(Tile(tuple(dims[1:])), x)


@builds("ops>Repeat")
def repeat(call: LayerCall) -> Value:
    """Every cell equally often, along one axis."""
    repeats, axis = call.integer("repeats"), call.option("axis")
    x = call.input()
    return call.emit(RepeatInterleave(repeats, axis_of(call, axis, len(x.shape))), x)


@builds("ops>Roll")
def roll(call: LayerCall) -> Value:
    """Along one axis or several."""
    shift, axis = call.option("shift"), call.option("axis")
    shifts, axes = (value if isinstance(value, list) else [value] for value in (shift, axis))
    if len(shifts) != len(axes) or any(type(amount) is not int for amount in shifts):
        call.refuse("shift", "an integer for each axis is expected")
    x = call.input()
    return call.emit(Roll(tuple(shifts), tuple(axis_of(call, place, len(x.shape)) for place in axes)), x)


def _joined(call: LayerCall, place: int = 0) -> list[Value]:
    """Give a list of tensors and arrays, as values of equal rank."""
    items = call.operands("xs", place)
    call.inputs()
    if not any(isinstance(item, Value) for item in items):
        call.obstacle("called without a tensor", "called with constants only")
        call.stop()
    return tensors(call, items)


@builds("ops>Concatenate")
def concatenate(call: LayerCall) -> Value:
    """Along any axis but the batch."""
    axis = call.option("axis", 0)
    return _concatenated(call, _joined(call), axis)


def _concatenated(call: LayerCall, values: list[Value], axis: object) -> Value:
    axis = axis_of(call, axis, len(values[0].shape))
    return call.emit(Concatenate(axis), *values) if len(values) > 1 else call.identity(values[0])


@builds("ops>Stack")
def stack(call: LayerCall) -> Value:
    """Along a new axis, not before the batch."""
    axis = call.option("axis", 0)
    values = _joined(call)
    axis = axis_of(call, axis, len(values[0].shape) + 1)
    if len(values) == 1:
        return call.emit(Unsqueeze(axis), values[0])
    parts = [call.emit(Unsqueeze(axis), value, part=f"part{place}") for place, value in enumerate(values)]
    return call.emit(Concatenate(axis), *parts)


@builds("ops>AddN")
def add_n(call: LayerCall) -> Value:
    """TensorFlow's sum of a list of tensors."""
    values = _joined(call)
    return call.emit(Add(), *values) if len(values) > 1 else call.identity(values[0])


@builds("ops>DepthToSpace", "ops>SpaceToDepth")
def blocks(call: LayerCall) -> Value:
    """Of channels_last images; of channels_first ones between two changes of axes."""
    size = call.integer("block_size")
    order = call.choice("data_format", "channels_last", ("channels_last", "channels_first", "NHWC", "NCHW"))
    x, module = call.input(rank=4), DepthToSpace if call.class_name == "DepthToSpace" else SpaceToDepth
    if order in ("channels_last", "NHWC"):
        return call.emit(module(size), x)
    x = call.permute(x, (0, 2, 3, 1), "channels_last")
    return call.permute(call.emit(module(size), x), (0, 3, 1, 2), "channels_first")


@builds("ops>ExtractPatches")
def extract_patches(call: LayerCall) -> Value:
    """Of images and volumes; TensorFlow names batch and channels among the sizes too."""
    size, strides, dilation = call.option("size"), call.option("strides"), call.option("dilation_rate", 1)
    padding = str(call.option("padding", "valid")).lower()
    last = call.choice("data_format", "channels_last", ("channels_last", "channels_first")) == "channels_last"
    x = call.input()
    axes = len(x.shape) - 2
    if axes not in (2, 3) or padding not in ("valid", "same"):
        call.obstacle(f"on an input {shape_text(x.shape)}", f"two or three axes are cut, padding={padding!r}")
        call.stop()
    kernel_size = per_axis(call, "size", size, axes, last)
    stride = per_axis(call, "strides", strides or size, axes, last)
    module = Patches(kernel_size, stride, padding, per_axis(call, "dilation_rate", dilation, axes, last))
    if last:
        return call.emit(module, x)
    order = (0, *range(2, axes + 2), 1)
    return call.permute(call.emit(module, call.permute(x, order, "channels_last")), inverse(order), "channels_first")


@builds("ops>Shape")
def shape(call: LayerCall) -> Value:
    """No module: the sizes are known here, and a free one is known not to be."""
    return Sizes.of(list(call.input().shape))
