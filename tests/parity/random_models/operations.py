"""Steps that are operations on tensors, without a layer: ``x + 1``, slices, reductions, functions."""

from __future__ import annotations

import numpy as np

from tests.parity.random_models import LARGEST, grows, numbers, step


@step("ops>Add", "ops>Subtract", "ops>Multiply", "ops>TrueDivide", "ops>Negative", "ops>Absolute", weight=3)
def with_a_number(make, x):
    c = make.number(0.2, 1.5)
    return make.choose(x + c, c - x, x * c, x / c, abs(x) + c, -x, c + x)


@step("ops>Add", "ops>Multiply", "ops>Subtract", weight=1)
def with_an_array(make, x):
    shape = make.choose(x.shape[-1:], (*[1] * (len(x.shape) - 2), x.shape[-1]), x.shape[1:])
    array = make.random.uniform(0.2, 1.2, shape).astype(np.float32)
    return make.choose(x + array, x * array, x - array)


@step("ops>Add", "ops>Multiply", "ops>Maximum", "ops>Minimum", "ops>TrueDivide", weight=2)
def of_two(make, x):
    """With a value that has, or broadcasts to, the same shape."""
    for place, y in reversed(list(enumerate(make.values))):
        sizes = zip(x.shape[1:], y.shape[1:], strict=False)
        if len(y.shape) == len(x.shape) and all(a == b or 1 in (a, b) for a, b in sizes):
            if any(a < b for a, b in zip(x.shape[1:], y.shape[1:], strict=True)) and numbers(y) > LARGEST // 2:
                continue
            make.used.add(place)
            product = x * y / (make.ops.abs(x) + 1)  # products alone would grow without end
            return make.choose(x + y, product, make.ops.maximum(x, y), make.ops.minimum(x, y), x / (y * y + 1))
    return None


@step("ops>Exp", "ops>Tanh", "ops>Sigmoid", "ops>Square", "ops>Sqrt", "ops>Log1p", "ops>Sin", "ops>Softmax", weight=2)
def function(make, x):
    ops, math = make.ops, make.ops if make.name == "keras3" else make.ops.math
    return make.choose(
        ops.exp(-ops.abs(x)), math.tanh(x), math.sigmoid(x), ops.square(math.tanh(x)), ops.sqrt(ops.abs(x) + 0.1),
        math.log1p(ops.abs(x)), ops.sin(x), ops.nn.softmax(x), ops.nn.relu(x), ops.nn.gelu(x), ops.nn.softplus(x),
        math.rsqrt(x * x + 0.5),
    )  # fmt: skip


@step("ops>Clip", "ops>Where", "ops>Greater", "ops>Cast", weight=1)
def choices(make, x):
    ops = make.ops
    clip = ops.clip if make.name == "keras3" else ops.clip_by_value
    return make.choose(
        clip(x, -0.5, 1.0), ops.where(x > 0.313, x, 0.5 * x), x * ops.cast(x > -0.171, "float32"),
        ops.where(x < 3.77, x, 1.0),
    )  # fmt: skip


@step("ops>Mean", "ops>Sum", "ops>Max", "ops>Min", "ops>Std", ranks=(3, 4, 5), weight=2)
def reduction(make, x):
    ops, keras3 = make.ops, make.name == "keras3"
    kind = make.choose("mean", "max", "min", "sum", "std")
    function = getattr(ops, kind) if keras3 else getattr(ops.math, f"reduce_{kind}")
    axis = make.choose(*range(1, len(x.shape)), -1)
    axis = make.choose(axis, [1, 2]) if len(x.shape) > 3 else axis
    keepdims = make.chance(0.4)
    if kind == "std":
        return function(x, axis, keepdims=keepdims) + 0.5
    return function(x, axis, keepdims=keepdims) / (4.0 if kind == "sum" else 1.0)


@step("ops>GetItem", ranks=(3, 4, 5), weight=2)
def brackets(make, x):
    last = x.shape[1] - 1
    if last < 2:
        return None
    return make.choose(
        x[:, 1:], x[:, :-1], x[:, 0], x[:, -1], x[:, ::2], x[:, ::-1], x[:, :, 0], x[:, 1 : last + 1, :1],
        x[:, None, 1:2] if len(x.shape) < 5 else x[:, 1:2],
    )  # fmt: skip


@step("ops>Reshape", "ops>Transpose", "ops>ExpandDims", "ops>Squeeze", weight=2)
def axes(make, x):
    ops, rank = make.ops, len(x.shape)
    if rank < 5 and make.chance(0.3):
        return ops.expand_dims(x, make.integer(1, rank))
    if rank > 2 and 1 in x.shape[2:] and make.chance(0.5):
        return ops.squeeze(x, 2 + list(x.shape[2:]).index(1))
    if rank > 2 and make.chance(0.5):
        return ops.transpose(x, [0, *(int(axis) + 1 for axis in make.random.permutation(rank - 1))])
    size = next((size for size in (3, 2, 5) if numbers(x) % size == 0), 1)
    return ops.reshape(x, make.choose((-1, numbers(x)), (-1, size, numbers(x) // size)))


@step("ops>Concatenate", "ops>Stack", "ops>Split", "ops>Repeat", "ops>Tile", "ops>Flip", "ops>Pad", weight=1)
def parts(make, x):
    ops, keras3, rank = make.ops, make.name == "keras3", len(x.shape)
    axis = make.integer(1, rank - 1)
    join = ops.concatenate if keras3 else ops.concat
    if x.shape[axis] % 2 == 0 and make.chance(0.4):
        return list(ops.split(x, 2, axis=axis))
    if grows(x, 2):
        return ops.flip(x, axis) if keras3 else ops.reverse(x, [axis])
    if rank < 5 and make.chance(0.3):
        return ops.stack([x, 0.5 * x], make.integer(1, rank))
    pads = [[0, 0], *([1, 0] if place == axis else [0, 0] for place in range(1, rank))]
    return make.choose(
        join([x, -x], axis), ops.repeat(x, 2, axis), ops.tile(x, [2 if place == axis else 1 for place in range(rank)]),
        ops.pad(x, pads),
    )  # fmt: skip


@step("ops>Matmul", ranks=(3,))
def product(make, x):
    """With itself, turned, so that a square comes out."""
    ops = make.ops
    if x.shape[1] ** 2 > LARGEST:
        return None
    y = ops.tanh(x)
    return ops.matmul(y, ops.transpose(x, (0, 2, 1))) / float(x.shape[2])


@step("ops>ExtractPatches", ranks=(4,))
def patches(make, x):
    size = (make.integer(1, 3), make.integer(1, 3))
    dilation = make.choose(1, 1, 2)
    stride = 1 if dilation > 1 else make.integer(1, 3)
    padding = make.choose("valid", "same")
    fits = all((cells - 1) * dilation < given for cells, given in zip(size, x.shape[1:3], strict=True))
    if not fits or grows(x, -(-size[0] * size[1] // stride**2)):
        return None
    if make.name == "keras3":
        return make.ops.image.extract_patches(x, size, stride, dilation, padding)
    sizes = ([1, *pair, 1] for pair in (size, (stride, stride), (dilation, dilation)))
    return make.ops.image.extract_patches(x, *sizes, padding=padding.upper())


@step("ops>TopK", ranks=(2, 3, 4), weight=0.5)
def largest(make, x):
    return (make.ops if make.name == "keras3" else make.ops.math).top_k(x, make.integer(1, min(x.shape[-1], 4)))[0]
