"""Operations along axes of tensors: reductions, moves, indices; keras.ops of Keras 3, TensorFlow's in tf-keras."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tests.parity.kerases import Case, check, parameters
from tests.parity.operations import COLUMN, SHAPE, outputs_in, positive, whole

pytestmark = pytest.mark.parity

CASES: list[Case] = []
outputs = partial(outputs_in, CASES)
IMAGE = (4, 5, 6)

# --- reductions -------------------------------------------------------------------------------------------------------

THREE = ("sum", "mean", "max", "min", "prod", "std", "var")
IN_TF = {"std": "reduce_std", "var": "reduce_variance", "logsumexp": "reduce_logsumexp"}


def tf_name(name):
    return IN_TF.get(name, f"reduce_{name}")


for _name in (*THREE, "logsumexp"):
    outputs(
        f"reduce-{_name}",
        IMAGE,
        keras3=lambda ops, x, name=_name: [
            *(getattr(ops, name)(x, axis) for axis in (1, 2, -1, (1, 2), (2, 3), (1, 3), (1, 2, 3))),
            *(getattr(ops, name)(x, axis, keepdims=True) for axis in (1, -1, (1, 2), (3, 1))),
        ],
        keras2=lambda tf, x, name=_name: [
            *(getattr(tf.math, tf_name(name))(x, axis) for axis in (1, 2, -1, (1, 2), (2, 3), (1, 3), (1, 2, 3))),
            *(getattr(tf.math, tf_name(name))(x, axis, keepdims=True) for axis in (1, -1, (1, 2), (3, 1))),
        ],
    )
outputs(
    "reduce-truth",
    keras3=lambda ops, x: [ops.any(x > 2, 1), ops.all(x > -3, -1, keepdims=True), ops.any(x, (1, 2)), ops.all(x, 1)],
    keras2=lambda tf, x: [
        *(tf.reduce_any(x > 2, 1), tf.reduce_all(x > -3, -1, keepdims=True), tf.reduce_any(x > 1, (1, 2))),
        tf.math.count_nonzero(x, 1, dtype=tf.int32),
    ],
    draw=whole,
)
outputs(
    "reduce-places",
    IMAGE,
    keras3=lambda ops, x: [
        *(ops.argmax(x, axis) for axis in (1, 2, -1)),
        *(ops.argmin(x, axis) for axis in (1, 2, -1)),
        *(ops.argmax(x, 2, keepdims=True), ops.count_nonzero(x, 2)),
    ],
    keras2=lambda tf, x: [*(tf.argmax(x, axis) for axis in (1, 2, -1)), *(tf.argmin(x, axis) for axis in (1, 2, -1))],
    draw=whole,
)
outputs(
    "reduce-other-names",
    IMAGE,
    keras3=lambda ops, x: [ops.amax(x, 1), ops.amin(x, (1, 2)), ops.average(x, 2), *ops.moments(x, (1, 2))],
    keras2=lambda tf, x: [tf.math.reduce_euclidean_norm(x, 1), tf.norm(x, axis=[1, 2])],
)
outputs(
    "norms",
    keras3=lambda ops, x: [
        *(ops.norm(x, axis=-1), ops.norm(x, axis=1, keepdims=True), ops.norm(x, 1, axis=1), ops.norm(x, 2, axis=1)),
        *(ops.norm(x, axis=(1, 2)), ops.normalize(x, axis=-1), ops.normalize(x, axis=1, order=1)),
        ops.normalize(x, axis=(1, 2), epsilon=4.0),
    ],
    keras2=lambda tf, x: [
        *(tf.norm(x, axis=-1), tf.norm(x, axis=1, keepdims=True), tf.norm(x, ord=1, axis=1)),
        *(tf.math.l2_normalize(x, -1), tf.linalg.l2_normalize(x, [1, 2]), tf.nn.l2_normalize(x, 1, epsilon=30.0)),
    ],
)
outputs(
    "normalize-zeros",
    keras3=lambda ops, x: [1 + ops.normalize(0 * x), 1 + ops.normalize(0 * x, order=1)],
    keras2=lambda tf, x: [1 + tf.math.l2_normalize(0 * x, 1)],
    draw=positive,
)
outputs(
    "running",
    IMAGE,
    keras3=lambda ops, x: [ops.cumsum(x, 1), ops.cumsum(x, -1), ops.cumprod(x, 2)],
    keras2=lambda tf, x: [tf.cumsum(x, 1), tf.cumsum(x, -1), tf.math.cumprod(x, 2)],
)
outputs(
    "reduce-free-sizes",
    (None, 5),
    keras3=lambda ops, x: [ops.mean(x, 1), ops.max(x, 1, keepdims=True), ops.sum(x, (1, 2)), ops.std(x, 1)],
    keras2=lambda tf, x: [
        *(tf.reduce_mean(x, 1), tf.reduce_max(x, 1, keepdims=True), tf.reduce_sum(x, (1, 2)), tf.math.reduce_std(x, 1)),
    ],
)

# --- axes -------------------------------------------------------------------------------------------------------------

outputs(
    "reshape",
    IMAGE,
    keras3=lambda ops, x: [
        *(ops.reshape(x, (-1, 120)), ops.reshape(x, (-1, 6, 20)), ops.reshape(x, (-1, 4, 5, 2, 3))),
        *(ops.expand_dims(x, 1), ops.expand_dims(x, -1), ops.expand_dims(x, (2, -1))),
        *(ops.squeeze(ops.expand_dims(x, 2), 2), ops.squeeze(ops.expand_dims(x, (1, 3)))),
    ],
    keras2=lambda tf, x: [
        *(tf.reshape(x, (-1, 120)), tf.reshape(x, (-1, 6, 20)), tf.reshape(x, (-1, 4, 5, 2, 3))),
        *(tf.expand_dims(x, 1), tf.expand_dims(x, -1), tf.squeeze(tf.expand_dims(x, 2), 2)),
        tf.squeeze(tf.expand_dims(tf.expand_dims(x, 2), 2), [2, 3]),
    ],
)
outputs(
    "reshape-by-sizes-of-tensors",
    (None, 5),
    (4, 6),
    keras2=lambda tf, x, y: [
        *(tf.reshape(y, (tf.shape(y)[0], -1)), tf.reshape(y, (tf.shape(y)[0], 2, 12)), tf.reshape(y, [-1, 6, 4])),
        *(tf.reshape(x, (tf.shape(x)[0], tf.shape(x)[1] * 5)), tf.reshape(x, (-1, tf.shape(x)[1], 5, 1))),
        tf.reshape(y, tf.concat([tf.shape(y)[:1], [3, 8]], 0)),
        tf.reshape(y, tf.stack([tf.shape(y)[0], tf.shape(y)[1] // 2, 2 * tf.shape(y)[2]])),
        *(tf.tile(x[:, :1], [1, tf.shape(y)[1], 1]), y * tf.cast(tf.shape(y)[2], "float32")),
        tf.broadcast_to(y[:, :1], [tf.shape(y)[0], 3, 6]),
    ],
)
outputs(
    "transpose",
    IMAGE,
    keras3=lambda ops, x: [
        *(ops.transpose(x, (0, 2, 1, 3)), ops.transpose(x, (0, 3, 1, 2)), ops.transpose(x, (0, -1, 2, 1))),
        *(ops.swapaxes(x, 1, 2), ops.swapaxes(x, -1, 1), ops.moveaxis(x, 1, -1), ops.moveaxis(x, (1, 2), (3, 1))),
    ],
    keras2=lambda tf, x: [tf.transpose(x, (0, 2, 1, 3)), tf.transpose(x, (0, 3, 1, 2))],
)
outputs(
    "joins",
    SHAPE,
    SHAPE,
    keras3=lambda ops, x, y: [
        *(ops.concatenate([x, y], 1), ops.concatenate([x, y, x], axis=-1), ops.stack([x, y], 1), ops.stack([x, y], -1)),
        *(ops.stack([x], 1), ops.concatenate([x, y[:, :2]], 1)),
    ],
    keras2=lambda tf, x, y: [
        *(tf.concat([x, y], 1), tf.concat([x, y, x], axis=-1), tf.stack([x, y], 1), tf.stack([x, y], -1)),
        *(tf.add_n([x, y, x]), tf.concat([x, y[:, :2]], 1)),
    ],
)
outputs(
    "repeats",
    IMAGE,
    keras3=lambda ops, x: [
        *(ops.repeat(x, 2, 1), ops.repeat(x, 3, -1), ops.tile(x, (1, 2, 1, 3)), ops.tile(x, (2,))),
        *(ops.roll(x, 2, 1), ops.roll(x, (1, -2), (2, 3)), ops.flip(x, 1), ops.flip(x, (2, -1))),
    ],
    keras2=lambda tf, x: [
        *(tf.repeat(x, 2, 1), tf.repeat(x, 3, -1), tf.tile(x, (1, 2, 1, 3))),
        *(tf.roll(x, 2, 1), tf.roll(x, (1, -2), (2, 3)), tf.reverse(x, [1]), tf.reverse(x, [2, -1])),
    ],
)
outputs(
    "blocks",
    (4, 6, 8),
    keras3=lambda ops, x: [ops.nn.depth_to_space(x, 2), ops.nn.space_to_depth(x, 2)],
    keras2=lambda tf, x: [tf.nn.depth_to_space(x, 2), tf.nn.space_to_depth(x, 2)],
)

# --- products ---------------------------------------------------------------------------------------------------------

RANDOM = np.random.default_rng(7)
MATRIX, WIDE = (RANDOM.standard_normal(shape).astype(np.float32) for shape in ((5, 3), (3, 4)))
outputs(
    "matmul",
    (4, 5),
    (5, 4),
    keras3=lambda ops, x, y: [
        *(x @ y, ops.matmul(y, x), ops.matmul(x, MATRIX), ops.matmul(WIDE, x), ops.matmul(x, MATRIX[:, 0])),
        *(ops.matmul(WIDE[0], x), ops.dot(x, MATRIX), ops.tensordot(x, MATRIX, 1), ops.tensordot(y, WIDE, [[2], [1]])),
        *(ops.matmul(x[:, None], y[:, None]), ops.matmul(ops.repeat(x[:, None], 3, 1), y[:, None])),
        ops.matmul(x, MATRIX[None]),
    ],
    keras2=lambda tf, x, y: [
        *(x @ y, tf.matmul(y, x), tf.matmul(x, MATRIX), tf.matmul(x, x, transpose_b=True)),
        *(tf.matmul(x, x, transpose_a=True), tf.tensordot(x, MATRIX, 1), tf.tensordot(y, WIDE, [[2], [1]])),
        *(tf.matmul(x[:, None], y[:, None]), tf.matmul(tf.repeat(x[:, None], 3, 1), y[:, None])),
    ],
)
outputs(
    "einsum",
    (4, 5),
    (4, 6),
    keras3=lambda ops, x, y: [
        *(ops.einsum("nij,nik->njk", x, y), ops.einsum("nij,nik->nikj", x, y), ops.einsum("nij,nik->nk", x, y)),
        *(ops.einsum("nij,jk->nik", x, MATRIX), ops.einsum("...j,jk->...k", x, MATRIX), ops.einsum("nij->nji", x)),
        *(ops.einsum("nij->nj", x), ops.einsum("nij,ki->nkj", x, WIDE), ops.einsum("nij,nij->n", x, x)),
        *(ops.einsum("aij,jk", x, MATRIX), ops.einsum("...ij,...ik->...jk", x, y), ops.einsum("nij->ni", y)),
    ],
)
outputs(
    "matmul-of-free-sizes",
    (None, 5),
    both=lambda _, x: [x @ MATRIX],
)

# --- images -----------------------------------------------------------------------------------------------------------

outputs(
    "resize",
    (6, 5, 3),
    keras3=lambda ops, x: [
        *(ops.image.resize(x, (9, 4)), ops.image.resize(x, (3, 11), interpolation="nearest")),
        *(ops.image.resize(x, (4, 4), antialias=True), ops.image.resize(x, (4, 8), crop_to_aspect_ratio=True)),
        ops.image.resize(x, (9, 10), data_format="channels_first"),
    ],
    keras2=lambda tf, x: [
        *(tf.image.resize(x, (9, 4)), tf.image.resize(x, (3, 11), method="nearest")),
        *(tf.image.resize(x, [4, 4], antialias=True), tf.image.resize(x, (tf.shape(x)[2], 2 * tf.shape(x)[1]))),
    ],
)
outputs(
    "pool",
    (6, 5, 3),
    keras3=lambda ops, x: [
        *(ops.max_pool(x, 2), ops.max_pool(x, (3, 2), 1, padding="same"), ops.average_pool(x, 2, (2, 1))),
        ops.average_pool(ops.reshape(x, (-1, 30, 3)), 3, 2, "same"),
    ],
    keras2=lambda tf, x: [
        *(tf.nn.max_pool2d(x, 2, 2, "VALID"), tf.nn.avg_pool2d(x, (3, 2), 1, "SAME")),
        *(tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 1, 1], "SAME"), tf.nn.avg_pool(x, 2, 1, "VALID")),
    ],
)

PATCHES = (
    {"size": 2},
    {"size": (3, 2), "strides": 1, "padding": "same"},
    {"size": (2, 3), "strides": (3, 2), "padding": "same"},
    {"size": (3, 2), "strides": (2, 1)},
    {"size": (2, 3), "strides": 1, "dilation_rate": 2},
    {"size": 3, "strides": 1, "dilation_rate": (2, 1), "padding": "same"},
)


def patches(tf, x, size, strides=None, dilation_rate=1, padding="valid"):
    """Call TensorFlow's function, which names batch and channels in all sizes."""
    given = [value if isinstance(value, tuple) else (value,) * 2 for value in (size, strides or size, dilation_rate)]
    return tf.image.extract_patches(x, *([1, *sizes, 1] for sizes in given), padding=padding.upper())


outputs(
    "patches",
    (7, 6, 3),
    keras3=lambda ops, x: [ops.image.extract_patches(x, **options) for options in PATCHES],
    keras2=lambda tf, x: [
        *(patches(tf, x, **options) for options in PATCHES),
        *(patches(tf, x, (2, 3), (2, 3), (2, 2), padding) for padding in ("valid", "same")),
        tf.compat.v1.image.extract_image_patches(x, [1, 2, 2, 1], [1, 1, 1, 1], [1, 1, 1, 1], "SAME"),
    ],
)
outputs(
    "patches-channels-first",
    (3, 7, 6),
    keras3=lambda ops, x: [
        ops.image.extract_patches(x, **options, data_format="channels_first") for options in PATCHES
    ],
)
outputs(
    "patches-of-volumes",
    (5, 4, 6, 2),
    keras3=lambda ops, x: [
        *(ops.image.extract_patches(x, (2, 2, 3)), ops.image.extract_patches(x, (3, 2, 1), 2, padding="same")),
        ops.image.extract_patches(x, (2, 1, 2), (1, 1, 2), data_format="channels_first"),
    ],
)
outputs(
    "patches-of-free-sizes",
    (None, None, 3),
    keras3=lambda ops, x: [ops.image.extract_patches(x, 2), ops.image.extract_patches(x, 3, 2, padding="same")],
    keras2=lambda tf, x: [patches(tf, x, 2), patches(tf, x, 3, 2, padding="same")],
)
outputs(
    "patches-in-a-row",
    (8, 8, 3),
    keras3=lambda ops, x: [ops.reshape(ops.image.extract_patches(x, 4, strides=4), (-1, 4, 48))],
    keras2=lambda tf, x: [tf.reshape(patches(tf, x, 4), [tf.shape(x)[0], -1, 48])],
)

# --- indices ----------------------------------------------------------------------------------------------------------

outputs(
    "brackets",
    IMAGE,
    both=lambda _, x: [
        *(x[:, 1], x[:, -1], x[:, 1:3], x[:, ::2, 0], x[:, -3:-1, :, 2], x[:, None], x[:, 3, 2, 1], x[:, :-1]),
        *(x[:, :, None, 1:4:2, None], x[:, :, :, -4:], x[:, ::-1], x[:, 3:0:-2, ::-1]),
    ],
)
outputs(
    "brackets-with-an-ellipsis",
    IMAGE,
    both=lambda _, x: [x[:, -3:-1, ..., 2], x[..., 0], x[..., None], x[..., 1:, :, ::3], x[:, ..., None]],
    sources=("h5",),  # tf-keras cannot write it to .keras
)
outputs("brackets-of-free-sizes", (None, 5), both=lambda _, x: [x[:, 0], x[:, -1], x[:, :, 1:3], x[:, 1:], x[:, ::-1]])
outputs(
    "splits",
    (6, 5),
    keras3=lambda ops, x: [
        *(*ops.split(x, 3, axis=1), *ops.split(x, [1, 4], axis=1), *ops.split(x, 5, axis=-1)),
        *(*ops.unstack(x, axis=2), *ops.unstack(x, 6, 1), *ops.array_split(x, 4, axis=1)),
    ],
    keras2=lambda tf, x: [
        *(*tf.split(x, 3, axis=1), *tf.split(x, [1, 4, 1], axis=1), *tf.split(x, [2, -1], axis=-1)),
        *(*tf.unstack(x, axis=2), *tf.unstack(x, 6, 1)),
    ],
)
outputs(
    "takes",
    IMAGE,
    keras3=lambda ops, x: [
        *(ops.take(x, [0, 2], axis=1), ops.take(x, 1, axis=2), ops.take(x, np.array([[0, -1], [2, 2]]), axis=3)),
        ops.take(x, np.array([3, 1, 1]), axis=-1),
    ],
    keras2=lambda tf, x: [
        *(tf.gather(x, [0, 2], axis=1), tf.gather(x, 1, axis=2), tf.gather(x, np.array([[0, 1], [2, 2]]), axis=3)),
    ],
)
outputs(
    "takes-by-tensors",
    (4,),
    (4,),
    keras3=lambda ops, x, y: [
        *(ops.take_along_axis(x, ops.cast(y, "int32"), axis=1), ops.take(COLUMN, ops.cast(y, "int32"), axis=0)),
        *(ops.one_hot(ops.cast(y, "int32"), 4), ops.one_hot(ops.cast(y, "int32"), 3, axis=1)),
        ops.one_hot(ops.argmax(x, -1), 4),
    ],
    keras2=lambda tf, x, y: [
        *(tf.gather(COLUMN, tf.cast(y, "int32")), tf.one_hot(tf.cast(y, "int32"), 4)),
        *(tf.one_hot(tf.cast(y, "int64"), 3, axis=1), tf.one_hot(tf.argmax(x, -1), 4)),
    ],
    draw=lambda random, shape: random.integers(0, 4, shape),
)
outputs(
    "pads",
    IMAGE,
    keras3=lambda ops, x: [
        *(
            ops.pad(x, ((0, 0), (1, 2), (0, 0), (0, 3))),
            ops.pad(x, ((0, 0), (1, 0), (0, 1), (0, 0)), constant_values=2),
        ),
        *(ops.pad(x, ((0, 0), (3, 1), (0, 0), (2, 2)), mode="reflect"),),
        *(ops.pad(x, ((0, 0), (4, 1), (0, 0), (2, 2)), mode="symmetric"),),
    ],
    keras2=lambda tf, x: [
        *(tf.pad(x, ((0, 0), (1, 2), (0, 0), (0, 3))), tf.pad(x, ((0, 0), (1, 0), (0, 1), (0, 0)), constant_values=2)),
        *(
            tf.pad(x, ((0, 0), (3, 1), (0, 0), (2, 2)), "REFLECT"),
            tf.pad(x, [[0, 0], [4, 1], [0, 0], [2, 2]], "SYMMETRIC"),
        ),
    ],
)
outputs(
    "largest",
    IMAGE,
    keras3=lambda ops, x: [*ops.top_k(x, 2), *ops.top_k(x, 6), *ops.top_k(x[:, 0, 0], 1), ops.top_k(x, 3)[1]],
    keras2=lambda tf, x: [
        *tf.math.top_k(x, 2),
        *tf.nn.top_k(x, k=6),
        *tf.math.top_k(x[:, 0, 0]),
        tf.math.top_k(x, 3)[0],
        *tf.math.top_k(x, tf.shape(x)[3]),
    ],
    draw=whole,
)
outputs(
    "sorted",
    IMAGE,
    keras3=lambda ops, x: [
        *(ops.sort(x), ops.sort(x, axis=1), ops.sort(x, axis=-2), ops.sort(ops.sum(x, (1, 2)))),
        *(ops.argsort(x), ops.argsort(x, axis=1), ops.argsort(x, axis=-2)),
    ],
    keras2=lambda tf, x: [
        *(tf.sort(x), tf.sort(x, axis=1), tf.sort(x, -2, "DESCENDING"), tf.sort(x, direction="DESCENDING")),
        *(tf.argsort(x), tf.argsort(x, 1), tf.argsort(x, axis=2, direction="DESCENDING", stable=True)),
    ],
    draw=whole,
)
outputs("triangles", SHAPE, keras3=lambda ops, x: [ops.tril(x), ops.triu(x), ops.tril(x, 1), ops.triu(x, -1)])


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_operations_along_axes_agree(case, name, source):
    check(case, name, source)
