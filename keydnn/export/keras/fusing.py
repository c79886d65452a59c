"""Layers that are parts of one layer of Keras become that layer again: activations, and the halves of SeparableConv."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

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
    readers = Counter((ref.layer, ref.call) for ref in outputs)
    for layer in layers:
        readers.update((ref.layer, ref.call) for call in layer.calls for ref in call.reads())
    instead: dict[tuple[Layer, int], Ref] = {}

    def current(ref: Ref) -> Ref:
        return instead.get((ref.layer, ref.call), ref)

    for layer in layers:
        before = _alone_before(layer, readers)
        if before is None:
            continue
        if layer.class_name == "Activation" and before.class_name in TAKING and "activation" not in before.config:
            before.config["activation"] = layer.config["activation"]
            instead |= {(layer, place): ref for place, call in enumerate(layer.calls) for ref in call.reads()}
            layer.calls.clear()
        elif _are_separable(before, layer):
            _separate(before, layer)
            layer.calls, before.calls = before.calls, []
    for layer in layers:
        layer.calls = [Call(mapped(call.args, current), mapped(call.kwargs, current)) for call in layer.calls]
    return [current(ref) for ref in outputs]


def _alone_before(layer: Layer, readers: Counter[tuple[Layer, int]]) -> Layer | None:
    """Give the layer whose every call is read by one of this layer's, in order, and by nothing else, of one origin."""
    read = [ref for call in layer.calls for ref in call.reads()]
    if not read or layer.origin is None:
        return None
    before = read[0].layer
    one_each = [(before, place) for place in range(len(before.calls))]
    if [(ref.layer, ref.call) for ref in read] != one_each or len(read) != len(layer.calls):
        return None
    alone = all(readers[place] == 1 for place in one_each)
    return before if alone and before.origin == layer.origin and not before.is_operation else None


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
