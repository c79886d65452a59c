"""Pass: what Keras 1 and 2 computed otherwise on Theano, written as on TensorFlow.

Theano mirrored the kernels of convolutions, and put half a kernel of ``padding="same"`` in front, whatever the stride.
Source: Keras 2.3.1, ``keras/backend/theano_backend.py`` and ``_need_convert_kernel`` of ``keras/engine/saving.py``.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import Call, KerasModel, Layer, StoredTensor, TensorRef
from keydnn.names import Names
from keydnn.strict_json import Json

CONVOLUTION = re.compile(r"Conv([123])D(Transpose)?|ConvLSTM(2)D")  # depthwise ones were not mirrored
POOLING = re.compile(r"(Max|Average)Pooling([123])D")
KERNELS = ("kernel", "recurrent_kernel")


def correlate(model: KerasModel, notes: Notes) -> KerasModel:
    """Mirror kernels, and make padding explicit that lies otherwise than on TensorFlow."""
    if model.backend != "theano":
        return model
    names = Names(layer.name for layer in model.layers)
    layers = [new for layer in model.layers for new in _correlated(layer, names, notes)]
    return dataclasses.replace(model, layers=tuple(layers), backend="")


def _correlated(layer: Layer, names: Names, notes: Notes) -> list[Layer]:
    same = layer.config.get("padding") == "same" and not layer.package
    if same and POOLING.fullmatch(layer.class_name) and not _pools_alike(layer):
        _refuse(layer, notes)
    found = CONVOLUTION.fullmatch(layer.class_name)
    if found is None or layer.package:
        return [layer]
    axes = int(found[1] or found[3])
    notes.rewrite(layer.name, layer.class_name, "kernel of the Theano backend mirrored")
    weights = tuple(_mirrored(tensor, axes) if tensor.role in KERNELS else tensor for tensor in layer.weights)
    layer = dataclasses.replace(layer, weights=weights)
    window = [_sizes(layer, key, axes) for key in ("kernel_size", "strides", "dilation_rate")]
    if not same or any(sizes is None for sizes in window):
        return [layer]
    reach = [(size - 1) * dilation + 1 for size, _, dilation in zip(*window, strict=True)]
    if all(size % 2 and stride == 1 for size, stride in zip(reach, window[1] or (), strict=True)):
        return [layer]
    if found[2] or found[3]:
        _refuse(layer, notes)
        return [layer]
    notes.rewrite(layer.name, layer.class_name, "padding of the Theano backend made explicit")
    return _padded(layer, names, [[size // 2, (size - 1) // 2] for size in reach])


def _mirrored(tensor: StoredTensor, axes: int) -> StoredTensor:
    return dataclasses.replace(tensor, read=lambda: np.flip(tensor.read(), tuple(range(axes))))


def _sizes(layer: Layer, key: str, axes: int) -> list[int] | None:
    """Give an option that is one integer an axis; None where the builder will refuse it."""
    value = layer.config.get(key, 1)
    values = value if isinstance(value, list) else [value] * axes
    return values if len(values) == axes and all(type(item) is int and item > 0 for item in values) else None


def _pools_alike(layer: Layer) -> bool:
    """Tell whether Theano's padding is TensorFlow's: windows of one, or of three with a stride of one."""
    sizes, strides = layer.config.get("pool_size"), layer.config.get("strides")
    pairs = zip(*(value if isinstance(value, list) else [value] for value in (sizes, strides)), strict=False)
    return all(size == 1 or (size, stride) == (3, 1) for size, stride in pairs)


def _refuse(layer: Layer, notes: Notes) -> None:
    message = f"Unsupported Keras layer: {layer.class_name} with padding='same' on Theano"
    notes.obstacle(layer.name, layer.class_name, message, "padding='same', which Theano laid otherwise")


def _padded(layer: Layer, names: Names, pads: list[list[int]]) -> list[Layer]:
    """Give the layer without padding, behind one that pads."""
    name = names.new(f"{layer.name}.padding")
    config: dict[str, Json] = {"padding": pads, "data_format": layer.config.get("data_format", "channels_last")}
    if len(pads) == 1:
        config = {"padding": pads[0]}
    origin = layer.part_of or (layer.name, layer.class_name)
    before = Layer(name, f"ZeroPadding{len(pads)}D", "", config, layer.calls, part_of=origin)
    calls = tuple(Call((TensorRef(name, number),)) for number in range(len(layer.calls)))
    return [before, dataclasses.replace(layer, config={**layer.config, "padding": "valid"}, calls=calls)]
