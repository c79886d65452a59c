"""Models side by side in one: the branches of a Keras 1 ``Sequential`` that begins with ``Merge([left, right])``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from keydnn.convert.read.record import Call, KerasModel, Layer, TensorRef, replace_refs


def side_by_side(models: Sequence[KerasModel]) -> tuple[list[Layer], list[TensorRef], list[TensorRef]]:
    """Give the layers of all models, their inputs and their outputs; nothing is nested, as in such a file's weights.

    A layer that two of them name is one layer, called from both.
    """
    layers: dict[str, Layer] = {}
    inputs: dict[TensorRef, None] = {}
    outputs: list[TensorRef] = []
    for model in models:
        starts = {layer.name: len(layers[layer.name].calls) if layer.name in layers else 0 for layer in model.layers}

        def moved(ref: TensorRef, starts: dict[str, int] = starts) -> TensorRef:
            return dataclasses.replace(ref, call=ref.call + starts[ref.layer])

        for layer in model.layers:
            before = layers[layer.name].calls if layer.name in layers else ()
            calls = (Call(replace_refs(call.args, moved), replace_refs(call.kwargs, moved)) for call in layer.calls)
            layers[layer.name] = dataclasses.replace(layer, calls=(*before, *calls))
        inputs |= dict.fromkeys(model.inputs)
        outputs += map(moved, model.outputs)
    return list(layers.values()), list(inputs), outputs
