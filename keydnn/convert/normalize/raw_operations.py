"""TensorFlow's raw operations, which Keras 2.0 to 2.3 in TensorFlow saves for ``x + 1``, as calls of its functions.

A ``TensorFlowOpLayer`` holds a NodeDef (name, operation, attributes) and those of its inputs that are constants, by
their place.  Source: ``tensorflow/core/ops``.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keydnn.convert.read.document import parse_config
from keydnn.convert.read.nodes import constant_of
from keydnn.convert.read.record import Call, Layer, refs_in
from keydnn.errors import KerasInteropError
from keydnn.strict_json import Json


@dataclass(frozen=True)
class Raw:
    """How a raw operation is said as a function (see ``tensorflow.py``).

    Attributes
    ----------
    function
        The function.
    inputs
        Its arguments by the operation's inputs; ``"*values"`` takes all inputs but those behind it.
    attributes
        Arguments by the operation's attributes.
    """

    function: str
    inputs: tuple[str, ...] = ("x",)
    attributes: Mapping[str, str] = field(default_factory=dict)


def _two(**names: str) -> dict[str, Raw]:
    return {operation: Raw(function, ("x", "y")) for operation, function in names.items()}


def _one(**names: str) -> dict[str, Raw]:
    return {operation: Raw(function) for operation, function in names.items()}


def _reduction(**names: str) -> dict[str, Raw]:
    keepdims = {"keep_dims": "keepdims"}
    return {operation: Raw(function, ("x", "axis"), keepdims) for operation, function in names.items()}


OPERATIONS: Mapping[str, Raw] = {
    **_two(
        Add="add", AddV2="add", Sub="subtract", Mul="multiply", RealDiv="divide", Div="divide",
        DivNoNan="divide_no_nan", FloorDiv="floordiv", FloorMod="floormod", Pow="pow", Maximum="maximum",
        Minimum="minimum",
        SquaredDifference="squared_difference", Equal="equal", NotEqual="not_equal", Greater="greater",
        GreaterEqual="greater_equal", Less="less", LessEqual="less_equal", LogicalAnd="logical_and",
        LogicalOr="logical_or", BiasAdd="add",
    ),
    **_one(
        Abs="abs", Neg="negative", Sign="sign", Square="square", Sqrt="sqrt", Rsqrt="rsqrt", Reciprocal="reciprocal",
        Inv="reciprocal", Exp="exp", Expm1="expm1", Log="log", Log1p="log1p", Sin="sin", Cos="cos", Tan="tan",
        Asin="asin", Acos="acos", Atan="atan", Sinh="sinh", Cosh="cosh", Asinh="asinh", Acosh="acosh", Atanh="atanh",
        Erf="erf", Floor="floor", Ceil="ceil", Round="round", Rint="rint", IsNan="is_nan", IsInf="is_inf",
        IsFinite="is_finite", LogicalNot="logical_not", Identity="identity", StopGradient="stop_gradient",
        ZerosLike="zeros_like", OnesLike="ones_like", Tanh="tanh", Sigmoid="sigmoid", Relu="relu", Relu6="relu6",
        Elu="elu", Selu="selu", Softplus="softplus", Softsign="softsign", Softmax="softmax", LogSoftmax="log_softmax",
        Shape="shape",
    ),
    **_reduction(
        Mean="reduce_mean", Sum="reduce_sum", Max="reduce_max", Min="reduce_min", Prod="reduce_prod",
        Any="reduce_any", All="reduce_all",
    ),
    "Atan2": Raw("atan2", ("y", "x")),
    "LeakyRelu": Raw("leaky_relu", ("features",), {"alpha": "alpha"}),
    "Cast": Raw("cast", ("x",), {"DstT": "dtype"}),
    "ClipByValue": Raw("clip_by_value", ("t", "clip_value_min", "clip_value_max")),
    "ArgMax": Raw("argmax", ("input", "axis")),
    "ArgMin": Raw("argmin", ("input", "axis")),
    "Cumsum": Raw("cumsum", ("x", "axis"), {"exclusive": "exclusive", "reverse": "reverse"}),
    "Select": Raw("where", ("condition", "x", "y")),
    "SelectV2": Raw("where", ("condition", "x", "y")),
    "AddN": Raw("add_n", ("*inputs",)),
    "ConcatV2": Raw("concat", ("*values", "axis")),
    "Pack": Raw("stack", ("*values",), {"axis": "axis"}),
    "Unpack": Raw("unstack", ("value",), {"axis": "axis"}),
    "Split": Raw("split", ("axis", "value"), {"num_split": "num_or_size_splits"}),
    "SplitV": Raw("split", ("value", "num_or_size_splits", "axis")),
    "Reshape": Raw("reshape", ("tensor", "shape")),
    "Transpose": Raw("transpose", ("a", "perm")),
    "ExpandDims": Raw("expand_dims", ("x", "axis")),
    "Squeeze": Raw("squeeze", ("input",), {"squeeze_dims": "axis"}),
    "Tile": Raw("tile", ("input", "multiples")),
    "ReverseV2": Raw("reverse", ("tensor", "axis")),
    "Roll": Raw("roll", ("input", "shift", "axis")),
    "BroadcastTo": Raw("broadcast_to", ("input", "shape")),
    "Pad": Raw("pad", ("tensor", "paddings")),
    "PadV2": Raw("pad", ("tensor", "paddings", "constant_values")),
    "MirrorPad": Raw("pad", ("tensor", "paddings"), {"mode": "mode"}),
    "GatherV2": Raw("gather", ("params", "indices", "axis"), {"batch_dims": "batch_dims"}),
    "OneHot": Raw("one_hot", ("indices", "depth", "on_value", "off_value"), {"axis": "axis"}),
    "MatMul": Raw("matmul", ("a", "b"), {"transpose_a": "transpose_a", "transpose_b": "transpose_b"}),
    "BatchMatMul": Raw("matmul", ("a", "b"), {"adj_x": "transpose_a", "adj_y": "transpose_b"}),
    "BatchMatMulV2": Raw("matmul", ("a", "b"), {"adj_x": "transpose_a", "adj_y": "transpose_b"}),
    "DepthToSpace": Raw("depth_to_space", ("input",), {"block_size": "block_size", "data_format": "data_format"}),
    "SpaceToDepth": Raw("space_to_depth", ("input",), {"block_size": "block_size", "data_format": "data_format"}),
    "ExtractImagePatches": Raw(
        "image.extract_patches",
        ("images",),
        {"ksizes": "sizes", "strides": "strides", "rates": "rates", "padding": "padding"},
    ),
    "TopK": Raw("top_k", ("input",), {"k": "k", "sorted": "sorted"}),
    "TopKV2": Raw("top_k", ("input", "k"), {"sorted": "sorted"}),
    "StridedSlice": Raw("getitem", ("tensor", "begin", "end", "strides")),
}  # fmt: skip
# Attributes that say how, not what, is computed; those of StridedSlice are read apart.
IGNORED = {
    "T", "TI", "TL", "Tdim", "Tidx", "Tlen", "Tperm", "Tindices", "Tparams", "Taxis", "Tmultiples", "Tpaddings",
    "Tshape", "Tshift", "Index", "SrcT", "Truncate", "N", "num", "_cloned", "_class", "_output_shapes", "index_type",
    "output_type", "out_type", "grad_a", "grad_b", "grad_x", "grad_y", "num_split", "incompatible_shape_error",
    "_user_specified_name", "Tsplits", "Tk",
}  # fmt: skip
MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
DTYPES = {"DT_FLOAT": "float32", "DT_HALF": "float16", "DT_DOUBLE": "float64", "DT_BOOL": "bool"} | {
    f"DT_{sign}INT{bits}": f"{sign.lower()}int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)
}


def as_function(layer: Layer) -> Layer:
    """Give the layer of a raw operation as one of a function; what has none goes by its name in package ``tf``."""
    node = layer.config.get("node_def")
    try:
        node = parse_config(node, layer.name) if isinstance(node, str) else node
    except KerasInteropError:  # a NodeDef in TensorFlow's own bytes
        node = None
    operation = str(node.get("op")) if isinstance(node, dict) else "TensorFlowOpLayer"
    raw = OPERATIONS.get(operation)
    if raw is None or not isinstance(node, dict) or not layer.calls:
        return dataclasses.replace(layer, class_name=operation, package="tf", config={})
    constants = {int(place): _constant(value) for place, value in (layer.config.get("constants") or {}).items()}
    attributes = {name: _attribute(value) for name, value in (node.get("attr") or {}).items()}
    calls = tuple(_call(call, raw, constants, attributes) for call in layer.calls)
    config = {"name": layer.config.get("name"), "function": raw.function}
    return dataclasses.replace(layer, class_name="TFOpLambda", config=config, calls=calls)


def _constant(value: Json) -> Json:
    """Give a constant as ``.h5`` files have it: numbers in lists; ``.keras`` files and live models have arrays."""
    value = constant_of(value)
    return value.tolist() if isinstance(value, np.ndarray) else value


def _attribute(value: Mapping[str, Json]) -> Json:
    """Give an attribute as protobuf writes it in JSON: integers as text, text in base64 (which stays so)."""
    ((kind, content),) = value.items()
    if kind == "i":
        return int(content)
    if kind == "list":
        return [int(item) for item in content.get("i", ())]
    return DTYPES.get(str(content), content) if kind == "type" else content


WORDS = {
    base64.b64encode(word.encode()).decode(): word for word in ("REFLECT", "SYMMETRIC", "NHWC", "NCHW", "SAME", "VALID")
}


def _call(call: Call, raw: Raw, constants: Mapping[int, Any], attributes: Mapping[str, Json]) -> Call:
    """Give the call of the function: its first argument by position, the others by keyword."""
    inputs: list[Any] = list(refs_in(call.args))
    for place, constant in sorted(constants.items()):
        inputs.insert(place, constant)
    given: dict[str, Any] = {}
    for behind, name in zip(range(len(raw.inputs))[::-1], raw.inputs, strict=True):
        if name.startswith("*"):
            given[name[1:]] = [inputs.pop(0) for _ in range(len(inputs) - behind)]
        elif inputs:
            given[name] = inputs.pop(0)
    if inputs:
        raise TypeError(f"{raw.function} with {len(inputs)} inputs too many")
    if raw.function == "getitem":
        ends = [given.pop(name) for name in ("begin", "end", "strides")]
        masks = [int(attributes.get(name) or 0) for name in MASKS]
        given["slice_spec"] = _key(*ends, *masks)
    else:
        for name, value in attributes.items():
            if name in raw.attributes:
                given[raw.attributes[name]] = WORDS.get(value, value) if isinstance(value, str) else value
            elif name not in IGNORED:
                given[name] = value  # the builder refuses what it does not know
    first = "value" if "value" in given else next(iter(given))
    return Call((given.pop(first),), given)


def _key(
    begin: Any, end: Any, strides: Any, begins: int, ends: int, ellipses: int, new_axes: int, shrinks: int
) -> list[Any]:
    """Give what stands in the brackets of ``x[...]``, as SlicingOpLambda saves it."""
    key: list[Any] = []
    for place, (start, stop, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << place
        if ellipses & bit:
            key.append({"class_name": "__ellipsis__"})
        elif new_axes & bit:
            key.append(None)
        elif shrinks & bit:
            key.append(start)
        else:
            open_start, open_stop = bool(begins & bit), bool(ends & bit)
            key.append({"start": None if open_start else start, "stop": None if open_stop else stop, "step": step})
    return key
