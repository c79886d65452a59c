"""``model_config``: from Keras' JSON to a KerasModel without weights.

Class names are data here: nothing of a configuration is imported, evaluated or used as a path.
Source: ``keras/src/models/functional.py`` and ``tf_keras/src/engine/functional.py`` (``get_config``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from keydnn.convert.read.record import Call, KerasModel, Layer, TensorRef, refs_in
from keydnn.errors import KerasFileError, KerasInteropError, Obstacle
from keydnn.strict_json import Json, clip, parse

MODEL_CLASSES = {"Sequential", "Functional", "Model"}
OWN_PACKAGES = ("keras", "tf_keras", "tensorflow.keras", "builtins", "tensorflow.python.keras")


def parse_config(raw: bytes | str, where: str) -> Json:
    """Parse one of Keras' JSON documents; KerasFileError, naming the place, for whatever is wrong with it."""

    def refuse(path: str, problem: str) -> KerasFileError:
        return KerasFileError(f"{where}{f', {clip(path, 200)}' if path else ''}: {problem}")

    return parse(raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogatepass"), refuse)


def model_from(config: Json, version: tuple[int, ...], source: str) -> KerasModel:
    """Give the model that a ``{"class_name": ..., "config": ...}`` object describes.

    Raises
    ------
    KerasInteropError
        A subclassed model, or one without an input shape.
    KerasFileError
        The configuration has not the structure that Keras writes.
    """
    try:
        return _model(config, version, source)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise KerasFileError(
            f"{source}: not a configuration that Keras writes: {type(error).__name__} {error}"
        ) from None


def _model(entry: Mapping[str, Json], version: tuple[int, ...], source: str) -> KerasModel:
    class_name, package = _class_of(entry)
    config = entry["config"]
    if package or class_name not in MODEL_CLASSES:
        name = config.get("name", class_name) if isinstance(config, dict) else class_name
        obstacle = Obstacle(
            str(name), class_name, f"Unsupported Keras model: {class_name}", "a model written as a class"
        )
        raise KerasInteropError.from_obstacles(source, [obstacle])
    if class_name == "Sequential" and not (isinstance(config, dict) and "input_layers" in config):
        return _sequential(entry, version, source)
    return _functional(config, version, source)


def _class_of(entry: Mapping[str, Json]) -> tuple[str, str]:
    """Give class name and package; the package is empty for Keras' own classes."""
    class_name = entry["class_name"]
    if not isinstance(class_name, str):
        raise TypeError(f"class_name {class_name!r}")
    package, _, short = class_name.rpartition(">")
    registered, _, _ = str(entry.get("registered_name") or "").rpartition(">")
    module = str(entry.get("module") or "keras")
    own = module.split(".")[0] in OWN_PACKAGES or module.startswith(OWN_PACKAGES)
    return short, package or registered or ("" if own else module)


def _layer(
    entry: Mapping[str, Json], calls: Sequence[Call], version: tuple[int, ...], source: str, index: int
) -> Layer:
    class_name, package = _class_of(entry)
    config = entry["config"]
    inner = None
    if class_name in MODEL_CLASSES and not package:
        inner = _model(entry, version, source)
        config = {} if isinstance(config, list) else config
    elif not package and _is_operation(entry, version):
        package = "ops"
    name = entry.get("name") or config.get("name") or (inner.name if inner else f"{class_name.lower()}_{index}")
    if not isinstance(name, str) or not isinstance(config, dict):
        raise TypeError(f"layer {index}")
    if "build_config" in entry:
        config = {**config, "build_config": entry["build_config"]}
    return Layer(name, class_name, package, config, tuple(calls), inner=inner)


def _is_operation(entry: Mapping[str, Json], version: tuple[int, ...]) -> bool:
    """Tell an operation of Keras 3 (``x + y`` is saved as ``Add``) from the layer of the same name.

    HDF5 files do not keep the module, but only layers have ``trainable``: all of them but two kinds.
    """
    if ".ops." in f"{entry.get('module')}.":
        return True
    without = entry["class_name"].startswith(("InputLayer", "SpatialDropout"))
    return version >= (3,) and not without and "trainable" not in entry["config"]


# --- Sequential -------------------------------------------------------------------------------------------------------


def _sequential(entry: Mapping[str, Json], version: tuple[int, ...], source: str) -> KerasModel:
    config = entry["config"]
    entries = config if isinstance(config, list) else config["layers"]
    name = "sequential" if isinstance(config, list) else str(config.get("name", "sequential"))
    layers: list[Layer] = []
    for index, item in enumerate(entries):
        calls = [Call((TensorRef(layers[-1].name),))] if layers else []
        layers.append(_layer(item, calls, version, source, index))
    if not layers:
        raise KerasInteropError(f"{source}: the model {name!r} has no layers")
    if layers[0].class_name != "InputLayer":
        shape = _sequential_input_shape(layers[0], entry)
        if shape is None:
            raise KerasInteropError(
                f"{source}: the Sequential model {name!r} was saved without an input shape; "
                "build it in Keras (model.build) and save it again"
            )
        given = f"{layers[0].name}_input"
        first = layers[0]
        first = Layer(
            first.name, first.class_name, first.package, first.config, (Call((TensorRef(given),)),), inner=first.inner
        )
        layers[:1] = [Layer(given, "InputLayer", "", {"batch_shape": shape}, ()), first]
    ends = TensorRef(layers[0].name), TensorRef(layers[-1].name)
    return KerasModel(name, source, version, tuple(layers), ends[:1], ends[1:], (layers[-1].name,))


def _sequential_input_shape(first: Layer, entry: Mapping[str, Json]) -> Json | None:
    """Find the shape that a Sequential model without InputLayer takes."""
    config = entry["config"]
    model = config if isinstance(config, dict) else {}
    inner_input = None
    if first.inner is not None:
        source = first.inner.layer(first.inner.inputs[0].layer)
        inner_input = source.config.get("batch_shape") or source.config.get("batch_input_shape")
    candidates = (
        first.config.get("batch_input_shape"),
        first.config.get("batch_shape"),
        inner_input,
        model.get("build_input_shape"),
        (entry.get("build_config") or {}).get("input_shape"),
        (first.config.get("build_config") or {}).get("input_shape"),
    )
    return next((shape for shape in candidates if shape), None)


# --- functional -------------------------------------------------------------------------------------------------------


def _functional(config: Mapping[str, Json], version: tuple[int, ...], source: str) -> KerasModel:
    layers: list[Layer] = []
    old_nodes = False
    for index, entry in enumerate(config["layers"]):
        nodes = entry.get("inbound_nodes", [])
        old_nodes |= any(not isinstance(node, dict) for node in nodes)
        layers.append(_layer(entry, [_call(node) for node in nodes], version, source, index))
    names = [layer.name for layer in layers]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise KerasFileError(f"{source}: two layers are named {twice!r}")
    # A nested model's first call is its own construction: Keras 2 counts it everywhere, Keras 3 for functional ones and
    # in output_layers only.
    late = {layer.name for layer in layers if layer.inner is not None} if old_nodes else set()
    late_outputs = late or {
        layer.name for layer in layers if layer.inner is not None and layer.class_name != "Sequential"
    }
    layers = [
        Layer(layer.name, layer.class_name, layer.package, layer.config, _counted(layer.calls, late), inner=layer.inner)
        for layer in layers
    ]
    inputs = tuple(refs_in(_structure(config["input_layers"])))
    structure = _structure(config["output_layers"])
    outputs = tuple(refs_in(_counted_value(structure, late_outputs)))
    _check_refs(layers, (*inputs, *outputs), source)
    output_names = tuple(structure) if isinstance(structure, dict) else _names_of(outputs)
    if len(output_names) != len(outputs):
        raise KerasFileError(f"{source}: outputs nested in a dictionary are not supported")
    return KerasModel(str(config.get("name", "model")), source, version, tuple(layers), inputs, outputs, output_names)


def _names_of(outputs: Sequence[TensorRef]) -> tuple[str, ...]:
    """Name outputs after their layers, each name once."""
    names: list[str] = []
    for ref in outputs:
        name, count = ref.layer, 1
        while name in names:
            count += 1
            name = f"{ref.layer}_{count}"
        names.append(name)
    return tuple(names)


def _counted(calls: tuple[Call, ...], late: set[str]) -> tuple[Call, ...]:
    return tuple(Call(_counted_value(call.args, late), _counted_value(call.kwargs, late)) for call in calls)


def _counted_value(value: Any, late: set[str]) -> Any:
    """Make the call numbers of nested models count from 0."""
    if isinstance(value, TensorRef) and value.layer in late:
        return TensorRef(value.layer, value.call - 1, value.tensor)
    if isinstance(value, Mapping):
        return {key: _counted_value(item, late) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_counted_value(item, late) for item in value)
    return value


def _structure(value: Json) -> Any:
    """Give ``input_layers`` or ``output_layers`` (a triple, a list, a dict, or nested) with TensorRefs for triples."""
    if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int):
        return _ref(value)
    if isinstance(value, dict):
        return {key: _structure(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_structure(item) for item in value]
    raise TypeError(f"tensor {value!r}")


def _ref(triple: Sequence[Json]) -> TensorRef:
    layer, call, tensor = triple[:3]
    if not isinstance(layer, str) or type(call) is not int or type(tensor) is not int or call < 0 or tensor < 0:
        raise TypeError(f"tensor {triple!r}")
    return TensorRef(layer, call, tensor)


def _call(node: Json) -> Call:
    """Give one inbound node, of Keras 2 (lists) or Keras 3 (args and kwargs)."""
    if isinstance(node, dict) and "args" in node:
        return Call(tuple(_argument(item) for item in node["args"]), _argument(node.get("kwargs") or {}))
    if isinstance(node, dict):  # tf-keras: several named inputs
        return Call(({key: _old_tensor(item) for key, item in node.items()},))
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


def _check_refs(layers: Sequence[Layer], ends: Sequence[TensorRef], source: str) -> None:
    """Raise KerasFileError for a reference to a layer or call that does not exist."""
    calls = {layer.name: max(len(layer.calls), 1) for layer in layers}
    for ref in (*ends, *(ref for layer in layers for call in layer.calls for ref in refs_in((call.args, call.kwargs)))):
        if not 0 <= ref.call < calls.get(ref.layer, 0):
            raise KerasFileError(f"{source}: call {ref.call} of layer {ref.layer!r} is read, but there is none")
