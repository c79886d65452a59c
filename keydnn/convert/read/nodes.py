"""Tensors and calls as configurations hold them: ``inbound_nodes``, ``input_layers``, ``output_layers``.

Source: ``keras/src/models/functional.py`` and ``tf_keras/src/engine/node.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keydnn.convert.read.record import Call, TensorRef
from keydnn.strict_json import Json


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
    layer, call, tensor = triple[:3]
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
    if isinstance(node, dict):
        said: dict[str, Any] = {}
        for item in node.values():
            said |= _old_kwargs(item)
        return Call(({key: _old_tensor(item) for key, item in node.items()},), said)
    if node and isinstance(node[0], str):  # a single tensor, not in a list
        return Call((_old_tensor(node),), _old_kwargs(node))
    tensors = [_old_tensor(item) for item in node]
    return Call((tensors[0] if len(tensors) == 1 else tensors,), _old_kwargs(node[0]) if node else {})


def _old_tensor(item: Sequence[Json]) -> Any:
    return item[2] if item[0] == "_CONSTANT_VALUE" else _ref(item)


def _old_kwargs(item: Sequence[Json]) -> dict[str, Any]:
    kwargs = item[3] if len(item) > 3 else {}
    if not isinstance(kwargs, dict):
        raise TypeError(f"keyword arguments {kwargs!r}")
    return {key: _ref(value) if _is_ref(value) else value for key, value in kwargs.items()}


def _is_ref(value: Json) -> bool:
    return isinstance(value, list) and 3 <= len(value) <= 4 and isinstance(value[0], str) and type(value[1]) is int


def _argument(value: Json) -> Any:
    """Give an argument of a Keras 3 call."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return _ref(value["config"]["keras_history"])
        return {key: _argument(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_argument(item) for item in value]
    return value


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
