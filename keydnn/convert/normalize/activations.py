"""Pass: an activation fused into a layer becomes an Activation layer behind it."""

from __future__ import annotations

import dataclasses

from keydnn.convert.normalize.notes import Notes
from keydnn.convert.normalize.spelling import renamed
from keydnn.convert.read.architecture import class_of
from keydnn.convert.read.record import Call, KerasModel, Layer, TensorRef, replace_refs
from keydnn.names import Names
from keydnn.strict_json import Json


def unfuse(model: KerasModel, notes: Notes) -> KerasModel:
    """Move every non-linear ``activation`` of Dense, Conv2D, ... into a layer ``<name>.activation`` of its own."""
    layers: list[Layer] = []
    moved: dict[str, str] = {}
    names = Names(layer.name for layer in model.layers)
    for layer in model.layers:
        activation = layer.config.get("activation")
        name = activation_name(activation)
        if layer.class_name == "Activation" and not layer.package and _is_layer(activation):
            layers.append(_activation_layer(layer.name, activation, layer.calls))
            continue
        if layer.class_name not in notes.fused or layer.package or name == "linear":
            layers.append(layer)
            continue
        switch = "allow_non_linear_activation=True"
        if not notes.options.allow_non_linear_activation:
            message = f"Non-linear activation fused into {layer.class_name} is not allowed"
            notes.obstacle(layer.name, layer.class_name, message, f"activation={name!r}", switch)
        moved[layer.name] = names.new(f"{layer.name}.activation")
        notes.rewrite(layer.name, layer.class_name, f"activation {name!r} unfused into {moved[layer.name]}")
        layers.append(dataclasses.replace(layer, config={**layer.config, "activation": "linear"}))
        calls = tuple(Call((TensorRef(layer.name, number),)) for number in range(len(layer.calls)))
        split = _activation_layer(moved[layer.name], activation, calls)
        layers.append(dataclasses.replace(split, part_of=(layer.name, layer.class_name)))

    def resolve(ref: TensorRef) -> TensorRef:
        return dataclasses.replace(ref, layer=moved.get(ref.layer, ref.layer))

    resolved = []
    for layer in layers:
        if layer.name in moved.values():
            resolved.append(layer)
            continue
        calls = tuple(
            Call(replace_refs(call.args, resolve), replace_refs(call.kwargs, resolve)) for call in layer.calls
        )
        resolved.append(dataclasses.replace(layer, calls=calls))
    return dataclasses.replace(model, layers=tuple(resolved), outputs=tuple(map(resolve, model.outputs)))


def _activation_layer(name: str, activation: Json, calls: tuple[Call, ...]) -> Layer:
    """Give the layer of an activation: its own, if the activation is a layer (``activation=LeakyReLU(0.1)``)."""
    if isinstance(activation, dict) and _is_layer(activation):
        class_name, package = class_of(activation)
        return renamed(Layer(name, class_name, package, activation["config"], calls))
    return Layer(name, "Activation", "", {"activation": activation}, calls)


def _is_layer(activation: Json) -> bool:
    is_object = isinstance(activation, dict) and isinstance(activation.get("config"), dict)
    return is_object and activation_name(activation) != "lambda"


def activation_name(activation: Json) -> str:
    """Give the name of an activation as configurations hold it: None, text, a function's or a layer's object.

    ``"linear"`` where there is none; ``"package>name"`` for what is not Keras' own; ``"lambda"`` for Python code.
    """
    if activation is None:
        return "linear"
    if isinstance(activation, dict):
        if "value" in activation or activation.get("class_name") == "__lambda__":
            return "lambda"
        inner = activation.get("config")
        if activation.get("class_name") == "function" and isinstance(inner, str):
            return inner
        if isinstance(inner, dict) and activation.get("class_name") == "Activation":
            return activation_name(inner.get("activation"))
        return str(activation.get("class_name"))
    return str(activation)
