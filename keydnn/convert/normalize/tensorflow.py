"""TensorFlow's functions by Keras 3's names: what tf-keras saves for ``tf.reduce_mean(x)`` and ``x + 1``.

A signature names the class, the arguments that may be tensors (the first of them comes by position in files) and where
an option is called otherwise.  Source: ``tensorflow/python/ops``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keydnn.strict_json import Json


@dataclass(frozen=True)
class Signature:
    """How a TensorFlow function is said in Keras 3.

    Attributes
    ----------
    class_name
        The class in ``keras.ops``; a few have none there, and go by a name of the same style.
    tensors
        Arguments that are operands, in the order of Keras 3's.
    options
        Keras 3's name of an option by TensorFlow's, where they differ.
    defaults
        Options that are left out in files, where TensorFlow's default is not Keras 3's.
    """

    class_name: str
    tensors: tuple[str, ...] = ("x",)
    options: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Json] = field(default_factory=dict)


def _each(tensors: tuple[str, ...], **names: str) -> dict[str, Signature]:
    """Give signatures without options by the last part of a function's name."""
    return {name: Signature(class_name, tensors) for name, class_name in names.items()}


_LIST = {"axis": 0}

# A function has many names: ``math.add``, ``__operators__.add``, ``compat.v1.math.add``.  Other modules (``strings``,
# ``sparse``, ``ragged``) have functions of the same last name, which are others.
MODULES = {"", "math", "linalg", "nn", "__operators__"}
FUNCTIONS: Mapping[str, Signature] = {
    **_each(
        ("x", "y"), add="Add", subtract="Subtract", sub="Subtract", multiply="Multiply", mul="Multiply",
        divide="Divide", truediv="TrueDivide", div="Divide", div_no_nan="DivideNoNan", divide_no_nan="DivideNoNan",
        floordiv="FloorDivide", floor_div="FloorDivide", floormod="Mod", mod="Mod", pow="Power", maximum="Maximum",
        minimum="Minimum", squared_difference="SquaredDifference", equal="Equal", not_equal="NotEqual",
        greater="Greater", greater_equal="GreaterEqual", less="Less", less_equal="LessEqual",
        logical_and="LogicalAnd", logical_or="LogicalOr", logical_xor="LogicalXor",
    ),
    "atan2": Signature("Arctan2", ("y", "x")),
    "eq": Signature("Equal", ("self", "other")),
    "ne": Signature("NotEqual", ("self", "other")),
    "scalar_mul": Signature("Multiply", ("scalar", "x")),
    "bias_add": Signature("Add", ("value", "bias")),
    "where": Signature("Where", ("condition", "x", "y")),
    "where_v2": Signature("Where", ("condition", "x", "y")),
    **_each(
        ("x",), abs="Absolute", negative="Negative", sign="Sign", square="Square", sqrt="Sqrt", rsqrt="Rsqrt",
        reciprocal="Reciprocal", exp="Exp", expm1="Expm1", log="Log", log1p="Log1p", sin="Sin", cos="Cos", tan="Tan",
        asin="Arcsin", acos="Arccos", atan="Arctan", sinh="Sinh", cosh="Cosh", asinh="Arcsinh", acosh="Arccosh",
        atanh="Arctanh", erf="Erf", floor="Floor", ceil="Ceil", round="Round", rint="Round", is_nan="Isnan",
        is_inf="Isinf", is_finite="Isfinite", logical_not="LogicalNot", identity="Copy", stop_gradient="StopGradient",
        zeros_like="ZerosLike", ones_like="OnesLike", tanh="Tanh", sigmoid="Sigmoid", relu="Relu", relu6="Relu6",
        elu="Elu", selu="Selu", softplus="Softplus", softsign="Softsign", log_sigmoid="LogSigmoid",
        softmax="Softmax", log_softmax="LogSoftmax", silu="Silu", swish="Silu", cast="Cast", expand_dims="ExpandDims",
    ),
    "convert_to_tensor": Signature("ConvertToTensor", ("value",)),
    "leaky_relu": Signature("LeakyRelu", ("features",), {"alpha": "negative_slope"}),
    "gelu": Signature("Gelu", ("features",), defaults={"approximate": False}),
    "clip_by_value": Signature("Clip", ("t",), {"clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "l2_normalize": Signature("L2Normalize", ("x",)),
    **_each(
        ("input_tensor",), reduce_sum="Sum", reduce_mean="Mean", reduce_max="Max", reduce_min="Min",
        reduce_prod="Prod", reduce_std="Std", reduce_variance="Var", reduce_any="Any", reduce_all="All",
        reduce_logsumexp="Logsumexp",
    ),
    "reduce_euclidean_norm": Signature("Norm", ("input_tensor",)),
    "norm": Signature("Norm", ("tensor",)),
    "count_nonzero": Signature("CountNonzero", ("input",)),
    "argmax": Signature("Argmax", ("input",), {"dimension": "axis"}, {"axis": 0}),
    "argmin": Signature("Argmin", ("input",), {"dimension": "axis"}, {"axis": 0}),
    "cumsum": Signature("Cumsum", ("x",), defaults={"axis": 0}),
    "cumprod": Signature("Cumprod", ("x",), defaults={"axis": 0}),
    "add_n": Signature("AddN", ("inputs",)),
    "concat": Signature("Concatenate", ("values",)),
    "stack": Signature("Stack", ("values",), defaults=_LIST),
    "split": Signature("Split", ("value",), {"num_or_size_splits": "sizes"}, _LIST),
    "unstack": Signature("Unstack", ("value",), defaults=_LIST),
    "reshape": Signature("Reshape", ("tensor",), {"shape": "target_shape"}),
    "transpose": Signature("Transpose", ("a",), {"perm": "axes"}),
    "squeeze": Signature("Squeeze", ("input",), {"squeeze_dims": "axis"}),
    "tile": Signature("Tile", ("input",), {"multiples": "repeats"}),
    "repeat": Signature("Repeat", ("input",)),
    "reverse": Signature("Flip", ("tensor",)),
    "roll": Signature("Roll", ("input",)),
    "broadcast_to": Signature("BroadcastTo", ("input",)),
    "pad": Signature("Pad", ("tensor",), {"paddings": "pad_width"}),
    "gather": Signature("Take", ("params", "indices"), defaults={"axis": 0}),
    "getitem": Signature("GetItem", ("tensor", "slice_spec")),
    "one_hot": Signature("OneHot", ("indices",), {"depth": "num_classes"}),
    "matmul": Signature("Matmul", ("a", "b")),
    "tensordot": Signature("Tensordot", ("a", "b")),
    "depth_to_space": Signature("DepthToSpace", ("input",)),
    "space_to_depth": Signature("SpaceToDepth", ("input",)),
    "image.resize": Signature("Resize", ("images",), {"method": "interpolation"}),
    **{
        f"image.extract_{name}": Signature(
            "ExtractPatches", ("images",), {"sizes": "size", "ksizes": "size", "rates": "dilation_rate"}
        )
        for name in ("patches", "image_patches")
    },
    "top_k": Signature("TopK", ("input",)),
    "sort": Signature("Sort", ("values",)),
    "argsort": Signature("Argsort", ("values",)),
    "shape": Signature("Shape", ("input",)),
    **{
        f"{short}_pool{axes}": Signature(class_name, ("input",), {"ksize": "pool_size"})
        for short, class_name in (("max", "MaxPool"), ("avg", "AveragePool"))
        for axes in ("", "1d", "2d", "3d")
    },
}  # fmt: skip


def signature_of(function: str) -> Signature | None:
    """Give the signature of a TensorFlow function, None if it has none here."""
    name = function.removeprefix("compat.v1.")
    module, _, last = name.rpartition(".")
    return FUNCTIONS.get(name) or (FUNCTIONS.get(last) if module in MODULES else None)


# Options that say nothing about the result in float32.
IGNORED = {"name", "conjugate", "validate_indices", "out_type", "output_type"}
