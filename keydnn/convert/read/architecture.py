"""``model_config``: from Keras' JSON to a KerasModel without weights.

Class names are data here: nothing of a configuration is imported, evaluated or used as a path.
Source: ``keras/src/models/functional.py`` and ``tf_keras/src/engine/functional.py`` (``get_config``).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from keydnn.convert.read.merged import side_by_side
from keydnn.convert.read.nodes import call_of, counted_from_0, is_keras3, structure_of
from keydnn.convert.read.record import Call, KerasModel, Layer, TensorRef, has_keys, keyed_refs, refs_in
from keydnn.errors import KerasFileError, KerasInteropError, Obstacle
from keydnn.strict_json import Json, clip

MODEL_CLASSES = {"Sequential", "Functional", "Model"}
PARTS = ("layer", "forward_layer", "backward_layer", "cell")  # keys of configurations under which wrappers hold a layer
OWN_PACKAGES = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras", "builtins")


def model_from(config: Json, version: tuple[int, ...], source: str, backend: str = "") -> KerasModel:
    """Give the model that a ``{"class_name": ..., "config": ...}`` object describes.

    Raises
    ------
    KerasInteropError
        A subclassed model, or one without an input shape.
    KerasFileError
        The configuration has not the structure that Keras writes.
    """
    try:
        return dataclasses.replace(_model(config, version, source), backend=backend)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise KerasFileError(
            f"{source}: not a configuration that Keras writes: {type(error).__name__} {error}"
        ) from None


def _model(entry: Mapping[str, Json], version: tuple[int, ...], source: str, *, nested: bool = False) -> KerasModel:
    class_name, package = class_of(entry)
    config = entry["config"]
    if package or class_name not in MODEL_CLASSES:
        name = config.get("name", class_name) if isinstance(config, dict) else class_name
        obstacle = Obstacle(
            str(name), class_name, f"Unsupported Keras model: {class_name}", "a model written as a class"
        )
        raise KerasInteropError.from_obstacles(source, [obstacle])
    if class_name == "Sequential" and not (isinstance(config, dict) and "input_layers" in config):
        return _sequential(entry, version, source, nested=nested)
    return _functional(config, version, source)


def class_of(entry: Mapping[str, Json]) -> tuple[str, str]:
    """Give class name and package of an object's configuration; the package is empty for what is Keras' own.

    tf-keras writes ``"module": null`` for a class that nobody registered.
    """
    class_name = entry["class_name"]
    if not isinstance(class_name, str):
        raise TypeError(f"class_name {class_name!r}")
    package, _, short = class_name.rpartition(">")
    registered = entry.get("registered_name")
    registered_package, _, _ = str(registered or "").rpartition(">")
    module = entry.get("module", "keras")
    if module is None:
        module = "an unregistered class" if registered else "keras"
    own = any(module == package or str(module).startswith(f"{package}.") for package in OWN_PACKAGES)
    return short, package or registered_package or ("" if own else str(module))


def _layer(
    entry: Mapping[str, Json], calls: Sequence[Call], version: tuple[int, ...], source: str, index: int
) -> Layer:
    class_name, package = class_of(entry)
    config = entry["config"]
    inner = None
    if class_name in MODEL_CLASSES and not package:
        inner = _model(entry, version, source, nested=True)
        config = {} if isinstance(config, list) else config
    elif not package and _is_operation(entry, version):
        package = "ops"
    name = entry.get("name") or config.get("name") or f"{class_name.lower()}_{index}"
    if not isinstance(name, str) or not isinstance(config, dict):
        raise TypeError(f"layer {index}")
    if "build_config" in entry:
        config = {**config, "build_config": entry["build_config"]}
    parts = {} if inner else _parts(class_name, config, version, source)
    return Layer(name, class_name, package, config, tuple(calls), inner=inner, parts=parts)


def _parts(class_name: str, config: Mapping[str, Json], version: tuple[int, ...], source: str) -> dict[str, Layer]:
    """Give the layers that a wrapper's configuration holds; the second direction where Keras makes it of the first."""
    entries = {key: config[key] for key in PARTS if _is_layer(config.get(key))}
    cells = config.get("cells")
    if isinstance(cells, list) and all(map(_is_layer, cells)):
        entries |= {f"cells/{place}": cell for place, cell in enumerate(cells)}
    parts = {key: _layer(entry, (), version, source, place) for place, (key, entry) in enumerate(entries.items())}
    if class_name == "Bidirectional" and "layer" in parts and "backward_layer" not in parts:
        forward = parts["layer"]
        if forward.inner is not None or "layer" in forward.parts:
            raise KerasFileError(f"{source}: a Bidirectional of {forward.class_name}, which is no recurrent layer")
        turned = {**forward.config, "go_backwards": not forward.config.get("go_backwards", False)}
        parts["backward_layer"] = dataclasses.replace(forward, name=f"backward_{forward.name}", config=turned)
    return parts


def _is_layer(entry: Json) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("class_name"), str) and "config" in entry


def _is_operation(entry: Mapping[str, Json], version: tuple[int, ...]) -> bool:
    """Tell an operation of Keras 3 (``x + y`` is saved as ``Add``) from the layer of the same name.

    HDF5 files do not keep the module; there, only layers have ``trainable`` (but inputs, which have a shape, spatial
    dropout, which has a rate, and two preprocessing layers, which have an output mode).
    """
    if version < (3,):
        return False
    if "module" in entry:
        return bool({"ops", "activations"} & set(str(entry["module"]).split(".")))
    of_layers = {"trainable", "batch_shape", "batch_input_shape", "output_mode", "rate"}
    return not of_layers & set(entry["config"])


# --- Sequential -------------------------------------------------------------------------------------------------------


def _sequential(entry: Mapping[str, Json], version: tuple[int, ...], source: str, *, nested: bool) -> KerasModel:
    config = entry["config"]
    entries = config if isinstance(config, list) else config["layers"]
    name = "sequential" if isinstance(config, list) else str(config.get("name", "sequential"))
    if not entries:
        raise KerasInteropError(f"{source}: the model {name!r} has no layers")
    inputs, layers = _beginning(entries[0], entry, version, source, name, nested)
    by_name = {layer.name: layer for layer in layers}
    last = TensorRef(layers[-1].name)
    for index, item in enumerate(entries[1:], 1):
        layer = _layer(item, [Call((last,))], version, source, index)
        before = by_name[layer.name].calls if layer.name in by_name else ()
        if before and version >= (2,):
            raise KerasFileError(f"{source}: two layers are named {layer.name!r}")
        by_name[layer.name] = dataclasses.replace(layer, calls=(*before, *layer.calls))  # one layer, in Keras 1
        last = TensorRef(layer.name, len(before))
    return KerasModel(name, source, version, tuple(by_name.values()), tuple(inputs), (last,), (last.layer,))


def _beginning(
    start: Mapping[str, Json],
    entry: Mapping[str, Json],
    version: tuple[int, ...],
    source: str,
    name: str,
    nested: bool,
) -> tuple[list[TensorRef], list[Layer]]:
    """Give the inputs and first layers of a Sequential model, of which one is an InputLayer."""
    if class_of(start)[0] == "Merge" and isinstance(start["config"].get("layers"), list):
        branches = [_branch(item, version, source) for item in start["config"]["layers"]]
        layers, inputs, ends = side_by_side(branches)
        config = {key: value for key, value in start["config"].items() if key != "layers"}
        return inputs, [*layers, _layer({**start, "config": config}, [Call((ends,))], version, source, 0)]
    first = _layer(start, [], version, source, 0)
    if first.class_name == "InputLayer":
        return [TensorRef(first.name)], [_with_features(first, entry)]
    shape = _sequential_input_shape(first, entry)
    if shape is None and not nested:
        raise KerasInteropError(
            f"{source}: the Sequential model {name!r} was saved without an input shape; "
            "build it in Keras (model.build) and save it again"
        )
    given = TensorRef(f"{first.name}_input")
    layer = Layer(given.layer, "InputLayer", "", {"batch_shape": shape}, ())
    return [given], [layer, dataclasses.replace(first, calls=(Call((given,)),))]


def _with_features(first: Layer, entry: Mapping[str, Json]) -> Layer:
    """Give an InputLayer whose features are free the size that the model was built with: no layer can do without."""
    shape = first.config.get("batch_shape") or first.config.get("batch_input_shape")
    built = (entry.get("build_config") or {}).get("input_shape")
    if not (isinstance(shape, list) and isinstance(built, list) and len(shape) == len(built) > 1 and shape[-1] is None):
        return first
    return dataclasses.replace(first, config={**first.config, "batch_shape": [*shape[:-1], built[-1]]})


def _branch(entry: Mapping[str, Json], version: tuple[int, ...], source: str) -> KerasModel:
    """Give what stands in Keras 1's ``Merge([left, right])``: a model, or one layer."""
    is_model = class_of(entry)[0] in MODEL_CLASSES
    return _model(entry if is_model else {"class_name": "Sequential", "config": [entry]}, version, source)


def _sequential_input_shape(first: Layer, entry: Mapping[str, Json]) -> Json | None:
    """Find the shape that a Sequential model without InputLayer takes."""
    config = entry["config"]
    model = config if isinstance(config, dict) else {}
    inner_input = None
    if first.inner is not None:
        configs = {layer.name: layer.config for layer in first.inner.layers}
        given = configs[first.inner.inputs[0].layer]
        inner_input = given.get("batch_shape") or given.get("batch_input_shape")
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
    keras3 = True
    for index, entry in enumerate(config["layers"]):
        nodes = entry.get("inbound_nodes", [])
        keras3 &= all(is_keras3(node) for node in nodes)
        layers.append(_layer(entry, [call_of(node) for node in nodes], version, source, index))
    twice = [name for name, count in Counter(layer.name for layer in layers).items() if count > 1]
    if twice:
        raise KerasFileError(f"{source}: two layers are named {twice[0]!r}")
    # A nested model's first call is its own construction: Keras 2 counts it everywhere, Keras 3 for functional ones in
    # output_layers only.
    nested = {layer.name for layer in layers if layer.inner is not None}
    functional = {layer.name for layer in layers if layer.inner is not None and layer.class_name != "Sequential"}
    in_calls, in_outputs = (set(), functional) if keras3 else (nested, nested)
    layers = [dataclasses.replace(layer, calls=counted_from_0(layer.calls, in_calls)) for layer in layers]
    inputs, input_keys = _flat(structure_of(config["input_layers"]), source)
    outputs, output_keys = _flat(counted_from_0(structure_of(config["output_layers"]), in_outputs), source)
    _check_refs(layers, (*inputs, *outputs), source)
    if len(set(inputs)) != len(inputs):
        raise KerasFileError(f"{source}: the same input is listed twice")
    name = str(config.get("name", "model"))
    return KerasModel(
        name, source, version, tuple(layers), inputs, outputs, output_keys or _names_of(outputs), input_keys=input_keys
    )


def _flat(structure: Any, source: str) -> tuple[tuple[TensorRef, ...], tuple[str, ...]]:
    """Give the tensors of a structure in Keras' order, and their keys if it names them."""
    keyed = tuple(keyed_refs(structure))
    keys = tuple(key for key, _ in keyed) if has_keys(structure) else ()
    if len(set(keys)) != len(keys):
        raise KerasFileError(f"{source}: two inputs or outputs have one path of keys: {clip(', '.join(keys), 200)}")
    return tuple(ref for _, ref in keyed), keys


def _names_of(outputs: Sequence[TensorRef]) -> tuple[str, ...]:
    """Name outputs after their layers, each name once."""
    names: dict[str, None] = {}
    counts: Counter[str] = Counter()
    for ref in outputs:
        name = ref.layer
        while name in names:
            counts[ref.layer] += 1
            name = f"{ref.layer}_{counts[ref.layer] + 1}"
        names[name] = None
    return tuple(names)


def _check_refs(layers: Sequence[Layer], ends: Sequence[TensorRef], source: str) -> None:
    """Raise KerasFileError for a reference to a layer or call that does not exist."""
    calls = {layer.name: len(layer.calls) or int(layer.inner is None) for layer in layers}  # inputs are not called
    for ref in (*ends, *(ref for layer in layers for call in layer.calls for ref in refs_in((call.args, call.kwargs)))):
        if not 0 <= ref.call < calls.get(ref.layer, 0):
            raise KerasFileError(f"{source}: call {ref.call} of layer {ref.layer!r} is read, but there is none")
