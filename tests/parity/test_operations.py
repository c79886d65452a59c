"""Operations on elements of tensors: keras.ops of Keras 3, TensorFlow's functions in tf-keras."""

from __future__ import annotations

from functools import partial

import pytest

from keydnn.convert import BUILDERS, Options, convert
from tests.parity import test_axes
from tests.parity.kerases import Case, check, keras, parameters
from tests.parity.operations import COLUMN, SHAPE, VECTOR, outputs_in, positive, share, whole

pytestmark = pytest.mark.parity

CASES: list[Case] = []
outputs = partial(outputs_in, CASES)

# --- arithmetic: ops>Add, Subtract, Multiply, Divide, TrueDivide, DivideNoNan, FloorDivide, Mod, Power, Maximum, ... --


outputs(
    "operators-with-numbers",
    both=lambda _, x: [x + 1, 1 - x, x - 0.5, 2 * x, x / 3, 3 / x, x // 0.3, 2 // x, x % 0.7, 2 % x, -x, abs(x), x**2],
)
outputs("operators-with-tensors", SHAPE, SHAPE, both=lambda _, x, y: [x + y, x - y, x * y, x / y, x // y, x % y, x + x])
outputs(
    "operators-with-arrays",
    both=lambda _, x: [x + VECTOR, x * COLUMN, x / VECTOR, x // COLUMN, x + VECTOR[:1], x - VECTOR[None]],
)
outputs("powers", SHAPE, SHAPE, both=lambda _, x, y: [x**y, x**0.5, 2.5**x, x**-1], draw=positive)
outputs(
    "extremes",
    SHAPE,
    SHAPE,
    keras3=lambda ops, x, y: [
        ops.maximum(x, y),
        ops.minimum(x, 0.3),
        ops.maximum(VECTOR, x),
        ops.subtract(VECTOR, x),
        ops.floor_divide(COLUMN, x),
        ops.minimum(y, x),
    ],
    keras2=lambda tf, x, y: [
        tf.maximum(x, y),
        tf.minimum(x, 0.3),
        tf.maximum(VECTOR, x),
        VECTOR - x,
        COLUMN // x,
        tf.minimum(y, x),
    ],
)
outputs(
    "divisions",
    SHAPE,
    SHAPE,
    keras3=lambda ops, x, y: [
        *(ops.divide(x, y), ops.true_divide(x, y), ops.divide_no_nan(x, y), ops.floor_divide(x, y), ops.mod(x, y)),
        *(ops.divide_no_nan(x, 0.0), ops.divide(1, y)),
    ],
    keras2=lambda tf, x, y: [
        *(tf.divide(x, y), tf.truediv(x, y), tf.math.divide_no_nan(x, y), tf.math.floordiv(x, y), tf.math.mod(x, y)),
        *(tf.math.divide_no_nan(x, 0.0), tf.divide(1.0, y), tf.math.scalar_mul(3.0, x)),
    ],
    draw=whole,
)
outputs(
    "angles",
    SHAPE,
    SHAPE,
    keras3=lambda ops, x, y: [ops.arctan2(x, y), ops.arctan2(x, 0.5), ops.arctan2(VECTOR, y), ops.arctan2(COLUMN, y)],
    keras2=lambda tf, x, y: [tf.atan2(x, y), tf.math.atan2(x, 0.5), tf.atan2(VECTOR, y), tf.math.atan2(COLUMN, x)],
    draw=whole,
)
outputs("squared-difference", SHAPE, SHAPE, keras2=lambda tf, x, y: [tf.math.squared_difference(x, y)])
outputs(
    "broadcasts",
    (4, 5),
    (1, 5),
    (4, 1),
    both=lambda _, x, y, z: [x + y, z - x, y * z, x / (z * z + 1)],
)
outputs(
    "broadcasts-of-free-sizes",
    (None, 5),
    (None, 1),
    both=lambda _, x, y: [x + y, x * VECTOR],
)

# --- comparisons and logic: ops>Equal, NotEqual, Greater, GreaterEqual, Less, LessEqual, LogicalAnd, LogicalOr, ... ---

outputs(
    "comparisons",
    SHAPE,
    SHAPE,
    keras3=lambda ops, x, y: [
        *(x > y, x >= y, x < y, x <= y, x > 0, x < 0, x <= VECTOR),
        *(ops.equal(x, y), ops.not_equal(x, y), ops.equal(x, 1), ops.not_equal(x, 0.0)),
    ],
    keras2=lambda tf, x, y: [
        *(x > y, x >= y, x < y, x <= y, x > 0, x < 0, x <= VECTOR),
        *(tf.equal(x, y), tf.not_equal(x, y), tf.equal(x, 1), tf.not_equal(x, 0.0)),
    ],
    draw=whole,
)
outputs(
    "logic",
    SHAPE,
    SHAPE,
    keras3=lambda ops, x, y: [
        *((x > 0) & (y > 0), (x > 0) | (y > 0), (x > 0) ^ (y > 0), ~(x > 0)),
        *(ops.logical_and(x, y), ops.logical_or(x, y), ops.logical_xor(x, y), ops.logical_not(x)),
    ],
    keras2=lambda tf, x, y: [
        *((x > 0) & (y > 0), (x > 0) | (y > 0), (x > 0) ^ (y > 0), ~(x > 0)),
        tf.logical_and(x > 0, y <= x),
    ],
    draw=whole,
)
outputs(
    "where",
    SHAPE,
    SHAPE,
    keras3=lambda ops, x, y: [
        *(ops.where(x > 0, x, y), ops.where(x, x, 0.0), ops.where(y > 0, 1.0, VECTOR), ops.where(x > y, COLUMN, x)),
    ],
    keras2=lambda tf, x, y: [
        *(tf.where(x > 0, x, y), tf.where(x > 0, x, 0.0), tf.where(y > 0, 1.0, VECTOR), tf.where(x > y, COLUMN, x)),
    ],
    draw=whole,
)

# --- functions of one element -----------------------------------------------------------------------------------------

EVERYWHERE = ("exp", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sigmoid", "square", "sign", "floor")
ABOVE = ("log", "log1p", "sqrt", "reciprocal", "log2", "log10")
INSIDE = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arctanh": "atanh"}
outputs(
    "functions-everywhere",
    keras3=lambda ops, x: [
        *(getattr(ops, name)(x) for name in (*EVERYWHERE, "ceil", "trunc", "round", "absolute", "negative", "erf")),
        *(ops.abs(x), ops.exp2(x), ops.round(x, 1), ops.zeros_like(x), ops.ones_like(x), ops.full_like(x, 2.5)),
        *(ops.copy(x), ops.stop_gradient(x)),
    ],
    keras2=lambda tf, x: [
        *(getattr(tf.math, name)(x) for name in (*EVERYWHERE, "ceil", "rint", "round", "abs", "negative", "erf")),
        *(tf.zeros_like(x), tf.ones_like(x), tf.identity(x), tf.stop_gradient(x)),
    ],
)
outputs(
    "functions-above-0",
    keras3=lambda ops, x: [*(getattr(ops, name)(x) for name in ABOVE), ops.rsqrt(x), ops.arccosh(x + 1)],
    keras2=lambda tf, x: [*(getattr(tf.math, name)(x) for name in (*ABOVE[:-2], "rsqrt")), tf.math.acosh(x + 1)],
    draw=positive,
)
outputs(
    "functions-inside-of-1",
    keras3=lambda ops, x: [getattr(ops, name)(x) for name in INSIDE],
    keras2=lambda tf, x: [getattr(tf.math, name)(x) for name in INSIDE.values()],
    draw=share,
)
outputs(
    "kinds-of-numbers",
    keras3=lambda ops, x: [ops.isnan(1 / x), ops.isinf(1 / x), ops.isfinite(1 / x), ops.isnan(x - x)],
    keras2=lambda tf, x: [tf.math.is_nan(1 / x), tf.math.is_inf(1 / x), tf.math.is_finite(1 / x)],
    draw=whole,
)
outputs(
    "casts",
    keras3=lambda ops, x: [
        *(ops.cast(x, "int32"), ops.cast(x, "bool"), ops.cast(x, "float32"), ops.cast(ops.cast(x, "int64"), "float32")),
        *(ops.saturate_cast(3 * x, "int8"), ops.convert_to_tensor(x)),
        *(ops.cast(x > 0, "float32"), ops.cast(ops.cast(3 * x, "int32"), "float32") / 2),
    ],
    keras2=lambda tf, x: [
        *(tf.cast(x, "int32"), tf.cast(x, tf.bool), tf.cast(x, tf.float32), tf.cast(tf.cast(x, tf.int64), tf.float32)),
        *(tf.cast(x > 0, "float32"), tf.cast(tf.cast(3 * x, "int32"), "float32") / 2),
    ],
)
outputs(
    "clips",
    keras3=lambda ops, x: [ops.clip(x, 0, 1), ops.clip(x, -0.5, 0.25), ops.clip(x, 1, 0)],
    keras2=lambda tf, x: [tf.clip_by_value(x, 0, 1), tf.clip_by_value(x, -0.5, 0.25), tf.clip_by_value(x, 1.0, 0.0)],
)
PLAIN = ("relu", "relu6", "selu", "softplus", "softsign", "silu", "elu", "leaky_relu", "gelu", "softmax", "log_softmax")
MORE = ("sigmoid", "hard_sigmoid", "hard_silu", "hard_tanh", "log_sigmoid", "sparse_plus", "sparse_sigmoid")
MORE = (*MORE, "tanh_shrink", "celu", "squareplus", "hard_shrink", "soft_shrink", "sparsemax")
outputs(
    "activations",
    keras3=lambda ops, x: [
        *(getattr(ops.nn, name)(x) for name in (*PLAIN, *MORE)),
        *(ops.gelu(x, approximate=False), ops.elu(x, 0.5), ops.celu(x, 2.0), ops.leaky_relu(x, 0.1)),
        *(ops.hard_shrink(x, 0.3), ops.soft_shrink(x, 0.3), ops.threshold(x, 0.2, -1.0), ops.squareplus(x, 2.0)),
        *(ops.softmax(x, 1), ops.log_softmax(x, -2), ops.glu(x, 1)),
        *(keras.activations.relu(x, max_value=2.0, threshold=0.3), keras.activations.gelu(x)),
    ],
    keras2=lambda tf, x: [
        *(getattr(tf.nn, name)(x) for name in PLAIN),
        *(tf.nn.gelu(x, approximate=True), tf.nn.leaky_relu(x, 0.1), tf.nn.softmax(x, 1), tf.math.log_sigmoid(x)),
        tf.nn.log_softmax(x, axis=-2),
    ],
)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_operations_agree(case, name, source):
    check(case, name, source)


def test_every_operation_is_compared_with_one_of_the_kerases():
    """Cases say no class names: the operations are those of the converted models."""
    options = Options(allow_non_linear_activation=True, channels_last=True)
    models = [case.model(name) for case in (*CASES, *test_axes.CASES) for name in case.kerases]
    found = {f"ops>{layer.class_name}" for model in models for layer in convert(model, options).layers}
    assert {name for name in BUILDERS if name.startswith("ops>")} <= found
