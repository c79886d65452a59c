"""Layers that are parts of one layer of Keras become that layer again: activations, and the halves of SeparableConv."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from keydnn.export.keras.document import Call, Layer, Ref, mapped

# Layers that take an activation.
TAKING = {
    *(f"Conv{axes}D{kind}" for axes in (1, 2, 3) for kind in ("", "Transpose")),
    *(f"{kind}Conv{axes}D" for axes in (1, 2) for kind in ("Depthwise", "Separable")),
    "Dense",
}


def fused(layers: Sequence[Layer], outputs: Sequence[Ref]) -> list[Ref]:
    """Put together what was one layer of the original model and is read nowhere else.

    Parameters
    ----------
    layers
        Each after those that it reads.  Those that become parts of others are left without calls.
    outputs
        Of the model.

    Returns
    -------
    The outputs.
    """
    readers: dict[tuple[Layer, int], list[Layer | None]] = defaultdict(list)
    for ref in outputs:
        readers[ref.layer, ref.call].append(None)
    for layer in layers:
        for call in layer.calls:
            for ref in call.reads():
                readers[ref.layer, ref.call].append(layer)
    instead: dict[tuple[Layer, int], Ref] = {}

    def current(ref: Ref) -> Ref:
        return instead.get((ref.layer, ref.call), ref)

    for layer in layers:
        behind = _only_behind(layer, readers)
        if layer.class_name in TAKING and _are_one_activation(behind):
            layer.config["activation"] = behind[0].config["activation"]
            for part in behind:
                instead |= {(part, place): ref for place, call in enumerate(part.calls) for ref in call.reads()}
                part.calls = []
        elif len(behind) == 1 and _are_separable(layer, behind[0]):
            _separate(layer, behind[0])
            behind[0].calls, layer.calls = layer.calls, []
    for layer in layers:
        layer.calls = [Call(mapped(call.args, current), mapped(call.kwargs, current)) for call in layer.calls]
    return [current(ref) for ref in outputs]


def _only_behind(layer: Layer, readers: Mapping[tuple[Layer, int], Sequence[Layer | None]]) -> list[Layer]:
    """Give the layers of its origin of which a call reads a call of this one, each alone and in order; else none."""
    found: list[Layer] = []
    for place in range(len(layer.calls)):
        (reader, *others) = readers.get((layer, place), [None])
        if reader is None or others or reader.is_operation or reader.origin is None or reader.origin != layer.origin:
            return []
        if reader not in found:
            found.append(reader)
    read = [ref for reader in found for call in reader.calls for ref in call.reads()]
    in_order = [(ref.layer, ref.call) for ref in read] == [(layer, place) for place in range(len(layer.calls))]
    return found if in_order and not layer.is_operation else []


def _are_one_activation(layers: Sequence[Layer]) -> bool:
    """Tell whether layers, one at least, are activations by the same name."""
    return {layer.class_name for layer in layers} == {"Activation"} and all(
        layer.config == layers[0].config for layer in layers
    )


def _are_separable(depthwise: Layer, pointwise: Layer) -> bool:
    """Tell whether two convolutions are a SeparableConv."""
    axes = depthwise.class_name.removeprefix("DepthwiseConv")
    config, one = pointwise.config, (1, [1] * 2)
    return (
        depthwise.class_name in ("DepthwiseConv1D", "DepthwiseConv2D")
        and pointwise.class_name == f"Conv{axes}"
        and depthwise.origin is not None
        and depthwise.origin.class_name == f"SeparableConv{axes}"
        and not depthwise.config["use_bias"]
        and "activation" not in depthwise.config
        and (config["groups"], config["padding"]) == (1, "valid")
        and all(config[key] in one for key in ("kernel_size", "strides", "dilation_rate"))
    )


def _separate(depthwise: Layer, pointwise: Layer) -> None:
    """Make the second of two convolutions the SeparableConv of both."""
    own = {"filters": pointwise.config["filters"], "use_bias": pointwise.config["use_bias"]}
    pointwise.class_name = f"SeparableConv{pointwise.class_name.removeprefix('Conv')}"
    pointwise.config = depthwise.config | own
    others = {name: array for name, array in pointwise.weights.items() if name != "kernel"}
    pointwise.weights = {**depthwise.weights, "pointwise_kernel": pointwise.weights["kernel"], **others}
