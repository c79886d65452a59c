"""The functions with which a user states what a Lambda stands for, and which operations of ``keras.ops`` they are."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

NEEDED: Any = object()  # in place of a default


@dataclass(frozen=True)
class Option:
    """A parameter of a function that is no tensor.

    Attributes
    ----------
    key
        Keras' name of it.
    wanted, check
        What it must be: in words, and as a test.
    default
        Its value where it is not given; NEEDED if it must be.
    words
        The words that it may be; none where it is no word.
    """

    key: str
    wanted: str
    check: Callable[[Any], bool]
    default: Any = NEEDED
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Function:
    """A function of the language.

    Attributes
    ----------
    class_name
        The operation that it is.
    operands
        Its first parameters: tensors, numbers or lists of numbers.
    options
        Its other parameters, in order.
    listed
        Whether its only operand is a list of tensors.
    """

    class_name: str
    operands: tuple[str, ...] = ("x",)
    options: Mapping[str, Option] = field(default_factory=dict)
    listed: bool = False


def is_integer(value: Any) -> bool:
    """Tell an integer from anything else, also from True."""
    return type(value) is int


def is_number(value: Any) -> bool:
    """Tell a number from anything else, also from True."""
    return type(value) in (int, float)


def _is_list_of(value: Any, check: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(map(check, value))


def _is_axes(value: Any) -> bool:
    return is_integer(value) or _is_list_of(value, is_integer)


def _is_sizes(value: Any) -> bool:
    return _is_list_of(value, lambda size: size is None or is_integer(size))


def _is_pairs(value: Any) -> bool:
    return _is_list_of(value, lambda pair: _is_list_of(pair, is_integer) and len(pair) == 2)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _integer(key: str) -> Option:
    return Option(key, "an integer", is_integer)


def _number(key: str, default: Any = NEEDED) -> Option:
    return Option(key, "a number", is_number, default)


def _axis(default: Any = NEEDED) -> Option:
    return Option("axis", "an axis, counted with the batch as 0", is_integer, default)


def _axes(key: str = "axis") -> Option:
    return Option(key, "axes, counted with the batch as 0", _is_axes)


def _integers(key: str) -> Option:
    return Option(key, "a list of integers", lambda value: _is_list_of(value, is_integer))


def _word(key: str, *words: str, default: Any = NEEDED) -> Option:
    return Option(key, f"one of {', '.join(words)}", words.__contains__, default, words)


_KEPT = Option("keepdims", "True or False", _is_flag, False)


def _plain(**names: str) -> dict[str, Function]:
    return {name: Function(class_name) for name, class_name in names.items()}


def _reductions(**names: str) -> dict[str, Function]:
    options = {"axis": _axes(), "keepdims": _KEPT}
    return {name: Function(class_name, options=options) for name, class_name in names.items()}


FUNCTIONS: Mapping[str, Function] = {
    **_plain(
        abs="Absolute", ceil="Ceil", cos="Cos", elu="Elu", erf="Erf", exp="Exp", floor="Floor", log="Log",
        log1p="Log1p", relu="Relu", relu6="Relu6", round="Round", rsqrt="Rsqrt", selu="Selu", sigmoid="Sigmoid",
        sign="Sign", silu="Silu", sin="Sin", softplus="Softplus", softsign="Softsign", sqrt="Sqrt", square="Square",
        tanh="Tanh",
    ),
    **_reductions(
        mean="Mean", sum="Sum", max="Max", min="Min", prod="Prod", std="Std", var="Var", logsumexp="Logsumexp",
    ),
    "argmax": Function("Argmax", options={"axis": _axis()}),
    "argmin": Function("Argmin", options={"axis": _axis()}),
    "cast": Function("Cast", options={"dtype": _word("dtype", "float32", "int32", "int64", "bool")}),
    "clip": Function("Clip", options={"low": _number("x_min"), "high": _number("x_max")}),
    "concatenate": Function("Concatenate", ("tensors",), {"axis": _axis()}, listed=True),
    "cumsum": Function("Cumsum", options={"axis": _axis()}),
    "depth_to_space": Function("DepthToSpace", options={"size": _integer("block_size")}),
    "expand_dims": Function("ExpandDims", options={"axis": _axes()}),
    "flip": Function("Flip", options={"axis": _axes()}),
    "l2_normalize": Function("L2Normalize", options={"axis": _axes(), "epsilon": _number("epsilon", 1e-12)}),
    "leaky_relu": Function("LeakyRelu", options={"slope": _number("negative_slope")}),
    "log_softmax": Function("LogSoftmax", options={"axis": _axis(-1)}),
    "maximum": Function("Maximum", ("x1", "x2")),
    "minimum": Function("Minimum", ("x1", "x2")),
    "one_hot": Function("OneHot", options={"classes": _integer("num_classes")}),
    "pad": Function(
        "Pad",
        options={
            "widths": Option("pad_width", "a pair of integers for each axis, (0, 0) for the batch", _is_pairs),
            "mode": _word("mode", "constant", "reflect", "symmetric", default="constant"),
            "value": _number("constant_values", 0),
        },
    ),
    "repeat": Function("Repeat", options={"repeats": _integer("repeats"), "axis": _axis()}),
    "reshape": Function(
        "Reshape",
        options={"shape": Option("target_shape", "a list of integers and None, the batch first", _is_sizes)},
    ),
    "resize": Function(
        "Resize",
        options={
            "size": _integers("size"),
            "interpolation": _word("interpolation", "bilinear", "nearest", "bicubic", default="bilinear"),
        },
    ),
    "softmax": Function("Softmax", options={"axis": _axis(-1)}),
    "space_to_depth": Function("SpaceToDepth", options={"size": _integer("block_size")}),
    "squeeze": Function("Squeeze", options={"axis": _axes()}),
    "stack": Function("Stack", ("tensors",), {"axis": _axis()}, listed=True),
    "take": Function("Take", ("x", "places"), {"axis": _axis()}),
    "tile": Function("Tile", options={"repeats": _integers("repeats")}),
    "transpose": Function("Transpose", options={"axes": _integers("axes")}),
    "where": Function("Where", ("condition", "x1", "x2")),
}  # fmt: skip
GET_ITEM, NEGATIVE, SAME = "GetItem", "Negative", "ConvertToTensor"
BINARY: Mapping[type[ast.operator], str] = {
    ast.Add: "Add",
    ast.Sub: "Subtract",
    ast.Mult: "Multiply",
    ast.Div: "Divide",
    ast.FloorDiv: "FloorDivide",
    ast.Mod: "Mod",
    ast.Pow: "Power",
    ast.MatMult: "Matmul",
}
COMPARISONS: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "Equal",
    ast.NotEq: "NotEqual",
    ast.Lt: "Less",
    ast.LtE: "LessEqual",
    ast.Gt: "Greater",
    ast.GtE: "GreaterEqual",
}
