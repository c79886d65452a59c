"""Models as calls of layers, which both generations of Keras name differently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Dict, List, Tuple

MODELS = ("Functional", "Sequential", "Model")
# By the id of a layer: it, its name, and the places of its calls among all its calls, in the order in which they run.
Children = Dict[int, Tuple[Any, str, List[int]]]


def is_model(layer: Any) -> bool:
    """Tell a model from a layer."""
    return any(base.__name__ in MODELS for base in type(layer).__mro__) and hasattr(layer, "layers")


def nodes_of(model: Any) -> list[Any]:
    """Give the calls inside of a model in the order in which they run; none if it is no graph."""
    graph = getattr(model, "_functional", None) or model
    by_depth = getattr(graph, "_nodes_by_depth", None) or {}
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]


def operation_of(node: Any) -> Any:
    """Give the layer or operation that is called."""
    return getattr(node, "operation", None) or node.layer


def read_by(node: Any) -> list[str]:
    """Name the tensors that a call reads."""
    given = getattr(node, "input_tensors", None)
    flat = getattr(node, "flat_input_ids", None)
    return [str(id(tensor)) for tensor in given] if flat is None and given is not None else list(map(str, flat or ()))


def given_by(node: Any) -> list[str]:
    """Name the tensors that a call gives."""
    flat = getattr(node, "flat_output_ids", None)
    return [str(id(tensor)) for tensor in node.outputs] if flat is None else list(map(str, flat))


def children_of(layer: Any) -> Children:
    """Give the layers inside of one that have outputs of their own, and which calls of theirs run when."""
    if hasattr(layer, "forward_layer") and hasattr(layer, "backward_layer"):
        return _ways_of(layer)
    if not is_model(layer):
        return {}
    nodes = nodes_of(layer)
    if not nodes:
        return {id(part): (part, part.name, [0]) for part in layer.layers}
    own = {id(node) for node in nodes}
    found: Children = {}
    for node in nodes:
        operation = operation_of(node)
        inbound = getattr(operation, "_inbound_nodes", None) or [node]
        places = [id(one) for one in inbound if id(one) in own]
        found.setdefault(id(operation), (operation, operation.name, []))[2].append(places.index(id(node)))
    return found


def _ways_of(layer: Any) -> Children:
    """Give both directions of a Bidirectional, named as in files: Keras 2 renames them when it runs."""
    config = layer.get_config()
    forward = str(config["layer"]["config"]["name"])
    second = config.get("backward_layer")
    backward = str(second["config"]["name"]) if second else f"backward_{forward}"
    both = (layer.forward_layer, forward), (layer.backward_layer, backward)
    return {id(part): (part, name, [0]) for part, name in both}


def layers_in(layer: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Give every layer with weights by its path, those inside of wrappers too."""
    inside = [(part, name) for part, name, _ in children_of(layer).values()]
    if not inside:
        cells = getattr(getattr(layer, "cell", None), "cells", None) or ()
        inside = [(part, part.name) for part in ([layer.layer] if hasattr(layer, "layer") else cells)]
    for part, name in inside:
        name = f"{path}/{name}" if path else name
        if getattr(part, "weights", None):
            yield name, part
            yield from layers_in(part, name)


def pack(structure: Any, flat: Iterator[Any]) -> Any:
    """Give values in the structure that a model takes."""
    if isinstance(structure, dict):
        return {key: pack(structure[key], flat) for key in sorted(structure)}
    if isinstance(structure, (list, tuple)):
        return [pack(item, flat) for item in structure]
    return next(flat)


def flatten(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """Give the tensors of a structure, each with its path of keys and places."""
    if not isinstance(value, (dict, list, tuple)):
        return [(path, value)]
    items: Any = [(key, value[key]) for key in sorted(value)] if isinstance(value, dict) else enumerate(value)
    return [found for key, item in items for found in flatten(item, f"{path}/{key}" if path else str(key))]


def has_keys(value: Any) -> bool:
    """Tell whether a structure names some of its tensors."""
    return isinstance(value, dict) or (isinstance(value, (list, tuple)) and any(map(has_keys, value)))


def names_of(structure: Any, tensors: Any) -> list[str]:
    """Name a model's inputs or outputs: by their keys, or after their layers, each name once."""
    if has_keys(structure):
        return [name for name, _ in flatten(structure)]
    names: list[str] = []
    for tensor in tensors:
        history = tensor._keras_history
        base = getattr(history, "operation", None) or getattr(history, "layer", None) or history[0]
        name, count = base.name, 1
        while name in names:
            count += 1
            name = f"{base.name}_{count}"
        names.append(name)
    return names
