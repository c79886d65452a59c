"""Tensors and calls as configurations hold them: ``inbound_nodes``, ``input_layers``, ``output_layers``.

Source: ``keras/src/models/functional.py`` and ``tf_keras/src/engine/node.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.convert.read.record import Call, TensorRef
from keydnn.strict_json import Json, clip

NUMBERS = {
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bfloat16", "float16", "float32",
    "float64",
}  # fmt: skip


def structure_of(value: Json) -> Any:
    """Give ``input_layers`` or ``output_layers`` (a triple, a list, a dict, or nested) with TensorRefs for triples."""
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int):
        return _ref(value)
    if isinstance(value, dict):
        return {key: structure_of(item) for key, item in value.items()}
    if isinstance(value, list):
        return [structure_of(item) for item in value]
    raise TypeError(f"tensor {value!r}")


def _ref(triple: Sequence[Json]) -> TensorRef:
    layer, call, tensor = triple[:3] if len(triple) > 2 else (None, None, None)
    if not isinstance(layer, str) or type(call) is not int or type(tensor) is not int or call < 0 or tensor < 0:
        raise TypeError(f"tensor {triple!r}")
    return TensorRef(layer, call, tensor)


def is_keras3(node: Json) -> bool:
    """Tell a node of Keras 3 (args and kwargs) from one of Keras 2 (lists, or a dict of named inputs)."""
    return isinstance(node, dict) and isinstance(node.get("args"), list) and isinstance(node.get("kwargs", {}), dict)


def call_of(node: Json) -> Call:
    """Give one inbound node."""
    if is_keras3(node):
        args, kwargs = tuple(_argument(item) for item in node["args"]), _argument(node.get("kwargs") or {})
        return Call(args, kwargs) if args or "inputs" not in kwargs else Call((kwargs.pop("inputs"),), kwargs)
    if isinstance(node, dict) or (node and isinstance(node[0], str)):  # named tensors; one tensor, not in a list
        return Call((_old_structure(node),), _old_kwargs(node))
    tensors = [_old_structure(item) for item in node]
    return Call((tensors[0] if len(tensors) == 1 else tensors,), _old_kwargs(node))


def _old_structure(item: Json) -> Any:
    """Give the tensors of a Keras 2 call: one, with its keyword arguments behind it, or lists and objects of them."""
    if isinstance(item, dict):
        return {key: _old_structure(value) for key, value in item.items()}
    if item and isinstance(item[0], str):
        return item[2] if item[0] == "_CONSTANT_VALUE" else _ref(item)
    return [_old_structure(value) for value in item]


def _old_kwargs(item: Json) -> dict[str, Any]:
    """Give the keyword arguments of a Keras 2 call, which stand behind every one of its tensors."""
    if isinstance(item, dict):
        said: dict[str, Any] = {}
        for value in item.values():
            said |= _old_kwargs(value)
        return said
    if item and not isinstance(item[0], str):
        return _old_kwargs(item[0])
    kwargs = item[3] if len(item) > 3 else {}
    if not isinstance(kwargs, dict):
        raise TypeError(f"keyword arguments {kwargs!r}")
    return {key: _old_argument(value) for key, value in kwargs.items()}


def _old_argument(value: Json) -> Any:
    """Give a keyword argument of a Keras 2 call, where tensors may stand in lists (``shape=[tf.shape(x)[0], -1]``)."""
    if _is_ref(value):
        return _ref(value)
    if isinstance(value, list):
        return [_old_argument(item) for item in value]
    return value


def _is_ref(value: Json) -> bool:
    return isinstance(value, list) and 3 <= len(value) <= 4 and isinstance(value[0], str) and type(value[1]) is int


def _argument(value: Json) -> Any:
    """Give an argument of a Keras 3 call."""
    if isinstance(value, dict):
        kind = value.get("class_name")
        if kind == "__keras_tensor__":
            return _ref(value["config"]["keras_history"])
        if isinstance(kind, str) and kind.startswith("__"):
            return constant_of(value)
        return {key: _argument(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_argument(item) for item in value]
    return value


def constant_of(value: Json) -> Any:
    """Give what an object of Keras 3 stands for that is no tensor of the graph; anything else stays as it is.

    Arrays become NumPy's, of their own type; slices and ``...`` become Python's.

    Raises
    ------
    TypeError
        An object that holds something else than numbers (code, bytes, types).
    """
    if not isinstance(value, dict) or not isinstance(value.get("class_name"), str):
        return value
    kind, config = value["class_name"], value.get("config")
    if kind == "__ellipsis__":
        return Ellipsis
    if kind == "__slice__" and isinstance(config, dict):
        return slice_of(config)
    if kind in ("__numpy__", "__tensor__") and isinstance(config, dict):
        return _array(config["value"], config["dtype"])
    raise TypeError(f"an argument {kind}")


def slice_of(config: Mapping[str, Json]) -> slice:
    """Give a slice; TypeError unless its ends are integers or None."""
    ends = [config.get(key) for key in ("start", "stop", "step")]
    if not all(end is None or type(end) is int for end in ends):
        raise TypeError(f"a slice {clip(repr(ends), 80)}")
    return slice(*ends)


def _array(value: Json, dtype: Json) -> npt.NDArray[np.generic]:
    if not isinstance(dtype, str) or dtype not in NUMBERS:
        raise TypeError(f"an array of {clip(repr(dtype), 40)}")
    try:
        array = np.asarray(value)
    except ValueError:
        raise TypeError("an array whose rows have not the same length") from None
    kinds = "bif" if "float" in dtype else "bi"
    if array.size and array.dtype.kind not in kinds:
        raise TypeError(f"an array of {dtype} that holds something else")
    return array.astype("float32" if dtype == "bfloat16" else dtype)


def counted_from_0(value: Any, nested: set[str]) -> Any:
    """Make the calls of some nested models, counted from 1 in the file, count from 0."""
    if isinstance(value, TensorRef) and value.layer in nested:
        return TensorRef(value.layer, value.call - 1, value.tensor)
    if isinstance(value, Call):
        return Call(counted_from_0(value.args, nested), counted_from_0(value.kwargs, nested))
    if isinstance(value, Mapping):
        return {key: counted_from_0(item, nested) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(counted_from_0(item, nested) for item in value)
    return value
